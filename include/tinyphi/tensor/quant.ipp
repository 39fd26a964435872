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
#include "tinyphi/tensor/quant_k.ipp"

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

inline void quantize_block(const float* x, block_q8_0& b) {
  float max = 0;
  for (std::size_t i = 0; i < quant_block; ++i) {
    max = std::max(max, std::fabs(x[i]));
  }
  const float d = max / 127;
  const float inverse = d == 0 ? 0 : 1 / d;
  b.d = to_f16(d);
  for (std::size_t i = 0; i < quant_block; ++i) {
    b.q[i] = round_to_i8(x[i] * inverse);
  }
}

// Where levels are x * inverse + zero. Through f64, where the product is exact,
// so that no compiler fuses multiplication and addition into one rounding.
[[nodiscard]] inline unsigned level_at(float x, float inverse, float zero,
                                       unsigned most) {
  const float q =
      static_cast<float>(static_cast<double>(x) * inverse) + (zero + 0.5f);
  if (std::isnan(q)) return static_cast<unsigned>(zero);
  return static_cast<unsigned>(std::clamp(q, 0.f, static_cast<float>(most)));
}

// Levels of 32 columns: nibbles, and fifth bits where there are any.
template <class Block>
inline void set_levels(Block& b, const unsigned (&levels)[quant_block]) {
  for (std::size_t i = 0; i < quant_block / 2; ++i) {
    b.qs[i] = static_cast<std::uint8_t>(
        (levels[i] & 15) | (levels[i + quant_block / 2] & 15) << 4);
  }
  if constexpr (requires { b.qh; }) {
    for (std::size_t i = 0; i < quant_block; ++i) {
      b.qh[i / 8] =
          static_cast<std::uint8_t>(b.qh[i / 8] | levels[i] >> 4 << i % 8);
    }
  }
}

// Symmetric: the value of largest magnitude (the first of equals) becomes the
// lowest level.
template <class Block>
inline void quantize_symmetric(const float* x, int zero, Block& b) {
  float max = x[0];
  for (std::size_t i = 1; i < quant_block; ++i) {
    if (std::fabs(x[i]) > std::fabs(max)) max = x[i];
  }
  const float d = max / static_cast<float>(-zero);
  const float inverse = d == 0 ? 0 : 1 / d;
  unsigned levels[quant_block];
  for (std::size_t i = 0; i < quant_block; ++i) {
    levels[i] = level_at(x[i], inverse, static_cast<float>(zero),
                         static_cast<unsigned>(2 * zero - 1));
  }
  b.d = to_f16(d);
  set_levels(b, levels);
}

// From the lowest value, which is level 0, to the highest.
template <class Block>
inline void quantize_affine(const float* x, unsigned most, Block& b) {
  const auto [low, high] = std::minmax_element(x, x + quant_block);
  const float d = (*high - *low) / static_cast<float>(most);
  const float inverse = d == 0 ? 0 : 1 / d;
  unsigned levels[quant_block];
  for (std::size_t i = 0; i < quant_block; ++i) {
    levels[i] = level_at(x[i] - *low, inverse, 0, most);
  }
  b.d = to_f16(d);
  b.m = to_f16(*low);
  set_levels(b, levels);
}

inline void quantize_block(const float* x, block_q4_0& b) {
  quantize_symmetric(x, 8, b);
}
inline void quantize_block(const float* x, block_q5_0& b) {
  quantize_symmetric(x, 16, b);
}
inline void quantize_block(const float* x, block_q4_1& b) {
  quantize_affine(x, 15, b);
}
inline void quantize_block(const float* x, block_q5_1& b) {
  quantize_affine(x, 31, b);
}

template <class Block>
inline void dequantize_block(const Block& b, float* out) {
  static_assert(sizeof b == info(Block::type).block_bytes);
  static_assert(Block::columns == info(Block::type).block_size);
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
    default:
      TINYPHI_ASSERT(can_quantize(type));
      with_block(type, [&](auto block) {
        using block_type = decltype(block);
        if constexpr (can_quantize(block_type::type)) {
          for (std::size_t k = 0; k < n; k += block.columns) {
            block = block_type{};
            detail::quantize_block(x.data() + k, block);
            std::memcpy(p + k / block.columns * sizeof block, &block,
                        sizeof block);
          }
        }
      });
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_QUANT_IPP_
