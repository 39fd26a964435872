// SPDX-License-Identifier: MIT
// What the command line's exit status means: the numbers of sysexits.h.
#ifndef TOOLS_EXIT_CODE_H_
#define TOOLS_EXIT_CODE_H_

#include "tinyphi/base/error.h"

namespace cli {

enum exit_code : int {
  exit_done = 0,
  exit_failed = 1,        // a test or a check says no
  exit_usage = 64,        // options or values that cannot be
  exit_bad_data = 65,     // bytes that break a rule of their format
  exit_no_input = 66,     // no such file, or not readable
  exit_unavailable = 69,  // something that is needed is missing
  exit_internal = 70,     // our bug
  exit_try_again = 75,    // stopped, or out of time
  exit_config = 78,       // a pipeline file that cannot be
};

[[nodiscard]] constexpr exit_code exit_code_of(tinyphi::error_code code) {
  using tinyphi::error_code;
  switch (code) {
    case error_code::invalid_argument:
      return exit_usage;
    case error_code::not_found:
      return exit_no_input;
    case error_code::bad_data:
    case error_code::unsupported:
    case error_code::limit:
    case error_code::exhausted:
      return exit_bad_data;
    case error_code::io:
    case error_code::unavailable:
      return exit_unavailable;
    case error_code::cancelled:
    case error_code::deadline:
      return exit_try_again;
    case error_code::internal:
      break;
  }
  return exit_internal;
}

}  // namespace cli

#endif  // TOOLS_EXIT_CODE_H_
