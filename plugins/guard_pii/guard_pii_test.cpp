// SPDX-License-Identifier: MIT
#include "plugins/guard_pii/guard_pii.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

TEST_CASE("guard.pii hides the kinds that it is told to, alike values alike") {
  host h = no_models();
  const guard_pii_stage stage({.kinds = {"email"}}, h);
  const auto out =
      run_stage(stage, {"a@example.com or b@example.com, not a@example.com; "
                        "4111 1111 1111 1111"});
  REQUIRE_OK(out);
  CHECK(out->text ==
        "[EMAIL_1] or [EMAIL_2], not [EMAIL_1]; 4111 1111 1111 1111");
  CHECK(out->count == 3);
}

TEST_CASE("guard.pii refuses kinds that there are not") {
  host h = no_models();
  CHECK(guard_pii_stage::check({}, h).faults.empty());
  CHECK(guard_pii_stage::check({.kinds = {}}, h).faults.size() == 1);
  const auto facts = guard_pii_stage::check({.kinds = {"card", "emial"}}, h);
  REQUIRE(facts.faults.size() == 1);
  CHECK(facts.faults[0].message == "no kind 'emial'; did you mean 'email'?");
}
