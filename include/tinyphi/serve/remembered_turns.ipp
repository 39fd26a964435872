// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_REMEMBERED_TURNS_IPP_
#define TINYPHI_SERVE_REMEMBERED_TURNS_IPP_

#include <algorithm>

#include "tinyphi/serve/remembered_turns.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void remembered_turns::remember(domain_id domain, std::string text,
                                             std::vector<token_id> tokens) {
  turn t{domain, std::move(text), std::move(tokens)};
  if (t.text.empty() || t.bytes() > max_bytes_ / 8) return;
  const std::lock_guard lock(mutex_);
  if (const auto old = by_text_.find({domain, t.text}); old != by_text_.end()) {
    bytes_ -= old->second->bytes();
    const auto at = old->second;
    by_text_.erase(old);
    recent_.erase(at);
  }
  bytes_ += t.bytes();
  recent_.push_front(std::move(t));
  by_text_.emplace(key{domain, recent_.front().text}, recent_.begin());
  while (bytes_ > max_bytes_) {
    const turn& oldest = recent_.back();
    bytes_ -= oldest.bytes();
    by_text_.erase({oldest.domain, oldest.text});
    recent_.pop_back();
  }
}

TINYPHI_FUNC std::vector<token_id> remembered_turns::find(
    domain_id domain, std::string_view text) {
  const std::lock_guard lock(mutex_);
  const auto found = by_text_.find({domain, text});
  if (found == by_text_.end()) return {};
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->tokens;
}

TINYPHI_FUNC std::size_t remembered_turns::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

namespace detail {

// A stretch of a prompt: segments to tokenize, then tokens that are known.
struct prompt_part {
  std::vector<segment> segments;
  std::vector<token_id> tokens;
};

// Puts known tokens in the place of the texts behind each part. Only if
// `whole`, all of the prompt tokenized at once, is the parts with texts in
// between, whose tokens are not special: then nothing depends on what a text is
// followed by.
inline std::vector<token_id> splice_known(const tokenizer& t,
                                          std::vector<token_id> whole,
                                          std::span<const prompt_part> parts) {
  std::vector<token_id> spliced;
  auto at = whole.cbegin();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto ids = t.encode(parts[i].segments, i == 0);
    if (i > 0) {
      at = std::find_if(at, whole.cend(),
                        [&](token_id id) { return t.is_special(id); });
    }
    if (static_cast<std::size_t>(whole.cend() - at) < ids.size() ||
        !std::equal(ids.begin(), ids.end(), at)) {
      return whole;
    }
    at += static_cast<std::ptrdiff_t>(ids.size());
    spliced.insert(spliced.end(), ids.begin(), ids.end());
    spliced.insert(spliced.end(), parts[i].tokens.begin(),
                   parts[i].tokens.end());
  }
  return at == whole.cend() ? spliced : whole;
}

}  // namespace detail

TINYPHI_FUNC result<std::vector<token_id>> chat_tokens(
    const model& m, std::span<const message> messages, bool continue_last,
    remembered_turns& turns, domain_id domain) {
  const tokenizer* t = m.tokenizer();
  if (t == nullptr) {
    return error{error_code::unsupported,
                 "the model has no tokenizer; send token ids to "
                 "/v1/completions"};
  }
  TINYPHI_TRY(const chat_format format, m.chat_format());
  const auto turned = messages.first(messages.size() - continue_last);
  TINYPHI_TRY(auto prompt, render_chat(format, turned));
  if (continue_last) prompt.push_back({messages.back().content});
  // The segments of assistant turns whose tokens are known end a part.
  std::vector<detail::prompt_part> parts(1);
  std::size_t next = 0;  // among the assistant turns
  std::vector<const std::string*> answers;
  for (const message& turn : turned) {
    if (turn.role == role::assistant) answers.push_back(&turn.content);
  }
  for (const segment& s : prompt) {
    while (next < answers.size() && answers[next]->empty()) ++next;
    if (!s.control && next < answers.size() && s.text == *answers[next]) {
      ++next;
      if (auto known = turns.find(domain, s.text); !known.empty()) {
        parts.back().tokens = std::move(known);
        parts.emplace_back();
        continue;
      }
    }
    parts.back().segments.push_back(s);
  }
  auto whole = t->encode(prompt, true);
  if (parts.size() == 1) return whole;
  return detail::splice_known(*t, std::move(whole), parts);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_REMEMBERED_TURNS_IPP_
