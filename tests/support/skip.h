// SPDX-License-Identifier: MIT
// Ends a test case that this machine cannot run, aloud: it counts as skipped.
#ifndef TESTS_SUPPORT_SKIP_H_
#define TESTS_SUPPORT_SKIP_H_

#include <string>

namespace tinyphi_test {

// Why the case that runs is skipped; main.cpp takes it. Empty: it is not.
inline std::string& skip_reason() {
  static std::string reason;
  return reason;
}

#define SKIP_CASE(why)                      \
  do {                                      \
    ::tinyphi_test::skip_reason() = why;    \
    SUCCEED(::tinyphi_test::skip_reason()); \
    return;                                 \
  } while (false)

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_SKIP_H_
