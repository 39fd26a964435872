// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_RANDOM_WEIGHTS_IPP_
#define TINYPHI_MODEL_RANDOM_WEIGHTS_IPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "tinyphi/base/half.h"
#include "tinyphi/model/weights.h"
#include "tinyphi/tensor/blocks.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Gives a block of random levels and sub-scales mean 0 and about deviation
// `unit`.
template <class Block>
inline void set_scales(Block& b, float unit) {
  b.d = to_f16(1);
  if constexpr (requires { b.m; }) b.m = to_f16(0);
  if constexpr (requires { b.dmin; }) b.dmin = to_f16(0);
  float sum = 0, squares = 0, mins = 0;
  for (std::size_t k = 0; k < b.columns; ++k) {
    const float x = scale(b, k) * static_cast<float>(level(b, k));
    sum += x;
    squares += x * x;
  }
  const float n = static_cast<float>(b.columns);
  const float mean = sum / n, deviation = std::sqrt(squares / n - mean * mean);
  const float d = unit / std::max(deviation, 1e-3f);
  b.d = to_f16(d);
  if constexpr (requires { b.m; }) b.m = to_f16(-mean * d);
  if constexpr (requires { b.dmin; }) {
    b.dmin = to_f16(1);
    for (std::size_t k = 0; k < b.columns; ++k) mins += min(b, k);
    b.dmin = to_f16(mean * d / std::max(mins / n, 1e-3f));
  }
}

// Random rows of `type` whose products with unit-variance inputs have about
// unit variance. xorshift64*, one stream per row, so that any thread may make
// any row.
inline void random_row(dtype type, std::size_t cols, std::uint64_t seed,
                       std::span<std::byte> out) {
  std::uint64_t state = seed * 0x9E3779B97F4A7C15u + 0x2545F4914F6CDD1Du;
  const auto next = [&] {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Du;
  };
  for (std::size_t i = 0; i < out.size(); i += 8) {
    const std::uint64_t bits = next();
    std::memcpy(out.data() + i, &bits,
                std::min<std::size_t>(8, out.size() - i));
  }
  const float unit = 1.0f / std::sqrt(static_cast<float>(cols));
  if (is_quantized(type)) {
    with_block(type, [&](auto block) {
      for (std::size_t b = 0; b < out.size(); b += sizeof block) {
        std::memcpy(&block, out.data() + b, sizeof block);
        set_scales(block, unit);
        std::memcpy(out.data() + b, &block, sizeof block);
      }
    });
    return;
  }
  std::vector<float> values(cols);
  for (float& v : values) {
    v = unit * 3.46f * (static_cast<float>(next() >> 40) * 0x1p-24f - 0.5f);
  }
  quantize_row(type, values, out);
}

inline result<linear> random_linear(dtype type, std::size_t rows,
                                    std::size_t cols, std::uint64_t seed,
                                    bool bias, team& threads) {
  if (cols % info(type).block_size != 0) {
    return error{error_code::invalid_argument,
                 std::string(to_string(type)) +
                     " needs rows of a multiple of " +
                     std::to_string(info(type).block_size) + ", not " +
                     std::to_string(cols)};
  }
  linear l;
  TINYPHI_TRY(l.w, make_packed(type, rows, cols));
  threads.run(l.w.n_strips(), 4, [&](std::size_t begin, std::size_t end) {
    const std::size_t n_bytes = row_bytes(type, cols);
    std::vector<std::byte> bytes(strip_rows * n_bytes);
    for (std::size_t s = begin; s < end; ++s) {
      std::array<const std::byte*, strip_rows> strip{};
      const std::size_t n = std::min(strip_rows, rows - s * strip_rows);
      for (std::size_t i = 0; i < n; ++i) {
        const auto row = std::span(bytes).subspan(i * n_bytes, n_bytes);
        random_row(type, cols, seed + s * strip_rows + i, row);
        strip[i] = row.data();
      }
      pack_strip(l.w, s, strip.data(), n);
    }
  });
  if (bias) l.bias.assign(rows, 0.0f);
  return l;
}

}  // namespace detail

TINYPHI_FUNC result<void> randomize_weights(model_weights& w, dtype type,
                                            std::uint64_t seed,
                                            const load_options& options) {
  const model_config& c = w.config;
  team threads(options.n_threads);
  const bool small = c.arch == architecture::phi3_small;
  const norm_weights norm{std::vector<float>(c.hidden, 1.0f),
                          std::vector<float>(small ? c.hidden : 0, 0.0f)};
  std::uint64_t matrices = 0;
  w.memory = options.budget.lease(memory_use::weights);
  const auto count = [&](std::size_t bytes) {
    return w.memory.resize(w.memory.bytes() + bytes, "random weights");
  };
  const auto random = [&](std::size_t rows,
                          std::size_t cols) -> result<linear> {
    TINYPHI_TRY(const std::size_t bytes, packed_bytes(type, rows, cols));
    TINYPHI_CHECK_OK(count(bytes));
    return detail::random_linear(type, rows, cols, seed + (matrices++ << 32),
                                 small, threads);
  };
  const std::size_t n_bytes = row_bytes(type, c.hidden);
  TINYPHI_CHECK_OK(count(c.vocab_size * n_bytes));
  TINYPHI_TRY(w.embedding_storage,
              aligned_array<std::byte>::create(c.vocab_size * n_bytes));
  threads.run(c.vocab_size, 256, [&](std::size_t begin, std::size_t end) {
    for (std::size_t r = begin; r < end; ++r) {
      detail::random_row(
          type, c.hidden, ~seed - r,
          w.embedding_storage.span().subspan(r * n_bytes, n_bytes));
    }
  });
  w.embedding = {
      "embedding", type, {c.vocab_size, c.hidden}, w.embedding_storage.span()};
  const std::size_t q_rows = std::size_t{c.n_heads} * c.head_dim;
  const std::size_t kv_rows = std::size_t{c.n_kv_heads} * c.head_dim;
  for (std::size_t i = 0; i < c.n_layers; ++i) {
    TINYPHI_CHECK_OK(options.stop.check());
    layer_weights l{norm, {}, {}, norm, {}, {}};
    TINYPHI_TRY(l.qkv, random(q_rows + 2 * kv_rows, c.hidden));
    TINYPHI_TRY(l.attention_out, random(c.hidden, q_rows));
    TINYPHI_TRY(l.gate_up, random(std::size_t{2} * c.intermediate, c.hidden));
    TINYPHI_TRY(l.ffn_down, random(c.hidden, c.intermediate));
    w.layers.push_back(std::move(l));
    if (options.progress) {
      options.progress(static_cast<double>(i + 1) / c.n_layers);
    }
  }
  w.final_norm = norm;
  TINYPHI_TRY(w.lm_head, random(c.vocab_size, c.hidden));
  w.lm_head.bias.clear();
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_RANDOM_WEIGHTS_IPP_
