// SPDX-License-Identifier: MIT
#include <limits>

#include "kernels/kernel_test.h"
#include "tinyphi/kernels/reference.h"

namespace tinyphi {
namespace {

using tinyphi_test::max_difference;
using tinyphi_test::on_every_target;
using tinyphi_test::q8_buffers;
using tinyphi_test::random_floats;
using tinyphi_test::same_bits;

const float inf = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

// Compares a kernel with its twin for all small lengths; run(f, n) calls f on
// n elements and returns the result.
template <class Kernel, class Twin, class Run>
void check_lengths(Kernel kernel, Twin twin, const Run& run, float tolerance) {
  for (std::size_t n = 1; n <= 70; ++n) {
    const std::vector<float> expected = run(twin, n);
    on_every_target([&] {
      INFO("n " << n);
      CHECK(max_difference(run(kernel, n), expected) <= tolerance);
    });
  }
}

TEST_CASE("rms_norm is as the reference") {
  const auto x = random_floats(3072, 1, 3.f), w = random_floats(3072, 2);
  const auto run = [&](auto f, std::size_t n) {
    std::vector<float> out(n);
    f(x.data(), w.data(), 1e-5f, n, {0, n}, {out.data()});
    return out;
  };
  check_lengths(rms_norm, reference::rms_norm, run, 4e-6f);
  const auto expected = run(reference::rms_norm, 3072);
  on_every_target([&] {
    CHECK(max_difference(run(rms_norm, 3072), expected) < 1e-5f);
    std::vector<float> same = x;
    rms_norm(same.data(), w.data(), 1e-5f, 3072, {0, 3072}, {same.data()});
    CHECK(same_bits(same, run(rms_norm, 3072)));
  });
}

TEST_CASE("layer_norm is as the reference") {
  auto x = random_floats(4096, 1);
  for (float& v : x) v += 5;  // a mean that must go
  const auto w = random_floats(4096, 2), b = random_floats(4096, 3);
  const auto run = [&](auto f, std::size_t n) {
    std::vector<float> out(n);
    f(x.data(), w.data(), b.data(), 1e-5f, n, {0, n}, {out.data()});
    return out;
  };
  // The mean of one element is itself: only the bias remains.
  check_lengths(layer_norm, reference::layer_norm, run, 2e-5f);
  const auto expected = run(reference::layer_norm, 4096);
  on_every_target(
      [&] { CHECK(max_difference(run(layer_norm, 4096), expected) < 2e-5f); });
}

TEST_CASE("rope turns pairs and leaves the rest") {
  const auto x = random_floats(141, 1), c = random_floats(70, 2),
             s = random_floats(70, 3);
  const auto run = [&](auto f, std::size_t half) {
    std::vector<float> out = x;
    f(out.data(), c.data(), s.data(), half);
    return out;
  };
  check_lengths(rope, reference::rope, run, 2e-6f);
  on_every_target([&] {
    const auto out = run(rope, 48);
    for (std::size_t i = 96; i < out.size(); ++i) CHECK(out[i] == x[i]);
  });
}

TEST_CASE("swiglu is as the reference") {
  const auto gate = random_floats(70, 1, 5.f), up = random_floats(70, 2);
  const auto run = [&](auto f, std::size_t n) {
    std::vector<float> out(n);
    f(gate.data(), up.data(), n, {out.data()});
    return out;
  };
  check_lengths(swiglu, reference::swiglu, run, 1e-5f);
}

TEST_CASE("swiglu is accurate and well-behaved over all of f32") {
  std::vector<float> gate;
  for (float g = -110; g < 110; g += 0.037f) gate.push_back(g);
  const std::vector<float> up(gate.size() + 17, 1.f);
  on_every_target([&] {
    std::vector<float> out(gate.size());
    swiglu(gate.data(), up.data(), gate.size(), {out.data()});
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double g = gate[i];
      const double exact = g / (1 + std::exp(-g));
      INFO("gate " << g);
      CHECK(std::fabs(out[i] - exact) <= 4e-7 * std::fabs(exact) + 1e-36);
    }
    for (const std::size_t n : {1u, 17u}) {  // vectors and tails
      const auto at = [&](float g) {
        const std::vector<float> all(n, g);
        std::vector<float> result(n);
        swiglu(all.data(), up.data(), n, {result.data()});
        return result[0];
      };
      CHECK(at(inf) == inf);
      CHECK(at(1e30f) == 1e30f);
      CHECK(at(-1e30f) == 0.f);
      CHECK(std::isnan(at(nan)));
    }
  });
}

TEST_CASE("gegelu is as the reference") {
  auto x = random_floats(140, 1, 10.f);
  x[0] = inf;
  x[3] = inf;
  x[5] = -inf;
  x[7] = nan;
  x[40] = 25;
  x[43] = -30;
  const auto run = [&](auto f, std::size_t n) {
    std::vector<float> out(n);
    f(x.data(), 20.f, n, {out.data()});
    return out;
  };
  check_lengths(gegelu, reference::gegelu, run, 2e-4f);
  on_every_target([&] {
    const auto out = run(gegelu, 70);
    CHECK(std::isinf(out[0]));  // infinities pass
    CHECK(std::isnan(out[3]));
    const std::vector<float> clipped = {25, -30};
    float y = 0;
    gegelu(clipped.data(), 20.f, 1, {&y});
    CHECK(y == Approx(20 * -19));
  });
}

// What a kernel writes as int8 is what it writes as f32, rounded, at the place
// asked for; run(out) runs it on 96 columns.
template <class Run>
void check_rounded(const Run& run) {
  on_every_target([&] {
    std::vector<float> alone(96), both(96);
    run(activation_row{alone.data()});
    q8_buffers expected(14, 160), found(14, 160);
    quantize_q8(alone.data(), 96, expected.view, 13, 64);
    run(activation_row{both.data(), &found.view, 13, 64});
    CHECK(same_bits(both, alone));
    CHECK(found.q == expected.q);
    CHECK(found.sum == expected.sum);
    CHECK(found.half_sum == expected.half_sum);
    CHECK(same_bits(found.scale, expected.scale));
    q8_buffers only(14, 160);
    run(activation_row{nullptr, &only.view, 13, 64});
    CHECK(only.q == expected.q);
    CHECK(same_bits(only.scale, expected.scale));
  });
}

TEST_CASE("a norm's columns are those of the whole row") {
  const auto x = random_floats(100, 1, 3.f), w = random_floats(100, 2),
             b = random_floats(100, 3);
  const auto check = [](const auto& norm) {
    on_every_target([&] {
      std::vector<float> whole(100), parts(100);
      norm(column_range{0, 100}, whole.data());
      for (const column_range part :
           {column_range{0, 32}, column_range{32, 37}, column_range{37, 100}}) {
        norm(part, parts.data() + part.begin);
      }
      CHECK(same_bits(parts, whole));
    });
  };
  check([&](column_range columns, float* out) {
    rms_norm(x.data(), w.data(), 1e-5f, 100, columns, {out});
  });
  check([&](column_range columns, float* out) {
    layer_norm(x.data(), w.data(), b.data(), 1e-5f, 100, columns, {out});
  });
}

TEST_CASE("norms and gates round what they write") {
  const auto x = random_floats(192, 1, 3.f), w = random_floats(96, 2),
             b = random_floats(96, 3);
  check_rounded([&](const activation_row& out) {
    rms_norm(x.data(), w.data(), 1e-5f, 96, {0, 96}, out);
  });
  check_rounded([&](const activation_row& out) {
    layer_norm(x.data(), w.data(), b.data(), 1e-5f, 96, {0, 96}, out);
  });
  check_rounded([&](const activation_row& out) {
    swiglu(x.data(), x.data() + 96, 96, out);
  });
  check_rounded(
      [&](const activation_row& out) { gegelu(x.data(), 2.f, 96, out); });
}

}  // namespace
}  // namespace tinyphi
