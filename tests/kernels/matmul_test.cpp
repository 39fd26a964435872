// SPDX-License-Identifier: MIT
// Matrix products against the reference, and the promise that one row or many,
// one call or several give the same bits.
#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::effort;
using tinyphi_test::max_difference;
using tinyphi_test::on_every_target;
using tinyphi_test::packed_from;
using tinyphi_test::q8_buffers;
using tinyphi_test::quantize_rows;
using tinyphi_test::random_blocks;
using tinyphi_test::random_floats;
using tinyphi_test::random_matrix;
using tinyphi_test::same_bits;
using tinyphi_test::sweep_rounds;

struct shape {
  std::size_t m, rows, cols;
};

const shape shapes[] = {
    {1, 1, 32},   {1, 16, 64},  {1, 70, 96},  {2, 33, 32},   {3, 17, 160},
    {4, 64, 64},  {5, 31, 96},  {7, 70, 320}, {11, 16, 288}, {12, 32, 64},
    {13, 40, 96}, {24, 15, 32}, {40, 70, 96}, {97, 33, 544}, {200, 48, 64},
};

// With whole blocks.
std::vector<shape> shapes_of(dtype type) {
  const std::size_t block = info(type).block_size;
  std::vector<shape> all(std::begin(shapes), std::end(shapes));
  for (shape& s : all) s.cols = (s.cols + block - 1) / block * block;
  return all;
}

std::vector<dtype> quantized_types() {
  std::vector<dtype> all;
  for (const dtype_info& d : dtypes) {
    if (is_quantized(d.type)) all.push_back(d.type);
  }
  return all;
}

std::vector<float> product_f32(const packed_matrix& w, std::size_t begin,
                               std::size_t end, const std::vector<float>& x,
                               std::size_t m) {
  std::vector<float> out(m * w.rows, -7.f);
  matmul_f32(w, begin, end, x.data(), w.cols, m,
             {out.data() + begin * strip_rows, w.rows});
  return out;
}

std::vector<float> product_rounded(const packed_matrix& w, std::size_t begin,
                                   std::size_t end, const std::vector<float>& x,
                                   std::size_t m, std::size_t scale_cols) {
  std::vector<float> out(m * w.rows, -7.f);
  q8_buffers rounded(m, w.cols, scale_cols);
  quantize_rows(quantize_q8, x, w.cols, 0, m, rounded.view);
  matmul_q8(w, begin, end, rounded.view,
            {out.data() + begin * strip_rows, w.rows});
  return out;
}

std::vector<float> product_q8(const packed_matrix& w, std::size_t begin,
                              std::size_t end, const std::vector<float>& x,
                              std::size_t m) {
  return product_rounded(w, begin, end, x, m, group_size);
}

std::vector<float> product_wide(const packed_matrix& w, std::size_t begin,
                                std::size_t end, const std::vector<float>& x,
                                std::size_t m) {
  return product_rounded(w, begin, end, x, m, wide_scale_cols);
}

// What rounding may add up to over a row: values are about 1.
float tolerance(std::size_t cols) { return 2e-6f * static_cast<float>(cols); }

TEST_CASE("matmul_f32 computes what the reference does, for every type") {
  for (const dtype_info& type : dtypes) {
    for (const shape& s : shapes_of(type.type)) {
      const auto w = random_matrix(type.type, s.rows, s.cols, 1);
      const auto x = random_floats(s.m * s.cols, 2);
      std::vector<float> expected(s.m * s.rows);
      reference::matmul_f32(w, 0, w.n_strips(), x.data(), s.cols, s.m,
                            {expected.data(), s.rows});
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
      reference::matmul_f32(w, 0, 2, x.data(), cols, 14, {expected.data(), 20});
      on_every_target([&] {
        INFO(to_string(type) << " " << cols);
        CHECK(max_difference(product_f32(w, 0, 2, x, 14), expected) <=
              tolerance(cols));
      });
    }
  }
}

TEST_CASE("matmul_q8 computes what the reference does") {
  for (const dtype type : quantized_types()) {
    for (const shape& s : shapes_of(type)) {
      const auto w = random_matrix(type, s.rows, s.cols, 1);
      const auto x = random_floats(s.m * s.cols, 2);
      std::vector<float> expected(s.m * s.rows);
      q8_buffers rounded(s.m, s.cols);
      quantize_rows(reference::quantize_q8, x, s.cols, 0, s.m, rounded.view);
      reference::matmul_q8(w, 0, w.n_strips(), rounded.view,
                           {expected.data(), s.rows});
      on_every_target([&] {
        INFO(to_string(type)
             << " " << s.m << " x " << s.rows << " x " << s.cols);
        const auto found = product_q8(w, 0, w.n_strips(), x, s.m);
        CHECK(max_difference(found, expected) <= tolerance(s.cols));
      });
    }
  }
}

// Of rows with one scale: one sum of integers, rounded once.
TEST_CASE("wide products have the reference's levels, scales and sums") {
  for (const dtype type : quantized_types()) {
    for (const shape& s : shapes_of(type)) {
      const auto w = random_matrix(type, s.rows, s.cols, 1);
      const auto x = random_floats(s.m * s.cols, 2);
      for (std::size_t k = 0; k < s.cols;
           k += effort(1u, 3u) * wide_scale_cols) {
        auto some = x;  // zero but in columns [k, k + 128)
        for (std::size_t i = 0; i < some.size(); ++i) {
          if (i % s.cols / wide_scale_cols != k / wide_scale_cols) some[i] = 0;
        }
        q8_buffers rounded(s.m, s.cols, wide_scale_cols);
        quantize_rows(reference::quantize_q8, some, s.cols, 0, s.m,
                      rounded.view);
        std::vector<float> expected(s.m * s.rows);
        reference::matmul_q8(w, 0, w.n_strips(), rounded.view,
                             {expected.data(), s.rows});
        on_every_target([&] {
          INFO(to_string(type) << " " << s.m << " x " << s.rows << " x "
                               << s.cols << " from " << k);
          REQUIRE(
              same_bits(product_wide(w, 0, w.n_strips(), some, s.m), expected));
        });
      }
    }
  }
}

TEST_CASE("wide scales change products by less than 2 %") {
  const std::size_t rows = 48, cols = 1024, m = 25;
  const auto x = random_floats(m * cols, 2);
  for (const dtype type : quantized_types()) {
    const auto w = random_matrix(type, rows, cols, 1);
    on_every_target([&] {
      INFO(to_string(type));
      const auto exact = product_f32(w, 0, 3, x, m);
      const auto wide = product_wide(w, 0, 3, x, m);
      double error = 0, size = 0;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        error += std::pow(wide[i] - exact[i], 2);
        size += std::pow(exact[i], 2);
      }
      CHECK(std::sqrt(error / size) < 0.02);
    });
  }
}

// Scales and mins of 1.
struct unit_scales {
  template <class Block>
  void operator()(Block& b) const {
    b.d = to_f16(1);
    if constexpr (requires { b.m; }) b.m = to_f16(1);
    if constexpr (requires { b.dmin; }) b.dmin = to_f16(1);
    if constexpr (requires { b.scales_l; }) {
      std::fill_n(b.scales_l, 4, 0x11);
      b.scales_h = 0xAAAA;
    } else if constexpr (requires { b.hmask; }) {
      std::fill_n(b.scales, 8, 0x11);
      std::fill_n(b.scales + 8, 4, 0xAA);
    } else if constexpr (requires { b.ql; }) {
      std::fill_n(b.scales, 16, 1);
    } else if constexpr (requires { b.scales; }) {
      std::fill(std::begin(b.scales), std::end(b.scales), 0x11);
      if constexpr (sizeof b.scales == 12) std::fill_n(b.scales, 8, 1);
    }
  }
};

// All arithmetic is then in integers below 2^24, so that equal sums are equal
// results, bit for bit. Levels and activations are random or at their ends.
TEST_CASE("integer sums are exact for random shapes") {
  std::mt19937 random(11);
  const auto up_to = [&](std::size_t n) { return 1 + random() % n; };
  for (const dtype type : quantized_types()) {
    const auto rounds = static_cast<std::size_t>(sweep_rounds(1000, 20000));
    for (std::size_t i = 0; i < rounds; ++i) {
      const std::size_t cols = info(type).block_size == 256
                                   ? 256 * (1 + i % 32 / 31)
                                   : 32 * up_to(i % 16 == 0 ? 24 : 4);
      const std::size_t m = i % 4 == 0 ? 1 : up_to(i % 16 == 1 ? 26 : 9);
      const std::size_t rows = up_to(i % 8 == 0 ? 90 : 20);
      const std::uint32_t ends = i % 3 == 0 ? 0u : i % 3 == 1 ? ~0u : 1u;
      const auto w = packed_from(
          type, rows, cols,
          random_blocks(type, rows * row_bytes(type, cols),
                        static_cast<unsigned>(i), [&](auto& b) {
                          if (ends != 1) {
                            std::memset(static_cast<void*>(&b),
                                        static_cast<int>(ends & 255), sizeof b);
                          }
                          unit_scales()(b);
                        }));
      q8_buffers x(m, cols);
      for (std::size_t t = 0; t < m; ++t) {
        const auto at = reference::place_of(x.view, t);
        for (std::size_t k = 0; k < cols; ++k) {
          const int q = (t + i / 3) % 3 == 0
                            ? static_cast<int>(random() % 255) - 127
                        : (t + i) % 2 == 0 ? 127
                                           : -127;
          const std::size_t g =
              at.begin * (cols / 32) + k / 32 * at.tokens + at.lane;
          x.q[at.begin * cols + (k / 4 * at.tokens + at.lane) * 4 + k % 4] =
              static_cast<std::int8_t>(q);
          x.scale[g] = 1;
          x.sum[g] += q;
          if (k % 32 < 16) x.half_sum[g] += q;
        }
      }
      std::vector<float> expected(m * rows);
      reference::matmul_q8(w, 0, w.n_strips(), x.view, {expected.data(), rows});
      on_every_target([&] {
        INFO(to_string(type) << " " << m << " x " << rows << " x " << cols);
        std::vector<float> out(m * rows);
        matmul_q8(w, 0, w.n_strips(), x.view, {out.data(), rows});
        REQUIRE(same_bits(out, expected));
      });
    }
  }
}

TEST_CASE("matmul_f32 multiplies dequantized weights, to the bit") {
  std::vector<float> one(512);
  for (const dtype type : quantized_types()) {
    const std::size_t cols = info(type).block_size == 256 ? 512 : 96;
    const std::size_t bytes = row_bytes(type, cols);
    // Any bytes but infinities and NaN, which would reach all columns.
    const auto stored = random_blocks(type, 20 * bytes, 3, [](auto& b) {
      const auto finite = [](f16& h) {
        if ((h.bits & 0x7C00) == 0x7C00) h.bits ^= 0x4000;
      };
      finite(b.d);
      if constexpr (requires { b.m; }) finite(b.m);
      if constexpr (requires { b.dmin; }) finite(b.dmin);
    });
    const auto w = packed_from(type, 20, cols, stored);
    std::vector<float> row(cols);
    on_every_target([&] {
      INFO(to_string(type));
      for (std::size_t k = 0; k < cols; k += 7) {
        one.assign(cols, 0);
        one[k] = 1;
        const auto found = product_f32(w, 0, 2, one, 1);
        for (std::size_t r = 0; r < 20; ++r) {
          dequantize_row(type, {stored.data() + r * bytes, bytes}, row);
          REQUIRE(found[r] == row[k]);
        }
      }
    });
  }
}

TEST_CASE("halves of all bits are the numbers that they are") {
  const std::size_t n = 1 << 16;
  for (const dtype type : {dtype::f16, dtype::bf16}) {
    std::vector<std::byte> stored(2 * n);
    std::vector<float> expected(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = static_cast<std::uint16_t>(i);
      std::memcpy(stored.data() + 2 * i, &bits, 2);
    }
    dequantize_row(type, stored, expected);
    const auto w = packed_from(type, n, 1, stored);
    on_every_target([&] {
      INFO(to_string(type));
      CHECK(max_difference(product_f32(w, 0, w.n_strips(), {1.f}, 1),
                           expected) == 0);
    });
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
    const std::size_t cols = type.block_size == 256 ? 512 : 352;
    const auto w = random_matrix(type.type, 103, cols, 8);
    check_same_bits(w, product_f32);
    if (!is_quantized(type.type)) continue;
    check_same_bits(w, product_q8);
    check_same_bits(w, product_wide);
  }
}

TEST_CASE("rows and results may lie in wider arrays") {
  const auto w = random_matrix(dtype::f32, 20, 24, 8);
  const auto x = random_floats(3 * 30, 4);
  std::vector<float> expected(3 * 25, -7.f), found = expected;
  reference::matmul_f32(w, 0, 2, x.data(), 30, 3, {expected.data(), 25});
  on_every_target([&] {
    matmul_f32(w, 0, 2, x.data(), 30, 3, {found.data(), 25});
    CHECK(max_difference(found, expected) < 1e-5f);
  });
}

TEST_CASE("products take a bias, then add to what is there") {
  const std::size_t rows = 103, cols = 64, most = 40, stride = 61;
  const std::size_t begin = 3, n = rows - begin * strip_rows;
  const auto x = random_floats(most * cols, 4);
  const auto before = random_floats(most * stride, 5);
  const auto bias = random_floats(n, 6);
  for (const dtype type : {dtype::q8_0, dtype::f16}) {
    const auto w = random_matrix(type, rows, cols, 8);
    on_every_target([&] {
      for (const std::size_t m : {std::size_t{1}, std::size_t{7}, most}) {
        q8_buffers rounded(m, cols);
        quantize_rows(quantize_q8, x, cols, 0, m, rounded.view);
        const auto multiply = [&](const product_rows& out) {
          if (is_quantized(type)) {
            matmul_q8(w, begin, w.n_strips(), rounded.view, out);
          } else {
            matmul_f32(w, begin, w.n_strips(), x.data(), cols, m, out);
          }
        };
        std::vector<float> plain(m * n), expected = before, found = before;
        multiply({plain.data(), n});
        for (std::size_t i = 0; i < m * n; ++i) {
          float& old = expected[i / n * stride + i % n];
          old = old + (plain[i] + bias[i % n]);
        }
        multiply({found.data(), stride, bias.data(), true});
        CHECK(max_difference(found, expected) < 1e-4f);
      }
    });
  }
}

TEST_CASE("no tokens and no strips are nothing to do") {
  const auto w = random_matrix(dtype::q8_0, 16, 32, 8);
  q8_buffers none(0, 32), one(1, 32);
  on_every_target([&] {
    float out = 5;
    matmul_f32(w, 0, 1, nullptr, 32, 0, {&out, 16});
    matmul_q8(w, 0, 1, none.view, {&out, 16});
    matmul_q8(w, 1, 1, one.view, {&out, 16});
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
           {product_f32(w, 0, 2, x, 14), product_q8(w, 0, 2, x, 14),
            product_wide(w, 0, 2, x, 14)}) {
        for (std::size_t i = 0; i < out.size(); ++i) {
          REQUIRE(std::isnan(out[i]) == (i / 20 == 5));
        }
      }
    });
  }
}

}  // namespace
}  // namespace tinyphi
