// SPDX-License-Identifier: MIT
// Runs the tests of a pipeline file, and says what they did not reach.
#ifndef TINYPHI_PIPELINE_TESTING_RUN_TESTS_H_
#define TINYPHI_PIPELINE_TESTING_RUN_TESTS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/testing/test_case.h"

TINYPHI_NAMESPACE_BEGIN

struct test_outcome {
  enum class kind : std::uint8_t { passed, failed, skipped };
  std::string name;
  position at;
  kind what = kind::passed;
  // Why it failed or was skipped, each with its place.
  std::vector<diagnostic> problems;
  double seconds = 0;
  // Snapshots that were taken: "FILE:LINE: output.x is NEW, it was OLD".
  std::vector<std::string> updates;
};

struct test_report {
  std::vector<test_outcome> tests;  // in the order of the file
  // What no test reached: stages that never ran, cases that were never chosen,
  // conditions that went one way only, fallbacks that were never taken.
  std::vector<diagnostic> not_covered;
  result<void> snapshots;  // whether those that were taken could be written

  [[nodiscard]] std::size_t count(test_outcome::kind k) const {
    return static_cast<std::size_t>(
        std::ranges::count(tests, k, &test_outcome::what));
  }
};

struct test_options {
  std::string tag;           // only tests with it; empty: all
  bool with_models = false;  // those with mode = "model", too
  bool update = false;       // takes the values that snapshots differ from
  stop_condition stop;
  host_options host;  // its pool runs the stages' blocking work
  // Called after each test; may be empty.
  std::function<void(const test_outcome&)> on_outcome;
};

// Runs the tests one after the other. Stages are created when a test first runs
// them; `file` is for messages.
[[nodiscard]] test_report run_tests(const std::shared_ptr<graph>& g,
                                    const std::vector<test_case>& tests,
                                    std::string_view file,
                                    const test_options& options);

// What expectations see of a request that has ended, by the numbers of
// test_numbers; `failure` is where its error is kept. All arguments must
// outlive the values.
[[nodiscard]] expression_values values_of_request(
    const graph& g, const result<run_result>& ended, const run_record& record,
    std::vector<value_data>& failure);
// Why it does not hold, with what was there instead; empty: it holds.
[[nodiscard]] std::string find_fault(const test_expectation& e,
                                     const expression_values& values);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/testing/run_tests.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TESTING_RUN_TESTS_H_
