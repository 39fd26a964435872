// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <limits>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::max_difference;
using tinyphi_test::on_every_target;
using tinyphi_test::random_floats;
using tinyphi_test::same_bits;

constexpr float scale = 0.125f;

// One head's pages for `positions`, all stored; bytes nobody stored are NaN as
// floats.
struct cache {
  cache(kv_type type, std::size_t head_dim, std::size_t positions,
        float k_scale = 1)
      : page_bytes(64 + kv_head_bytes(type, head_dim)) {
    const std::size_t n = (positions + page_tokens - 1) / page_tokens;
    for (std::size_t i = 0; i < n; ++i) {
      auto page = aligned_array<std::byte>::create(page_bytes);
      REQUIRE_OK(page);
      std::memset(page->data(), 0xFF, page_bytes);
      pages.push_back(page->data());
      storage.push_back(*std::move(page));
    }
    view = {pages.data(), 64, head_dim, type};
    k = random_floats(positions * head_dim, 1, k_scale);
    v = random_floats(positions * head_dim, 2);
    for (std::size_t p = 0; p < positions; ++p) store(p);
  }
  cache(const cache&) = delete;
  void store(std::size_t p) {
    store_kv(view, p, k.data() + p * view.head_dim,
             v.data() + p * view.head_dim);
  }

  std::size_t page_bytes;
  std::vector<aligned_array<std::byte>> storage;
  std::vector<std::byte*> pages;
  std::vector<float> k, v;
  kv_view view;
};

using range_list = std::vector<key_range>;

// Rows of q with what each sees, as the kernel takes them.
struct query {
  query(const cache& c, std::vector<range_list> seen_by_each, float q_scale = 1)
      : seen(std::move(seen_by_each)),
        q(random_floats(seen.size() * c.view.head_dim, 3, q_scale)) {}

  // Results of rows [begin, end), in the order of `seen`.
  template <class Attend>
  std::vector<float> run(const cache& c, const Attend& f, std::size_t begin,
                         std::size_t end, softmax_sums* sums = nullptr) const {
    const std::size_t d = c.view.head_dim;
    std::vector<float> out((end - begin) * d, 3.f);
    std::vector<attention_row> rows;
    for (std::size_t r = begin; r < end; ++r) {
      rows.push_back({q.data() + r * d, out.data() + (r - begin) * d,
                      seen[r].data(), seen[r].size()});
    }
    f(c.view, scale, rows.data(), rows.size(), sums);
    return out;
  }
  std::vector<float> result(const cache& c) const {
    return run(c, attend, 0, seen.size());
  }
  std::vector<float> expected(const cache& c) const {
    return run(c, reference::attend, 0, seen.size());
  }

  std::vector<range_list> seen;
  std::vector<float> q;
};

// What sums in another order may differ by; with int8 keys also a weight that
// falls just beyond the other side of a rounding step, 1/16256 of the largest.
void check_close(kv_type type, const std::vector<float>& found,
                 const std::vector<float>& expected) {
  std::size_t far = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    far += !(std::fabs(found[i] - expected[i]) < 2e-5f);
  }
  if (has_int8_keys(type)) {
    CHECK(max_difference(found, expected) < 0.03f);
    CHECK(far <= expected.size() / 20);
  } else {
    CHECK(far == 0);
  }
}

TEST_CASE("stored keys and values come back from their places") {
  for (const kv_type type : kv_types) {
    for (const std::size_t head_dim : {2u, 5u, 18u, 24u, 96u, 1024u}) {
      cache c(type, head_dim, 70);
      const auto k = random_floats(head_dim, 7), v = random_floats(head_dim, 8);
      const auto error = [&](const std::vector<float>& x, float steps) {
        float max = 0;
        for (const float e : x) max = std::max(max, std::fabs(e));
        return type == kv_type::f32   ? 0.f
               : type == kv_type::f16 ? max * 5e-4f
                                      : max / steps * 0.501f;
      };
      const float k_error = error(k, 127);
      const float v_error = error(v, type == kv_type::int8 ? 127 : 7);
      on_every_target([&] {
        INFO(to_string(type) << ", head_dim " << head_dim);
        store_kv(c.view, 66, k.data(), v.data());
        for (std::size_t d = 0; d < head_dim; ++d) {
          CHECK(std::fabs(reference::key(c.view, 66, d) - k[d]) <= k_error);
          CHECK(std::fabs(reference::value(c.view, 66, d) - v[d]) <= v_error);
        }
        // Its neighbours are as they were.
        for (const std::size_t p : {64u, 65u, 67u}) {
          const float before = c.k[p * head_dim + head_dim - 1];
          CHECK(std::fabs(reference::key(c.view, p, head_dim - 1) - before) <=
                0.02f * (1 + std::fabs(before)));
        }
      });
    }
  }
}

TEST_CASE("vectors that integers cannot hold become zero or NaN") {
  for (const kv_type type : {kv_type::int8, kv_type::int8_int4}) {
    cache c(type, 20, 4);
    std::vector<float> zero(20, 1e-35f), infinite(20, 1.f);
    infinite[19] = std::numeric_limits<float>::infinity();
    on_every_target([&] {
      store_kv(c.view, 1, zero.data(), zero.data());
      store_kv(c.view, 2, infinite.data(), infinite.data());
      CHECK(reference::key(c.view, 1, 3) == 0);
      CHECK(reference::value(c.view, 1, 3) == 0);
      CHECK(std::isnan(reference::key(c.view, 2, 3)));
      CHECK(std::isnan(reference::value(c.view, 2, 3)));
    });
  }
}

TEST_CASE("attention is as the reference, for all shapes of ranges") {
  const std::vector<range_list> all = {
      {{0, 1}},
      {{0, 63}},
      {{0, 64}},
      {{0, 65}},
      {{5, 6}},
      {{3, 140}},
      {{127, 129}},
      {{0, 400}},
      {{64, 192}},
      {{0, 4}, {90, 99}},
      {{2, 5}, {7, 9}, {10, 70}, {300, 310}},
      {{0, 64}, {64, 128}},
      {{15, 15}, {40, 41}},
      {{70, 70}, {80, 90}, {90, 90}},
      {{200, 600}},
      {{0, 512}},
      {{0, 10}, {511, 513}, {590, 600}},
  };
  for (const kv_type type : kv_types) {
    for (const std::size_t head_dim :
         {2u, 5u, 16u, 20u, 24u, 96u, 128u, 513u}) {
      const cache c(type, head_dim, 600);
      for (const range_list& ranges : all) {
        const query q(c, {ranges, ranges, ranges});
        const auto expected = q.expected(c);
        on_every_target([&] {
          INFO(to_string(type) << " head_dim " << head_dim << " from "
                               << ranges[0].begin << " to " << ranges[0].end);
          check_close(type, q.result(c), expected);
        });
      }
    }
  }
}

// Queries of a prompt: causal, with and without a window, and with blocks left
// out, in runs that see the same as query heads of one token do.
std::vector<range_list> rows_of_a_prompt() {
  std::vector<range_list> rows;
  for (std::uint32_t p = 500; p < 540; ++p) rows.push_back({{0, p + 1}});
  for (std::uint32_t p = 0; p < 9; ++p) rows.push_back({{0, p + 1}});
  for (std::uint32_t p = 120; p < 140; ++p) rows.push_back({{p - 99, p + 1}});
  for (std::uint32_t p = 550; p < 560; ++p) {
    rows.push_back({{64, 80}, {256, 320}, {512, p + 1}});
  }
  for (int i = 0; i < 7; ++i) rows.push_back({{3, 300}});
  return rows;
}

TEST_CASE("rows of one call may see different positions") {
  for (const kv_type type : kv_types) {
    const cache c(type, 40, 600);
    const query q(c, rows_of_a_prompt());
    const auto expected = q.expected(c);
    on_every_target([&] { check_close(type, q.result(c), expected); });
  }
}

TEST_CASE("a row has the same bits alone and among others") {
  for (const kv_type type : kv_types) {
    for (const std::size_t head_dim : {96u, 300u}) {
      const cache c(type, head_dim, 600);
      const query q(c, rows_of_a_prompt());
      on_every_target([&] {
        INFO(to_string(type) << " head_dim " << head_dim);
        const auto all = q.result(c);
        for (std::size_t r = 0; r < q.seen.size(); ++r) {
          const auto at = static_cast<std::ptrdiff_t>(r * head_dim);
          const std::vector<float> out(
              all.begin() + at,
              all.begin() + at + static_cast<std::ptrdiff_t>(head_dim));
          CHECK(same_bits(q.run(c, attend, r, r + 1), out));
        }
      });
    }
  }
}

TEST_CASE("spans attended apart and merged give the same bits") {
  for (const kv_type type : kv_types) {
    const cache c(type, 50, 1400);
    const query whole(c, {{{0, 1400}}, {{40, 1100}}, {{1030, 1031}}});
    const auto n_rows = whole.seen.size();
    constexpr std::size_t n_spans = 3;
    on_every_target([&] {
      std::vector<float> parts(n_rows * n_spans * 50);
      std::vector<softmax_sums> sums(n_rows * n_spans);
      for (std::uint32_t s = 0; s < n_spans; ++s) {
        query q = whole;
        for (range_list& ranges : q.seen) {
          const auto clip = [s](std::uint32_t p) {
            return std::clamp(p, s * 512, (s + 1) * 512);
          };
          ranges = {{clip(ranges[0].begin), clip(ranges[0].end)}};
        }
        std::vector<softmax_sums> found(n_rows);
        const auto part = q.run(c, attend, 0, n_rows, found.data());
        for (std::size_t r = 0; r < n_rows; ++r) {
          sums[r * n_spans + s] = found[r];
          std::memcpy(&parts[(r * n_spans + s) * 50], &part[r * 50], 200);
        }
      }
      std::vector<float> merged(n_rows * 50);
      for (std::size_t r = 0; r < n_rows; ++r) {
        merge_attention(&parts[r * n_spans * 50], &sums[r * n_spans], n_spans,
                        50, &merged[r * 50]);
      }
      CHECK(same_bits(merged, whole.result(c)));
      std::vector<float> expected(n_rows * 50);
      for (std::size_t r = 0; r < n_rows; ++r) {
        reference::merge_attention(&parts[r * n_spans * 50], &sums[r * n_spans],
                                   n_spans, 50, &expected[r * 50]);
      }
      CHECK(max_difference(merged, expected) < 1e-6f);
    });
  }
}

TEST_CASE("pages that nobody sees are never touched") {
  for (const kv_type type : kv_types) {
    cache c(type, 32, 320);
    const query q(c, {{{80, 120}, {280, 300}}, {{70, 71}}});
    const auto expected = q.expected(c);
    c.pages[0] = c.pages[2] = c.pages[3] = nullptr;
    on_every_target([&] { check_close(type, q.result(c), expected); });
  }
}

TEST_CASE("large scores neither overflow nor lose the largest") {
  for (const kv_type type : kv_types) {
    const cache c(type, 64, 200, 300.f);
    const query q(c, {{{0, 200}}}, 100.f);
    const auto expected = q.expected(c);
    on_every_target(
        [&] { CHECK(max_difference(q.result(c), expected) < 1e-4f); });
  }
}

TEST_CASE("equal scores average the values") {
  for (const kv_type type : kv_types) {
    const cache c(type, 16, 133);
    query q(c, {{{0, 133}}});
    q.q.assign(16, 0.f);
    on_every_target([&] {
      const auto out = q.result(c);
      for (std::size_t d = 0; d < 16; ++d) {
        double mean = 0;
        for (std::size_t p = 0; p < 133; ++p) {
          mean += static_cast<double>(reference::value(c.view, p, d)) / 133;
        }
        // int8: weights are rounded after the values' scales are folded in.
        CHECK(out[d] == Approx(mean).margin(has_int8_keys(type) ? 2e-3 : 1e-6));
      }
    });
  }
}

TEST_CASE("NaN in a query reaches its row and no other") {
  for (const kv_type type : kv_types) {
    const cache c(type, 16, 133);
    query q(c, {3, range_list{{0, 133}}});
    q.q[20] = std::numeric_limits<float>::quiet_NaN();
    on_every_target([&] {
      const auto out = q.result(c);
      for (std::size_t i = 0; i < out.size(); ++i) {
        CHECK(std::isnan(out[i]) == (i / 16 == 1));
      }
    });
  }
}

TEST_CASE("NaN in a key or a value reaches those who see it") {
  for (const kv_type type : kv_types) {
    for (const std::size_t at : {3u, 20u, 63u, 130u}) {
      for (const bool in_key : {true, false}) {
        cache c(type, 16, 133);
        (in_key ? c.k : c.v)[at * 16 + 5] =
            std::numeric_limits<float>::quiet_NaN();
        const auto before = static_cast<std::uint32_t>(at);
        const query q(c, {{{0, 133}}, {{0, before}}, {{before + 1, 133}}});
        on_every_target([&] {
          INFO(to_string(type) << (in_key ? " key " : " value ") << at);
          c.store(at);
          const auto out = q.result(c);
          for (std::size_t i = 0; i < out.size(); ++i) {
            // One column, or the vector's scale.
            const bool reached = in_key || has_int8_keys(type) || i == 5;
            CHECK(std::isnan(out[i]) == (i < 16 && reached));
          }
        });
      }
    }
  }
}

TEST_CASE("pages whose weights are hardly above zero add nothing") {
  for (const kv_type type : kv_types) {
    for (const float below : {60.f, 80.f, 86.f, 90.f, 100.f, 110.f}) {
      cache c(type, 16, 192);
      const std::vector<float> none(16, 0.f),
          less(16, -below / 16 / scale);  // e^-below of the others' weight
      for (std::size_t p = 0; p < 192; ++p) {
        store_kv(c.view, p, (p < 64 ? none : less).data(), &c.v[p * 16]);
      }
      query all(c, {{{0, 192}}}), first(c, {{{0, 64}}});
      all.q.assign(16, 1.f);
      first.q.assign(16, 1.f);
      CHECK(max_difference(all.expected(c), first.expected(c)) < 1e-6f);
      on_every_target([&] {
        INFO(to_string(type) << " e^-" << below);
        CHECK(max_difference(all.result(c), first.result(c)) < 1e-6f);
      });
    }
  }
}

// Rounding moves a value of step s by s / sqrt(12), as root mean square. Values
// are of N(0, 1), so the largest of 96 is about 2.5 and so is the scale: a
// result is that of floats and, independent of how many positions it averages,
// 2.5 / 7 / sqrt(12) = 10.4 % of it for int4 values, 0.6 % for int8, where keys
// and query add 1 % by the scores, which they move by 0.01.
TEST_CASE("attention by int8 is within 1.6 % of floats', int4 values 13 %") {
  const cache exact(kv_type::f32, 96, 300), int8(kv_type::int8, 96, 300),
      int4_values(kv_type::int8_int4, 96, 300);
  for (const range_list& seen :
       {range_list{{0, 300}}, range_list{{200, 264}}, range_list{{0, 5}}}) {
    const query q(exact, {4, seen});
    const auto expected = q.result(exact);
    const auto rms_error = [&](const cache& c) {
      const auto found = q.result(c);
      double signal = 0, noise = 0;
      for (std::size_t i = 0; i < expected.size(); ++i) {
        const auto x = static_cast<double>(expected[i]);
        signal += x * x;
        noise += (static_cast<double>(found[i]) - x) *
                 (static_cast<double>(found[i]) - x);
      }
      return std::sqrt(noise / signal);
    };
    on_every_target([&] {
      INFO(seen[0].begin << " to " << seen[0].end);
      CHECK(rms_error(int8) < 0.016);
      CHECK(rms_error(int4_values) < 0.13);
    });
  }
}

TEST_CASE("pages and spans e^200 apart, in any order, leave the largest") {
  for (const kv_type type : kv_types) {
    for (const std::size_t stretch : {page_tokens, span_tokens}) {
      std::array<int, 3> levels = {0, 1, 2};
      do {
        cache c(type, 16, 3 * stretch);
        for (std::size_t p = 0; p < 3 * stretch; ++p) {
          const auto level = static_cast<float>(levels[p / stretch]);
          store_kv(c.view, p,
                   std::vector<float>(16, level * 200 / 16 / scale).data(),
                   &c.v[p * 16]);
        }
        const auto top = static_cast<std::uint32_t>(
            (std::find(levels.begin(), levels.end(), 2) - levels.begin()) *
            static_cast<std::ptrdiff_t>(stretch));
        const auto end = static_cast<std::uint32_t>(3 * stretch);
        query all(c, {{{0, end}}});
        query largest(c, {{{top, top + static_cast<std::uint32_t>(stretch)}}});
        all.q.assign(16, 1.f);
        largest.q.assign(16, 1.f);
        CHECK(max_difference(all.expected(c), largest.expected(c)) < 1e-6f);
        on_every_target([&] {
          INFO(to_string(type) << " " << stretch << ": " << levels[0]
                               << levels[1] << levels[2]);
          CHECK(max_difference(all.result(c), largest.result(c)) < 1e-6f);
        });
      } while (std::next_permutation(levels.begin(), levels.end()));
    }
  }
}

TEST_CASE("merged parts e^200 apart, in any order, leave the largest") {
  std::array<int, 3> levels = {0, 1, 2};
  do {
    std::vector<softmax_sums> sums;
    std::vector<float> parts, largest;
    for (const int level : levels) {
      sums.push_back({static_cast<float>(level * 200 - 200), 2});
      for (int i = 0; i < 20; ++i) {
        parts.push_back(static_cast<float>(10 * level + i));
        if (level == 2) largest.push_back(parts.back() / 2);
      }
    }
    std::vector<float> merged(20);
    reference::merge_attention(parts.data(), sums.data(), 3, 20, merged.data());
    CHECK(max_difference(merged, largest) < 1e-6f);
    on_every_target([&] {
      merge_attention(parts.data(), sums.data(), 3, 20, merged.data());
      CHECK(max_difference(merged, largest) < 1e-6f);
    });
  } while (std::next_permutation(levels.begin(), levels.end()));
}

// Of the widest head: scores of 1024 * 127^2, and 64 * 16256 * 127 behind them.
TEST_CASE("integer sums at both their ends do not overflow") {
  for (const kv_type type : kv_types) {
    for (const float sign : {1.f, -1.f}) {
      cache c(type, max_head_dim, 128);
      const std::vector<float> high(max_head_dim, sign),
          low(max_head_dim, -sign);
      for (std::size_t p = 0; p < 128; ++p) {
        const auto& x = p < 64 ? high : low;
        store_kv(c.view, p, x.data(), x.data());
      }
      query q(c, {{{0, 128}}, {{0, 128}}});  // each finds one half
      std::fill_n(q.q.begin(), max_head_dim, 1.f);
      std::fill_n(q.q.begin() + max_head_dim, max_head_dim, -1.f);
      on_every_target([&] {
        INFO(to_string(type) << " " << sign);
        const auto out = q.result(c);
        for (std::size_t i = 0; i < out.size(); ++i) {
          CHECK(out[i] == Approx(i < max_head_dim ? 1 : -1).epsilon(1e-4));
        }
      });
    }
  }
}

TEST_CASE("many small weights beside a large one are not lost") {
  for (const kv_type type : kv_types) {
    cache c(type, 16, 64);
    const std::vector<float> one(16, 1.f), none(16, 0.f), minus(16, -1.f);
    store_kv(c.view, 0, one.data(), minus.data());
    for (std::size_t p = 1; p < 64; ++p) {
      store_kv(c.view, p, none.data(), one.data());
    }
    query q(c, {{{0, 64}}});
    q.q.assign(16, std::log(1000.f) / 16 / scale);
    on_every_target([&] {
      for (const float x : q.result(c)) {
        CHECK(x == Approx((63 - 1000) / 1063.).margin(2e-3));
      }
    });
  }
}

}  // namespace
}  // namespace tinyphi
