// SPDX-License-Identifier: MIT
// Stored rows as plain floats and back: block layouts of the quantized types,
// scalar code that is the specification.
#ifndef TINYPHI_TENSOR_QUANT_H_
#define TINYPHI_TENSOR_QUANT_H_

#include <cstddef>
#include <span>

#include "tinyphi/tensor/dtype.h"

TINYPHI_NAMESPACE_BEGIN

// One row of any type as f32; `row` holds row_bytes(type, out.size()) bytes.
//
//   Q8_0, 34 B per 32: f16 d; int8 q[32].            x[k] = d * q[k]
//   Q4_0, 18 B per 32: f16 d; u8 qs[16].             x[k] = d * (nibble - 8),
//         low nibbles k = 0..15, high nibbles k = 16..31
void dequantize_row(dtype type, std::span<const std::byte> row,
                    std::span<float> out);

// The nearest row of `type`, as llama.cpp's reference quantizers round it
// (bit-equal to PyPI's gguf 0.19); out holds row_bytes(type, x.size()) bytes.
void quantize_row(dtype type, std::span<const float> x,
                  std::span<std::byte> out);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/tensor/quant.ipp"
#endif

#endif  // TINYPHI_TENSOR_QUANT_H_
