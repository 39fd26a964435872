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
// Blocks are drawn in blocks.h. Bit-equal to PyPI's gguf 0.19 but for the sign
// and payload of NaN.
void dequantize_row(dtype type, std::span<const std::byte> row,
                    std::span<float> out);

// Whether quantize_row makes `type`.
[[nodiscard]] constexpr bool can_quantize(dtype type) {
  return type != dtype::q2_k && type != dtype::q3_k && type != dtype::iq4_nl &&
         type != dtype::iq4_xs;
}

// A row of `type` close to x; out holds row_bytes(type, x.size()) bytes and
// can_quantize(type). Types of 32 columns round as llama.cpp's reference does,
// bit-equal to PyPI's gguf 0.19. Q4_K, Q5_K and Q6_K search for the scales of
// least squared error, all columns weighing the same.
void quantize_row(dtype type, std::span<const float> x,
                  std::span<std::byte> out);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/tensor/quant.ipp"
#endif

#endif  // TINYPHI_TENSOR_QUANT_H_
