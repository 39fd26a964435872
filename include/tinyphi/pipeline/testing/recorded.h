// SPDX-License-Identifier: MIT
// A recorded request once more: which stages of a graph a trace stands for, and
// what it says that they gave.
#ifndef TINYPHI_PIPELINE_TESTING_RECORDED_H_
#define TINYPHI_PIPELINE_TESTING_RECORDED_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/trace_file.h"

TINYPHI_NAMESPACE_BEGIN

// Whether an out-port of the stage is a prompt. No trace stands for such a
// stage: it costs nothing to run it again, and so no file can put control
// tokens into a prompt.
[[nodiscard]] bool makes_prompt(const graph& g, std::size_t stage);

// By stage: those of which the trace knows how they ended, and that make no
// prompt.
[[nodiscard]] std::vector<bool> stages_known(const recorded_trace& trace,
                                             const graph& g);

// Of those, the stages that a replay from stage `from` need not run: all but
// `from`, what failed the request, and what waits for either.
[[nodiscard]] std::vector<bool> stages_before(const recorded_trace& trace,
                                              const graph& g, std::size_t from);

// What stages gave, for run_doubles::recorded.
class recorded_runs {
 public:
  // Takes the stages of `wanted` over. stale_trace for one whose tables, or
  // whose file, have changed since; bad_fake for values that it cannot have
  // given, or that were not recorded. The place is left to the caller.
  [[nodiscard]] static result<recorded_runs, diagnostic> take(
      const recorded_trace& trace, const graph& g, std::vector<bool> wanted);

  // By stage: those that were taken.
  [[nodiscard]] const std::vector<bool>& stages() const { return wanted_; }
  // What the run gave, or how it failed; nothing if the trace has no such run.
  [[nodiscard]] std::optional<result<call_outputs>> find(
      std::size_t stage, const stage_call& call) const;

 private:
  // Stage, item, round, attempt; without `each` the item is 0.
  using place = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;
  static place place_of(std::size_t stage, const stage_call& call) {
    return {stage, call.item.value_or(0), call.round, call.attempt};
  }

  std::vector<bool> wanted_;
  std::map<place, result<call_outputs>> runs_;
};

// A [[test]] with the request of a trace, in TOML: what stages gave comes from
// `path`, which is the trace's, from the pipeline's folder; what the request
// gave is expected, and is compared with a snapshot where it is long.
[[nodiscard]] std::string test_from(const recorded_trace& trace, const graph& g,
                                    std::string_view path);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/testing/recorded.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TESTING_RECORDED_H_
