// SPDX-License-Identifier: MIT
// A vocabulary as constraints see it: the bytes of each token that may stand in
// an answer, in a trie.
#ifndef TINYPHI_CONSTRAIN_TOKEN_TRIE_H_
#define TINYPHI_CONSTRAIN_TOKEN_TRIE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/token_set.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// Immutable, cheap to copy; any thread. Made once for a tokenizer (some tens of
// milliseconds); every constraint of that tokenizer shares it. Added tokens are
// not in it, whether their file calls them special or not; nor is a byte token
// whose byte has a piece of its own, which a model would never write.
class token_trie {
 public:
  // A node is the bytes on the way to it; the root has none. Nodes stand in the
  // order of a walk that visits a node before its children: the first child of
  // v is v + 1, and the next one is where that child's part ends.
  using node = std::uint32_t;
  static constexpr node root = 0, none = ~node{0};

  // bad_data if some byte has no token, since not every text could be spelled.
  [[nodiscard]] static result<token_trie> create(const tokenizer& t);

  // Ids from here on are in no set.
  [[nodiscard]] std::size_t vocab_size() const { return tables_->bytes.size(); }
  [[nodiscard]] const tokenizer& source() const { return tables_->source; }
  // The longest token's bytes.
  [[nodiscard]] std::size_t longest() const { return tables_->longest; }
  [[nodiscard]] std::size_t memory() const;

  // What a token adds to a text; empty if it is not in the trie.
  [[nodiscard]] std::string_view bytes(token_id id) const {
    const auto i = static_cast<std::size_t>(id);
    return i < tables_->bytes.size() ? tables_->bytes[i] : std::string_view();
  }
  // One past the last node below `v`.
  [[nodiscard]] node end(node v) const { return tables_->nodes[v].end; }
  [[nodiscard]] std::uint8_t byte(node v) const {
    return tables_->nodes[v].byte;
  }
  // The tokens that are exactly the bytes on the way to `v`.
  [[nodiscard]] std::span<const token_id> tokens(node v) const {
    const auto& n = tables_->nodes[v];
    return {tables_->tokens.data() + n.first, n.count};
  }
  // Those that begin with a space.
  [[nodiscard]] const token_set& spaced() const { return tables_->spaced; }
  // The child of `v` for a byte; `none` if there is none.
  [[nodiscard]] node child(node v, std::uint8_t byte) const {
    for (node c = v + 1; c < end(v); c = end(c)) {
      if (tables_->nodes[c].byte == byte) return c;
    }
    return none;
  }

 private:
  struct trie_node {
    node end = 0;
    std::uint32_t first = 0;  // of tokens
    std::uint16_t count = 0;
    std::uint8_t byte = 0;
  };
  struct tables {
    tokenizer source;
    std::vector<std::string_view> bytes = {};  // by id, of the source's
    std::vector<trie_node> nodes = {};
    std::vector<token_id> tokens = {};
    token_set spaced = {};
    std::size_t longest = 0;
  };
  static void add(
      tables& t, std::span<const std::pair<std::string_view, token_id>> sorted);
  explicit token_trie(std::shared_ptr<const tables> t)
      : tables_(std::move(t)) {}
  std::shared_ptr<const tables> tables_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/token_trie.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_TOKEN_TRIE_H_
