// SPDX-License-Identifier: MIT
// What `run` and `replay` tell of a request besides its outputs: a trace in a
// file, figures of its stages, and values of it.
#ifndef TOOLS_CLI_REQUEST_VIEW_H_
#define TOOLS_CLI_REQUEST_VIEW_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "cli/pipeline.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/trace_file.h"

namespace cli {

struct view_options {
  std::string trace;  // empty: none
  bool stats = false;
  std::vector<std::string> show;  // slots
};
// --trace, --stats and --show.
void add_view_options(CLI::App& command, view_options& o);

class request_view {
 public:
  // invalid_argument for a value that the file does not have; an error of the
  // trace's file, which is made now, so that nothing is computed in vain.
  [[nodiscard]] static tinyphi::result<std::unique_ptr<request_view>> open(
      const view_options& o, std::shared_ptr<const tinyphi::graph> g,
      const tinyphi::input_values& inputs);
  ~request_view();

  void attach(tinyphi::run_options& options);
  // Once the request has ended: completes the trace, and prints the figures to
  // standard error and the values to standard output, or adds both to `out`.
  [[nodiscard]] tinyphi::result<void> finish(
      const tinyphi::result<tinyphi::run_result>& ended,
      tinyphi::json::object* out);

 private:
  struct state;
  explicit request_view(std::unique_ptr<state> s);
  std::shared_ptr<state> state_;
  std::string request_;  // its id
};

// What runs of a request are done with, for `run` and `replay`: everything but
// what the pipeline is and what goes into it.
struct request_options {
  bool stream = false;
  bool as_json = false;
  view_options view;
  std::shared_ptr<const tinyphi::run_doubles> doubles;  // may be null
  std::vector<bool> not_created;  // stages that do not run; empty: none
  tinyphi::approver approve;      // may be empty: all questions are denied
};
// Runs the graph of `file`, prints what came of it, and returns the exit
// status.
int run_request(std::shared_ptr<tinyphi::graph> g, const std::string& file,
                tinyphi::input_values inputs, const request_options& o,
                const tinyphi::cancel_token& token,
                const tinyphi::host_options& host);

}  // namespace cli

#endif  // TOOLS_CLI_REQUEST_VIEW_H_
