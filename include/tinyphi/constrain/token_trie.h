// SPDX-License-Identifier: MIT
// A vocabulary as constraints see it: the bytes of each token that may stand in
// an answer, in a trie.
#ifndef TINYPHI_CONSTRAIN_TOKEN_TRIE_H_
#define TINYPHI_CONSTRAIN_TOKEN_TRIE_H_

#include <memory>

#include "tinyphi/base/error.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// Immutable, cheap to copy; any thread. Made once for a tokenizer (some tens of
// milliseconds); every constraint of that tokenizer shares it.
class token_trie {
 public:
  [[nodiscard]] static result<token_trie> create(const tokenizer& t);
  // Ids from here on are in no set.
  [[nodiscard]] std::size_t vocab_size() const;
  [[nodiscard]] const tokenizer& source() const;

 private:
  friend class constraint;
  friend class matcher;
  struct tables;
  explicit token_trie(std::shared_ptr<const tables> t)
      : tables_(std::move(t)) {}
  std::shared_ptr<const tables> tables_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/constrain/token_trie.ipp"
#endif

#endif  // TINYPHI_CONSTRAIN_TOKEN_TRIE_H_
