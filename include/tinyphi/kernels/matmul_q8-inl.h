// SPDX-License-Identifier: MIT
// Integer matrix products: for few tokens weights are decoded in registers,
// for many into a panel. Both run dot_rows, so they agree in every bit.
// Activations with wide scales meet weights that are rounded likewise.
#if defined(TINYPHI_KERNELS_MATMUL_Q8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#undef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#else
#define TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#endif

#include "tinyphi/kernels/wide_panel-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// Sums in registers: 12 and their accumulators fit AVX-512's 32 registers. Six
// with AVX-VNNI made g++ 12 spill: 105 GMAC/s where four reach 153.
inline constexpr std::size_t most_tokens =
    TINYPHI_VNNI ? tile_tokens
                 : HWY_MAX(8 / strip_vectors, TINYPHI_I8MM ? 4 : 2);

// M tokens at a time, from the widest that the registers hold down to one.
template <std::size_t M, class Rows>
HWY_INLINE void dot_tile(const Rows& rows, std::size_t groups, tile_view x,
                         std::size_t tokens, float* sums) {
  for (; tokens >= M; tokens -= M) {
    dot_rows<M>(rows, groups, x, sums);
    x = {x.q + M * 4, x.sum + M, x.half_sum + M, x.scale + M, x.n};
    sums += M * Rows::vectors * lanes;
  }
  if constexpr (M > 1) {
    dot_tile<M == 12 ? 4 : M / 2>(rows, groups, x, tokens, sums);
  }
}

// Formats with equal traits share this instantiation.
template <class Rows>
HWY_NOINLINE void dot_panel(const Rows& rows, std::size_t groups,
                            const q8_activations& x, std::size_t g,
                            std::size_t begin, std::size_t end, float* sums) {
  for (std::size_t t = begin; t < end; t += tile_tokens) {
    dot_tile<most_tokens>(rows, groups, tile_at(x, t, g),
                          HWY_MIN(tile_tokens, end - t),
                          sums + (t - begin) * strip_rows);
  }
}

// Tokens whose activations stay in L2 while the strips pass; of a panel that
// has to be rounded, too, more.
inline constexpr std::size_t block_tokens = 16 * tile_tokens;
inline constexpr std::size_t wide_block_tokens = 3 * block_tokens;

template <dtype Type, bool AvxVnni>
HWY_NOINLINE void many_tokens(const packed_matrix& w, std::size_t begin,
                              std::size_t end, const q8_activations& x,
                              const product_rows& out) {
  constexpr std::size_t run = dot_run<format<Type>::run, AvxVnni>;
  constexpr std::size_t wide_run = dot_run<0, AvxVnni>;
  panel_memory memory;
  alignas(64) float sums[wide_block_tokens * strip_rows];
  const panel_of<Type, run> panel{memory,
                                  packed_rows<Type, 1, run, 0>::zero_point};
  const bool wide = x.scale_cols == wide_scale_cols;
  const std::size_t block = wide ? wide_block_tokens : block_tokens;
  const std::size_t bytes = w.strip_bytes(), all = x.cols / group_size;
  for (std::size_t t = 0; t < x.m; t += block) {
    const std::size_t t_end = HWY_MIN(x.m, t + block);
    for (std::size_t s = begin; s < end; ++s) {
      std::memset(sums, 0, (t_end - t) * strip_rows * sizeof(float));
      for (std::size_t g = 0; g < all; g += panel_groups) {
        const std::size_t groups = HWY_MIN(panel_groups, all - g);
        if (wide) {
          decode_panel<Type, false>(w.strip(s), bytes, g, groups, memory);
          round_panel<panel_of<Type, any_run>, wide_run == 0>(
              memory, groups, format<Type>::zero_point);
          dot_panel(wide_panel<wide_run>{memory}, groups, x, g, t, t_end, sums);
        } else {
          decode_panel<Type, run == 0>(w.strip(s), bytes, g, groups, memory);
          dot_panel(panel, groups, x, g, t, t_end, sums);
        }
      }
      write_rows<1>(sums, t_end - t, w.rows - s * strip_rows,
                    from(out, (s - begin) * strip_rows, t));
    }
  }
}

// R strips at once, because most cores read faster from four streams than from
// one; M tokens at a time.
template <dtype Type, bool AvxVnni, std::size_t R, std::size_t M>
HWY_NOINLINE void few_tokens(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             const product_rows& out) {
  constexpr std::size_t run = dot_run<format<Type>::run, AvxVnni>;
  const std::size_t bytes = w.strip_bytes(), groups = x.cols / group_size;
  alignas(64) float sums[tile_tokens * R * strip_rows];
  std::size_t s = begin;
  for (; s + R <= end; s += R) {
    std::memset(sums, 0, x.m * R * strip_rows * sizeof(float));
    const packed_rows<Type, R, run, ahead_of<Type, R, M>, share_of<Type, R, M>>
        rows{w.strip(s), bytes};
    tile_view tile = tile_at(x, 0, 0);
    if (M == 1) tile.n = 1;  // as a constant
    dot_tile<M>(rows, groups, tile, x.m, sums);
    write_rows<R>(sums, x.m, w.rows - s * strip_rows,
                  from(out, (s - begin) * strip_rows, 0));
  }
  many_tokens<Type, AvxVnni>(w, s, end, x,
                             from(out, (s - begin) * strip_rows, 0));
}

template <dtype Type, bool AvxVnni>
HWY_INLINE void matmul_q8_of(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             const product_rows& out) {
  if (x.scale_cols == wide_scale_cols) {
    return many_tokens<Type, AvxVnni>(w, begin, end, x, out);
  }
  // Narrow vectors of a rare type read fewer streams: half the code to compile.
  constexpr std::size_t streams =
      format<Type>::quick ? 4 : HWY_MAX(4 / strip_vectors, 1);
  if (x.m == 1) {
#if TINYPHI_VNNI
    if constexpr (one_stream<Type, 1, 1>) {
      if (__builtin_cpu_is("amd")) {
        return few_tokens<Type, AvxVnni, 1, 1>(w, begin, end, x, out);
      }
    }
#endif
    return few_tokens<Type, AvxVnni, streams, 1>(w, begin, end, x, out);
  }
  if constexpr (format<Type>::quick) {
    // R and M so that all sums stay in registers, or nearly; half of them where
    // decoding needs registers too.
#if TINYPHI_VNNI
    constexpr std::size_t strips = format<Type>::chunk == 1 ? 4 : 2;
    if (x.m <= 4) {
      return few_tokens<Type, AvxVnni, strips, 4>(w, begin, end, x, out);
    }
    if (x.m <= 8) {
      return few_tokens<Type, AvxVnni, strips / 2, 8>(w, begin, end, x, out);
    }
#else
    if (x.m == 2) {
      return few_tokens<Type, AvxVnni, 2, 2>(w, begin, end, x, out);
    }
#endif
  }
  many_tokens<Type, AvxVnni>(w, begin, end, x, out);
}

template <bool AvxVnni>
HWY_INLINE void matmul_q8_by(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             const product_rows& out) {
  switch (w.type) {
#define TINYPHI_CASE(TYPE) \
  case dtype::TYPE:        \
    return matmul_q8_of<dtype::TYPE, AvxVnni>(w, begin, end, x, out);
    TINYPHI_FORMATS(TINYPHI_CASE)
#undef TINYPHI_CASE
    default:
      return;  // plain floats have no integer path
  }
}

inline HWY_NOINLINE void matmul_q8(const packed_matrix& w,
                                   std::size_t strip_begin,
                                   std::size_t strip_end,
                                   const q8_activations& x,
                                   const product_rows& out) {
#if TINYPHI_AVX_VNNI
  if (detail::use_avx_vnni) {
    return matmul_q8_by<true>(w, strip_begin, strip_end, x, out);
  }
#endif
  matmul_q8_by<false>(w, strip_begin, strip_end, x, out);
}

}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
