// SPDX-License-Identifier: MIT
// Matrix products in f32, for weights of any type: two strips at a time, their
// columns decoded to f32 in blocks that stay in L1 (F32 is used in place).
#if defined(TINYPHI_KERNELS_MATMUL_F32_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_MATMUL_F32_INL_H_
#undef TINYPHI_KERNELS_MATMUL_F32_INL_H_
#else
#define TINYPHI_KERNELS_MATMUL_F32_INL_H_
#endif

#include "tinyphi/kernels/panel-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Columns per decoded block; whole chunks of every format.
inline constexpr std::size_t f32_block = 128;
inline constexpr std::size_t f32_tokens = 96;  // tokens that share a block

// Adds `cols` columns to the sums of M tokens and two vectors of rows. w:
// [cols][16] at two places; sums: [M][2][16]. Every element is one chain of
// fused multiply-adds in order of k, whatever M is.
template <std::size_t M>
HWY_INLINE void dot_f32(const float* HWY_RESTRICT w0,
                        const float* HWY_RESTRICT w1, std::size_t cols,
                        const float* HWY_RESTRICT x, std::size_t x_stride,
                        float* HWY_RESTRICT sums0, float* HWY_RESTRICT sums1) {
  constexpr f32_tag d;
  f32_vec acc0[M], acc1[M];
  TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
    acc0[t] = hn::LoadU(d, sums0 + t * 2 * strip_rows);
    acc1[t] = hn::LoadU(d, sums1 + t * 2 * strip_rows);
  }
  for (std::size_t k = 0; k < cols; ++k) {
    const auto v0 = hn::LoadU(d, w0 + k * strip_rows);
    const auto v1 = hn::LoadU(d, w1 + k * strip_rows);
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      const auto xv = hn::Set(d, x[t * x_stride + k]);
      acc0[t] = hn::MulAdd(v0, xv, acc0[t]);
      acc1[t] = hn::MulAdd(v1, xv, acc1[t]);
    }
  }
  TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
    hn::StoreU(acc0[t], d, sums0 + t * 2 * strip_rows);
    hn::StoreU(acc1[t], d, sums1 + t * 2 * strip_rows);
  }
}

// n tokens and both strips: 6 tokens at a time have 12 sums in registers, which
// is what 16 registers hold and more than the latency of FMA needs.
HWY_INLINE void dot_f32_tokens(const float* const* w, std::size_t cols,
                               const float* x, std::size_t x_stride,
                               std::size_t n, float* sums) {
  for (std::size_t i = 0; i < 2 * strip_vectors; i += 2) {
    const float* w0 = w[i / strip_vectors] + i % strip_vectors * lanes;
    const float* w1 =
        w[(i + 1) / strip_vectors] + (i + 1) % strip_vectors * lanes;
    for (std::size_t t = 0; t < n;) {
      const float* xt = x + t * x_stride;
      float* sums0 = sums + t * 2 * strip_rows + i * lanes;
      float* sums1 = sums0 + lanes;
      if (n - t >= 6) {
        dot_f32<6>(w0, w1, cols, xt, x_stride, sums0, sums1);
        t += 6;
      } else if (n - t >= 3) {
        dot_f32<3>(w0, w1, cols, xt, x_stride, sums0, sums1);
        t += 3;
      } else {
        dot_f32<1>(w0, w1, cols, xt, x_stride, sums0, sums1);
        t += 1;
      }
    }
  }
}

// A panel's groups as f32 [cols][16].
template <class Rows>
HWY_NOINLINE void panel_to_f32(const Rows& rows, std::size_t groups,
                               float* to) {
  constexpr f32_tag d;
  constexpr i32_tag di;
  constexpr std::size_t units = Rows::scale_cols / 4;
  const auto zero = hn::Set(di, rows.zero_point);
  for (std::size_t u = 0; u < groups * 8; ++u) {
    const std::size_t g = u / 8, j = u % 8;
    for (std::size_t v = 0; v < strip_vectors; ++v) {
      const auto four = hn::BitCast(di, rows.unit(v, g, j));
      const auto scale = rows.scale(v, g, j / units);
      for (std::size_t b = 0; b < 4; ++b) {
        // Byte b to the top, and down again.
        const auto top = hn::ShiftLeftSame(four, static_cast<int>(24 - 8 * b));
        const hn::RebindToUnsigned<i32_tag> du;
        const auto byte =
            hn::BitCast(di, hn::ShiftRight<24>(hn::BitCast(du, top)));
        auto x = hn::Mul(scale, hn::ConvertTo(d, hn::Sub(byte, zero)));
        if constexpr (Rows::has_min) {
          x = hn::Sub(x, rows.min(v, g, j / units));
        }
        hn::StoreU(x, d, to + (u * 4 + b) * strip_rows + v * lanes);
      }
    }
  }
}

// Columns [k, k + cols) of one strip as f32 [cols][16]; for quantized types k
// and cols are whole groups.
template <dtype Type>
HWY_NOINLINE void decode_quantized(const packed_matrix& w,
                                   const std::byte* strip, std::size_t k,
                                   std::size_t cols, float* to) {
  panel_memory memory;
  decode_panel<Type, false>(strip, w.strip_bytes(), k / group_size,
                            cols / group_size, memory);
  panel_to_f32(panel_of<Type, any_run>{memory, format<Type>::zero_point},
               cols / group_size, to);
}

template <class T>
HWY_INLINE void decode_floats(const std::byte* strip, std::size_t k,
                              std::size_t cols, float* to) {
  const T* from = reinterpret_cast<const T*>(strip) + k * strip_rows;
  for (std::size_t i = 0; i < cols * strip_rows; i += lanes) {
    hn::StoreU(load_f32(f32_tag(), from + i), f32_tag(), to + i);
  }
}

HWY_INLINE void decode_f32(const packed_matrix& w, const std::byte* strip,
                           std::size_t k, std::size_t cols, float* to) {
  switch (w.type) {
    case dtype::f32:
      return decode_floats<float>(strip, k, cols, to);
    case dtype::f16:
      return decode_floats<hwy::float16_t>(strip, k, cols, to);
    case dtype::bf16:
      return decode_floats<hwy::bfloat16_t>(strip, k, cols, to);
#define TINYPHI_CASE(TYPE) \
  case dtype::TYPE:        \
    return decode_quantized<dtype::TYPE>(w, strip, k, cols, to);
      TINYPHI_FORMATS(TINYPHI_CASE)
#undef TINYPHI_CASE
  }
}

inline HWY_NOINLINE void matmul_f32(const packed_matrix& w,
                                    std::size_t strip_begin,
                                    std::size_t strip_end, const float* x,
                                    std::size_t x_stride, std::size_t m,
                                    const product_rows& out) {
  alignas(64) float decoded[2][f32_block * strip_rows];
  alignas(64) float sums[f32_tokens * 2 * strip_rows];
  const std::size_t block = w.type == dtype::f32 ? w.cols : f32_block;
  for (std::size_t s = strip_begin; s < strip_end; s += 2) {
    // A single last strip stands in for its missing neighbour.
    const std::byte* strips[2] = {w.strip(s),
                                  w.strip(HWY_MIN(s + 1, strip_end - 1))};
    for (std::size_t t = 0; t < m; t += f32_tokens) {
      const std::size_t n = HWY_MIN(f32_tokens, m - t);
      std::memset(sums, 0, n * 2 * strip_rows * sizeof(float));
      for (std::size_t k = 0; k < w.cols; k += block) {
        const std::size_t cols = HWY_MIN(block, w.cols - k);
        const float* from[2];
        for (std::size_t i = 0; i < 2; ++i) {
          if (w.type == dtype::f32) {
            from[i] = reinterpret_cast<const float*>(strips[i]);
          } else {
            decode_f32(w, strips[i], k, cols, decoded[i]);
            from[i] = decoded[i];
          }
        }
        dot_f32_tokens(from, cols, x + t * x_stride + k, x_stride, n, sums);
      }
      write_rows<2>(sums, n,
                    HWY_MIN(w.rows, strip_end * strip_rows) - s * strip_rows,
                    from(out, (s - strip_begin) * strip_rows, t));
    }
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
