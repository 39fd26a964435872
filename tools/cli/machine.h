// SPDX-License-Identifier: MIT
// What the machine offers, as the system says it and as it is measured.
#ifndef TOOLS_CLI_MACHINE_H_
#define TOOLS_CLI_MACHINE_H_

#include <cstddef>
#include <string>

namespace cli {

[[nodiscard]] std::string cpu_name();
// "always", "madvise", "never" or "unknown".
[[nodiscard]] std::string huge_pages();
// Best of a few tries of a few tenths of a second, on `n_threads` threads.
struct machine_limits {
  double read_bytes_per_second = 0;  // memory, sequential
  double int8_macs_per_second = 0;   // multiply-adds of 8-bit dot products
  double f32_macs_per_second = 0;
};
[[nodiscard]] machine_limits measure_limits(int n_threads);

}  // namespace cli

#endif  // TOOLS_CLI_MACHINE_H_
