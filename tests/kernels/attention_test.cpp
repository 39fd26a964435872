// SPDX-License-Identifier: MIT
#include <limits>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::max_difference;
using tinyphi_test::on_every_target;
using tinyphi_test::random_floats;
using tinyphi_test::same_bits;

// One head's pages for `positions`, all stored; bytes nobody stored are NaN.
struct cache {
  cache(dtype type, std::size_t head_dim, std::size_t positions,
        float scale = 1)
      : part(page_tokens * head_dim * info(type).block_bytes) {
    const std::size_t n = (positions + page_tokens - 1) / page_tokens;
    bytes.assign(n * page_bytes(), std::byte{0xFF});
    for (std::size_t i = 0; i < n; ++i) {
      pages.push_back(bytes.data() + i * page_bytes());
    }
    view = {pages.data(), 64, 64 + part, head_dim, type};
    const auto k = random_floats(positions * head_dim, 1, scale);
    const auto v = random_floats(positions * head_dim, 2);
    for (std::size_t p = 0; p < positions; ++p) {
      store_kv(view, p, k.data() + p * head_dim, v.data() + p * head_dim);
    }
  }
  cache(const cache&) = delete;
  std::size_t page_bytes() const { return 64 + 2 * part; }

  std::size_t part;
  std::vector<std::byte> bytes;
  std::vector<std::byte*> pages;
  kv_view view;
};

std::vector<float> attended(const cache& c,
                            const std::vector<key_range>& ranges,
                            const std::vector<float>& q, std::size_t rows) {
  std::vector<float> out(rows * c.view.head_dim, 3.f);
  attend(c.view, ranges.data(), ranges.size(), 0.125f, q.data(),
         c.view.head_dim, rows, out.data(), c.view.head_dim);
  return out;
}

std::vector<float> expected_of(const cache& c,
                               const std::vector<key_range>& ranges,
                               const std::vector<float>& q, std::size_t rows) {
  std::vector<float> out(rows * c.view.head_dim);
  reference::attend(c.view, ranges.data(), ranges.size(), 0.125f, q.data(),
                    c.view.head_dim, rows, out.data(), c.view.head_dim);
  return out;
}

TEST_CASE("stored keys and values come back from their places") {
  for (const dtype type : {dtype::f32, dtype::f16}) {
    cache c(type, 24, 20);
    const auto k = random_floats(24, 7), v = random_floats(24, 8);
    on_every_target([&] {
      store_kv(c.view, 18, k.data(), v.data());
      const float error = type == dtype::f16 ? 2e-3f : 0.f;
      for (std::size_t d = 0; d < 24; ++d) {
        CHECK(std::fabs(reference::key(c.view, 18, d) - k[d]) <= error);
        CHECK(std::fabs(reference::value(c.view, 18, d) - v[d]) <= error);
      }
    });
  }
}

TEST_CASE("attention is as the reference, for all shapes of ranges") {
  const std::vector<std::vector<key_range>> all = {
      {{0, 1}},
      {{0, 15}},
      {{0, 16}},
      {{0, 17}},
      {{5, 6}},
      {{3, 40}},
      {{31, 33}},
      {{0, 100}},
      {{16, 48}},
      {{0, 4}, {90, 99}},
      {{2, 5}, {7, 9}, {10, 70}},
      {{0, 16}, {16, 32}},
      {{15, 15}, {40, 41}},
  };
  for (const dtype type : {dtype::f32, dtype::f16}) {
    for (const std::size_t head_dim :
         {8u, 16u, 20u, 24u, 32u, 96u, 128u, 513u}) {
      const cache c(type, head_dim, 100);
      const auto q = random_floats(3 * head_dim, 3);
      for (const auto& ranges : all) {
        const auto expected = expected_of(c, ranges, q, 3);
        on_every_target([&] {
          INFO(to_string(type) << " head_dim " << head_dim << " from "
                               << ranges[0].begin << " to " << ranges[0].end);
          CHECK(max_difference(attended(c, ranges, q, 3), expected) < 2e-5f);
        });
      }
    }
  }
}

TEST_CASE("a row has the same bits alone and among others") {
  const cache c(dtype::f16, 96, 100);
  const std::vector<key_range> ranges = {{1, 20}, {37, 100}};
  const auto q = random_floats(35 * 96, 3);
  on_every_target([&] {
    const auto all = attended(c, ranges, q, 35);
    for (std::size_t r = 0; r < 35; ++r) {
      const auto at = static_cast<std::ptrdiff_t>(r * 96);
      const std::vector<float> row(q.begin() + at, q.begin() + at + 96);
      const std::vector<float> out(all.begin() + at, all.begin() + at + 96);
      CHECK(same_bits(attended(c, ranges, row, 1), out));
    }
  });
}

TEST_CASE("pages outside the ranges are never touched") {
  cache c(dtype::f32, 32, 80);
  const auto q = random_floats(32, 3);
  const std::vector<key_range> ranges = {{20, 30}, {70, 75}};
  const auto expected = expected_of(c, ranges, q, 1);
  c.pages[0] = c.pages[2] = c.pages[3] = nullptr;
  on_every_target([&] {
    CHECK(max_difference(attended(c, ranges, q, 1), expected) < 2e-5f);
  });
}

TEST_CASE("large scores neither overflow nor lose the largest") {
  const cache c(dtype::f32, 64, 50, 300.f);
  const auto q = random_floats(64, 3, 100.f);
  const auto expected = expected_of(c, {{0, 50}}, q, 1);
  on_every_target([&] {
    CHECK(max_difference(attended(c, {{0, 50}}, q, 1), expected) < 1e-4f);
  });
}

TEST_CASE("equal scores average the values") {
  const cache c(dtype::f32, 16, 33);
  const std::vector<float> q(16, 0.f);
  on_every_target([&] {
    const auto out = attended(c, {{0, 33}}, q, 1);
    for (std::size_t d = 0; d < 16; ++d) {
      double mean = 0;
      for (std::size_t p = 0; p < 33; ++p) {
        mean += static_cast<double>(reference::value(c.view, p, d)) / 33;
      }
      CHECK(out[d] == Approx(mean).margin(1e-6));
    }
  });
}

TEST_CASE("NaN in a query reaches its row and no other") {
  const cache c(dtype::f32, 16, 33);
  auto q = random_floats(3 * 16, 3);
  q[20] = std::numeric_limits<float>::quiet_NaN();
  on_every_target([&] {
    const auto out = attended(c, {{0, 33}}, q, 3);
    for (std::size_t i = 0; i < out.size(); ++i) {
      CHECK(std::isnan(out[i]) == (i / 16 == 1));
    }
  });
}

}  // namespace
}  // namespace tinyphi
