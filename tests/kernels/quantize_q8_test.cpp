// SPDX-License-Identifier: MIT
#include <limits>
#include <utility>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::on_every_target;
using tinyphi_test::q8_buffers;
using tinyphi_test::quantize_rows;
using tinyphi_test::random_floats;
using tinyphi_test::same_bits;

void check_like_reference(const std::vector<float>& x, std::size_t m,
                          std::size_t cols) {
  for (const std::size_t scale_cols : {group_size, wide_scale_cols}) {
    q8_buffers expected(m, cols, scale_cols);
    quantize_rows(reference::quantize_q8, x, cols, 0, m, expected.view);
    on_every_target([&] {
      q8_buffers found(m, cols, scale_cols);
      quantize_rows(quantize_q8, x, cols, 0, m, found.view);
      CHECK(found.q == expected.q);
      CHECK(found.sum == expected.sum);
      CHECK(found.half_sum == expected.half_sum);
      for (std::size_t i = 0; i < found.scale.size(); ++i) {
        const float a = found.scale[i], b = expected.scale[i];
        CHECK((a == b || (std::isnan(a) && std::isnan(b))));
      }
    });
  }
}

TEST_CASE("activations round bit-equal to the reference") {
  for (const std::size_t m : {1u, 2u, 11u, 12u, 13u, 31u}) {
    for (const std::size_t cols : {32u, 64u, 96u, 320u}) {
      INFO(m << " x " << cols);
      check_like_reference(random_floats(m * cols, 3, 5.f), m, cols);
    }
  }
}

TEST_CASE("ties, zeros and extremes round bit-equal to the reference") {
  std::vector<float> x(4 * 32);
  for (std::size_t i = 0; i < 32; ++i) {
    x[i] = i == 0 ? 127.f : static_cast<float>(i) - 16.5f;  // ties
    x[64 + i] = 1e-31f;
    x[96 + i] = i % 2 == 0 ? 3e38f : -3e38f;
  }
  check_like_reference(x, 4, 32);
  q8_buffers tiles(4, 32);
  quantize_rows(quantize_q8, x, 32, 0, 4, tiles.view);
  CHECK(tiles.q[16] == -12);  // token 0, column 4: -12.5 is a tie, to even
  CHECK(tiles.scale[0] == 1.f);
  CHECK(tiles.scale[1] == 0.f);
  CHECK(tiles.scale[2] == 0.f);  // too small for an inverse
}

TEST_CASE("a group with NaN or infinity gets the scale NaN") {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<float> x(64, 1.f);
    x[40] = -bad;
    check_like_reference(x, 1, 64);
    q8_buffers found(1, 64);
    quantize_rows(quantize_q8, x, 64, 0, 1, found.view);
    CHECK(found.scale[0] == 1.f / 127);
    CHECK(std::isnan(found.scale[1]));
  }
}

TEST_CASE("wide scales serve 128 columns, or what is left of a row") {
  std::vector<float> x(2 * 160, 1.f);
  x[100] = -254;  // token 0
  x[150] = 127;
  q8_buffers found(2, 160, wide_scale_cols);
  quantize_rows(quantize_q8, x, 160, 0, 2, found.view);
  for (std::size_t g = 0; g < 5; ++g) {
    CHECK(found.scale[2 * g] == (g < 4 ? 2.f : 1.f));
    CHECK(found.sum[2 * g] == (g < 4 ? -127 : 127 + 31));
    CHECK(found.scale[2 * g + 1] == 1.f / 127);
    CHECK(found.sum[2 * g + 1] == 127 * (g < 4 ? 128 : 32));
  }
}

TEST_CASE("tokens may be rounded in parts, and tiles taken out") {
  const std::size_t m = 29, cols = 96, stride = 100;
  const auto x = random_floats(m * stride, 9);
  q8_buffers whole(m, cols), parts(m, cols);
  quantize_rows(quantize_q8, x, stride, 0, m, whole.view);
  for (std::size_t t = 0; t < m; ++t) {
    const float* row = x.data() + t * stride;
    quantize_q8(row + 32, 64, parts.view, t, 32);
    quantize_q8(row, 32, parts.view, t, 0);
  }
  CHECK(parts.q == whole.q);
  CHECK(parts.sum == whole.sum);
  CHECK(parts.half_sum == whole.half_sum);
  CHECK(same_bits(parts.scale, whole.scale));

  // Tokens of some tiles are rounded to the same places.
  q8_buffers tiles(m, cols);
  for (const auto& [begin, end] : {std::pair(0, 24), std::pair(24, 29)}) {
    const auto first = static_cast<std::size_t>(begin);
    const auto n = static_cast<std::size_t>(end) - first;
    const std::vector<float> some(x.data() + first * stride,
                                  x.data() + (first + n) * stride);
    quantize_rows(quantize_q8, some, stride, 0, n,
                  tiles.view.tokens(first, first + n));
  }
  CHECK(tiles.q == whole.q);
  CHECK(tiles.sum == whole.sum);
  CHECK(tiles.half_sum == whole.half_sum);
  CHECK(same_bits(tiles.scale, whole.scale));
}

}  // namespace
}  // namespace tinyphi
