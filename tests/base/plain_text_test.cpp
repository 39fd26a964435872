// SPDX-License-Identifier: MIT
#include "tinyphi/base/plain_text.h"

#include <cstdio>
#include <limits>

#include "support/foreign_locale.h"
#include "support/test.h"
#include "tinyphi/base/cpu_limits.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/memory.h"

using namespace tinyphi;
using tinyphi_test::foreign_locale;
using tinyphi_test::temp_folder;

TEST_CASE("plain numbers are printf's of the C locale, in any locale") {
  for (const double x : {0.0, 1.0, -1.5, 1234567.0, 1e-5, 123456.7, 1.0 / 3,
                         1e300, std::numeric_limits<double>::infinity(),
                         std::numeric_limits<double>::denorm_min()}) {
    for (const int digits : {1, 6, 12, 17}) {
      char expected[64];
      std::snprintf(expected, sizeof expected, "%.*g", digits, x);
      CHECK(plain_number(x, digits) == expected);
      const foreign_locale german;
      REQUIRE(german.holds());
      CHECK(plain_number(x, digits) == expected);
    }
  }
}

TEST_CASE("JSON is the same in any locale") {
  const std::string text = R"({"x":1234567.5,"n":1234567})";
  const auto plain = parse_json(text, "f");
  REQUIRE_OK(plain);
  const std::string expected = json::serialize(*plain);
  const foreign_locale german;
  const auto v = parse_json(text, "f");
  REQUIRE_OK(v);
  CHECK(v->at("x").as_double() == 1234567.5);
  CHECK(json::serialize(*v) == expected);
}

TEST_CASE("what the system says of itself is read in any locale") {
  const temp_folder machine;
  machine.write("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n");
  machine.write("proc/self/mountinfo",
                "31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n");
  machine.write("proc/self/cgroup", "0::/a\n");
  machine.write("cg/a/cpu.max", "150000 100000\n");
  machine.write("cg/a/memory.max", "4096000\n");
  machine.write("cg/a/memory.current", "3072000\n");
  const std::string root = machine.path().string();
  const foreign_locale german;
  CHECK(read_cpu_limits(root).quota == 1.5);
  CHECK(available_memory(root) == 1000 * 1024);
}
