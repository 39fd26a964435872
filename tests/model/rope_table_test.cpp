// SPDX-License-Identifier: MIT
#include "tinyphi/model/rope_table.h"

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("angles turn by position times theta^(-2i/d)") {
  rope_config rope;
  rope.theta = 10000.0f;
  rope.rotary_dim = 4;
  const rope_table t = make_rope_table(rope, false);
  REQUIRE(t.inv_freq.size() == 2);
  CHECK(t.inv_freq[0] == 1.0f);
  CHECK(t.inv_freq[1] == Approx(0.01));
  float cos[2], sin[2];
  t.angles(3, cos, sin);
  CHECK(cos[0] == Approx(std::cos(3.0)));
  CHECK(sin[1] == Approx(std::sin(0.03)));
}

TEST_CASE(
    "longrope divides frequencies by its factors and scales cos and sin") {
  rope_config rope;
  rope.rotary_dim = 4;
  rope.short_factors = {1, 2};
  rope.long_factors = {4, 8};
  rope.short_scale = 1.5f;
  rope.long_scale = 2.0f;
  const rope_table s = make_rope_table(rope, false);
  const rope_table l = make_rope_table(rope, true);
  CHECK(s.inv_freq[1] == Approx(0.005));
  CHECK(l.inv_freq[0] == Approx(0.25));
  float cos[2], sin[2];
  s.angles(0, cos, sin);
  CHECK(cos[0] == 1.5f);
  l.angles(0, cos, sin);
  CHECK(cos[1] == 2.0f);
}

TEST_CASE("position_scale divides positions") {
  rope_config rope;
  rope.rotary_dim = 2;
  rope.position_scale = 2.0f;
  float cos, sin;
  make_rope_table(rope, false).angles(6, &cos, &sin);
  CHECK(cos == Approx(std::cos(3.0)));
}
