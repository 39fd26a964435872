// SPDX-License-Identifier: MIT
// Traces as JSON, one object a line: what was asked, the runs of its stages as
// they ended, and how it ended. Reading treats a trace as bytes from anybody.
#ifndef TINYPHI_PIPELINE_TRACE_FILE_H_
#define TINYPHI_PIPELINE_TRACE_FILE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/trace.h"

TINYPHI_NAMESPACE_BEGIN

struct trace_limits {
  static constexpr std::size_t max_bytes = std::size_t{128} << 20;
  static constexpr std::size_t max_line = std::size_t{16} << 20;
  static constexpr std::size_t max_lines = 200'000;
  static constexpr std::size_t max_depth = 48;  // of the JSON of a line
  static constexpr std::size_t max_name = 256;  // of an id, a port, a hash
  static constexpr std::size_t max_path = 4096;
};

// The first line.
struct trace_head {
  std::string request;
  std::string file;  // of the pipeline, from the folder of the trace
  std::string hash;  // graph::hash
  input_values inputs;
};

// The last line.
struct trace_end {
  // How a stage of the file itself ended; `reason` is that of a skip, or why
  // its fallback was taken. One that the end of the request ended has neither.
  struct stage {
    std::string id;
    bool done = false;
    std::string reason;
  };

  std::optional<error> failure;  // of the request
  std::string failed_stage;
  double seconds = 0;
  std::vector<stage> stages;
  std::vector<std::pair<std::string, value_data>> outputs;
};
[[nodiscard]] trace_end end_of(const result<run_result>& ended,
                               const run_record& record, double seconds);

// A line without its end.
[[nodiscard]] std::string to_json_line(const trace_head& head);
// One that would be longer than max_line has no contents.
[[nodiscard]] std::string to_json_line(const trace_event& event);
[[nodiscard]] std::string to_json_line(const trace_end& end);

struct recorded_trace {
  trace_head head;
  std::vector<trace_event> events;
  trace_end end;
};

// `name` is the file's in messages, which begin "NAME:LINE: ". bad_data for
// what is no trace, `limit` for more than trace_limits; a trace without its
// last line is bad_data, since it does not say what it lacks.
[[nodiscard]] result<recorded_trace> read_trace(std::string_view text,
                                                std::string_view name);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/trace_file.ipp"
#endif

#endif  // TINYPHI_PIPELINE_TRACE_FILE_H_
