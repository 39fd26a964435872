// SPDX-License-Identifier: MIT
// Quantizers that search: Q4_K, Q5_K and Q6_K. Each minimises the sum of
// squared errors of the columns that share a scale, then rounds scales to their
// few bits and levels to those.
#ifndef TINYPHI_TENSOR_QUANT_K_IPP_
#define TINYPHI_TENSOR_QUANT_K_IPP_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tinyphi/tensor/blocks.h"

TINYPHI_NAMESPACE_BEGIN
namespace detail {

// The nearest integer from low to high; low for NaN.
[[nodiscard]] inline int nearest(float x, int low, int high) {
  if (!(x > static_cast<float>(low))) return low;
  if (x >= static_cast<float>(high)) return high;
  return static_cast<int>(std::lround(x));
}

struct affine_fit {
  float scale = 0, min = 0;  // x = scale * level - min; both at least 0
};

// Levels 0 to `most` for N values. Tries steps around the one that spans the
// values; for each, the least squares of scale and min for the levels that it
// rounds to.
template <std::size_t N>
[[nodiscard]] inline affine_fit fit_affine(const float* x, int most) {
  const auto [first, last] = std::minmax_element(x, x + N);
  const float low = std::min(*first, 0.f), high = *last;
  if (!(high > low) || !std::isfinite(high - low)) {
    return {0, std::isfinite(low) ? -low : 0.f};
  }
  affine_fit best;
  float least = std::numeric_limits<float>::infinity();
  const auto count = static_cast<float>(N);
  float sum = 0;
  for (std::size_t i = 0; i < N; ++i) sum += x[i];
  for (int trial = -8; trial <= 8; ++trial) {
    const float steps =
        static_cast<float>(most) + 0.125f * static_cast<float>(trial);
    const float inverse = steps / (high - low);
    float levels[N], q = 0, qq = 0, qx = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const auto l =
          static_cast<float>(nearest((x[i] - low) * inverse, 0, most));
      q += l, qq += l * l, qx += l * x[i];
      levels[i] = l;
    }
    const float determinant = count * qq - q * q;
    affine_fit fit{(high - low) / steps, -low};
    if (determinant > 0) {
      fit = {(count * qx - q * sum) / determinant,
             (q * qx - qq * sum) / determinant};
      if (fit.min < 0) fit = {qq > 0 ? qx / qq : 0, 0};
    }
    float error = 0;
    for (std::size_t i = 0; i < N; ++i) {
      const float e = fit.scale * levels[i] - fit.min - x[i];
      error += e * e;
    }
    if (fit.scale >= 0 && error < least) least = error, best = fit;
  }
  return best;
}

// The scale for levels -most to most - 1 of n values; of either sign.
[[nodiscard]] inline float fit_symmetric(const float* x, std::size_t n,
                                         int most) {
  float max = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (std::fabs(x[i]) > std::fabs(max)) max = x[i];
  }
  if (max == 0 || !std::isfinite(max)) return 0;
  float best = 0, gain = 0;
  for (int trial = -9; trial <= 9; ++trial) {
    const float inverse =
        -(static_cast<float>(most) + 0.1f * static_cast<float>(trial)) / max;
    float qq = 0, qx = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const auto l =
          static_cast<float>(nearest(x[i] * inverse, -most, most - 1));
      qq += l * l, qx += l * x[i];
    }
    // The error left is sum(x^2) - qx^2 / qq.
    if (qq > 0 && qx * qx > gain * qq) gain = qx * qx / qq, best = qx / qq;
  }
  return best;
}

[[nodiscard]] inline float inverse_of(float x) { return x == 0 ? 0 : 1 / x; }

// The reverse of six_bits in blocks.h.
inline void set_six_bits(std::uint8_t (&scales)[12], std::size_t s,
                         std::size_t from, int value) {
  const auto set = [](std::uint8_t& byte, int bits) {
    byte = static_cast<std::uint8_t>(byte | bits);
  };
  if (s < 4) return set(scales[from + s], value);
  set(scales[4 + s], (value & 15) << from);
  set(scales[from + s - 4], value >> 4 << 6);
}

// Q4_K and Q5_K.
template <class Block>
inline void quantize_block(const float* x, Block& b) {
  constexpr int most = Block::type == dtype::q5_k ? 31 : 15;
  affine_fit fits[8];
  float scale_max = 0, min_max = 0;
  for (std::size_t s = 0; s < 8; ++s) {
    fits[s] = fit_affine<32>(x + 32 * s, most);
    scale_max = std::max(scale_max, fits[s].scale);
    min_max = std::max(min_max, fits[s].min);
  }
  b.d = to_f16(scale_max / 63);
  b.dmin = to_f16(min_max / 63);
  const float d = inverse_of(to_float(b.d)),
              dmin = inverse_of(to_float(b.dmin));
  for (std::size_t s = 0; s < 8; ++s) {
    set_six_bits(b.scales, s, 0, nearest(fits[s].scale * d, 0, 63));
    set_six_bits(b.scales, s, 4, nearest(fits[s].min * dmin, 0, 63));
  }
  for (std::size_t k = 0; k < 256; ++k) {
    const float inverse = inverse_of(scale(b, k));
    const int l = nearest((x[k] + min(b, k)) * inverse, 0, most);
    auto& byte = b.qs[k / 64 * 32 + k % 32];
    byte = static_cast<std::uint8_t>(byte | (l & 15) << k % 64 / 32 * 4);
    if constexpr (requires { b.qh; }) {
      b.qh[k % 32] = static_cast<std::uint8_t>(b.qh[k % 32] | l >> 4 << k / 32);
    }
  }
}

inline void quantize_block(const float* x, block_q6_k& b) {
  float fits[16], max = 0;
  for (std::size_t s = 0; s < 16; ++s) {
    fits[s] = fit_symmetric(x + 16 * s, 16, 32);
    if (std::fabs(fits[s]) > std::fabs(max)) max = fits[s];
  }
  b.d = to_f16(max / -128);
  const float d = inverse_of(to_float(b.d));
  for (std::size_t s = 0; s < 16; ++s) {
    b.scales[s] = static_cast<std::int8_t>(nearest(fits[s] * d, -128, 127));
  }
  for (std::size_t k = 0; k < 256; ++k) {
    const int l = nearest(x[k] * inverse_of(scale(b, k)), -32, 31) + 32;
    auto& low = b.ql[k / 128 * 64 + k % 64];
    auto& high = b.qh[k / 128 * 32 + k % 32];
    low = static_cast<std::uint8_t>(low | (l & 15) << k % 128 / 64 * 4);
    high = static_cast<std::uint8_t>(high | l >> 4 << k % 128 / 32 * 2);
  }
}

}  // namespace detail
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_TENSOR_QUANT_K_IPP_
