// SPDX-License-Identifier: MIT
// What `bench` measures: a model's prefill and decode, and the least that they
// cost on any machine.
#ifndef TOOLS_CLI_BENCH_RUNNER_H_
#define TOOLS_CLI_BENCH_RUNNER_H_

#include <cstddef>
#include <vector>

#include "cli/machine.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/model/model.h"

namespace cli {

struct bench_case {
  std::size_t depth = 0;        // tokens each sequence holds already
  std::size_t n_prompt = 0;     // then, in one sequence, chunk by chunk
  std::size_t n_decode = 0;     // then one by one, all sequences together
  std::size_t n_sequences = 1;  // at least 1
  tinyphi::kv_type kv_type = tinyphi::kv_type::f16;
};

// Tokens per second of each repeat; decode counts those of all sequences.
struct speeds {
  std::vector<double> prefill;
  std::vector<double> decode;
};

// Runs cases on threads of its own, with one cache that stays warm, so of one
// type. The model must outlive it.
class bench_runner {
 public:
  bench_runner(const tinyphi::model& model, int n_threads,
               tinyphi::kv_type kv_type, const tinyphi::cancel_token& token);
  [[nodiscard]] int n_threads() const { return team_.n_threads(); }
  // Once; adds the speeds of what the case has.
  [[nodiscard]] tinyphi::result<void> run(const bench_case& c, speeds& out);

 private:
  [[nodiscard]] tinyphi::result<void> check_memory(const bench_case& c) const;
  tinyphi::result<void> fill(tinyphi::kv_sequence& kv, std::size_t n);
  tinyphi::result<void> prefill(tinyphi::kv_sequence& kv, std::size_t n);
  tinyphi::result<void> decode(std::vector<tinyphi::kv_sequence>& all);

  const tinyphi::model& model_;
  tinyphi::team team_;
  tinyphi::forward_scratch scratch_;
  tinyphi::stop_condition stop_;
  tinyphi::kv_pool pool_;
};

// The least that must be done: bytes read from memory, multiply-adds of the
// matrices and of attention.
struct work {
  double bytes = 0;
  double macs = 0;
};
// A whole prompt; weights are read for every chunk of it, which is nothing
// beside the arithmetic.
[[nodiscard]] work prefill_work(const tinyphi::model& m, const bench_case& c);
// One step in the middle of decoding: a token of each sequence.
[[nodiscard]] work decode_work(const tinyphi::model& m, const bench_case& c);
// Seconds on a machine that does nothing else.
[[nodiscard]] double least_seconds(const work& w, const machine_limits& limits,
                                   bool exact);

}  // namespace cli

#endif  // TOOLS_CLI_BENCH_RUNNER_H_
