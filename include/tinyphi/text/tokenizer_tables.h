// SPDX-License-Identifier: MIT
// The look-up tables behind a tokenizer. Internal to tokenizer.ipp and
// tokenizer_tables.ipp.
#ifndef TINYPHI_TEXT_TOKENIZER_TABLES_H_
#define TINYPHI_TEXT_TOKENIZER_TABLES_H_

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "tinyphi/base/keyed_hash.h"
#include "tinyphi/text/bpe.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::string_view word_mark = "\u2581";  // "▁"

inline std::string replace_all(std::string_view text, std::string_view from,
                               std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at; (at = text.find(from)) != text.npos;) {
    out.append(text.substr(0, at)).append(to);
    text.remove_prefix(at + from.size());
  }
  return out.append(text);
}

// The added tokens, to be found in a text.
class added_token_finder {
 public:
  struct match {
    std::size_t begin = 0;
    const added_token* token = nullptr;  // null: none
  };

  // Keeps pointers into `added`.
  explicit added_token_finder(const std::vector<added_token>& added) {
    for (const added_token& t : added) {
      sorted_.push_back(&t);
      begins_[static_cast<unsigned char>(t.content[0])] = true;
    }
    std::sort(sorted_.begin(), sorted_.end(), [](const auto* a, const auto* b) {
      return a->content < b->content;
    });
  }

  // The leftmost token in `text` from `at` on, the longest of those.
  [[nodiscard]] match find(std::string_view text, std::size_t at) const {
    for (; at < text.size(); ++at) {
      if (!begins_[static_cast<unsigned char>(text[at])]) continue;
      if (const auto* t = longest_prefix(text.substr(at))) return {at, t};
    }
    return {};
  }

 private:
  // Narrows the range of tokens that begin as the text does, byte by byte.
  [[nodiscard]] const added_token* longest_prefix(std::string_view text) const {
    const added_token* best = nullptr;
    auto first = sorted_.begin(), last = sorted_.end();
    for (std::size_t n = 0; n < text.size() && first != last; ++n) {
      const auto byte = static_cast<unsigned char>(text[n]);
      const auto at_n = [n](const added_token* t) {
        return n < t->content.size() ? static_cast<unsigned char>(t->content[n])
                                     : -1;
      };
      first = std::partition_point(
          first, last, [&](const auto* t) { return at_n(t) < byte; });
      last = std::partition_point(
          first, last, [&](const auto* t) { return at_n(t) <= byte; });
      if (first != last && (*first)->content.size() == n + 1) best = *first;
    }
    return best;
  }

  std::vector<const added_token*> sorted_;  // by content
  std::array<bool, 256> begins_{};
};

}  // namespace detail

struct tokenizer::tables {
  // What BPE may do with a token: merge into ordinary ones only, so that no
  // text becomes a control token.
  enum class token_kind : std::uint8_t { none, ordinary, byte, added, special };

  vocabulary v;
  std::vector<token_kind> kinds;  // [id]
  std::vector<std::string> text;  // [id], what bytes() returns
  std::unordered_map<std::string_view, token_id, keyed_hash>
      ids;  // into v.pieces
  std::array<token_id, 256> byte_ids{};
  merge_table merges;
  std::optional<detail::added_token_finder> added;

  explicit tables(vocabulary from) : v(std::move(from)) {}

  [[nodiscard]] result<void> build();
  [[nodiscard]] result<void> place_added_tokens();
  [[nodiscard]] result<void> index_pieces();
  [[nodiscard]] result<void> find_byte_tokens();
  [[nodiscard]] result<void> check_named_ids() const;
  [[nodiscard]] result<void> index_merges();
  [[nodiscard]] result<void> derive_merges();

  [[nodiscard]] std::optional<token_id> ordinary(std::string_view piece) const {
    const auto found = ids.find(piece);
    if (found == ids.end()) return std::nullopt;
    if (kind(found->second) != token_kind::ordinary) return std::nullopt;
    return found->second;
  }
  [[nodiscard]] token_kind kind(token_id id) const {
    const auto i = static_cast<std::size_t>(id);  // negative: far too large
    return i < kinds.size() ? kinds[i] : token_kind::none;
  }

  [[nodiscard]] std::vector<token_id> encode(std::span<const segment>,
                                             bool inside = false) const;
  void encode_run(std::string_view run, bool first, bpe_merger& merger,
                  std::vector<token_id>& out) const;
  void encode_sentencepiece(std::string_view run, bool first,
                            bpe_merger& merger,
                            std::vector<token_id>& out) const;
  // Of a text whose spaces are "▁".
  void encode_marked(std::string_view word, bpe_merger& merger,
                     std::vector<token_id>& out) const;
  void encode_bytes(std::string_view run, bpe_merger& merger,
                    std::vector<token_id>& out) const;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/tokenizer_tables.ipp"
#endif

#endif  // TINYPHI_TEXT_TOKENIZER_TABLES_H_
