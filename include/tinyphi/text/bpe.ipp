// SPDX-License-Identifier: MIT
#ifndef TINYPHI_TEXT_BPE_IPP_
#define TINYPHI_TEXT_BPE_IPP_

#include <algorithm>
#include <bit>
#include <utility>

#include "tinyphi/text/bpe.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::uint32_t no_symbol = ~std::uint32_t{0};

inline std::uint64_t pack(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}
inline std::uint64_t id_pair(token_id left, token_id right) {
  return pack(static_cast<std::uint32_t>(left),
              static_cast<std::uint32_t>(right));
}

}  // namespace detail

TINYPHI_FUNC void merge_table::reserve(std::size_t n) {
  const std::size_t wanted = std::bit_ceil(std::max<std::size_t>(16, 2 * n));
  if (wanted <= slots_.size()) return;
  const std::vector<slot> old =
      std::exchange(slots_, std::vector<slot>(wanted));
  for (const slot& s : old) {
    if (s.pair != empty) slots_[slot_of(s.pair)] = s;
  }
}

// The slot that holds `pair`, or the free one where it belongs.
TINYPHI_FUNC std::size_t merge_table::slot_of(std::uint64_t pair) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t i = hash_(static_cast<std::uint32_t>(pair >> 32),
                        static_cast<std::uint32_t>(pair)) &
                  mask;
  while (slots_[i].pair != pair && slots_[i].pair != empty) i = (i + 1) & mask;
  return i;
}

TINYPHI_FUNC void merge_table::insert(token_id left, token_id right, merge m) {
  reserve(used_ + 1);
  slot& s = slots_[slot_of(detail::id_pair(left, right))];
  if (s.pair == empty) ++used_;
  s = {detail::id_pair(left, right), m};
}

TINYPHI_FUNC const merge* merge_table::find(token_id left,
                                            token_id right) const {
  if (slots_.empty()) return nullptr;
  const slot& s = slots_[slot_of(detail::id_pair(left, right))];
  return s.pair == empty ? nullptr : &s.value;
}

// Puts the pair of `left` and its neighbour on the heap if the two merge.
TINYPHI_FUNC void bpe_merger::consider(std::uint32_t left) {
  if (left == detail::no_symbol) return;
  const std::uint32_t right = symbols_[left].next;
  if (right == detail::no_symbol) return;
  const token_id a = symbols_[left].id, b = symbols_[right].id;
  if (const merge* m = merges_->find(a, b)) {
    heap_.push_back({detail::pack(m->rank, left), detail::id_pair(a, b)});
  }
}

TINYPHI_FUNC void bpe_merger::merge_from(std::vector<token_id>& ids,
                                         std::size_t first) {
  const auto later = [](const candidate& a, const candidate& b) {
    return a.order > b.order;
  };
  const auto n = static_cast<std::uint32_t>(ids.size() - first);
  if (n < 2) return;
  symbols_.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    symbols_.push_back({ids[first + i], i == 0 ? detail::no_symbol : i - 1,
                        i + 1 == n ? detail::no_symbol : i + 1});
  }
  heap_.clear();
  for (std::uint32_t i = 0; i < n; ++i) consider(i);
  std::make_heap(heap_.begin(), heap_.end(), later);

  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const candidate c = heap_.back();
    heap_.pop_back();
    const auto left = static_cast<std::uint32_t>(c.order);
    symbol& s = symbols_[left];
    if (s.next == detail::no_symbol) continue;
    const symbol right = symbols_[s.next];
    // A symbol that was merged away has id -1, which is in no pair.
    if (detail::id_pair(s.id, right.id) != c.pair) continue;

    symbols_[s.next].id = -1;
    s.id = merges_->find(s.id, right.id)->result;
    s.next = right.next;
    if (s.next != detail::no_symbol) symbols_[s.next].previous = left;
    for (const std::uint32_t changed : {s.previous, left}) {
      const std::size_t before = heap_.size();
      consider(changed);
      if (heap_.size() > before) {
        std::push_heap(heap_.begin(), heap_.end(), later);
      }
    }
  }

  ids.resize(first);
  for (std::uint32_t i = 0; i != detail::no_symbol; i = symbols_[i].next) {
    ids.push_back(symbols_[i].id);
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TEXT_BPE_IPP_
