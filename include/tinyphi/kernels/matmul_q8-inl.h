// SPDX-License-Identifier: MIT
// Integer matrix products: for few tokens weights are decoded in registers,
// for many into a panel. Both run dot_rows, so they agree in every bit.
#if defined(TINYPHI_KERNELS_MATMUL_Q8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#undef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#else
#define TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#endif

#include "tinyphi/kernels/panel-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

// What is prefetched for one token is used soon, and further ahead is slower
// (Zen 4, Q4_0, one thread: 29 GB/s at 1024 bytes, 25 at 4096). More tokens
// take longer a byte and have to wait for less: 8 tokens 152 -> 174 GMAC/s of
// 185 in cache, on two threads 278 -> 331; Q8_0 139 -> 157, Q4_K 122 -> 140.
template <dtype Type, std::size_t M>
inline constexpr std::size_t ahead_of = M == 1 ? format<Type>::ahead : 4096;

// R strips at once, because a core reads faster from four streams than from
// one; M tokens at a time.
template <dtype Type, std::size_t Run, std::size_t R, std::size_t M>
HWY_NOINLINE void few_tokens(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             const product_rows& out) {
  const std::size_t bytes = w.strip_bytes(), groups = x.cols / group_size;
  alignas(64) float sums[tile_tokens * R * strip_rows];
  std::size_t s = begin;
  for (; s + R <= end; s += R) {
    std::memset(sums, 0, x.m * R * strip_rows * sizeof(float));
    const packed_rows<Type, R, Run, ahead_of<Type, M>> rows{w.strip(s), bytes};
    tile_view tile = tile_at(x, 0, 0);
    if (M == 1) tile.n = 1;  // as a constant
    dot_tile<M>(rows, groups, tile, x.m, sums);
    write_rows<R>(sums, x.m, w.rows - s * strip_rows,
                  from(out, (s - begin) * strip_rows, 0));
  }
  many_tokens<Type, Run>(w, s, end, x, from(out, (s - begin) * strip_rows, 0));
}

template <dtype Type, bool AvxVnni>
HWY_INLINE void matmul_q8_of(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             const product_rows& out) {
  constexpr std::size_t run = dot_run<format<Type>::run, AvxVnni>;
  // Narrow vectors of a rare type read fewer streams: half the code to compile.
  constexpr std::size_t streams =
      format<Type>::quick ? 4 : HWY_MAX(4 / parts, 1);
  if (x.m == 1) {
    return few_tokens<Type, run, streams, 1>(w, begin, end, x, out);
  }
  if constexpr (format<Type>::quick) {
    // R and M so that all sums stay in registers, or nearly; half of them where
    // decoding needs registers too.
#if TINYPHI_VNNI
    constexpr std::size_t strips = format<Type>::chunk == 1 ? 4 : 2;
    if (x.m <= 4) {
      return few_tokens<Type, run, strips, 4>(w, begin, end, x, out);
    }
    if (x.m <= 8) {
      return few_tokens<Type, run, strips / 2, 8>(w, begin, end, x, out);
    }
#else
    if (x.m == 2) {
      return few_tokens<Type, run, 2, 2>(w, begin, end, x, out);
    }
#endif
  }
  many_tokens<Type, run>(w, begin, end, x, out);
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
