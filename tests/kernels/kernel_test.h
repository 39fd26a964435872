// SPDX-License-Identifier: MIT
// Runs checks on every SIMD target of this machine; random inputs.
#ifndef TESTS_KERNELS_KERNEL_TEST_H_
#define TESTS_KERNELS_KERNEL_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "support/effort.h"
#include "support/test.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/tensor/blocks.h"
#include "tinyphi/tensor/quant.h"

namespace tinyphi_test {

// Calls check() with each target forced in turn.
template <class Check>
void on_every_target(const Check& check) {
  for (const std::int64_t target : tinyphi::kernel_targets()) {
    tinyphi::force_kernel_target(target);
    INFO("target " << tinyphi::kernel_target());
    check();
  }
  tinyphi::force_kernel_target(0);
}

inline std::vector<float> random_floats(std::size_t n, unsigned seed,
                                        float scale = 1) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

// Equal as bits, so that NaN equals itself and -0 differs from 0.
inline bool same_bits(const std::vector<float>& a,
                      const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() ||
          std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// The largest |a - b|; infinite where one is NaN and the other is not.
inline float max_difference(const std::vector<float>& a,
                            const std::vector<float>& b) {
  float most = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    if (a[i] == b[i]) continue;
    const float d = std::fabs(a[i] - b[i]);
    most = d > most || std::isnan(d) ? (std::isnan(d) ? INFINITY : d) : most;
  }
  return most;
}

// Rows of `row_bytes` each, stored one after the other, as a packed matrix.
inline tinyphi::packed_matrix packed_from(
    tinyphi::dtype type, std::size_t rows, std::size_t cols,
    const std::vector<std::byte>& stored) {
  auto m = tinyphi::make_packed(type, rows, cols);
  REQUIRE_OK(m);
  const std::size_t bytes = tinyphi::row_bytes(type, cols);
  for (std::size_t s = 0; s < m->n_strips(); ++s) {
    const std::byte* at[tinyphi::strip_rows];
    std::size_t n = 0;
    for (std::size_t r = s * tinyphi::strip_rows;
         r < rows && n < tinyphi::strip_rows; ++r) {
      at[n++] = stored.data() + r * bytes;
    }
    tinyphi::pack_strip(*m, s, at, n);
  }
  return *std::move(m);
}

// A row or rows of blocks with random bytes, after `change`.
template <class Change>
std::vector<std::byte> random_blocks(tinyphi::dtype type, std::size_t bytes,
                                     unsigned seed, const Change& change) {
  std::mt19937 random(seed);
  std::vector<std::byte> all(bytes);
  for (std::byte& b : all) b = static_cast<std::byte>(random());
  tinyphi::with_block(type, [&](auto block) {
    for (std::size_t i = 0; i < bytes; i += sizeof block) {
      std::memcpy(&block, all.data() + i, sizeof block);
      change(block);
      std::memcpy(all.data() + i, &block, sizeof block);
    }
  });
  return all;
}

// Weights of about 1.
inline tinyphi::packed_matrix random_matrix(tinyphi::dtype type,
                                            std::size_t rows, std::size_t cols,
                                            unsigned seed) {
  using namespace tinyphi;
  const std::size_t bytes = row_bytes(type, cols);
  if (!is_quantized(type)) {
    const auto x = random_floats(rows * cols, seed);
    std::vector<std::byte> stored(bytes * rows);
    for (std::size_t r = 0; r < rows; ++r) {
      quantize_row(type, {x.data() + r * cols, cols},
                   {stored.data() + r * bytes, bytes});
    }
    return packed_from(type, rows, cols, stored);
  }
  const auto normalize = [](auto& b) {
    b.d = to_f16(1);
    float most = 1, most_min = 1;
    if constexpr (requires { b.m; }) b.m = to_f16(-1);
    if constexpr (requires { b.dmin; }) b.dmin = to_f16(1);
    for (std::size_t k = 0; k < b.columns; ++k) {
      most = std::max(most,
                      std::fabs(scale(b, k) * static_cast<float>(level(b, k))));
      most_min = std::max(most_min, min(b, k));
    }
    b.d = to_f16(2 / most);
    if constexpr (requires { b.dmin; }) b.dmin = to_f16(1 / most_min);
  };
  return packed_from(type, rows, cols,
                     random_blocks(type, bytes * rows, seed, normalize));
}

// Owns what q8_activations points to.
struct q8_buffers {
  q8_buffers(std::size_t m, std::size_t cols,
             std::size_t scale_cols = tinyphi::group_size)
      : q(m * cols),
        scale(m * cols / 32),
        sum(m * cols / 32),
        half_sum(m * cols / 32) {
    view = {
        m,         cols, q.data(), scale.data(), sum.data(), half_sum.data(),
        scale_cols};
  }
  std::vector<std::int8_t> q;
  std::vector<float> scale;
  std::vector<std::int32_t> sum, half_sum;
  tinyphi::q8_activations view;
};

// Rounds rows of x into tokens [begin, end) of `out`, by the kernel or its
// twin.
template <class Kernel>
void quantize_rows(const Kernel& kernel, const std::vector<float>& x,
                   std::size_t stride, std::size_t begin, std::size_t end,
                   const tinyphi::q8_activations& out) {
  for (std::size_t t = begin; t < end; ++t) {
    kernel(x.data() + t * stride, out.cols, out, t, 0);
  }
}

}  // namespace tinyphi_test

#endif  // TESTS_KERNELS_KERNEL_TEST_H_
