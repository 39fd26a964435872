// SPDX-License-Identifier: MIT
// The functions of kernels.h, on any machine.
#ifndef TINYPHI_KERNELS_KERNELS_IPP_
#define TINYPHI_KERNELS_KERNELS_IPP_

#include "tinyphi/kernels/kernels.h"
#include "tinyphi/kernels/reference.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC void quantize_q8(const float* x, std::size_t x_stride,
                              std::size_t begin, std::size_t end,
                              const q8_activations& out) {
  reference::quantize_q8(x, x_stride, begin, end, out);
}
TINYPHI_FUNC void matmul_f32(const packed_matrix& w, std::size_t strip_begin,
                             std::size_t strip_end, const float* x,
                             std::size_t x_stride, std::size_t m, float* out,
                             std::size_t out_stride) {
  reference::matmul_f32(w, strip_begin, strip_end, x, x_stride, m, out,
                        out_stride);
}
TINYPHI_FUNC void matmul_q8(const packed_matrix& w, std::size_t strip_begin,
                            std::size_t strip_end, const q8_activations& x,
                            float* out, std::size_t out_stride) {
  reference::matmul_q8(w, strip_begin, strip_end, x, out, out_stride);
}
TINYPHI_FUNC void rms_norm(const float* x, const float* weight, float eps,
                           std::size_t n, float* out) {
  reference::rms_norm(x, weight, eps, n, out);
}
TINYPHI_FUNC void layer_norm(const float* x, const float* weight,
                             const float* bias, float eps, std::size_t n,
                             float* out) {
  reference::layer_norm(x, weight, bias, eps, n, out);
}
TINYPHI_FUNC void rope(float* x, const float* cos, const float* sin,
                       std::size_t half) {
  reference::rope(x, cos, sin, half);
}
TINYPHI_FUNC void swiglu(const float* gate, const float* up, std::size_t n,
                         float* out) {
  reference::swiglu(gate, up, n, out);
}
TINYPHI_FUNC void gegelu(const float* x, float limit, std::size_t n,
                         float* out) {
  reference::gegelu(x, limit, n, out);
}
TINYPHI_FUNC void add(float* x, const float* y, std::size_t n) {
  reference::add(x, y, n);
}
TINYPHI_FUNC void store_kv(const kv_view& kv, std::size_t position,
                           const float* k, const float* v) {
  reference::store_kv(kv, position, k, v);
}
TINYPHI_FUNC void attend(const kv_view& kv, const key_range* ranges,
                         std::size_t n_ranges, float scale, const float* q,
                         std::size_t q_stride, std::size_t n_rows, float* out,
                         std::size_t out_stride) {
  reference::attend(kv, ranges, n_ranges, scale, q, q_stride, n_rows, out,
                    out_stride);
}
TINYPHI_FUNC const char* kernel_target() { return "SCALAR"; }
TINYPHI_FUNC std::vector<std::int64_t> kernel_targets() { return {1}; }
TINYPHI_FUNC void force_kernel_target(std::int64_t) {}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_KERNELS_KERNELS_IPP_
