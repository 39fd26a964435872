// SPDX-License-Identifier: MIT
// Attention over keys and values in f32 or f16.
#if defined(TINYPHI_KERNELS_ATTENTION_FLOAT_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_ATTENTION_FLOAT_INL_H_
#undef TINYPHI_KERNELS_ATTENTION_FLOAT_INL_H_
#else
#define TINYPHI_KERNELS_ATTENTION_FLOAT_INL_H_
#endif

#include "tinyphi/kernels/attention_state-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

template <class T>
struct float_cache {
  // Scores of rows [row, row + Rows): one chain of fused multiply-adds over
  // head_dim each.
  template <std::size_t Rows>
  static HWY_INLINE void score(const kv_view& kv, const std::byte* part,
                               const std::byte* next, float scale,
                               const attention_row* rows, std::size_t row,
                               attention_state& t) {
    constexpr f32_tag d;
    constexpr std::size_t step = 4 * lanes;
    const float* q[Rows];
    for (std::size_t r = 0; r < Rows; ++r) q[r] = rows[row + r].q;
    for (std::size_t i = 0; i < page_tokens; i += step) {
      f32_vec sum[Rows][4];
      TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
        TINYPHI_UNROLL for (std::size_t v = 0; v < 4; ++v) {
          sum[r][v] = hn::Zero(d);
        }
      }
      for (std::size_t c = 0; c < kv.head_dim; ++c) {
        const std::size_t at = c * page_tokens + i;
        const T* k = reinterpret_cast<const T*>(part) + at;
        fetch(next + at * sizeof(T), step * sizeof(T));
        f32_vec keys[4];
        TINYPHI_UNROLL for (std::size_t v = 0; v < 4; ++v) {
          keys[v] = load_f32(d, k + v * lanes);
        }
        TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
          const auto qc = hn::Set(d, q[r][c]);
          TINYPHI_UNROLL for (std::size_t v = 0; v < 4; ++v) {
            sum[r][v] = hn::MulAdd(qc, keys[v], sum[r][v]);
          }
        }
      }
      TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
        TINYPHI_UNROLL for (std::size_t v = 0; v < 4; ++v) {
          hn::Store(hn::Mul(sum[r][v], hn::Set(d, scale)), d,
                    t.scores[row + r] + i + v * lanes);
        }
      }
    }
  }

  // out = out * rescale + weights . V for `Columns` vectors of columns from c
  // on: two chains of sums, of even and of odd slots. Slots that are not seen
  // may hold anything, also NaN.
  template <std::size_t Rows, std::size_t Columns>
  static HWY_INLINE void add_columns(std::size_t padded, const T* v,
                                     const std::byte* next, std::size_t c,
                                     std::size_t row, attention_state& t) {
    constexpr f32_tag d;
    float* out = t.out + row * padded + c;
    f32_vec sum[Rows][Columns][2];
    TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
      const auto rescale = hn::Set(d, t.rescale[row + r]);
      TINYPHI_UNROLL for (std::size_t i = 0; i < Columns; ++i) {
        const auto old = hn::Load(d, out + r * padded + i * lanes);
        sum[r][i][0] = hn::Mul(old, rescale);
        sum[r][i][1] = hn::Zero(d);
      }
    }
    const slot_mask seen = t.seen[row];
    for (std::size_t j = 0; j < page_tokens; j += 2) {
      TINYPHI_UNROLL for (std::size_t odd = 0; odd < 2; ++odd) {
        if ((seen >> (j + odd) & 1) == 0) continue;
        const std::size_t at = (j + odd) * padded + c;
        fetch(next + at * sizeof(T), Columns * lanes * sizeof(T));
        f32_vec values[Columns];
        TINYPHI_UNROLL for (std::size_t i = 0; i < Columns; ++i) {
          values[i] = load_f32(d, v + at + i * lanes);
        }
        TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
          const auto weight = hn::Set(d, t.scores[row + r][j + odd]);
          TINYPHI_UNROLL for (std::size_t i = 0; i < Columns; ++i) {
            sum[r][i][odd] = hn::MulAdd(weight, values[i], sum[r][i][odd]);
          }
        }
      }
    }
    TINYPHI_UNROLL for (std::size_t r = 0; r < Rows; ++r) {
      TINYPHI_UNROLL for (std::size_t i = 0; i < Columns; ++i) {
        hn::Store(hn::Add(sum[r][i][0], sum[r][i][1]), d,
                  out + r * padded + i * lanes);
      }
    }
  }

  template <std::size_t Rows>
  static HWY_INLINE void add_values(const kv_view& kv, const std::byte* values,
                                    const std::byte* next, std::size_t row,
                                    attention_state& t) {
    constexpr std::size_t columns = Rows == 1 ? 4 : 2 * group_rows / Rows;
    const std::size_t padded = kv_padded(kv.head_dim);
    const T* v = reinterpret_cast<const T*>(values);
    std::size_t c = 0;
    for (; c + columns * lanes <= padded; c += columns * lanes) {
      add_columns<Rows, columns>(padded, v, next, c, row, t);
    }
    if (columns > 2 && c + 2 * lanes <= padded) {
      add_columns<Rows, 2>(padded, v, next, c, row, t);
      c += 2 * lanes;
    }
    if (c < padded) add_columns<Rows, 1>(padded, v, next, c, row, t);
  }

  static HWY_INLINE void begin(const kv_view&, const attention_row*,
                               std::size_t, attention_state&) {}
  // Rounds nothing.
  static HWY_INLINE void round_weights(const kv_view&, const std::byte*,
                                       std::size_t, attention_state&) {}
};

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
