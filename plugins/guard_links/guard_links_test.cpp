// SPDX-License-Identifier: MIT
#include "plugins/guard_links/guard_links.h"

#include "support/run_stage.h"
#include "support/test.h"

using namespace tinyphi;
using namespace tinyphi_test;

TEST_CASE("guard.links leaves links to the hosts that are allowed only") {
  host h = no_models();
  const guard_links_stage stage({.hosts = {"docs.example.com"}}, h);
  const std::string text =
      "[Manual](https://docs.example.com/a) "
      "![](https://evil.example/?q=secret)";
  const auto out = run_stage(stage, {text});
  REQUIRE_OK(out);
  CHECK(out->text.starts_with("[Manual](https://docs.example.com/a)"));
  CHECK(out->text.find("evil.example") == std::string::npos);
  CHECK(out->removed == 1);
}

TEST_CASE("guard.links refuses hosts that are none") {
  host h = no_models();
  CHECK(guard_links_stage::check({.hosts = {"example.com"}}, {}, h)
            .faults.empty());
  const auto facts = guard_links_stage::check({.hosts = {"https://x"}}, {}, h);
  REQUIRE(facts.faults.size() == 1);
  CHECK(facts.faults[0].param == "hosts");
  CHECK_THAT(facts.faults[0].message,
             Catch::StartsWith("with.hosts: ") &&
                 Catch::Contains("no name like example.com"));
}
