// SPDX-License-Identifier: MIT
#include "plugins/math_eval/math_eval.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;
using Catch::Matchers::Contains;

TEST_CASE("math.eval reckons numbers, and says why it cannot") {
  host h = no_models();
  const math_eval_stage stage({}, h);
  const auto value = [&](std::string_view text) {
    const auto given = run_stage(stage, {text});
    REQUIRE_OK(given);
    return given->value;
  };
  const auto why = [&](std::string_view text) {
    return message_of(run_stage(stage, {text}));
  };
  CHECK(value("(17 + 4) * 2") == 42);
  CHECK(value("round(max(1, 2.25) / 2, 2)") == 1.13);
  CHECK_THAT(why("1 / 0"), Contains("it has no value"));
  CHECK_THAT(why("'a'"), Contains("it is text, not a number"));
  CHECK_THAT(why("x + 1"), Contains("there are no names here, and 'x' is one"));
  CHECK_THAT(why("1 +"), Contains("'1 +': "));
  CHECK(why(std::string(2000, '(')) != "(no error)");
}
