// SPDX-License-Identifier: MIT
// IEEE f16 and bfloat16 as scalars, for loading, packing and references.
// Kernels convert whole vectors with Highway instead.
#ifndef TINYPHI_BASE_HALF_H_
#define TINYPHI_BASE_HALF_H_

#include <bit>
#include <cstdint>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// Storage types: the bits, with no arithmetic.
struct f16 {
  std::uint16_t bits = 0;
};
struct bf16 {
  std::uint16_t bits = 0;
};

// Exact for every f16, subnormals, infinities and NaN included.
[[nodiscard]] inline float to_float(f16 h) {
  const std::uint32_t sign = std::uint32_t{h.bits & 0x8000u} << 16;
  std::uint32_t exponent = (h.bits >> 10) & 0x1F;
  std::uint32_t mantissa = h.bits & 0x3FF;
  if (exponent == 0x1F) {
    return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  }
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24 is exact in f32
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) |
                              (mantissa << 13));
}

// Rounds to nearest, ties to even; too large becomes infinity.
[[nodiscard]] inline f16 to_f16(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  std::uint32_t half;
  if (magnitude > 0x7F800000u) {
    half = 0x7E00u;  // NaN
  } else if (magnitude >= 0x477FF000u) {
    half = 0x7C00u;  // 65520 and more round to infinity
  } else if (magnitude < 0x38800000u) {
    // Subnormal: adding 0.5 lets the FPU round at the right bit.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    half = std::bit_cast<std::uint32_t>(shifted) - 0x3F000000u;
  } else {
    const std::uint32_t odd = (magnitude >> 13) & 1u;
    half = (magnitude - 0x38000000u + 0xFFFu + odd) >> 13;
  }
  return {static_cast<std::uint16_t>(sign | half)};
}

[[nodiscard]] inline float to_float(bf16 h) {
  return std::bit_cast<float>(std::uint32_t{h.bits} << 16);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_HALF_H_
