// SPDX-License-Identifier: MIT
// Integer matrix products. Both ways of doing it share one expression per
// group of 32 columns (add_group), so they agree in every bit:
//   sum = weight scale * token scale * exact integer sum + sum
#if defined(TINYPHI_KERNELS_MATMUL_Q8_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#undef TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#else
#define TINYPHI_KERNELS_MATMUL_Q8_INL_H_
#endif

#include "tinyphi/kernels/few_tokens-inl.h"
#include "tinyphi/kernels/many_tokens-inl.h"

#if TINYPHI_SIMD
HWY_BEFORE_NAMESPACE();
TINYPHI_NAMESPACE_BEGIN
namespace HWY_NAMESPACE {

template <dtype Type>
HWY_INLINE void matmul_q8_of(const packed_matrix& w, std::size_t begin,
                             std::size_t end, const q8_activations& x,
                             float* out, std::size_t stride) {
  switch (x.m) {
    case 1:
      return few_tokens_rows<Type, 4, 1>(w, begin, end, x, out, stride);
    case 2:
      return few_tokens_rows<Type, 4, 2>(w, begin, end, x, out, stride);
    case 3:
      return few_tokens_rows<Type, 2, 3>(w, begin, end, x, out, stride);
    case 4:
      return few_tokens_rows<Type, 2, 4>(w, begin, end, x, out, stride);
#if HWY_MAX_BYTES == 64  // fewer registers would spill
    case 5:
      return few_tokens_rows<Type, 2, 5>(w, begin, end, x, out, stride);
    case 6:
      return few_tokens_rows<Type, 2, 6>(w, begin, end, x, out, stride);
    case 7:
      return few_tokens_rows<Type, 2, 7>(w, begin, end, x, out, stride);
    case 8:
      return few_tokens_rows<Type, 2, 8>(w, begin, end, x, out, stride);
#endif
    default:
      return many_tokens<Type>(w, begin, end, x, out, stride);
  }
}

inline HWY_NOINLINE void matmul_q8(const packed_matrix& w,
                                   std::size_t strip_begin,
                                   std::size_t strip_end,
                                   const q8_activations& x, float* out,
                                   std::size_t out_stride) {
  if (w.type == dtype::q4_0) {
    matmul_q8_of<dtype::q4_0>(w, strip_begin, strip_end, x, out, out_stride);
  } else {
    matmul_q8_of<dtype::q8_0>(w, strip_begin, strip_end, x, out, out_stride);
  }
}
}  // namespace HWY_NAMESPACE
TINYPHI_NAMESPACE_END
HWY_AFTER_NAMESPACE();
#endif  // TINYPHI_SIMD

#endif  // per-target include guard
