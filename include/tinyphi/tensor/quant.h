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

[[nodiscard]] constexpr bool can_quantize(dtype type) {
  return !is_quantized(type) || type == dtype::q8_0 || type == dtype::q4_0;
}

// The nearest row of `type`, as llama.cpp's reference quantizers round it
// (bit-equal to PyPI's gguf 0.19); out holds row_bytes(type, x.size()) bytes.
// can_quantize(type) must hold.
void quantize_row(dtype type, std::span<const float> x,
                  std::span<std::byte> out);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/tensor/quant.ipp"
#endif

#endif  // TINYPHI_TENSOR_QUANT_H_
