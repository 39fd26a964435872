// SPDX-License-Identifier: MIT
// What the machine offers, as the system says it and as it is measured.
#ifndef TOOLS_CLI_MACHINE_H_
#define TOOLS_CLI_MACHINE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/json.h"
#include "tinyphi/base/parallel.h"

namespace cli {

[[nodiscard]] std::string cpu_name();
// The system's setting, "always", "madvise", "never" or "unknown", how much of
// what was asked for came as huge pages, and how fast so many threads read
// those beside small ones, which are used where the system has no others.
[[nodiscard]] std::string huge_pages(int n_threads);

// Per second, on some number of threads.
struct machine_limits {
  double read_bytes_per_second = 0;  // memory, sequential
  double int8_macs_per_second = 0;   // multiply-adds of 8-bit dot products
  double f32_macs_per_second = 0;
};

// Measures the limits. Neighbours on a shared machine take from them in some
// seconds and not in others, so whatever is compared with them is measured
// between samples.
class machine_probe {
 public:
  explicit machine_probe(int n_threads);
  // Some tenths of a second.
  void sample();
  // The medians of the samples.
  [[nodiscard]] machine_limits limits() const;

 private:
  tinyphi::team team_;
  tinyphi::aligned_array<std::byte> memory_;  // more than caches hold
  std::vector<machine_limits> samples_;
};
[[nodiscard]] machine_limits measure_limits(int n_threads);

[[nodiscard]] tinyphi::json::object to_json(int n_threads,
                                            const machine_limits& limits);
// Bytes of this process that are in memory now; 0 if the system does not say.
[[nodiscard]] std::size_t resident_memory();

}  // namespace cli

#endif  // TOOLS_CLI_MACHINE_H_
