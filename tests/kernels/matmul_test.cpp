// SPDX-License-Identifier: MIT
// Matrix products against the reference, and the promise that one row or many,
// one call or several give the same bits.
#include <limits>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::max_difference;
using tinyphi_test::on_every_target;
using tinyphi_test::q8_buffers;
using tinyphi_test::random_floats;
using tinyphi_test::random_matrix;
using tinyphi_test::same_bits;

struct shape {
  std::size_t m, rows, cols;
};

const shape shapes[] = {
    {1, 1, 32},   {1, 16, 64},  {1, 70, 96},  {2, 33, 32},   {3, 17, 160},
    {4, 64, 64},  {5, 31, 96},  {7, 70, 320}, {11, 16, 288}, {12, 32, 64},
    {13, 40, 96}, {24, 15, 32}, {40, 70, 96}, {97, 33, 544}, {200, 48, 64},
};

std::vector<float> product_f32(const packed_matrix& w, std::size_t begin,
                               std::size_t end, const std::vector<float>& x,
                               std::size_t m) {
  std::vector<float> out(m * w.rows, -7.f);
  matmul_f32(w, begin, end, x.data(), w.cols, m, out.data(), w.rows);
  return out;
}

std::vector<float> product_q8(const packed_matrix& w, std::size_t begin,
                              std::size_t end, const std::vector<float>& x,
                              std::size_t m) {
  std::vector<float> out(m * w.rows, -7.f);
  q8_buffers rounded(m, w.cols);
  quantize_q8(x.data(), w.cols, 0, m, rounded.view);
  matmul_q8(w, begin, end, rounded.view, out.data(), w.rows);
  return out;
}

// What rounding may add up to over a row: values are about 1.
float tolerance(std::size_t cols) { return 2e-6f * static_cast<float>(cols); }

TEST_CASE("matmul_f32 computes what the reference does, for every type") {
  for (const dtype_info& type : dtypes) {
    for (const shape& s : shapes) {
      const auto w = random_matrix(type.type, s.rows, s.cols, 1);
      const auto x = random_floats(s.m * s.cols, 2);
      std::vector<float> expected(s.m * s.rows);
      reference::matmul_f32(w, 0, w.n_strips(), x.data(), s.cols, s.m,
                            expected.data(), s.rows);
      on_every_target([&] {
        INFO(type.name << " " << s.m << " x " << s.rows << " x " << s.cols);
        const auto found = product_f32(w, 0, w.n_strips(), x, s.m);
        CHECK(max_difference(found, expected) <= tolerance(s.cols));
      });
    }
  }
}

TEST_CASE("matmul_f32 takes rows of any length") {
  for (const std::size_t cols : {1u, 7u, 40u, 65u, 129u}) {
    for (const dtype type : {dtype::f32, dtype::f16, dtype::bf16}) {
      const auto w = random_matrix(type, 20, cols, 1);
      const auto x = random_floats(14 * cols, 2);
      std::vector<float> expected(14 * 20);
      reference::matmul_f32(w, 0, 2, x.data(), cols, 14, expected.data(), 20);
      on_every_target([&] {
        INFO(to_string(type) << " " << cols);
        CHECK(max_difference(product_f32(w, 0, 2, x, 14), expected) <=
              tolerance(cols));
      });
    }
  }
}

TEST_CASE("matmul_q8 computes what the reference does") {
  for (const dtype type : {dtype::q8_0, dtype::q4_0}) {
    for (const shape& s : shapes) {
      const auto w = random_matrix(type, s.rows, s.cols, 1);
      const auto x = random_floats(s.m * s.cols, 2);
      std::vector<float> expected(s.m * s.rows);
      q8_buffers rounded(s.m, s.cols);
      reference::quantize_q8(x.data(), s.cols, 0, s.m, rounded.view);
      reference::matmul_q8(w, 0, w.n_strips(), rounded.view, expected.data(),
                           s.rows);
      on_every_target([&] {
        INFO(to_string(type)
             << " " << s.m << " x " << s.rows << " x " << s.cols);
        const auto found = product_q8(w, 0, w.n_strips(), x, s.m);
        CHECK(max_difference(found, expected) <= tolerance(s.cols));
      });
    }
  }
}

// One group, scales 1: the result is the integer sum itself.
TEST_CASE("integer sums are exact for all weights and activations") {
  for (const dtype type : {dtype::q8_0, dtype::q4_0}) {
    for (const std::size_t m : {1u, 4u, 13u}) {
      const std::size_t rows = 48;
      auto w = random_matrix(type, rows, 32, 5);
      std::mt19937 random(11);
      for (std::size_t s = 0; s < w.n_strips(); ++s) {
        for (std::size_t r = 0; r < 16; ++r) {
          w.own_strip(s)[2 * r] = std::byte{0};
          w.own_strip(s)[2 * r + 1] = std::byte{0x3C};  // 1.0
        }
        // Strip 1 all ones, strip 2 all zeros: the largest magnitudes.
        const std::size_t bytes = type == dtype::q8_0 ? 512 : 256;
        for (std::size_t i = 64; i < 64 + bytes; ++i) {
          w.own_strip(s)[i] = s == 0   ? static_cast<std::byte>(random())
                              : s == 1 ? std::byte{0xFF}
                                       : std::byte{0};
        }
      }
      q8_buffers x(m, 32);
      for (std::size_t t = 0; t < m; ++t) x.scale[t] = 1;
      for (std::size_t t = 0; t < m; ++t) {
        const auto at = reference::place_of(x.view, t);
        for (std::size_t k = 0; k < 32; ++k) {
          const int q = t % 3 == 0   ? static_cast<int>(random() % 255) - 127
                        : t % 3 == 1 ? 127
                                     : -127;
          x.q[at.begin * 32 + (k / 4 * at.tokens + at.lane) * 4 + k % 4] =
              static_cast<std::int8_t>(q);
          x.sum[at.begin + at.lane] += q;
          if (k < 16) x.half_sum[at.begin + at.lane] += q;
        }
      }
      on_every_target([&] {
        INFO(to_string(type) << " m " << m);
        std::vector<float> out(m * rows);
        matmul_q8(w, 0, w.n_strips(), x.view, out.data(), rows);
        for (std::size_t t = 0; t < m; ++t) {
          for (std::size_t r = 0; r < rows; ++r) {
            const auto exact = reference::group_sum(w, r, x.view, t, 0);
            REQUIRE(out[t * rows + r] == static_cast<float>(exact));
          }
        }
      });
    }
  }
}

template <class Product>
void check_same_bits(const packed_matrix& w, const Product& product) {
  const std::size_t most = 40;
  const auto x = random_floats(most * w.cols, 4);
  on_every_target([&] {
    const auto whole = product(w, 0, w.n_strips(), x, most);
    for (const std::size_t m :
         {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 11u, 12u, 13u, 27u}) {
      INFO(to_string(w.type) << " m " << m);
      const auto first = std::vector<float>(
          whole.begin(),
          whole.begin() + static_cast<std::ptrdiff_t>(m * w.rows));
      CHECK(same_bits(product(w, 0, w.n_strips(), x, m), first));
    }
    for (const std::size_t step : {1u, 2u, 3u}) {
      for (const std::size_t m : {std::size_t{1}, most}) {
        INFO(to_string(w.type) << " m " << m << " in ranges of " << step);
        std::vector<float> joined(m * w.rows);
        for (std::size_t s = 0; s < w.n_strips(); s += step) {
          const std::size_t end = std::min(w.n_strips(), s + step);
          const auto part = product(w, s, end, x, m);
          for (std::size_t t = 0; t < m; ++t) {
            for (std::size_t r = 0; r < w.rows; ++r) {
              const bool inside = r / strip_rows >= s && r / strip_rows < end;
              const float value = part[t * w.rows + r];
              if (inside) joined[t * w.rows + r] = value;
              if (!inside) REQUIRE(value == -7.f);  // not written
            }
          }
        }
        CHECK(same_bits(joined, product(w, 0, w.n_strips(), x, m)));
      }
    }
  });
}

TEST_CASE("a row has the same bits alone and among others, in any split") {
  for (const dtype_info& type : dtypes) {
    check_same_bits(random_matrix(type.type, 103, 352, 8), product_f32);
  }
  for (const dtype type : {dtype::q8_0, dtype::q4_0}) {
    check_same_bits(random_matrix(type, 103, 352, 8), product_q8);
  }
}

TEST_CASE("rows and results may lie in wider arrays") {
  const auto w = random_matrix(dtype::f32, 20, 24, 8);
  const auto x = random_floats(3 * 30, 4);
  std::vector<float> expected(3 * 25, -7.f), found = expected;
  reference::matmul_f32(w, 0, 2, x.data(), 30, 3, expected.data(), 25);
  on_every_target([&] {
    matmul_f32(w, 0, 2, x.data(), 30, 3, found.data(), 25);
    CHECK(max_difference(found, expected) < 1e-5f);
  });
}

TEST_CASE("no tokens and no strips are nothing to do") {
  const auto w = random_matrix(dtype::q8_0, 16, 32, 8);
  q8_buffers none(0, 32), one(1, 32);
  on_every_target([&] {
    float out = 5;
    matmul_f32(w, 0, 1, nullptr, 32, 0, &out, 16);
    matmul_q8(w, 0, 1, none.view, &out, 16);
    matmul_q8(w, 1, 1, one.view, &out, 16);
    CHECK(out == 5);
  });
}

TEST_CASE("NaN in a token reaches all its results and no other token") {
  auto x = random_floats(14 * 64, 4);
  x[5 * 64 + 40] = std::numeric_limits<float>::quiet_NaN();
  for (const dtype type : {dtype::q8_0, dtype::q4_0}) {
    const auto w = random_matrix(type, 20, 64, 8);
    on_every_target([&] {
      for (const auto& out :
           {product_f32(w, 0, 2, x, 14), product_q8(w, 0, 2, x, 14)}) {
        for (std::size_t i = 0; i < out.size(); ++i) {
          REQUIRE(std::isnan(out[i]) == (i / 20 == 5));
        }
      }
    });
  }
}

}  // namespace
}  // namespace tinyphi
