// SPDX-License-Identifier: MIT
#include "tinyphi/schema/decimal.h"

#include <string>

#include "support/test.h"
#include "tinyphi/schema/json_tree.h"

using namespace tinyphi;

namespace {

// As JSON writes it; the tree keeps the digits.
struct number {
  explicit number(const std::string& text) : tree(json_tree::read(text)) {
    REQUIRE_OK(tree);
  }
  [[nodiscard]] decimal get() const { return tree->number(0); }
  result<json_tree> tree;
};

bool less(const std::string& a, const std::string& b) {
  const number x(a), y(b);
  CHECK((x.get() < y.get()) == (y.get() > x.get()));
  return x.get() < y.get();
}
bool same(const std::string& a, const std::string& b) {
  const number x(a), y(b);
  return x.get() == y.get();
}
bool multiple(const std::string& a, const std::string& b) {
  const number x(a), y(b);
  return is_multiple(x.get(), y.get());
}

}  // namespace

TEST_CASE("decimals are the same however they are written") {
  CHECK(same("1", "1.000"));
  CHECK(same("1e3", "1000"));
  CHECK(same("0.00120E+4", "12"));
  CHECK(same("0", "-0.0e9"));
  CHECK(same("-5e-1", "-0.5"));
  CHECK(!same("9007199254740992", "9007199254740993"));
  CHECK(!same("0.1", "0.1000000000000000055511151231257827"));
}

TEST_CASE("decimals compare by sign, size and digits") {
  CHECK(less("-1", "0"));
  CHECK(less("0", "1e-400"));
  CHECK(less("-100", "-99.9"));
  CHECK(less("9.99", "10"));
  CHECK(less("1.2", "1.25"));
  CHECK(less("1e999", "1e1000"));
  CHECK(less("1e2000000000", "1e2100000000"));
  CHECK(less("-1e1000", "-1e999"));
  CHECK(!less("2", "2.0"));
  CHECK(!less("0.02", "0.0199"));
}

TEST_CASE("is_integer and to_count take what is a whole number") {
  for (const char* text : {"0", "1.0", "1e2", "-12.50e1", "1e400"}) {
    CHECK(is_integer(number(text).get()));
  }
  for (const char* text : {"0.5", "1.01", "1e-1", "123456789012345678.5"}) {
    CHECK(!is_integer(number(text).get()));
  }
  CHECK(to_count(number("120.0").get()) == 120);
  CHECK(to_count(number("-0").get()) == 0);
  CHECK(to_count(number("9007199254740992").get()) == 9007199254740992);
  CHECK(!to_count(number("9007199254740993").get()));
  CHECK(!to_count(number("1e300").get()));
  CHECK(!to_count(number("-1").get()));
  CHECK(!to_count(number("1.5").get()));
}

TEST_CASE("is_multiple divides exactly") {
  CHECK(multiple("19.99", "0.01"));
  CHECK(multiple("0.0075", "0.0001"));
  CHECK(!multiple("0.00751", "0.0001"));
  CHECK(multiple("1e308", "0.5"));
  CHECK(!multiple("1e308", "0.123456789"));
  CHECK(!multiple("1e308", "7"));
  CHECK(multiple("-21", "7"));
  CHECK(multiple("0", "7"));
  CHECK(multiple("4.5", "1.5"));
  CHECK(!multiple("4.4", "1.5"));
  CHECK(multiple("999999999999999999e200", "999999999999999999"));
  CHECK(!multiple("999999999999999998e200", "999999999999999999"));
  CHECK(multiple("700000000000", "7e3"));
  CHECK(!multiple("7e2", "7e3"));
}
