// SPDX-License-Identifier: MIT
#include "tinyphi/generate/step_cost.h"

#include <cmath>
#include <limits>
#include <random>

#include "support/step_machine.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::step_machine;

namespace {

step_shape rows(std::size_t n) { return {.decode_rows = n}; }

// The greatest error over all sizes up to 512 rows, as a share.
double error_of(const step_cost& cost, const step_machine& m,
                std::size_t most = 512) {
  double worst = 0;
  for (std::size_t n = 1; n <= most; ++n) {
    worst = std::max(worst, std::abs(cost.ms(rows(n)) / m.ms(rows(n)) - 1));
  }
  return worst;
}

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double infinite = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("step_cost takes a row for 60 ms before anything is measured") {
  const step_cost cost;
  CHECK_FALSE(cost.measured());
  CHECK(cost.ms(rows(1)) == 60);
  CHECK(cost.ms({.slice = 16, .slice_stored = 1000}) == 16 * 60);
  CHECK(cost.ms({}) == 0);
}

TEST_CASE("step_cost's first measurement replaces what was assumed") {
  step_cost cost;
  cost.learn({.slice = 16}, 80);
  CHECK(cost.measured());
  CHECK(cost.ms(rows(16)) == Approx(80));
  // In proportion on both sides of the only size that is known.
  CHECK(cost.ms(rows(4)) == Approx(20));
  CHECK(cost.ms(rows(160)) == Approx(800));
}

TEST_CASE("step_cost is straight between sizes and goes on at the best rate") {
  step_cost cost;
  cost.set(rows(1), 50);
  cost.set(rows(8), 64);
  cost.set(rows(16), 160);
  CHECK(cost.ms(rows(4)) == Approx(56));
  CHECK(cost.ms(rows(12)) == Approx(112));
  CHECK(cost.ms(rows(32)) == Approx(160 + 16 * 8));  // 8 ms a row, at 8
}

TEST_CASE("step_cost keeps a size that costs less than a smaller one") {
  step_cost cost;
  cost.set(rows(12), 200);
  cost.set(rows(16), 150);
  for (int i = 0; i < 100; ++i) {
    cost.learn(rows(12), 200);
    cost.learn(rows(16), 150);
  }
  CHECK(cost.ms(rows(12)) == Approx(200));
  CHECK(cost.ms(rows(16)) == Approx(150));
}

TEST_CASE("step_cost finds three machines within 6 % by steps with 5 % noise") {
  for (const step_machine& m : {tinyphi_test::emerald_rapids(),
                                tinyphi_test::zen4(), tinyphi_test::avx2()}) {
    INFO(m.name);
    step_cost cost;
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> noise(.95, 1.05);
    for (int i = 0; i < 3000; ++i) {
      const step_shape s = rows(step_cost::sizes[random() % 15]);
      cost.learn(s, m.ms(s) * noise(random));
    }
    CHECK(error_of(cost, m) < .06);
  }
}

TEST_CASE("step_cost knows a size by the rows that its steps really had") {
  step_cost cost;
  cost.learn(rows(1), 50);
  for (int i = 0; i < 50; ++i) cost.learn(rows(17), 82);
  CHECK(cost.ms(rows(17)) == Approx(82));
  CHECK(cost.ms(rows(9)) == Approx(66));
}

TEST_CASE("Two steps in a row that take 100 times as long move it by 4 %") {
  step_cost cost = tinyphi_test::zen4().calibrated();
  const double before = cost.ms(rows(8));
  cost.learn(rows(8), 100 * before);
  CHECK(cost.ms(rows(8)) < 1.02 * before);
  cost.learn(rows(8), 100 * before);
  CHECK(cost.ms(rows(8)) < 1.04 * before);
  CHECK(cost.ms(rows(8)) > before);
}

TEST_CASE("A first step of 1000 times the time counts as twice the expected") {
  step_cost cost;
  cost.set(rows(1), 50);
  cost.learn(rows(16), 1000 * 160);
  CHECK(cost.ms(rows(16)) == Approx(2 * 16 * 50));
  for (int i = 0; i < 12; ++i) cost.learn(rows(16), 160);
  CHECK(cost.ms(rows(16)) < 1.1 * 160);
}

TEST_CASE("The third slow step in a row is believed, for all sizes") {
  const step_machine m = tinyphi_test::emerald_rapids();
  step_machine slow = m;
  for (auto& [rows, ms] : slow.curve) ms *= 2.5;
  step_cost cost = m.calibrated();
  for (const std::size_t n : {1, 17, 1}) {
    cost.learn(rows(n), slow.ms(rows(n)));
  }
  CHECK(error_of(cost, slow) < .05);
  // And back again.
  for (const std::size_t n : {1, 1, 1}) cost.learn(rows(n), m.ms(rows(n)));
  CHECK(error_of(cost, m) < .05);
}

TEST_CASE(
    "Sizes that do not run become faster with the one that does, by 10 %") {
  const step_machine m = tinyphi_test::zen4();
  step_machine slow = m, faster = m;
  for (auto& [rows, ms] : slow.curve) ms *= 1.6;
  for (auto& [rows, ms] : faster.curve) ms *= 1.1;
  step_cost cost = m.calibrated();
  for (int i = 0; i < 3; ++i) cost.learn(rows(8), slow.ms(rows(8)));
  REQUIRE(cost.ms(rows(64)) > 1.5 * m.ms(rows(64)));
  // Not so much faster that it is unexpected.
  for (int i = 0; i < 200; ++i) cost.learn(rows(8), faster.ms(rows(8)));
  CHECK(error_of(cost, faster) < .1);
}

TEST_CASE(
    "A stall in every 50th step moves sizes that do not run by 10 % at most") {
  const step_machine m = tinyphi_test::zen4();
  step_cost cost = m.calibrated();
  for (int i = 0; i < 5000; ++i) {
    cost.learn(rows(8), m.ms(rows(8)) * (i % 50 == 0 ? 1.7 : 1));
  }
  CHECK(error_of(cost, m) < .1);
}

TEST_CASE("A slower machine is slower in attention too, within 5 %") {
  step_machine m = tinyphi_test::zen4();
  step_cost cost = m.calibrated();
  const step_shape far{.decode_rows = 1, .decode_keys = 4000};
  for (int i = 0; i < 100; ++i) cost.learn(far, m.ms(far));
  for (int i = 0; i < 3; ++i) cost.learn(far, 2.5 * m.ms(far));
  CHECK(cost.ms(far) == Approx(2.5 * m.ms(far)));
  CHECK(cost.ms(rows(1)) == Approx(2.5 * m.ms(rows(1))).epsilon(.05));
}

TEST_CASE("Ten steps in page faults leave it within 10 % three steps later") {
  const step_machine m = tinyphi_test::zen4();
  step_cost cost = m.calibrated();
  std::mt19937_64 random(3);
  for (int i = 0; i < 10; ++i) {
    const auto factor = static_cast<double>(10 + random() % 90);
    cost.learn(rows(17), factor * m.ms(rows(17)));
  }
  for (int i = 0; i < 30; ++i) cost.learn(rows(1), m.ms(rows(1)));
  CHECK(error_of(cost, m) < .1);
}

TEST_CASE("step_cost counts keys as calibrated, and follows them by 10 %") {
  step_machine m = tinyphi_test::zen4();
  step_cost cost = m.calibrated();
  const step_shape far{1, 3000, 16, 3000};
  CHECK(cost.ms(far) == Approx(m.ms(far)).epsilon(.02));
  // Attention turns out to cost twice of what was calibrated.
  m.key_ms *= 2;
  m.slice_key_ms *= 2;
  for (int prompt = 0; prompt < 12; ++prompt) {
    for (std::size_t n = 0; n < 3000; n += 16) {
      const step_shape s{1, 500, 16, n};
      cost.learn(s, m.ms(s));
    }
  }
  for (const std::size_t n : {0, 1000, 3000}) {
    const step_shape s{1, 500, 16, n};
    CHECK(cost.ms(s) == Approx(m.ms(s)).epsilon(.1));
  }
}

TEST_CASE("step_cost learns the cost of keys without calibration within 10 %") {
  step_machine m = tinyphi_test::zen4();
  m.key_ms = m.slice_key_ms = .001;
  step_cost cost;
  for (int prompt = 0; prompt < 12; ++prompt) {
    for (std::size_t n = 0; n < 3000; n += 16) {
      const step_shape s{.slice = 16, .slice_stored = n};
      cost.learn(s, m.ms(s));
    }
  }
  for (const std::size_t n : {0, 1000, 3000}) {
    const step_shape s{.slice = 16, .slice_stored = n};
    CHECK(cost.ms(s) == Approx(m.ms(s)).epsilon(.1));
  }
}

TEST_CASE(
    "2,000 steps with 10 % noise move the cost of a key by 10 % at most") {
  const step_machine m = tinyphi_test::zen4();
  for (unsigned seed = 0; seed < 10; ++seed) {
    step_cost cost = m.calibrated();
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> noise(.9, 1.1);
    for (std::size_t n = 1000; n < 3000; ++n) {
      const step_shape s{.decode_rows = 1, .decode_keys = n};
      cost.learn(s, m.ms(s) * noise(random));
    }
    const auto key_ms = [](const auto& c) {
      return c.ms({1, 5000, 0, 0}) - c.ms({1, 4000, 0, 0});
    };
    CHECK(key_ms(cost) == Approx(key_ms(m)).epsilon(.1));
  }
}

TEST_CASE("step_cost goes on from a table as if it had not stopped") {
  step_cost a = tinyphi_test::avx2().calibrated();
  a.learn({1, 100, 8, 200}, 1700);
  step_cost b(a.learnt());
  for (const std::size_t n : {1, 3, 9, 100, 5000}) {
    CHECK(a.ms({n, 7 * n, n, 40}) == b.ms({n, 7 * n, n, 40}));
  }
}

TEST_CASE("step_cost leaves out of a table what cannot be") {
  for (const double bad :
       {not_a_number, infinite, -infinite, -1.0, 1e300, 0.0}) {
    for (int field = 0; field < 6; ++field) {
      step_cost::table t = tinyphi_test::zen4().calibrated().learnt();
      double* const fields[] = {&t.knots[3].rows,      &t.knots[3].ms,
                                &t.knots[3].attention, &t.key_ms,
                                &t.slice_key_ms,       &t.attention};
      *fields[field] = bad;
      const step_cost cost(t);
      INFO("field " << field << " = " << bad);
      for (std::size_t n = 1; n < 600; n = n * 2 + 1) {
        const double ms = cost.ms({n, 1000, n, 1000});
        CHECK(std::isfinite(ms));
        CHECK(ms > 0);
      }
    }
  }
  // A size in the place of another would turn the curve around.
  step_cost::table t = tinyphi_test::zen4().calibrated().learnt();
  t.knots[3].rows = 100;
  CHECK(step_cost(t).learnt().knots[3].rows == 0);
}

TEST_CASE("step_cost is finite and positive whatever it learns and is asked") {
  std::mt19937_64 random(5);
  const double times[] = {not_a_number, infinite, -infinite, -1,  0,
                          1e-300,       1e-9,     1,         1e9, 1e300};
  const std::size_t sizes[] = {0, 1, 2, 17, 512, 70000, std::size_t{1} << 40};
  const auto shape = [&] {
    return step_shape{sizes[random() % 7], sizes[random() % 7],
                      sizes[random() % 7], sizes[random() % 7]};
  };
  for (int run = 0; run < 20; ++run) {
    step_cost cost;
    if (run % 2 == 0) cost.set_attention(.01, .001);
    for (int i = 0; i < 500; ++i) {
      cost.learn(shape(), times[random() % 10]);
      const step_shape s = shape();
      const double ms = cost.ms(s);
      REQUIRE(std::isfinite(ms));
      REQUIRE((ms > 0) == (s.rows() > 0));
    }
  }
}
