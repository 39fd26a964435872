// SPDX-License-Identifier: MIT
// Beyond what the JSON Schema Test Suite has (suite_test.cpp).
#include "tinyphi/schema/formats.h"

#include <string>

#include "support/test.h"

using namespace tinyphi;

namespace {

bool has(std::string_view format, std::string_view text) {
  std::uint64_t steps = 1'000'000;
  const auto f = find_text_format(format);
  REQUIRE(f.has_value());
  return has_format(*f, text, steps) && steps > 0;
}

}  // namespace

TEST_CASE("formats have names, and others are none") {
  for (const std::string_view name : text_format_names) {
    const auto f = find_text_format(name);
    REQUIRE(f.has_value());
    CHECK(format_pattern(*f).starts_with("^(?:"));
    CHECK(!has(name, ""));
    CHECK(!has(name, "\n"));
  }
  CHECK(!find_text_format("iri"));
  CHECK(!find_text_format(""));
}

TEST_CASE("dates exist and leap seconds end a day of UTC") {
  CHECK(has("date", "2024-02-29"));
  CHECK(has("date", "2000-02-29"));
  CHECK(!has("date", "1900-02-29"));
  CHECK(!has("date", "2023-02-29"));
  CHECK(!has("date", "2023-04-31"));
  CHECK(has("date-time", "1998-12-31T23:59:60Z"));
  CHECK(has("date-time", "1998-12-31T15:59:60.123-08:00"));
  CHECK(!has("date-time", "1998-12-31T23:58:60Z"));
  CHECK(!has("date-time", "2023-02-29T00:00:00Z"));
  CHECK(has("time", "01:29:60+01:30"));
  CHECK(!has("time", "01:29:60-01:30"));
}

TEST_CASE("host names and mailboxes are as long as they may be") {
  const std::string label(63, 'a');
  CHECK(has("hostname", label + ".b"));
  CHECK(!has("hostname", label + "a.b"));
  const std::string long_name =
      label + '.' + label + '.' + label + '.' + std::string(61, 'a');
  CHECK(has("hostname", long_name));
  CHECK(!has("hostname", long_name + 'a'));
  CHECK(has("email", std::string(64, 'u') + "@x.org"));
  CHECK(!has("email", std::string(65, 'u') + "@x.org"));
  CHECK(!has("email", "u@" + label + "a.org"));
  CHECK(has("email", "u@[IPv6:2001:db8::1]"));
  CHECK(has("email", "\"a @ b\"@x.org"));
}

TEST_CASE("an IPv6 address has eight groups, or fewer around one ::") {
  const std::string groups[] = {
      "",          "1",           "1:2",           "1:2:3",          "1:2:3:4",
      "1:2:3:4:5", "1:2:3:4:5:6", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8"};
  for (int before = 0; before <= 8; ++before) {
    for (int after = 0; after <= 8; ++after) {
      const std::string text = groups[before] + "::" + groups[after];
      INFO(text);
      CHECK(has("ipv6", text) == (before + after <= 7));
    }
    CHECK(has("ipv6", groups[before]) == (before == 8));
  }
  CHECK(has("ipv6", "::ffff:192.0.2.1"));
  CHECK(!has("ipv6", "fe80::1%eth0"));
}
