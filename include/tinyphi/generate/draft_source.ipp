// SPDX-License-Identifier: MIT
// The suffix automaton of a draft_source.
#ifndef TINYPHI_GENERATE_DRAFT_SOURCE_IPP_
#define TINYPHI_GENERATE_DRAFT_SOURCE_IPP_

#include <algorithm>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/draft_source.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr token_id text_border = -1;
// How many ends of a text get to know the place where it stands now. All of
// them would take O(n) a token in a text of equal tokens.
inline constexpr int known_ends = 8;

}  // namespace detail

// An automaton of n tokens has at most 2 n states, and n steps besides the
// first of each state (and one for each text, which its border makes up for).
TINYPHI_FUNC draft_source::draft_source(std::size_t max_tokens)
    : max_tokens_(std::min(max_tokens, max_capacity)),
      others_(max_tokens_ + max_tokens_ / 2 + 2) {
  tokens_.reserve(max_tokens_);
  states_.reserve(2 * max_tokens_ + 1);
  states_.emplace_back();
}

TINYPHI_FUNC std::size_t draft_source::memory_bytes() const noexcept {
  return tokens_.capacity() * sizeof(token_id) +
         states_.capacity() * sizeof(state) +
         others_.capacity() * sizeof(transition);
}

TINYPHI_FUNC std::size_t draft_source::memory_bytes(
    std::size_t max_tokens) noexcept {
  const std::size_t n = std::min(max_tokens, max_capacity);
  return n * sizeof(token_id) + (2 * n + 1) * sizeof(state) +
         (n + n / 2 + 2) * sizeof(transition);
}

// The slot of this step, or the free one where it belongs.
TINYPHI_FUNC std::size_t draft_source::slot(index from,
                                            token_id token) const noexcept {
  const std::uint64_t hash = hash_(from, static_cast<std::uint32_t>(token));
  std::size_t at = (hash >> 32) * others_.size() >> 32;
  while (others_[at].from != none &&
         (others_[at].from != from || others_[at].token != token)) {
    if (++at == others_.size()) at = 0;
  }
  return at;
}

TINYPHI_FUNC draft_source::index draft_source::step(
    index from, token_id token) const noexcept {
  const state& s = states_[from];
  if (s.token == token || s.others == none) {
    return s.token == token ? s.target : none;
  }
  return others_[slot(from, token)].target;
}

TINYPHI_FUNC void draft_source::add_step(index from, token_id token,
                                         index target) noexcept {
  state& s = states_[from];
  if (s.target == none) {
    s.token = token;
    s.target = target;
    return;
  }
  const std::size_t at = slot(from, token);
  TINYPHI_ASSERT(others_[at].from == none);
  others_[at] = {from, token, target, s.others};
  s.others = static_cast<index>(at);
}

TINYPHI_FUNC void draft_source::redirect(index from, token_id token,
                                         index target) noexcept {
  state& s = states_[from];
  (s.token == token ? s.target : others_[slot(from, token)].target) = target;
}

// Splits those strings off `original` that are one token longer than `from`'s
// or shorter: the text has just ended in them, not in the others.
TINYPHI_FUNC draft_source::index draft_source::clone(index from, token_id token,
                                                     index original) {
  const auto copy = static_cast<index>(states_.size());
  state s = states_[original];
  s.length = states_[from].length + 1;
  s.others = none;
  states_.push_back(s);
  for (index at = states_[original].others; at != none; at = others_[at].next) {
    add_step(copy, others_[at].token, others_[at].target);
  }
  states_[original].link = copy;
  for (; from != none && step(from, token) == original;
       from = states_[from].link) {
    redirect(from, token, copy);
  }
  return copy;
}

// The token at the end of tokens_ followed `from` and all its shorter ends.
TINYPHI_FUNC void draft_source::remember_place(index from) noexcept {
  const auto place = static_cast<index>(tokens_.size() - 1);
  // A state that has a place has shorter ends that have one.
  for (int i = 0; states_[from].length >= min_match; ++i) {
    state& s = states_[from];
    if (i >= detail::known_ends && s.place != none) break;
    s.place = place;
    from = s.link;
  }
}

TINYPHI_FUNC void draft_source::learn(token_id token) {
  tokens_.push_back(token);
  if (token < 0) {
    last_ = match_ = root;
    match_length_ = 0;
    return;
  }
  remember_place(last_);
  const index length = states_[last_].length + 1;
  index from = last_;
  index next = step(from, token);
  if (next != none) {
    // All since the border stands elsewhere too.
    if (states_[next].length != length) next = clone(from, token, next);
    last_ = match_ = next;
    match_length_ = length;
    return;
  }
  last_ = static_cast<index>(states_.size());
  states_.push_back({.length = length});
  for (; from != none; from = states_[from].link) {
    next = step(from, token);
    if (next != none) break;
    add_step(from, token, last_);
  }
  match_ = root;
  if (from != none) {
    const bool ends_it = states_[next].length == states_[from].length + 1;
    match_ = ends_it ? next : clone(from, token, next);
  }
  states_[last_].link = match_;
  match_length_ = states_[match_].length;
}

TINYPHI_FUNC void draft_source::match_only(token_id token) noexcept {
  if (whole_) {
    whole_ = false;
    match_ = last_;
    match_length_ = states_[last_].length;
  }
  index next = token < 0 ? none : step(match_, token);
  while (next == none && match_ != root && token >= 0) {
    match_ = states_[match_].link;
    match_length_ = states_[match_].length;
    next = step(match_, token);
  }
  match_ = next == none ? root : next;
  match_length_ = next == none ? 0 : match_length_ + 1;
}

TINYPHI_FUNC void draft_source::add_reference(
    std::span<const token_id> reference) {
  if (tokens_.size() + 2 > max_tokens_) return;
  TINYPHI_ASSERT(whole_ && last_ == root);
  const std::size_t room = max_tokens_ - tokens_.size() - 1;
  for (const token_id token :
       reference.first(std::min(room, reference.size()))) {
    learn(token);
  }
  learn(detail::text_border);
}

TINYPHI_FUNC void draft_source::append(token_id token) {
  if (whole_ && tokens_.size() < max_tokens_) {
    learn(token);
  } else {
    match_only(token);
  }
}

TINYPHI_FUNC std::size_t draft_source::propose(
    std::size_t n, std::vector<token_id>& out) const {
  out.clear();
  index at = match_;
  std::size_t length = match_length_;
  while (length >= min_match && states_[at].place == none) {
    at = states_[at].link;
    length = states_[at].length;
  }
  if (length < min_match) return 0;
  std::size_t place = states_[at].place;
  for (; out.size() < n; ++place) {
    if (place >= tokens_.size() && !whole_) break;
    const token_id token =
        place < tokens_.size() ? tokens_[place] : out[place - tokens_.size()];
    if (token < 0) break;
    out.push_back(token);
  }
  return out.empty() ? 0 : length;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_DRAFT_SOURCE_IPP_
