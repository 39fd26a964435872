// SPDX-License-Identifier: MIT
// The tests of a pipeline file, proved against its graph: what stands for which
// stage, what runs, and what must hold afterwards.
#ifndef TINYPHI_PIPELINE_TESTING_TEST_CASE_H_
#define TINYPHI_PIPELINE_TESTING_TEST_CASE_H_

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/expression/expression.h"

TINYPHI_NAMESPACE_BEGIN

// What a stage gives in one run of a test, instead of running.
struct stage_fake {
  call_outputs outputs;
  std::optional<error> failure;
};

struct test_expectation {
  expression test;
  std::string text;
  position at;

  // Whether it looks at the error with which a request ends.
  [[nodiscard]] bool asks_error() const;
};
// `text` proved against the graph; `at` is where it stands.
[[nodiscard]] result<test_expectation, expression_fault> compile_expectation(
    const graph& g, const std::string& text, position at);

// A value that is compared with its snapshot.
struct test_snapshot {
  expression value;
  std::string text;  // the reference
  position at;
};

struct test_case {
  std::string name;
  position at;
  std::vector<std::string> tags;
  input_values inputs;
  // By stage: one for each run, the last of them for all that follow.
  std::map<std::size_t, std::vector<stage_fake>> fakes;
  // By tool: one for each call, the last of them for all that follow.
  std::map<std::string, std::vector<stage_fake>, std::less<>> tool_fakes;
  // By stage that has tools: the turns of the model that stands for its own.
  std::map<std::size_t, std::vector<value_data>> turns;
  std::vector<bool> left_out;         // by stage: it does not run
  std::vector<std::string> approved;  // where a person says yes; see approver
  // By stage: why it must not run in a test; empty if it may.
  std::vector<std::string> needs_fake;
  // The same by tool; those that are not here may run.
  std::map<std::string, std::string, std::less<>> tool_needs_fake;
  std::vector<test_expectation> expect;
  std::vector<test_snapshot> snapshot;
  // Where inputs come from, and, by stage, the outputs of those that a test
  // does not run; read when the test runs. Empty: nowhere.
  std::filesystem::path trace;
  position trace_at;
  std::vector<bool> recorded;
  bool expects_error = false;  // an expectation asks for it
  bool with_model = false;
  std::size_t times = 1;  // how often it runs, and
  std::size_t pass = 1;   // how often it must pass
};

// What an expectation sees, by number: the slots of the graph, then its
// outputs, then error.code, error.stage and error.message. Functions over
// stages have the number of the function times that of the stages, and that of
// the stage: failed, ran, rounds, attempts. Behind them are those over tools,
// likewise: calls, denied.
struct test_numbers {
  explicit test_numbers(const graph& g)
      : n_slots(g.slots.size()),
        n_outputs(g.outputs.size()),
        n_stages(g.stages.size()),
        n_tools(g.tools.size()) {}

  static constexpr std::string_view functions[] = {
      "failed", "ran", "rounds", "attempts", "calls", "denied"};
  static constexpr std::size_t n_of_stages = 4;
  static constexpr std::string_view error_fields[] = {"code", "stage",
                                                      "message"};

  std::size_t n_slots;
  std::size_t n_outputs;
  std::size_t n_stages;
  std::size_t n_tools;

  // Of the function with that number, over that stage or tool.
  [[nodiscard]] std::size_t call(std::size_t function, std::size_t of) const {
    return function < n_of_stages ? function * n_stages + of
                                  : n_of_stages * n_stages +
                                        (function - n_of_stages) * n_tools + of;
  }
  // The other way round.
  [[nodiscard]] std::pair<std::size_t, std::size_t> parts(
      std::size_t call) const {
    const std::size_t last = n_of_stages * n_stages;
    if (call < last) return {call / n_stages, call % n_stages};
    return {n_of_stages + (call - last) / n_tools, (call - last) % n_tools};
  }
};

// The file's tests. What is wrong with them is added to `faults`.
[[nodiscard]] std::vector<test_case> compile_tests(
    const pipeline_spec& spec, const graph& g, std::vector<diagnostic>& faults);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/testing/test_case.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TESTING_TEST_CASE_H_
