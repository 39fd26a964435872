// SPDX-License-Identifier: MIT
// Compiles all kernels for every SIMD target and defines the functions which
// choose one at run time. The only file that includes hwy/foreach_target.h.
#ifndef TINYPHI_KERNELS_KERNELS_IPP_
#define TINYPHI_KERNELS_KERNELS_IPP_

#include "tinyphi/kernels/avx_vnni.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/kernels/reference.h"

#if defined(HWY_HIGHWAY_INCLUDED) || defined(HIGHWAY_HWY_FOREACH_TARGET_H_)
#error "include tinyphi before any <hwy/...>, or set TINYPHI_HEADER_ONLY=0"
#endif
#if TINYPHI_STATIC_DISPATCH && !defined(HWY_COMPILE_ONLY_STATIC)
#define HWY_COMPILE_ONLY_STATIC
#endif
// Vectors without a compile-time size cannot be elements of our arrays of
// sums. AVX3_DL is AVX3 with instructions that our kernels use of their own
// accord; Highway 1.0.3 does not compile where the compiler's flags name it
// (-march=native on Sapphire Rapids).
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_AVX3_DL)
#endif

// The order of these lines matters.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tinyphi/kernels/all-inl.h"
#include <hwy/foreach_target.h>       // one pass per target above the baseline
#include "tinyphi/kernels/all-inl.h"  // last pass: the baseline
// clang-format on

TINYPHI_NAMESPACE_BEGIN

#if TINYPHI_WIDEN_AVX3
// Our AVX3 code then needs AVX512-VNNI; leave CPUs without it to AVX2.
inline const bool avx3_checked = [] {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512vnni")) hwy::DisableTargets(HWY_AVX3);
  return true;
}();
#endif

// HWY_EXPORT stands inside functions: one table in the whole program.

TINYPHI_FUNC void quantize_q8(const float* x, std::size_t n,
                              const q8_activations& out, std::size_t token,
                              std::size_t column) {
  HWY_EXPORT(quantize_q8);
  HWY_DYNAMIC_DISPATCH(quantize_q8)(x, n, out, token, column);
}

TINYPHI_FUNC void matmul_f32(const packed_matrix& w, std::size_t strip_begin,
                             std::size_t strip_end, const float* x,
                             std::size_t x_stride, std::size_t m,
                             const product_rows& out) {
  HWY_EXPORT(matmul_f32);
  HWY_DYNAMIC_DISPATCH(matmul_f32)
  (w, strip_begin, strip_end, x, x_stride, m, out);
}

TINYPHI_FUNC void matmul_q8(const packed_matrix& w, std::size_t strip_begin,
                            std::size_t strip_end, const q8_activations& x,
                            const product_rows& out) {
  HWY_EXPORT(matmul_q8);
  HWY_DYNAMIC_DISPATCH(matmul_q8)(w, strip_begin, strip_end, x, out);
}

TINYPHI_FUNC void rms_norm(const float* x, const float* weight, float eps,
                           std::size_t n, column_range columns,
                           const activation_row& out) {
  HWY_EXPORT(rms_norm);
  HWY_DYNAMIC_DISPATCH(rms_norm)(x, weight, eps, n, columns, out);
}

TINYPHI_FUNC void layer_norm(const float* x, const float* weight,
                             const float* bias, float eps, std::size_t n,
                             column_range columns, const activation_row& out) {
  HWY_EXPORT(layer_norm);
  HWY_DYNAMIC_DISPATCH(layer_norm)(x, weight, bias, eps, n, columns, out);
}

TINYPHI_FUNC void rope(float* x, const float* cos, const float* sin,
                       std::size_t half) {
  HWY_EXPORT(rope);
  HWY_DYNAMIC_DISPATCH(rope)(x, cos, sin, half);
}

TINYPHI_FUNC void swiglu(const float* gate, const float* up, std::size_t n,
                         const activation_row& out) {
  HWY_EXPORT(swiglu);
  HWY_DYNAMIC_DISPATCH(swiglu)(gate, up, n, out);
}

TINYPHI_FUNC void gegelu(const float* x, float limit, std::size_t n,
                         const activation_row& out) {
  HWY_EXPORT(gegelu);
  HWY_DYNAMIC_DISPATCH(gegelu)(x, limit, n, out);
}

TINYPHI_FUNC void store_kv(const kv_view& kv, std::size_t position,
                           const float* k, const float* v) {
  HWY_EXPORT(store_kv);
  HWY_DYNAMIC_DISPATCH(store_kv)(kv, position, k, v);
}

TINYPHI_FUNC void attend(const kv_view& kv, float scale,
                         const attention_row* rows, std::size_t n_rows,
                         softmax_sums* sums) {
  HWY_EXPORT(attend);
  HWY_DYNAMIC_DISPATCH(attend)(kv, scale, rows, n_rows, sums);
}

TINYPHI_FUNC void merge_attention(const float* parts, const softmax_sums* sums,
                                  std::size_t n, std::size_t head_dim,
                                  float* out) {
  HWY_EXPORT(merge_attention);
  HWY_DYNAMIC_DISPATCH(merge_attention)(parts, sums, n, head_dim, out);
}

TINYPHI_FUNC std::uint64_t probe_read(const std::byte* data, std::size_t n,
                                      read_order order) {
  HWY_EXPORT(probe_read);
  return HWY_DYNAMIC_DISPATCH(probe_read)(data, n, order);
}

TINYPHI_FUNC std::uint64_t probe_dot_product(std::size_t rounds,
                                             std::int32_t* sink) {
  HWY_EXPORT(probe_dot_product);
  return HWY_DYNAMIC_DISPATCH(probe_dot_product)(rounds, sink);
}

TINYPHI_FUNC std::uint64_t probe_fma(std::size_t rounds, float* sink) {
  HWY_EXPORT(probe_fma);
  return HWY_DYNAMIC_DISPATCH(probe_fma)(rounds, sink);
}

TINYPHI_FUNC const char* kernel_target() {
  HWY_EXPORT(target_name);
  return HWY_DYNAMIC_DISPATCH(target_name)();
}

#if TINYPHI_STATIC_DISPATCH
TINYPHI_FUNC std::vector<std::int64_t> kernel_targets() { return {HWY_TARGET}; }
TINYPHI_FUNC void force_kernel_target(std::int64_t) {}
#else
TINYPHI_FUNC std::vector<std::int64_t> kernel_targets() {
  std::vector<std::int64_t> targets;
  for (std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0;
       rest &= rest - 1) {
    const std::int64_t target = rest & -rest;
#if HWY_ARCH_X86
    if (target == HWY_AVX2 && detail::cpu_has_avx_vnni()) {
      targets.push_back(detail::avx2_with_vnni);
    }
#endif
    targets.push_back(target);
  }
  return targets;
}

TINYPHI_FUNC void force_kernel_target(std::int64_t target) {
#if HWY_ARCH_X86
  const bool vnni = target == detail::avx2_with_vnni;
  detail::use_avx_vnni = (vnni || target == 0) && detail::cpu_has_avx_vnni();
  if (vnni) target = HWY_AVX2;
#endif
  hwy::SetSupportedTargetsForTest(target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}
#endif  // TINYPHI_STATIC_DISPATCH

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_KERNELS_KERNELS_IPP_
