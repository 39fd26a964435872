// SPDX-License-Identifier: MIT
// Attention over pages of 16 positions. One page of keys is one vector (or 2,
// or 4) of scores per query row: lanes are positions. Prefetching the next page
// gained at most a tenth and is left out.
#if defined(TINYPHI_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ATTENTION_INL_H_
#undef TINYPHI_KERNELS_ATTENTION_INL_H_
#else
#define TINYPHI_KERNELS_ATTENTION_INL_H_
#endif

#include "tinyphi/base/half.h"
#include "tinyphi/kernels/compat-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// scale * q . K for a page's 16 positions; k: [head_dim][16]. Four partial sums
// by d % 4, since one chain would wait for the latency of every addition.
template <class T>
HWY_INLINE void page_scores(const T* k, std::size_t head_dim, const float* q,
                            float scale, float* scores) {
  constexpr f32_tag d;
  for (std::size_t i = 0; i < page_tokens; i += lanes) {
    f32_vec sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    std::size_t c = 0;
    for (; c + 4 <= head_dim; c += 4) {
      TINYPHI_UNROLL for (std::size_t j = 0; j < 4; ++j) {
        sum[j] = hn::MulAdd(hn::Set(d, q[c + j]),
                            load_f32(d, k + (c + j) * page_tokens + i), sum[j]);
      }
    }
    for (; c < head_dim; ++c) {
      sum[0] = hn::MulAdd(hn::Set(d, q[c]),
                          load_f32(d, k + c * page_tokens + i), sum[0]);
    }
    const auto total =
        hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3]));
    hn::Store(hn::Mul(total, hn::Set(d, scale)), d, scores + i);
  }
}

// out = out * shrink + sum_j weights[j] V[j] over slots [begin, end), for the
// columns of `Vectors` vectors, which share the broadcast of a weight. Slots
// outside may hold anything, also NaN.
template <std::size_t Vectors, class D, class T>
HWY_INLINE void add_values(D d, const T* v, std::size_t head_dim,
                           const float* weights, std::size_t begin,
                           std::size_t end, float shrink, float* out) {
  constexpr std::size_t step = hn::MaxLanes(D());
  hn::Vec<D> sum[Vectors];
  TINYPHI_UNROLL for (std::size_t i = 0; i < Vectors; ++i) {
    sum[i] = hn::Mul(hn::LoadU(d, out + i * step), hn::Set(d, shrink));
  }
  for (std::size_t j = begin; j < end; ++j) {
    const auto weight = hn::Set(d, weights[j]);
    const T* from = v + j * head_dim;
    TINYPHI_UNROLL for (std::size_t i = 0; i < Vectors; ++i) {
      sum[i] = hn::MulAdd(weight, load_f32(d, from + i * step), sum[i]);
    }
  }
  TINYPHI_UNROLL for (std::size_t i = 0; i < Vectors; ++i) {
    hn::StoreU(sum[i], d, out + i * step);
  }
}

struct softmax_state {
  float max, total;
};

// Adds slots [begin, end) of one page to one query row.
template <class T>
HWY_INLINE void attend_page(const T* k, const T* v, std::size_t head_dim,
                            std::size_t begin, std::size_t end, float scale,
                            const float* q, softmax_state& state, float* out) {
  constexpr f32_tag d;
  constexpr hn::CappedTag<float, 8> d8;
  constexpr hn::CappedTag<float, 1> d1;
  alignas(64) float weights[page_tokens];
  page_scores(k, head_dim, q, scale, weights);
  for (std::size_t j = 0; j < page_tokens; ++j) {
    if (j < begin || j >= end) weights[j] = -hn::GetLane(hn::Inf(d1));
  }
  auto max = hn::Set(d, state.max);
  for (std::size_t i = 0; i < page_tokens; i += lanes) {
    max = hn::Max(max, hn::Load(d, weights + i));
  }
  max = hn::MaxOfLanes(d, max);
  // What was summed before shrinks by e^(old max - new max).
  const float shrink = hn::GetLane(exp(d, hn::Sub(hn::Set(d, state.max), max)));
  auto total = hn::Zero(d);
  for (std::size_t i = 0; i < page_tokens; i += lanes) {
    const auto e = exp(d, hn::Sub(hn::Load(d, weights + i), max));
    hn::Store(e, d, weights + i);
    total = hn::Add(total, e);
  }
  state.max = hn::GetLane(max);
  state.total = state.total * shrink + hn::GetLane(hn::SumOfLanes(d, total));

  std::size_t c = 0;
  for (; c + 4 * lanes <= head_dim; c += 4 * lanes) {
    add_values<4>(d, v + c, head_dim, weights, begin, end, shrink, out + c);
  }
  for (; c + lanes <= head_dim; c += lanes) {
    add_values<1>(d, v + c, head_dim, weights, begin, end, shrink, out + c);
  }
  for (; c + 8 <= head_dim; c += 8) {
    add_values<1>(d8, v + c, head_dim, weights, begin, end, shrink, out + c);
  }
  for (; c < head_dim; ++c) {
    add_values<1>(d1, v + c, head_dim, weights, begin, end, shrink, out + c);
  }
}

template <class T>
HWY_INLINE void attend_rows(const kv_view& kv, const key_range* ranges,
                            std::size_t n_ranges, float scale, const float* q,
                            std::size_t q_stride, std::size_t n_rows,
                            float* out, std::size_t out_stride) {
  constexpr hn::CappedTag<float, 1> d1;
  constexpr std::size_t at_once = 16;  // rows that share a page in L1
  for (std::size_t row = 0; row < n_rows; row += at_once) {
    const std::size_t n = HWY_MIN(at_once, n_rows - row);
    softmax_state states[at_once];
    for (std::size_t r = 0; r < n; ++r) {
      states[r] = {-hn::GetLane(hn::Inf(d1)), 0};
      std::memset(out + (row + r) * out_stride, 0, kv.head_dim * sizeof(float));
    }
    for (std::size_t i = 0; i < n_ranges; ++i) {
      for (std::size_t p = ranges[i].begin; p < ranges[i].end;) {
        const std::size_t page = p / page_tokens, first = page * page_tokens;
        const std::size_t end = HWY_MIN(ranges[i].end, first + page_tokens);
        const auto* k =
            reinterpret_cast<const T*>(kv.pages[page] + kv.k_offset);
        const auto* v =
            reinterpret_cast<const T*>(kv.pages[page] + kv.v_offset);
        for (std::size_t r = 0; r < n; ++r) {
          attend_page(k, v, kv.head_dim, p - first, end - first, scale,
                      q + (row + r) * q_stride, states[r],
                      out + (row + r) * out_stride);
        }
        p = end;
      }
    }
    for (std::size_t r = 0; r < n; ++r) {
      float* to = out + (row + r) * out_stride;
      for (std::size_t c = 0; c < kv.head_dim; ++c) to[c] /= states[r].total;
    }
  }
}

inline HWY_NOINLINE void attend(const kv_view& kv, const key_range* ranges,
                                std::size_t n_ranges, float scale,
                                const float* q, std::size_t q_stride,
                                std::size_t n_rows, float* out,
                                std::size_t out_stride) {
  if (kv.type == dtype::f16) {
    attend_rows<hwy::float16_t>(kv, ranges, n_ranges, scale, q, q_stride,
                                n_rows, out, out_stride);
  } else {
    attend_rows<float>(kv, ranges, n_ranges, scale, q, q_stride, n_rows, out,
                       out_stride);
  }
}

// Keys scatter to 16 rows apart, so vectors would gain nothing here.
using reference::store_kv;

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
