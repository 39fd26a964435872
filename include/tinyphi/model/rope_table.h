// SPDX-License-Identifier: MIT
// Rotation angles of positions, for plain rope and both of longrope's factor
// sets (transformers: modeling_rope_utils.py).
#ifndef TINYPHI_MODEL_ROPE_TABLE_H_
#define TINYPHI_MODEL_ROPE_TABLE_H_

#include <cmath>
#include <cstddef>
#include <vector>

#include "tinyphi/model/model_config.h"

TINYPHI_NAMESPACE_BEGIN

// inv_freq[i] = 1 / (factor[i] * theta^(2i / rotary_dim)), in f32 like the
// original: an angle is position * inv_freq rounded to f32.
struct rope_table {
  std::vector<float> inv_freq;  // rotary_dim / 2
  float scale = 1.0f;           // multiplies cos and sin
  float position_scale = 1.0f;

  // Fills cos and sin, rotary_dim / 2 each, for one position.
  void angles(std::size_t position, float* cos, float* sin) const {
    const float at = static_cast<float>(position) / position_scale;
    for (std::size_t i = 0; i < inv_freq.size(); ++i) {
      const float angle = at * inv_freq[i];
      cos[i] = std::cos(angle) * scale;
      sin[i] = std::sin(angle) * scale;
    }
  }
};

[[nodiscard]] inline rope_table make_rope_table(const rope_config& rope,
                                                bool long_factors) {
  const std::vector<float>& factors =
      long_factors ? rope.long_factors : rope.short_factors;
  rope_table table;
  table.position_scale = rope.position_scale;
  table.scale = long_factors ? rope.long_scale : rope.short_scale;
  for (std::size_t i = 0; i < rope.rotary_dim / 2; ++i) {
    const float exponent =
        static_cast<float>(2 * i) / static_cast<float>(rope.rotary_dim);
    const float factor = factors.empty() ? 1.0f : factors[i];
    table.inv_freq.push_back(1.0f / (factor * std::pow(rope.theta, exponent)));
  }
  return table;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_ROPE_TABLE_H_
