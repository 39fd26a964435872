// SPDX-License-Identifier: MIT
// Every kernel of kernels.h as plain scalar code: what they compute. Tests
// compare with it, and targets without byte vectors run it.

// Ahead of the guard, since in header-only mode this includes us.
#include "tinyphi/kernels/kernels.h"

#ifndef TINYPHI_KERNELS_REFERENCE_H_
#define TINYPHI_KERNELS_REFERENCE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>

#include "tinyphi/base/half.h"
#include "tinyphi/tensor/block_map.h"
#include "tinyphi/tensor/packed.h"

TINYPHI_NAMESPACE_BEGIN
namespace reference {

template <class T>
[[nodiscard]] inline T load(const std::byte* from, std::size_t i) {
  T value;
  std::memcpy(&value, from + i * sizeof(T), sizeof(T));
  return value;
}

// ---- Weights of a packed matrix (blocks.h: what a weight is)

// Block b of row r.
template <class Block>
[[nodiscard]] inline Block block_at(const packed_matrix& w, std::size_t r,
                                    std::size_t b) {
  using packed = packed_block<Block>;
  const auto* all = reinterpret_cast<const packed*>(w.strip(r / strip_rows));
  return unpack_block(all[b / packed::blocks], b % packed::blocks,
                      r % strip_rows);
}

// Columns [k, k + 32) of row r as f32, fewer at the end of unquantized rows;
// returns how many.
inline std::size_t weights(const packed_matrix& w, std::size_t r, std::size_t k,
                           float* out) {
  const std::size_t n = std::min(group_size, w.cols - k);
  const std::byte* strip = w.strip(r / strip_rows);
  for (std::size_t i = 0; i < n && !is_quantized(w.type); ++i) {
    const std::size_t at = (k + i) * strip_rows + r % strip_rows;
    out[i] = w.type == dtype::f32   ? load<float>(strip, at)
             : w.type == dtype::f16 ? to_float(load<f16>(strip, at))
                                    : to_float(load<bf16>(strip, at));
  }
  if (is_quantized(w.type)) {
    with_block(w.type, [&](auto type) {
      const auto b = block_at<decltype(type)>(w, r, k / type.columns);
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t at = (k + i) % type.columns;
        out[i] = scale(b, at) * static_cast<float>(level(b, at)) - min(b, at);
      }
    });
  }
  return n;
}

// ---- Activations of the integer path

// Where token t of x lives: its tile's arrays start at begin tokens.
struct tile_place {
  std::size_t begin, tokens, lane;
};

[[nodiscard]] inline tile_place place_of(const q8_activations& x,
                                         std::size_t t) {
  const std::size_t begin = t / tile_tokens * tile_tokens;
  return {begin, std::min(tile_tokens, x.m - begin), t - begin};
}

// Rounds n values to integers of at most `steps` and returns their scale,
// x = scale * q; NaN if one is not finite, 0 if all are too small to have an
// inverse scale.
inline float quantize_vector(const float* x, std::size_t n, std::int8_t* q,
                             float steps = 127) {
  float max = 0;
  bool finite = true;
  for (std::size_t i = 0; i < n; ++i) {
    max = std::max(max, std::fabs(x[i]));
    finite = finite && std::isfinite(x[i]);
  }
  const bool zero = !finite || max < 1e-30f;
  const float inverse = zero ? 0 : steps / max;
  for (std::size_t i = 0; i < n; ++i) {
    q[i] = zero ? 0 : static_cast<std::int8_t>(std::nearbyint(x[i] * inverse));
  }
  if (!finite) return std::numeric_limits<float>::quiet_NaN();
  return zero ? 0 : max / steps;
}

inline void quantize_q8(const float* x, std::size_t n,
                        const q8_activations& out, std::size_t token,
                        std::size_t column) {
  const tile_place at = place_of(out, token);
  std::int8_t q[wide_scale_cols];
  for (std::size_t i = 0; i < n; i += out.scale_cols) {
    const std::size_t some = std::min(out.scale_cols, n - i);
    const float scale = quantize_vector(x + i, some, q);
    for (std::size_t j = 0; j < some; ++j) {
      const std::size_t k = column + i + j, g = j / group_size * group_size;
      out.q[at.begin * out.cols + (k / 4 * at.tokens + at.lane) * 4 + k % 4] =
          q[j];
      const std::size_t place = at.begin * (out.cols / group_size) +
                                k / group_size * at.tokens + at.lane;
      out.scale[place] = scale;
      out.sum[place] = std::accumulate(q, q + some, 0);
      out.half_sum[place] = std::accumulate(q + g, q + g + group_size / 2, 0);
    }
  }
}

// Columns that f(i) makes, in groups.
template <class F>
inline void write_row(std::size_t n, const activation_row& out, const F& f) {
  for (std::size_t i = 0; i < n; i += wide_scale_cols) {
    float x[wide_scale_cols];
    const std::size_t some = std::min(wide_scale_cols, n - i);
    for (std::size_t j = 0; j < some; ++j) x[j] = f(i + j);
    if (out.f32 != nullptr) std::copy(x, x + some, out.f32 + i);
    if (out.q8 == nullptr) continue;
    reference::quantize_q8(x, some, *out.q8, out.token, out.column + i);
  }
}

// ---- Matrix products

// What products of row r of the range are added to.
inline void start_products(const product_rows& out, std::size_t r,
                           std::size_t m) {
  for (std::size_t t = 0; t < m; ++t) {
    float& sum = out.out[t * out.stride + r];
    sum = (out.add ? sum : 0) + (out.bias != nullptr ? out.bias[r] : 0);
  }
}

inline void matmul_f32(const packed_matrix& w, std::size_t strip_begin,
                       std::size_t strip_end, const float* x,
                       std::size_t x_stride, std::size_t m,
                       const product_rows& out) {
  const std::size_t begin = strip_begin * strip_rows;
  const std::size_t end = std::min(w.rows, strip_end * strip_rows);
  for (std::size_t r = begin; r < end; ++r) {
    start_products(out, r - begin, m);
    float row[group_size];
    for (std::size_t k = 0; k < w.cols; k += group_size) {
      const std::size_t n = weights(w, r, k, row);
      for (std::size_t t = 0; t < m; ++t) {
        float& sum = out.out[t * out.stride + r - begin];
        for (std::size_t i = 0; i < n; ++i) {
          sum += row[i] * x[t * x_stride + k + i];
        }
      }
    }
  }
}

// Activation k of token t, and its scale.
[[nodiscard]] inline int activation(const q8_activations& x, std::size_t t,
                                    std::size_t k) {
  const tile_place at = place_of(x, t);
  return x.q[at.begin * x.cols + (k / 4 * at.tokens + at.lane) * 4 + k % 4];
}
[[nodiscard]] inline float activation_scale(const q8_activations& x,
                                            std::size_t t, std::size_t k) {
  const tile_place at = place_of(x, t);
  return x.scale[at.begin * (x.cols / group_size) + k / group_size * at.tokens +
                 at.lane];
}

// Columns [k, k + n) of row r, which get one scale; returns it.
inline float round_weights(const packed_matrix& w, std::size_t r, std::size_t k,
                           std::size_t n, std::int32_t* levels) {
  float max = 0, inverse = 0;
  const auto rounded = [&](float x) {
    const float product = std::nearbyint(x * inverse);
    return std::fabs(product) < 1e9f ? static_cast<std::int64_t>(product) : 0;
  };
  with_block(w.type, [&](auto type) {
    using block_type = decltype(type);
    const auto each = [&](const auto& f) {
      for (std::size_t i = 0; i < n; ++i) {
        const auto b = block_at<block_type>(w, r, (k + i) / type.columns);
        f(i, b, (k + i) % type.columns);
      }
    };
    each([&](std::size_t, const block_type& b, std::size_t at) {
      const float x =
          scale(b, at) * static_cast<float>(level(b, at)) - min(b, at);
      if (!std::isnan(max) && !(std::fabs(x) <= max)) max = std::fabs(x);
    });
    inverse = max >= 1e-30f ? 127 * 256 / max : 0;
    each([&](std::size_t i, const block_type& b, std::size_t at) {
      const std::int64_t fixed =
          level(b, at) * rounded(scale(b, at)) - rounded(min(b, at)) + 128;
      levels[i] = static_cast<std::int32_t>(fixed >> 8);
    });
  });
  return max / 127;
}

// matmul_q8 of activations with wide scales.
inline void matmul_wide(const packed_matrix& w, std::size_t strip_begin,
                        std::size_t strip_end, const q8_activations& x,
                        const product_rows& out) {
  const std::size_t begin = strip_begin * strip_rows;
  const std::size_t end = std::min(w.rows, strip_end * strip_rows);
  for (std::size_t r = begin; r < end; ++r) {
    start_products(out, r - begin, x.m);
    for (std::size_t k = 0; k < w.cols; k += wide_scale_cols) {
      std::int32_t levels[wide_scale_cols];
      const std::size_t n = std::min(wide_scale_cols, w.cols - k);
      const float w_scale = round_weights(w, r, k, n, levels);
      for (std::size_t t = 0; t < x.m; ++t) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < n; ++i) {
          sum += levels[i] * activation(x, t, k + i);
        }
        out.out[t * out.stride + r - begin] +=
            w_scale * activation_scale(x, t, k) * static_cast<float>(sum);
      }
    }
  }
}

inline void matmul_q8(const packed_matrix& w, std::size_t strip_begin,
                      std::size_t strip_end, const q8_activations& x,
                      const product_rows& out) {
  if (!is_quantized(w.type)) return;  // floats have no integer path
  if (x.scale_cols == wide_scale_cols) {
    return matmul_wide(w, strip_begin, strip_end, x, out);
  }
  const std::size_t begin = strip_begin * strip_rows;
  const std::size_t end = std::min(w.rows, strip_end * strip_rows);
  for (std::size_t r = begin; r < end; ++r) {
    start_products(out, r - begin, x.m);
    with_block(w.type, [&](auto block) {
      for (std::size_t k = 0; k < w.cols; k += block.per_scale) {
        const std::size_t in_block = k % block.columns;
        if (in_block == 0) {
          block = block_at<decltype(block)>(w, r, k / block.columns);
        }
        for (std::size_t t = 0; t < x.m; ++t) {
          std::int32_t sum = 0, x_sum = 0;
          for (std::size_t i = 0; i < block.per_scale; ++i) {
            const int q = activation(x, t, k + i);
            sum += level(block, in_block + i) * q;
            x_sum += q;
          }
          const float x_scale = activation_scale(x, t, k);
          out.out[t * out.stride + r - begin] +=
              scale(block, in_block) * x_scale * static_cast<float>(sum) -
              min(block, in_block) * (x_scale * static_cast<float>(x_sum));
        }
      }
    });
  }
}

// ---- Norms, positions, activations

inline void rms_norm(const float* x, const float* weight, float eps,
                     std::size_t n, column_range columns,
                     const activation_row& out) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i] * x[i];
  const float scale = 1 / std::sqrt(sum / static_cast<float>(n) + eps);
  write_row(columns.end - columns.begin, out, [&](std::size_t i) {
    i += columns.begin;
    return x[i] * scale * weight[i];
  });
}

inline void layer_norm(const float* x, const float* weight, const float* bias,
                       float eps, std::size_t n, column_range columns,
                       const activation_row& out) {
  float sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(n);
  float squares = 0;
  for (std::size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float scale = 1 / std::sqrt(squares / static_cast<float>(n) + eps);
  write_row(columns.end - columns.begin, out, [&](std::size_t i) {
    i += columns.begin;
    return (x[i] - mean) * scale * weight[i] + bias[i];
  });
}

inline void rope(float* x, const float* cos, const float* sin,
                 std::size_t half) {
  for (std::size_t i = 0; i < half; ++i) {
    const float a = x[i], b = x[i + half];
    x[i] = a * cos[i] - b * sin[i];
    x[i + half] = b * cos[i] + a * sin[i];
  }
}

inline void swiglu(const float* gate, const float* up, std::size_t n,
                   const activation_row& out) {
  write_row(n, out, [&](std::size_t i) {
    return up[i] * (gate[i] / (1 + std::exp(-gate[i])));
  });
}

inline void gegelu(const float* x, float limit, std::size_t n,
                   const activation_row& out) {
  write_row(n, out, [&](std::size_t i) {
    float a = x[2 * i], b = x[2 * i + 1];
    if (a > limit && !std::isinf(a)) a = limit;
    if (!std::isinf(b)) b = std::clamp(b, -limit, limit);
    return a / (1 + std::exp(-1.702f * a)) * (b + 1);
  });
}

}  // namespace reference
TINYPHI_NAMESPACE_END

#include "tinyphi/kernels/reference_attention.h"

#endif  // TINYPHI_KERNELS_REFERENCE_H_
