// SPDX-License-Identifier: MIT
// Tokens that follow whatever is sampled: the text that must come, encoded as
// far as no text behind it could change its tokens.
#ifndef TINYPHI_CONSTRAIN_FORCED_TOKENS_IPP_
#define TINYPHI_CONSTRAIN_FORCED_TOKENS_IPP_

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tinyphi/base/utf8.h"
#include "tinyphi/constrain/matcher.ipp"
#include "tinyphi/constrain/token_trie.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Encodes the end of an answer as its tokenizer would.
class answer_tail {
 public:
  // What is behind the last border that no token crosses: the answer's
  // beginning, or a character without a piece of its own, such as Phi-3's line
  // break. Nothing if there is none among the last `most` bytes.
  [[nodiscard]] static std::optional<answer_tail> of(
      const token_trie& t, const std::vector<token_id>& ids, std::size_t most) {
    const vocabulary& v = t.source().vocab();
    std::size_t first = ids.size(), size = 0;
    for (; first > 0; --first) {
      const token_id id = ids[first - 1];
      const std::string_view bytes = t.bytes(id);
      if (names_a_byte(v, static_cast<std::size_t>(id), bytes)) break;
      size += bytes.size();
      if (size > most) return std::nullopt;
    }
    return answer_tail(t, ids, first);
  }

  // The tokens behind the answer's last one that `more` becomes whatever comes
  // behind it. Where a piece could begin before the end and reach beyond it,
  // the encoding of what is before that piece has to agree.
  [[nodiscard]] std::vector<token_id> settled(std::string_view more) const {
    const std::string all = text_ + std::string(more);
    std::vector<token_id> keep = encode(all);
    const std::size_t longest = trie_->longest();
    for (std::size_t p = all.size() > longest ? all.size() - longest : 0;
         p < all.size(); ++p) {
      if (may_go_on(std::string_view(all).substr(p))) {
        agree(keep, encode(std::string_view(all).substr(0, p)));
      }
    }
    // Byte-level pre-tokenizers look one character beyond white space.
    const std::size_t last = all.find_last_not_of(" \t\r\n");
    if (trie_->source().vocab().kind != bpe_kind::sentencepiece &&
        last + 1 < all.size()) {
      agree(keep, encode(std::string_view(all).substr(0, last + 1)));
    }
    if (keep.size() < ids_.size() ||
        !std::equal(ids_.begin(), ids_.end(), keep.begin())) {
      return {};  // what has come was not spelled so; it stays as it is
    }
    keep.erase(keep.begin(),
               keep.begin() + static_cast<std::ptrdiff_t>(ids_.size()));
    return keep;
  }

 private:
  answer_tail(const token_trie& t, const std::vector<token_id>& ids,
              std::size_t first)
      : trie_(&t) {
    at_begin_ = first == 0;
    ids_.assign(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
    for (const token_id id : ids_) text_ += t.bytes(id);
    if (at_begin_ && t.source().strips_leading_space() &&
        text_.starts_with(' ')) {
      text_.erase(0, 1);
    }
  }

  [[nodiscard]] std::vector<token_id> encode(std::string_view text) const {
    return at_begin_ ? trie_->source().encode(text)
                     : trie_->source().encode_inside(text);
  }
  // Whether some token begins with `bytes` and has more.
  [[nodiscard]] bool may_go_on(std::string_view bytes) const {
    token_trie::node v = token_trie::root;
    for (const char b : bytes) {
      v = trie_->child(v, static_cast<std::uint8_t>(b));
      if (v == token_trie::none) return false;
    }
    return trie_->end(v) > v + 1;
  }
  static void agree(std::vector<token_id>& keep,
                    const std::vector<token_id>& other) {
    const auto differ = std::ranges::mismatch(keep, other);
    keep.erase(differ.in1, keep.end());
  }

  const token_trie* trie_;
  std::vector<token_id> ids_;
  std::string text_;
  bool at_begin_ = true;
};

}  // namespace detail

TINYPHI_FUNC std::vector<token_id> matcher::forced(std::size_t most) const {
  // A longer tail costs more to encode than the tokens would.
  constexpr std::size_t max_forced = 256, max_tail = 512;
  grammar_walk walk = state_->walk();
  const std::size_t before = state_->frames.size();
  std::string text;
  grammar_config at = state_->now, next;
  while (text.size() < max_forced && !walk.may_end(at)) {
    const byte_set bytes = walk.next_bytes(at);
    if (bytes.count() != 1) break;
    const std::uint8_t b = bytes.first();
    if (!walk.step(at, b, next)) break;
    text += static_cast<char>(b);
    std::swap(at, next);
  }
  state_->frames.shrink(before);
  // Only whole characters can be encoded.
  if (const std::size_t bad = find_invalid_utf8(text); bad != text.npos) {
    text.resize(bad);
  }
  if (text.empty()) return {};
  const auto tail =
      detail::answer_tail::of(state_->trie(), state_->ids, max_tail);
  if (!tail) return {};
  std::vector<token_id> out = tail->settled(text);
  if (out.size() > most) out.resize(most);
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_FORCED_TOKENS_IPP_
