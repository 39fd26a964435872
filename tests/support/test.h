// SPDX-License-Identifier: MIT
// What every test includes: Catch2 in either version, result<T> checks, paths.
#ifndef TESTS_SUPPORT_TEST_H_
#define TESTS_SUPPORT_TEST_H_

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <filesystem>
#include <string>

#include "support/skip.h"
#include "tinyphi/base/error.h"

namespace tinyphi_test {

// tests/data
inline std::filesystem::path data_dir() { return TINYPHI_TEST_DATA; }

// The error's message, or a text that no message contains.
template <class T>
std::string message_of(const tinyphi::result<T>& r) {
  return r ? "(no error)" : r.error().message;
}

// Requires success and shows the message if there is none.
#define REQUIRE_OK(r)                    \
  do {                                   \
    INFO(::tinyphi_test::message_of(r)); \
    REQUIRE((r).has_value());            \
  } while (false)

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_TEST_H_
