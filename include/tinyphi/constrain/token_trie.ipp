// SPDX-License-Identifier: MIT
#ifndef TINYPHI_CONSTRAIN_TOKEN_TRIE_IPP_
#define TINYPHI_CONSTRAIN_TOKEN_TRIE_IPP_

#include <algorithm>
#include <array>
#include <string>

#include "tinyphi/constrain/token_trie.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Whether a piece is the name of a byte, as SentencePiece has them: "<0x0A>".
inline bool names_a_byte(const vocabulary& v, std::size_t id,
                         std::string_view bytes) {
  return v.kind == bpe_kind::sentencepiece && bytes.size() == 1 &&
         v.pieces[id].size() == 6 && v.pieces[id].starts_with("<0x");
}

}  // namespace detail

TINYPHI_FUNC void token_trie::add(
    tables& t, std::span<const std::pair<std::string_view, token_id>> sorted) {
  std::vector<node> open{root};  // the nodes on the way, by their depth
  t.nodes.emplace_back();
  std::string_view before;
  const auto close = [&](std::size_t depth) {
    while (open.size() > depth + 1) {
      t.nodes[open.back()].end = static_cast<node>(t.nodes.size());
      open.pop_back();
    }
  };
  for (const auto& [bytes, id] : sorted) {
    const auto differ = std::ranges::mismatch(before, bytes);
    close(static_cast<std::size_t>(differ.in2 - bytes.begin()));
    for (std::size_t i = open.size() - 1; i < bytes.size(); ++i) {
      open.push_back(static_cast<node>(t.nodes.size()));
      t.nodes.push_back({.first = static_cast<std::uint32_t>(t.tokens.size()),
                         .byte = static_cast<std::uint8_t>(bytes[i])});
    }
    ++t.nodes[open.back()].count;
    t.tokens.push_back(id);
    t.longest = std::max(t.longest, bytes.size());
    before = bytes;
  }
  close(0);
  t.nodes[root].end = static_cast<node>(t.nodes.size());
}

TINYPHI_FUNC result<token_trie> token_trie::create(const tokenizer& t) {
  const vocabulary& v = t.vocab();
  auto made = std::make_shared<tables>(tables{.source = t});
  made->bytes.resize(t.size());
  std::vector<bool> is_added(t.size());
  for (const added_token& a : v.added) {
    const auto i = static_cast<std::size_t>(a.id);
    if (i < is_added.size()) is_added[i] = true;
  }
  std::array<bool, 256> has_piece{};
  for (std::size_t i = 0; i < t.size(); ++i) {
    const std::string_view bytes = t.bytes(static_cast<token_id>(i));
    if (is_added[i] || t.is_special(static_cast<token_id>(i))) continue;
    made->bytes[i] = bytes;
    if (bytes.size() == 1 && !detail::names_a_byte(v, i, bytes)) {
      has_piece[static_cast<std::uint8_t>(bytes[0])] = true;
    }
  }
  std::array<bool, 256> spelled = has_piece;
  std::vector<std::pair<std::string_view, token_id>> sorted;
  for (std::size_t i = 0; i < t.size(); ++i) {
    std::string_view& bytes = made->bytes[i];
    if (bytes.empty()) continue;
    const auto first = static_cast<std::uint8_t>(bytes[0]);
    if (detail::names_a_byte(v, i, bytes) && has_piece[first]) {
      bytes = {};
      continue;
    }
    if (bytes.size() == 1) spelled[first] = true;
    sorted.emplace_back(bytes, static_cast<token_id>(i));
  }
  for (std::size_t b = 0; b < spelled.size(); ++b) {
    if (!spelled[b]) {
      return error{error_code::bad_data,
                   "the vocabulary has no token for byte " + std::to_string(b) +
                       ", so answers of it cannot be given a shape"};
    }
  }
  std::ranges::sort(sorted);
  add(*made, sorted);
  made->spaced = token_set(t.size());
  for (const auto& [bytes, id] : sorted) {
    if (bytes.starts_with(' ')) made->spaced.insert(id);
  }
  return token_trie(std::move(made));
}

TINYPHI_FUNC std::size_t token_trie::memory() const {
  return tables_->nodes.capacity() * sizeof(trie_node) +
         tables_->tokens.capacity() * sizeof(token_id) +
         tables_->bytes.capacity() * sizeof(std::string_view);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_CONSTRAIN_TOKEN_TRIE_IPP_
