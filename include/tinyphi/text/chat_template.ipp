// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_CHAT_TEMPLATE_IPP_
#define TINYPHI_TEXT_CHAT_TEMPLATE_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/text/chat_template.h"
#include "tinyphi/text/unicode.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The published templates in the form that canonical_template gives.
struct known_template {
  chat_format format;
  std::string_view text;
};

inline constexpr known_template known_templates[] = {
    {chat_format::phi3_april,
     "{{bos_token}}{%for message in messages%}"
     "{%if message['role']=='user'%}"
     "{{'<|user|>\n'+message['content']+'<|end|>\n<|assistant|>\n'}}"
     "{%elif message['role']=='assistant'%}"
     "{{message['content']+'<|end|>\n'}}{%endif%}{%endfor%}"},
    {chat_format::phi3_medium,
     "{%for message in messages%}"
     "{%if message['role']=='user'%}"
     "{{'<|user|>\n'+message['content']+'<|end|>\n<|assistant|>\n'}}"
     "{%elif message['role']=='assistant'%}"
     "{{message['content']+'<|end|>\n'}}{%endif%}{%endfor%}"},
    {chat_format::phi3,
     "{%for message in messages%}"
     "{%if message['role']=='system' and message['content']%}"
     "{{'<|system|>\n'+message['content']+'<|end|>\n'}}"
     "{%elif message['role']=='user'%}"
     "{{'<|user|>\n'+message['content']+'<|end|>\n'}}"
     "{%elif message['role']=='assistant'%}"
     "{{'<|assistant|>\n'+message['content']+'<|end|>\n'}}"
     "{%endif%}{%endfor%}{%if add_generation_prompt%}"
     "{{'<|assistant|>\n'}}{%else%}{{eos_token}}{%endif%}"},
    // The same without the check for an empty system turn.
    {chat_format::phi3,
     "{%for message in messages%}"
     "{%if message['role']=='system'%}"
     "{{'<|system|>\n'+message['content']+'<|end|>\n'}}"
     "{%elif message['role']=='user'%}"
     "{{'<|user|>\n'+message['content']+'<|end|>\n'}}"
     "{%elif message['role']=='assistant'%}"
     "{{'<|assistant|>\n'+message['content']+'<|end|>\n'}}"
     "{%endif%}{%endfor%}{%if add_generation_prompt%}"
     "{{'<|assistant|>\n'}}{%else%}{{eos_token}}{%endif%}"},
    {chat_format::phi3_small,
     "{{bos_token}}{%for message in messages%}"
     "{{'<|'+message['role']+'|>\n'+message['content']+'<|end|>\n'}}"
     "{%endfor%}{%if add_generation_prompt%}"
     "{{'<|assistant|>\n'}}{%else%}{{eos_token}}{%endif%}"},
    {chat_format::phi4_mini,
     "{%for message in messages%}"
     "{%if message['role']=='system' and 'tools' in message and "
     "message['tools'] is not none%}"
     "{{'<|'+message['role']+'|>'+message['content']+'<|tool|>'+"
     "message['tools']+'<|/tool|><|end|>'}}{%else%}"
     "{{'<|'+message['role']+'|>'+message['content']+'<|end|>'}}"
     "{%endif%}{%endfor%}{%if add_generation_prompt%}"
     "{{'<|assistant|>'}}{%else%}{{eos_token}}{%endif%}"},
    {chat_format::phi4,
     "{%for message in messages%}"
     "{%if message['role']=='system'%}"
     "{{'<|im_start|>system<|im_sep|>'+message['content']+'<|im_end|>'}}"
     "{%elif message['role']=='user'%}"
     "{{'<|im_start|>user<|im_sep|>'+message['content']+'<|im_end|>'}}"
     "{%elif message['role']=='assistant'%}"
     "{{'<|im_start|>assistant<|im_sep|>'+message['content']+'<|im_end|>'}}"
     "{%endif%}{%endfor%}{%if add_generation_prompt%}"
     "{{'<|im_start|>assistant<|im_sep|>'}}{%endif%}"},
    // The first release: the same text whenever user and assistant alternate.
    {chat_format::phi4,
     "{%for message in messages%}"
     "{%if message['role']=='system'%}"
     "{{'<|im_start|>system<|im_sep|>'+message['content']+'<|im_end|>'}}"
     "{%elif message['role']=='user'%}"
     "{{'<|im_start|>user<|im_sep|>'+message['content']+"
     "'<|im_end|><|im_start|>assistant<|im_sep|>'}}"
     "{%elif message['role']=='assistant'%}"
     "{{message['content']+'<|im_end|>'}}{%endif%}{%endfor%}"},
};

inline bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_';
}

// Reads the string literal at `at`, moves past it, and gives its value; an
// unfinished one ends with the text.
inline std::string read_literal(std::string_view text, std::size_t& at) {
  std::string value;
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) {
    char c = text[at++];
    if (c == '\\' && at < text.size()) {
      const char escaped = text[at++];
      c = escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped;
    }
    value += c;
  }
  if (at < text.size()) ++at;
  return value;
}

// The inside of a tag with one spelling for what may be spelled in several
// ways: no brackets around comparisons, one kind of quotes, literals joined,
// a space only between words.
inline std::string canonical_tag(std::string_view text) {
  std::string out;
  bool gap = false;  // white space before this character
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    const bool after_word = !out.empty() && is_word_char(out.back());
    const bool after_value =
        after_word ||
        (!out.empty() && (out.back() == '\'' || out.back() == ']'));
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      gap = true, ++at;
      continue;
    }
    if (c == '\'' || c == '"') {
      const std::string value = read_literal(text, at);
      if (out.ends_with("'+")) {
        out.resize(out.size() - 2);
      } else {
        if (gap && after_value) out += ' ';
        out += '\'';
      }
      out += value + '\'';
    } else if (c == '(' || c == ')') {
      ++at;
      continue;
    } else {
      if (gap && is_word_char(c) && after_value) out += ' ';
      out += c, ++at;
    }
    gap = false;
  }
  return out;
}

// Where the next tag opens. One pass: a search for each of the two would read
// the whole rest for every tag, where one of them never comes.
inline std::size_t find_tag(std::string_view text) {
  for (std::size_t at = text.find('{'); at != text.npos;
       at = text.find('{', at + 1)) {
    const std::string_view two = text.substr(at, 2);
    if (two == "{%" || two == "{{") return at;
  }
  return text.npos;
}

// A template without what does not change its output, as Hugging Face renders
// it (trim_blocks, lstrip_blocks). Text outside of tags stays.
inline std::string canonical_template(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t open = find_tag(text);
    const std::size_t text_end = std::min(open, text.size());
    std::string_view outside = text.substr(0, text_end);
    if (open == text.npos) {
      out += outside;
      break;
    }
    const bool block = text[open + 1] == '%';
    const std::string_view closing = block ? "%}" : "}}";
    const std::size_t close = text.find(closing, open + 2);
    if (close == text.npos) return out.append(text);
    std::string_view inside = text.substr(open + 2, close - open - 2);
    text.remove_prefix(close + 2);

    constexpr std::string_view white = " \t\r\n";
    if (inside.starts_with('-')) {
      inside.remove_prefix(1);
      outside = outside.substr(0, outside.find_last_not_of(white) + 1);
    } else if (block) {
      const std::size_t kept = outside.find_last_not_of(" \t") + 1;
      if (kept == 0 || outside[kept - 1] == '\n')
        outside = outside.substr(0, kept);
    }
    if (inside.ends_with('-')) {
      inside.remove_suffix(1);
      text.remove_prefix(std::min(text.find_first_not_of(white), text.size()));
    } else if (block && text.starts_with('\n')) {
      text.remove_prefix(1);
    }
    out.append(outside).append(block ? "{%" : "{{");
    out.append(canonical_tag(inside)).append(closing);
  }
  return out;
}

// Appends turns to segments; markers that meet become one segment.
class turn_writer {
 public:
  void marker(std::string_view text) {
    if (segments_.empty() || !segments_.back().control) {
      segments_.push_back({"", true});
    }
    segments_.back().text += text;
  }
  void data(const std::string& text) { segments_.push_back({text, false}); }
  void turn(std::string_view before, const message& m, std::string_view after) {
    marker(before);
    data(m.content);
    marker(after);
  }
  [[nodiscard]] std::vector<segment> take() { return std::move(segments_); }

 private:
  std::vector<segment> segments_;
};

inline result<void> check_roles(chat_format format,
                                std::span<const message> messages) {
  const bool system_turns =
      format != chat_format::phi3_april && format != chat_format::phi3_medium;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const role r = messages[i].role;
    if (r == role::tool || (r == role::system && !system_turns)) {
      return error{error_code::unsupported,
                   "message " + std::to_string(i + 1) + ": the " +
                       std::string(to_string(format)) + " chat format has no " +
                       std::string(to_string(r)) +
                       " turn; put its text into a user turn"};
    }
  }
  return {};
}

}  // namespace detail

TINYPHI_FUNC std::string_view to_string(role r) {
  switch (r) {
    case role::system:
      return "system";
    case role::user:
      return "user";
    case role::assistant:
      return "assistant";
    case role::tool:
      return "tool";
  }
  return "unknown";
}

TINYPHI_FUNC std::string_view to_string(chat_format f) {
  switch (f) {
    case chat_format::phi3_april:
      return "phi3_april";
    case chat_format::phi3_medium:
      return "phi3_medium";
    case chat_format::phi3:
      return "phi3";
    case chat_format::phi3_small:
      return "phi3_small";
    case chat_format::phi4_mini:
      return "phi4_mini";
    case chat_format::phi4:
      return "phi4";
  }
  return "unknown";
}

TINYPHI_FUNC result<chat_format> recognise_chat_format(const tokenizer& t) {
  const vocabulary& v = t.vocab();
  if (!v.chat_template.empty()) {
    const std::string text = detail::canonical_template(v.chat_template);
    for (const detail::known_template& known : detail::known_templates) {
      if (known.text == text) return known.format;
    }
    return error{error_code::unsupported,
                 "the file's chat template is none that tinyphi knows (Phi-3, "
                 "Phi-3.5, Phi-3-small, Phi-4, Phi-4-mini); use a raw prompt"};
  }
  const auto has = [&](std::string_view name) {
    const auto id = t.find(name);
    return id && t.is_special(*id);
  };
  if (has("<|im_start|>") && has("<|im_sep|>") && has("<|im_end|>")) {
    return chat_format::phi4;
  }
  if (has("<|user|>") && has("<|assistant|>") && has("<|end|>")) {
    if (v.kind == bpe_kind::sentencepiece) return chat_format::phi3;
    if (v.pre == pre_tokenizer::cl100k) return chat_format::phi3_small;
    if (v.pre == pre_tokenizer::o200k) return chat_format::phi4_mini;
  }
  return error{error_code::unsupported,
               "the file has no chat template, and its vocabulary lacks the "
               "control tokens of the Phi family; use a raw prompt"};
}

TINYPHI_FUNC result<std::vector<segment>> render_chat(
    chat_format format, std::span<const message> messages,
    bool add_generation_prompt) {
  TINYPHI_CHECK_OK(detail::check_roles(format, messages));
  const bool glued =
      format == chat_format::phi3_april || format == chat_format::phi3_medium;
  if (glued && add_generation_prompt &&
      (messages.empty() || messages.back().role != role::user)) {
    return error{error_code::invalid_argument,
                 "the " + std::string(to_string(format)) +
                     " chat format asks for an answer only after a user turn"};
  }
  detail::turn_writer out;
  if (format == chat_format::phi3_april) out.marker("<s>");
  if (format == chat_format::phi3_small) out.marker("<|endoftext|>");
  for (const message& m : messages) {
    const std::string name(to_string(m.role));
    if (glued && m.role == role::assistant) {
      out.data(m.content);
      out.marker("<|end|>\n");
    } else if (glued) {
      out.turn("<|user|>\n", m, "<|end|>\n<|assistant|>\n");
    } else if (format == chat_format::phi4) {
      out.turn("<|im_start|>" + name + "<|im_sep|>", m, "<|im_end|>");
    } else if (format == chat_format::phi4_mini) {
      out.turn("<|" + name + "|>", m, "<|end|>");
    } else if (format != chat_format::phi3 || m.role != role::system ||
               !m.content.empty()) {
      out.turn("<|" + name + "|>\n", m, "<|end|>\n");
    }
  }
  if (glued) return out.take();
  if (format == chat_format::phi4) {
    if (add_generation_prompt) out.marker("<|im_start|>assistant<|im_sep|>");
  } else if (!add_generation_prompt) {
    out.marker("<|endoftext|>");
  } else {
    out.marker(format == chat_format::phi4_mini ? "<|assistant|>"
                                                : "<|assistant|>\n");
  }
  return out.take();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_CHAT_TEMPLATE_IPP_
