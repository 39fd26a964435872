// SPDX-License-Identifier: MIT
// Chat templates from anywhere, and messages that try to leave their turn. Up
// to the first NUL the input is a template, the rest are contents.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/text/chat_template.h"
#include "tinyphi/text/tokenizer.h"

namespace {

using namespace tinyphi;

void require(bool condition) {
  if (!condition) std::abort();
}

vocabulary byte_vocabulary() {
  vocabulary v;
  v.kind = bpe_kind::byte_level;
  for (int b = 0; b < 256; ++b) {
    v.pieces.emplace_back(1, static_cast<char>(b));
  }
  token_id id = 300;
  for (const char* name :
       {"<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>",
        "<|end|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>"}) {
    v.added.push_back({id++, name, true, false, true});
  }
  return v;
}

std::size_t specials(const tokenizer& t, chat_format format,
                     const std::vector<message>& turns) {
  const auto prompt = render_chat(format, turns);
  require(prompt.has_value());
  std::size_t n = 0;
  for (const token_id id : t.encode(*prompt, false)) n += t.is_special(id);
  return n;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view chat_template = text.substr(0, text.find('\0'));
  vocabulary v = byte_vocabulary();
  v.chat_template = chat_template;
  const auto named = tokenizer::create(std::move(v));
  require(named.has_value());
  (void)recognise_chat_format(*named);

  const std::string content(text.substr(chat_template.size()));
  static const tokenizer t = *tokenizer::create(byte_vocabulary());
  for (const chat_format f :
       {chat_format::phi3_april, chat_format::phi3_medium, chat_format::phi3,
        chat_format::phi3_small, chat_format::phi4_mini, chat_format::phi4}) {
    const auto turns = [](const std::string& c) {
      return std::vector<message>{
          {role::user, c}, {role::assistant, c}, {role::user, c}};
    };
    // Whatever is said, the turns are the same.
    require(specials(t, f, turns(content)) == specials(t, f, turns("x")));
  }
  return 0;
}
