// SPDX-License-Identifier: MIT
// Block formats as scalar code. Everything rounds as PyPI's gguf does.
#ifndef TINYPHI_TENSOR_QUANT_IPP_
#define TINYPHI_TENSOR_QUANT_IPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tinyphi/base/error.h"
#include "tinyphi/base/half.h"
#include "tinyphi/tensor/blocks.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

inline constexpr std::size_t quant_block = 32;

template <class T>
[[nodiscard]] inline T load_at(const std::byte* from, std::size_t i) {
  T value;
  std::memcpy(&value, from + i * sizeof(T), sizeof(T));
  return value;
}

template <class T>
inline void store_at(std::byte* to, std::size_t i, T value) {
  std::memcpy(to + i * sizeof(T), &value, sizeof(T));
}

// Rounds half away from zero. NaN gives 0 and what does not fit saturates, so
// that no input is undefined behaviour.
[[nodiscard]] inline std::int8_t round_to_i8(float x) {
  if (std::isnan(x)) return 0;
  return static_cast<std::int8_t>(std::round(std::clamp(x, -128.f, 127.f)));
}

inline void quantize_q8_0_block(const float* x, std::byte* to) {
  float max = 0;
  for (std::size_t i = 0; i < quant_block; ++i) {
    max = std::max(max, std::fabs(x[i]));
  }
  const float d = max / 127;
  const float inverse = d == 0 ? 0 : 1 / d;
  store_at(to, 0, to_f16(d));
  for (std::size_t i = 0; i < quant_block; ++i) {
    store_at(to + 2, i, round_to_i8(x[i] * inverse));
  }
}

// The value of largest magnitude (the first of equals) becomes -8.
inline void quantize_q4_0_block(const float* x, std::byte* to) {
  float max = x[0];
  for (std::size_t i = 1; i < quant_block; ++i) {
    if (std::fabs(x[i]) > std::fabs(max)) max = x[i];
  }
  const float d = max / -8;
  const float inverse = d == 0 ? 0 : 1 / d;
  const auto nibble = [&](std::size_t i) {
    // Through f64, where the product is exact, so that no compiler fuses the
    // multiplication and the addition into one rounding.
    const double product = static_cast<double>(x[i]) * inverse;
    const float q = static_cast<float>(product) + 8.5f;
    return std::isnan(q) ? 8u : static_cast<unsigned>(std::clamp(q, 0.f, 15.f));
  };
  store_at(to, 0, to_f16(d));
  for (std::size_t i = 0; i < quant_block / 2; ++i) {
    to[2 + i] =
        static_cast<std::byte>(nibble(i) | nibble(i + quant_block / 2) << 4);
  }
}

template <class Block>
inline void dequantize_block(const Block& b, float* out) {
  static_assert(sizeof b == info(Block::type).block_bytes);
  static_assert(b.columns == info(Block::type).block_size);
  for (std::size_t k = 0; k < b.columns; k += b.per_scale) {
    const float scale_k = scale(b, k), min_k = min(b, k);
    for (std::size_t i = k; i < k + b.per_scale; ++i) {
      out[i] = scale_k * static_cast<float>(level(b, i)) - min_k;
    }
  }
}

[[nodiscard]] inline bf16 to_bf16(float x) {
  std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40)};
  bits += 0x7FFF + ((bits >> 16) & 1);  // to nearest, ties to even
  return {static_cast<std::uint16_t>(bits >> 16)};
}

}  // namespace detail

TINYPHI_FUNC void dequantize_row(dtype type, std::span<const std::byte> row,
                                 std::span<float> out) {
  using detail::load_at;
  TINYPHI_ASSERT(row.size() == row_bytes(type, out.size()));
  const std::size_t n = out.size();
  const std::byte* p = row.data();
  switch (type) {
    case dtype::f32:
      if (n != 0) std::memcpy(out.data(), p, n * sizeof(float));
      return;
    case dtype::f16:
      for (std::size_t i = 0; i < n; ++i) out[i] = to_float(load_at<f16>(p, i));
      return;
    case dtype::bf16:
      for (std::size_t i = 0; i < n; ++i) {
        out[i] = to_float(load_at<bf16>(p, i));
      }
      return;
    default:
      with_block(type, [&](auto block) {
        for (std::size_t k = 0; k < n; k += block.columns, p += sizeof block) {
          std::memcpy(&block, p, sizeof block);
          detail::dequantize_block(block, out.data() + k);
        }
      });
  }
}

TINYPHI_FUNC void quantize_row(dtype type, std::span<const float> x,
                               std::span<std::byte> out) {
  using detail::store_at;
  TINYPHI_ASSERT(out.size() == row_bytes(type, x.size()));
  const std::size_t n = x.size();
  std::byte* p = out.data();
  switch (type) {
    case dtype::f32:
      if (n != 0) std::memcpy(p, x.data(), n * sizeof(float));
      return;
    case dtype::f16:
      for (std::size_t i = 0; i < n; ++i) store_at(p, i, to_f16(x[i]));
      return;
    case dtype::bf16:
      for (std::size_t i = 0; i < n; ++i) store_at(p, i, detail::to_bf16(x[i]));
      return;
    case dtype::q8_0:
      for (std::size_t k = 0; k < n; k += detail::quant_block, p += 34) {
        detail::quantize_q8_0_block(x.data() + k, p);
      }
      return;
    case dtype::q4_0:
      for (std::size_t k = 0; k < n; k += detail::quant_block, p += 18) {
        detail::quantize_q4_0_block(x.data() + k, p);
      }
      return;
    default:
      TINYPHI_ASSERT(can_quantize(type));
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_QUANT_IPP_
