// SPDX-License-Identifier: MIT
// A pipeline file that has been proved and whose stages are ready to run.
#ifndef TINYPHI_PIPELINE_PIPELINE_H_
#define TINYPHI_PIPELINE_PIPELINE_H_

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/pipeline/describe.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/testing/test_case.h"

TINYPHI_NAMESPACE_BEGIN

// What a check of a file finds. The graph is null if there are faults.
struct pipeline_check {
  std::vector<diagnostic> faults;  // in the order of the file
  std::shared_ptr<graph> proved;   // null if an error is among them
  std::vector<test_case> tests;
};

// Proves a pipeline without creating a stage. `file` names the text in
// messages, and relative paths start at its folder.
[[nodiscard]] pipeline_check check_pipeline_text(
    std::string_view text, const std::filesystem::path& file,
    const registry& plugins, const host_options& options = {});
// The error is for a file that cannot be read.
[[nodiscard]] result<pipeline_check> check_pipeline(
    const std::filesystem::path& file, const registry& plugins,
    const host_options& options = {});

// A command line's "name=text" as input `name` of the graph: json, lists and
// records are JSON. The error names what it takes.
[[nodiscard]] result<value_data> parse_input(const graph& g,
                                             std::string_view name,
                                             std::string_view text);

// A shared handle: copies are the same pipeline. Any thread may run requests,
// any number at once. It outlives its requests by itself; what host_options
// refers to must outlive it.
class pipeline {
 public:
  // Reads, proves, and creates the stages. For a file with faults the message
  // is all of them, one a line, each with file, line and column; the code is
  // then bad_data.
  [[nodiscard]] static result<pipeline> compile(
      const std::filesystem::path& file, const registry& plugins,
      const host_options& options = {});
  [[nodiscard]] static result<pipeline> compile_text(
      std::string_view text, const std::filesystem::path& file,
      const registry& plugins, const host_options& options = {});
  // Creates the stages of what a check has proved, with the same options;
  // `file` is for messages. The graph is the pipeline's from then on.
  // Stages that are left out, by stage, are not created: whoever runs a request
  // sees to it that they do not run.
  [[nodiscard]] static result<pipeline> create(
      std::shared_ptr<tinyphi::graph> g, const std::string& file,
      const host_options& options, const std::vector<bool>& left_out = {});

  // Runs one request and waits for its end. on_text gets the pieces of
  // streamed outputs, on this thread; it may be empty, as `approve` may be.
  [[nodiscard]] result<run_result> run(
      input_values inputs, const stop_condition& stop = {},
      const std::function<void(std::string_view output,
                               std::string_view piece)>& on_text = {},
      approver approve = {}) const;
  // The same with all options of a request.
  [[nodiscard]] result<run_result> run(input_values inputs,
                                       run_options options) const;
  // The same on the executor of the awaiting coroutine. As many requests as
  // [limits] says run at once, and more wait, their deadlines running; the
  // others are refused as `unavailable`, and may come again after a while.
  [[nodiscard]] task<result<run_result>> async_run(
      input_values inputs, run_options options = {}) const;
  [[nodiscard]] double retry_after_seconds() const;

  [[nodiscard]] const tinyphi::graph& graph() const { return *graph_; }

 private:
  struct pool;

  pipeline(std::shared_ptr<const tinyphi::graph> g, std::shared_ptr<pool> p)
      : graph_(std::move(g)), pool_(std::move(p)) {}
  std::shared_ptr<const tinyphi::graph> graph_;
  std::shared_ptr<pool> pool_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/pipeline.ipp"
#endif

#endif  // TINYPHI_PIPELINE_PIPELINE_H_
