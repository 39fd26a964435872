// SPDX-License-Identifier: MIT
// Attention over pages of 64 positions: a few query rows at a time walk the
// pages that any of them sees, span by span.
#if defined(TINYPHI_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ATTENTION_INL_H_
#undef TINYPHI_KERNELS_ATTENTION_INL_H_
#else
#define TINYPHI_KERNELS_ATTENTION_INL_H_
#endif

#include "tinyphi/kernels/attention_float-inl.h"
#include "tinyphi/kernels/attention_int8-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Rows [row, row + Rows), which see the same slots of a page, all the way.
// Meanwhile the next page is fetched: 84 % of the read bandwidth, where
// fetching half a page ahead gave 77 % (Zen 4, two threads, int8).
template <class Cache, std::size_t Rows>
HWY_INLINE void attend_group(const kv_view& kv, const std::byte* part,
                             const std::byte* next, float scale,
                             const attention_row* rows, std::size_t row,
                             attention_state& t) {
  Cache::template score<Rows>(kv, part, next, scale, rows, row, t);
  // One step of all rows after another: they wait for less.
  for (std::size_t r = row; r < row + Rows; ++r) update_softmax(t, r);
  for (std::size_t r = row; r < row + Rows; ++r) {
    Cache::round_weights(kv, part, r, t);
  }
  const std::size_t values = kv_key_bytes(kv.type, kv.head_dim);
  Cache::template add_values<Rows>(kv, part + values, next + values, row, t);
}

template <class Cache>
HWY_INLINE void attend_page(const kv_view& kv, const std::byte* part,
                            const std::byte* next, float scale,
                            const attention_row* rows, std::size_t n,
                            attention_state& t) {
  for (std::size_t row = 0; row < n;) {
    std::size_t same = 1;
    while (row + same < n && t.seen[row + same] == t.seen[row]) ++same;
    if (t.seen[row] == 0) {
      row += same;
    } else if (same >= 4 && group_rows >= 4) {
      attend_group<Cache, group_rows>(kv, part, next, scale, rows, row, t);
      row += group_rows;
    } else if (same >= 2) {
      attend_group<Cache, 2>(kv, part, next, scale, rows, row, t);
      row += 2;
    } else {
      attend_group<Cache, 1>(kv, part, next, scale, rows, row, t);
      row += 1;
    }
    next = part;  // fetched already
  }
}

// The slots of a page that a row sees. `range`: the first that does not end
// before the page.
HWY_INLINE slot_mask seen_slots(const attention_row& row, std::size_t page,
                                std::size_t& range) {
  const std::size_t first = page * page_tokens, end = first + page_tokens;
  while (range < row.n_ranges && row.ranges[range].end <= first) ++range;
  slot_mask seen = 0;
  for (std::size_t i = range; i < row.n_ranges; ++i) {
    if (row.ranges[i].begin >= end) break;
    const std::size_t from = HWY_MAX(row.ranges[i].begin, first);
    const std::size_t to = HWY_MIN(row.ranges[i].end, end);
    if (from >= to) continue;
    seen |= (~slot_mask{0} >> (page_tokens - (to - from))) << (from - first);
  }
  return seen;
}

// Up to state_rows rows.
template <class Cache>
HWY_INLINE void attend_few(const kv_view& kv, float scale,
                           const attention_row* rows, std::size_t n,
                           softmax_sums* sums) {
  constexpr f32_tag d;
  attention_state t;
  softmax_sums all[state_rows];
  std::size_t range[state_rows] = {};
  const std::size_t padded = kv_padded(kv.head_dim);
  const std::size_t head_bytes = kv_head_bytes(kv.type, kv.head_dim);
  std::size_t begin = ~std::size_t{0}, end = 0;  // positions that any row sees
  for (std::size_t r = 0; r < n; ++r) {
    std::memset(rows[r].out, 0, kv.head_dim * sizeof(float));
    if (sums != nullptr) sums[r] = {};
    if (rows[r].n_ranges == 0) continue;
    begin = HWY_MIN(begin, rows[r].ranges[0].begin);
    end = HWY_MAX(end, rows[r].ranges[rows[r].n_ranges - 1].end);
  }
  Cache::begin(kv, rows, n, t);
  constexpr std::size_t pages_per_span = span_tokens / page_tokens;
  for (std::size_t page = begin / page_tokens; page * page_tokens < end;) {
    const std::size_t span_end =
        (page / pages_per_span + 1) * pages_per_span * page_tokens;
    for (std::size_t r = 0; r < n; ++r) {
      t.max[r] = -hn::GetLane(hn::Inf(d));
      std::memset(t.totals[r], 0, sizeof t.totals[r]);
    }
    std::memset(t.out, 0, n * padded * sizeof(float));
    for (; page * page_tokens < HWY_MIN(span_end, end); ++page) {
      slot_mask any = 0;
      for (std::size_t r = 0; r < n; ++r) {
        any |= t.seen[r] = seen_slots(rows[r], page, range[r]);
      }
      if (any == 0) continue;
      const std::byte* part = kv.pages[page] + kv.offset;
      const std::byte* next = part;
      if ((page + 1) * page_tokens >= end) {
        // Where a page is all, the next call's is: mostly the next head's.
        if (page == begin / page_tokens) next += head_bytes;
      } else if (kv.pages[page + 1] != nullptr) {
        next = kv.pages[page + 1] + kv.offset;
      }
      attend_page<Cache>(kv, part, next, scale, rows, n, t);
    }
    for (std::size_t r = 0; r < n; ++r) {
      const float total =
          hn::GetLane(hn::SumOfLanes(d, hn::Load(d, t.totals[r])));
      if (sums != nullptr) {
        std::memcpy(rows[r].out, t.out + r * padded,
                    kv.head_dim * sizeof(float));
        sums[r] = {t.max[r], total};
      } else {
        add_part(t.out + r * padded, {t.max[r], total}, kv.head_dim, all[r],
                 rows[r].out);
      }
    }
  }
  if (sums != nullptr) return;
  for (std::size_t r = 0; r < n; ++r) {
    for (std::size_t c = 0; c < kv.head_dim; ++c) {
      rows[r].out[c] /= all[r].total;
    }
  }
}

template <class Cache>
inline HWY_NOINLINE void attend_rows(const kv_view& kv, float scale,
                                     const attention_row* rows,
                                     std::size_t n_rows, softmax_sums* sums) {
  const std::size_t at_once =
      HWY_MIN(state_rows, state_floats / kv_padded(kv.head_dim));
  for (std::size_t r = 0; r < n_rows; r += at_once) {
    attend_few<Cache>(kv, scale, rows + r, HWY_MIN(at_once, n_rows - r),
                      sums == nullptr ? nullptr : sums + r);
  }
}

template <bool AvxVnni>
HWY_INLINE void attend_int8(const kv_view& kv, float scale,
                            const attention_row* rows, std::size_t n_rows,
                            softmax_sums* sums) {
  if (kv.type == kv_type::int8) {
    attend_rows<int8_cache<AvxVnni, false>>(kv, scale, rows, n_rows, sums);
  } else {
    attend_rows<int8_cache<AvxVnni, true>>(kv, scale, rows, n_rows, sums);
  }
}

inline HWY_NOINLINE void attend(const kv_view& kv, float scale,
                                const attention_row* rows, std::size_t n_rows,
                                softmax_sums* sums) {
  switch (kv.type) {
    case kv_type::f32:
      return attend_rows<float_cache<float>>(kv, scale, rows, n_rows, sums);
    case kv_type::f16:
      return attend_rows<float_cache<hwy::float16_t>>(kv, scale, rows, n_rows,
                                                      sums);
    case kv_type::int8:
    case kv_type::int8_int4:
#if TINYPHI_AVX_VNNI
      if (detail::use_avx_vnni) {
        return attend_int8<true>(kv, scale, rows, n_rows, sums);
      }
#endif
      return attend_int8<false>(kv, scale, rows, n_rows, sums);
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
