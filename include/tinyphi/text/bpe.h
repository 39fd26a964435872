// SPDX-License-Identifier: MIT
// Byte-pair encoding over token ids: which pairs merge, and the merging. Knows
// neither text nor files.
#ifndef TINYPHI_TEXT_BPE_H_
#define TINYPHI_TEXT_BPE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinyphi/base/keyed_hash.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// What a pair becomes; the lowest rank merges first.
struct merge {
  std::uint32_t rank = 0;
  token_id result = 0;
};

// (left, right) -> merge, in one flat array: a text of a megabyte asks it some
// millions of times.
class merge_table {
 public:
  // Room for `n` pairs without growing.
  void reserve(std::size_t n);
  // Ids must not be negative. A pair that is there already is replaced.
  void insert(token_id left, token_id right, merge m);
  // Null if the two do not merge. Valid until the next insert.
  [[nodiscard]] const merge* find(token_id left, token_id right) const;

 private:
  struct slot {
    std::uint64_t pair = empty;
    merge value;
  };
  static constexpr std::uint64_t empty = ~std::uint64_t{0};
  [[nodiscard]] std::size_t slot_of(std::uint64_t pair) const;

  keyed_hash hash_;
  std::vector<slot> slots_;  // a power of two, at most half full
  std::size_t used_ = 0;
};

// Merges the tokens of one word, and keeps its buffers for the next word. One
// per thread.
class bpe_merger {
 public:
  explicit bpe_merger(const merge_table& merges) : merges_(&merges) {}

  // Replaces ids[first..] by what is left when no pair merges any more: always
  // the pair of lowest rank, of equal ranks the leftmost. O(n log n). At most
  // 2^32 - 2 ids.
  void merge_from(std::vector<token_id>& ids, std::size_t first);

 private:
  struct symbol {
    token_id id;
    std::uint32_t previous, next;
  };
  struct candidate {
    std::uint64_t order;  // rank, then position of the left symbol
    std::uint64_t pair;   // as it was then: out of date if the ids changed
  };
  void consider(std::uint32_t left);

  const merge_table* merges_;
  std::vector<symbol> symbols_;
  std::vector<candidate> heap_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/text/bpe.ipp"
#endif

#endif  // TINYPHI_TEXT_BPE_H_
