// SPDX-License-Identifier: MIT
// matmul_q8 for up to eight tokens (four without AVX-512): weights are decoded
// in registers, from several strips at once, because a core reads faster from
// four streams than from one.
#if defined(TINYPHI_KERNELS_FEW_TOKENS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_FEW_TOKENS_INL_H_
#undef TINYPHI_KERNELS_FEW_TOKENS_INL_H_
#else
#define TINYPHI_KERNELS_FEW_TOKENS_INL_H_
#endif

#include "tinyphi/kernels/strips-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// R strips from `strip` on, M = x.m tokens; sums: [M][R][16].
template <dtype Type, std::size_t R, std::size_t M>
HWY_INLINE void few_tokens(const std::byte* HWY_RESTRICT strip,
                           std::size_t strip_bytes, const q8_activations& x,
                           float* HWY_RESTRICT sums) {
  using layout = strip_layout<Type>;
  constexpr std::size_t vectors = R * parts;
  constexpr std::size_t ahead = 4 * 576;  // bytes: four blocks of Q4_0
  f32_vec sum[vectors][M];
  TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      sum[v][t] = hn::Zero(f32_tag());
    }
  }
  const std::size_t groups = x.cols / group_size;
  for (std::size_t g = 0; g < groups; ++g) {
    i32_vec acc[vectors][M];
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      const auto start =
          hn::Set(i32_tag(), -zero_point<Type> * x.sum[g * M + t]);
      TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
        acc[v][t] = start;
      }
    }
    const std::int8_t* q = x.q + g * group_size * M;
    const std::byte* units = strip + layout::data(g);
    const std::size_t next =
        prefetch_place<R>(layout::data(g) + ahead, strip_bytes);
    for (std::size_t j = 0; j < layout::units; ++j) {
      TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
        const std::size_t at = v / parts * strip_bytes + j * 64;
        if (v % parts == 0) hwy::Prefetch(strip + next + at);
        const u8_vec w = load_bytes(units + at + v % parts * lanes * 4);
        TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
          const std::int8_t* qt = q + (j * M + t) * 4;
          if constexpr (Type == dtype::q4_0) {
            acc[v][t] = dot<Type>(acc[v][t], low_nibbles(w), broadcast4(qt));
            acc[v][t] =
                dot<Type>(acc[v][t], high_nibbles(w), broadcast4(qt + 16 * M));
          } else {
            acc[v][t] = dot<Type>(acc[v][t], decode_q8(w), broadcast4(qt));
          }
        }
      }
    }
    TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
      const auto scale =
          load_scales(strip + v / parts * strip_bytes + layout::scales(g),
                      v % parts * lanes);
      TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
        sum[v][t] = add_group(sum[v][t], scale, x.scale[g * M + t], acc[v][t]);
      }
    }
  }
  TINYPHI_UNROLL for (std::size_t v = 0; v < vectors; ++v) {
    TINYPHI_UNROLL for (std::size_t t = 0; t < M; ++t) {
      hn::StoreU(sum[v][t], f32_tag(), sums + t * R * strip_rows + v * lanes);
    }
  }
}

template <dtype Type, std::size_t R, std::size_t M>
HWY_INLINE void few_tokens_rows(const packed_matrix& w, std::size_t begin,
                                std::size_t end, const q8_activations& x,
                                float* out, std::size_t out_stride) {
  const std::size_t bytes = w.strip_bytes();
  const std::size_t rows_end = HWY_MIN(w.rows, end * strip_rows);
  alignas(64) float sums[M * R * strip_rows];
  std::size_t s = begin;
  for (; s + R <= end; s += R) {
    few_tokens<Type, R, M>(w.strip(s), bytes, x, sums);
    write_rows<R>(sums, M, s, rows_end, out, out_stride);
  }
  for (; s < end; ++s) {
    few_tokens<Type, 1, M>(w.strip(s), bytes, x, sums);
    write_rows<1>(sums, M, s, rows_end, out, out_stride);
  }
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
