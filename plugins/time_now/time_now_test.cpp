// SPDX-License-Identifier: MIT
#include "plugins/time_now/time_now.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

TEST_CASE("time.now tells the second in words") {
  const auto t = time_now_stage::at(1'795'823'630, time_now_stage::zones::utc);
  CHECK(t.time == "2026-11-27 23:53:50");
  CHECK(t.weekday == "Friday");
  host h = no_models();
  const time_now_stage stage({}, h);
  const auto now = run_stage(stage, {});
  REQUIRE_OK(now);
  CHECK(now->seconds > t.seconds - 86'400 * 365);
  CHECK(now->time.size() == 19);
}
