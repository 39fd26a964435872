// SPDX-License-Identifier: MIT
// What several commands need of pipelines, and their values for people and for
// machines.
#ifndef TOOLS_CLI_PIPELINE_H_
#define TOOLS_CLI_PIPELINE_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline.h"
#include "tinyphi/pipeline/value_json.h"

namespace cli {

// All plugins of this program.
[[nodiscard]] const tinyphi::registry& plugins();

// Models by path, the built-in one where the file names none; [env] from the
// environment.
[[nodiscard]] tinyphi::host_options pipeline_host(
    const tinyphi::cancel_token& token);

// The same, but `model`, unless it is empty, stands for the models of `file`
// that have no path, and for its only one. invalid_argument if it has several
// and all have one.
[[nodiscard]] tinyphi::result<tinyphi::host_options> pipeline_host(
    const std::string& file, const std::string& model,
    const tinyphi::cancel_token& token);

// The same of a host that is not made for one file.
[[nodiscard]] tinyphi::result<tinyphi::host_options> pipeline_host(
    const std::string& file, const std::string& model,
    tinyphi::host_options host);

// -m for commands that run a pipeline.
void add_pipeline_model(CLI::App& command, std::string& model);

// Reads and proves a pipeline file; faults are printed, as text on stderr or
// as JSON on stdout, warnings and notes on stderr. Null and an exit status if
// an error is among them.
struct proved_pipeline {
  std::shared_ptr<tinyphi::graph> graph;
  int status = 0;
  std::vector<tinyphi::test_case> tests = {};
  bool has_warnings = false;
};
[[nodiscard]] proved_pipeline prove(const std::string& file, bool as_json,
                                    const tinyphi::host_options& options);
// The same of what a check of `file` has found.
[[nodiscard]] proved_pipeline report_check(tinyphi::pipeline_check checked,
                                           const std::string& file,
                                           bool as_json);

[[nodiscard]] std::string to_text(const tinyphi::value_data& v);
// By name, in the order of the file.
[[nodiscard]] tinyphi::json::object outputs_to_json(
    const tinyphi::run_result& r);

}  // namespace cli

#endif  // TOOLS_CLI_PIPELINE_H_
