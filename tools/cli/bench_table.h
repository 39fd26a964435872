// SPDX-License-Identifier: MIT
// What `bench` shows: speeds of one model on one number of threads, as shares
// of what the machine allows.
#ifndef TOOLS_CLI_BENCH_TABLE_H_
#define TOOLS_CLI_BENCH_TABLE_H_

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cli/bench_runner.h"
#include "cli/machine.h"
#include "tinyphi/base/json.h"

namespace cli {

// Tokens per second of the repeats, ascending.
struct spread {
  std::vector<double> samples;

  [[nodiscard]] double min() const { return samples.front(); }
  [[nodiscard]] double median() const { return samples[samples.size() / 2]; }
  [[nodiscard]] double max() const { return samples.back(); }
};

struct bench_row {
  const char* what = "";  // "prefill" or "decode"
  std::size_t n_tokens = 0, n_sequences = 1, depth = 0;
  spread speed;
  double share = 0;          // of the speed that the machine allows
  double attention = 0;      // the same for attention alone; 0: not measured
  bool memory_bound = true;  // what sets the limit, or else arithmetic
};

struct bench_table {
  std::string model;
  std::size_t weight_bytes = 0;
  int n_threads = 0;
  machine_limits limits;
  std::vector<bench_row> rows;
};

// The rows of `cases` (by ascending depth) and of what was measured of each.
[[nodiscard]] std::vector<bench_row> bench_rows(
    const tinyphi::model& m, const machine_limits& limits,
    std::span<const bench_case> cases, std::span<const speeds> measured);

void print_table(const bench_table& t);
// One object per row.
[[nodiscard]] tinyphi::json::array to_json(const bench_table& t);

}  // namespace cli

#endif  // TOOLS_CLI_BENCH_TABLE_H_
