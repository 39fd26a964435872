// SPDX-License-Identifier: MIT
#include "tinyphi/base/error.h"

#include <memory>
#include <string>

#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::message_of;

namespace {

result<int> half_of(int n) {
  if (n % 2 != 0) {
    return error{error_code::invalid_argument, std::to_string(n) + " is odd"};
  }
  return n / 2;
}

result<int> quarter_of(int n) {
  TINYPHI_TRY(const int half, half_of(n));
  return half_of(half);
}

result<void> check_quarter(int n) {
  TINYPHI_CHECK_OK(quarter_of(n));
  return {};
}

}  // namespace

TEST_CASE("TINYPHI_TRY gives the value or returns the error") {
  CHECK(*quarter_of(12) == 3);
  CHECK(message_of(quarter_of(6)) == "3 is odd");
  CHECK(message_of(quarter_of(5)) == "5 is odd");
}

TEST_CASE("TINYPHI_CHECK_OK returns the error of a result of any type") {
  CHECK(check_quarter(4));
  CHECK(message_of(check_quarter(5)) == "5 is odd");
}

TEST_CASE("within puts a place before the message and keeps the code") {
  const error e = error{error_code::limit, "too long"}.within("line 3");
  CHECK(e.message == "line 3: too long");
  CHECK(e.code == error_code::limit);
}

TEST_CASE("a result holds values that can only be moved") {
  result<std::unique_ptr<int>> r(std::make_unique<int>(5));
  const std::unique_ptr<int> p = *std::move(r);
  CHECK(*p == 5);
}

TEST_CASE("every error code has its name") {
  CHECK(to_string(error_code::invalid_argument) == "invalid_argument");
  CHECK(to_string(error_code::internal) == "internal");
}
