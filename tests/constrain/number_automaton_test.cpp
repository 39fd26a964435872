// SPDX-License-Identifier: MIT
#include "tinyphi/constrain/number_automaton.h"

#include <random>
#include <string>

#include "support/effort.h"
#include "support/test.h"
#include "tinyphi/schema/json_tree.h"

using namespace tinyphi;

namespace {

std::string random_number(std::mt19937& rng) {
  std::string s = rng() % 2 == 0 ? "-" : "";
  if (const auto n = rng() % 4; n == 0) {
    s += '0';
  } else {
    s += static_cast<char>('1' + rng() % 9);
    for (auto i = n; i > 1; --i) s += static_cast<char>('0' + rng() % 10);
  }
  if (rng() % 2 == 0) return s;
  s += '.';
  for (auto i = 1 + rng() % 3; i > 0; --i) {
    s += rng() % 3 == 0 ? '0' : static_cast<char>('0' + rng() % 10);
  }
  return s;
}

json_tree tree(const std::string& text) {
  auto t = json_tree::read(text);
  REQUIRE_OK(t);
  return *std::move(t);
}

bool takes(const number_shape& s, std::string_view text) {
  const auto a = number_automaton(s);
  REQUIRE_OK(a);
  return a->accepts(text);
}

}  // namespace

TEST_CASE("numbers between bounds are those that compare so, digit by digit") {
  std::mt19937 rng(1);
  for (int round = 0; round < tinyphi_test::effort(200, 20); ++round) {
    const std::string low = random_number(rng), high = random_number(rng);
    const json_tree low_tree = tree(low), high_tree = tree(high);
    number_shape s;
    s.integer = rng() % 3 == 0;
    if (rng() % 3 != 0)
      s.least = number_bound{low_tree.number(0), rng() % 2 == 0};
    if (rng() % 3 != 0)
      s.most = number_bound{high_tree.number(0), rng() % 2 == 0};
    if (rng() % 4 == 0) s.divisor = static_cast<std::uint32_t>(1 + rng() % 30);
    const auto a = number_automaton(s);
    REQUIRE_OK(a);
    for (int i = 0; i < 200; ++i) {
      const std::string x = i == 0 ? low : i == 1 ? high : random_number(rng);
      const json_tree x_tree = tree(x);
      const decimal d = x_tree.number(0);
      const bool whole = s.integer || s.divisor > 1;
      bool fits = !(d.digits.empty() && x[0] == '-') &&
                  !(whole && x.find('.') != x.npos);
      if (s.least)
        fits &= s.least->exclusive ? d > s.least->value : d >= s.least->value;
      if (s.most)
        fits &= s.most->exclusive ? d < s.most->value : d <= s.most->value;
      const json_tree divisor = tree(std::to_string(s.divisor));
      if (fits && s.divisor > 1) fits = is_multiple(d, divisor.number(0));
      INFO(x << " between " << (s.least ? low : "-") << " and "
             << (s.most ? high : "-") << ", multiple of " << s.divisor);
      CHECK(a->accepts(x) == fits);
    }
  }
}

TEST_CASE("numbers are written as JSON has them, within the digits allowed") {
  number_shape any, integer;
  integer.integer = true;
  for (const char* good : {"0", "-1", "12.5", "1e5", "-2.50E-10", "0.001"}) {
    INFO(good);
    CHECK(takes(any, good));
  }
  for (const char* bad : {"", "-", "-0", "-0.0", "01", "+1", ".5", "1.", "1e",
                          "1e1234", "12345678901234567"}) {
    INFO(bad);
    CHECK_FALSE(takes(any, bad));
  }
  CHECK(takes(integer, "123456789012345678"));
  CHECK_FALSE(takes(integer, "1234567890123456789"));
  CHECK_FALSE(takes(integer, "1.0"));
  CHECK_FALSE(takes(integer, "1e5"));
}

TEST_CASE("decimals are as many as a step of 0.1, 0.01 and so on leaves") {
  number_shape s;
  s.decimals = 2;
  CHECK(takes(s, "1.25"));
  CHECK_FALSE(takes(s, "1.255"));
}

TEST_CASE("bounds of more than 18 digits are an error of code limit") {
  const json_tree t = tree("12345678901234567890");
  number_shape s;
  s.least = number_bound{t.number(0), false};
  const auto a = number_automaton(s);
  REQUIRE_FALSE(a);
  CHECK(a.error().code == error_code::limit);
}

TEST_CASE("bounds that leave no number take no text") {
  const json_tree one = tree("1"), two = tree("2");
  number_shape s;
  s.integer = true;
  s.least = number_bound{one.number(0), true};
  s.most = number_bound{two.number(0), true};
  const auto a = number_automaton(s);
  REQUIRE_OK(a);
  CHECK(a->empty());
}
