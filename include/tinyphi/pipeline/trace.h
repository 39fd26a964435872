// SPDX-License-Identifier: MIT
// What somebody is told of a request while it runs: one event for each run of a
// stage, those of called files included, and for each stage that was skipped.
#ifndef TINYPHI_PIPELINE_TRACE_H_
#define TINYPHI_PIPELINE_TRACE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

// Which run of a stage. A skip has no round and no attempt: they are 0.
struct stage_call {
  std::string stage;
  std::optional<std::size_t> item;  // with `each`
  std::size_t round = 0;            // from 1
  std::size_t attempt = 0;          // of the round, from 1

  friend bool operator==(const stage_call&, const stage_call&) = default;
};

// In the order of the ports.
using port_values = std::vector<std::pair<std::string, value_data>>;

struct trace_event {
  enum class kind : std::uint8_t { done, failed, skipped };

  std::string request;
  std::string file;        // of the stage, as it was named, and ...
  std::string hash;        // ... graph::hash of it
  std::string stage_hash;  // graph_stage::hash
  // The runs of stages that call the file, from the outside in.
  std::vector<stage_call> callers;
  stage_call call;
  kind outcome = kind::done;
  std::optional<error> failure;  // of one that failed
  std::string reason;            // of one that was skipped
  bool faked = false;  // the stage did not run: its outputs were given
  double start = 0;    // in seconds since the request began
  double seconds = 0;  // how long it took
  usage used;          // of models, as the stage says
  trust label = trust::trusted;  // of the outputs
  // The contents, if they are wanted. Of a text that was being written when
  // the stage failed, what there was.
  port_values in;
  port_values out;
};
[[nodiscard]] constexpr std::string_view to_string(trace_event::kind k) {
  constexpr std::string_view names[] = {"done", "failed", "skipped"};
  return names[static_cast<std::size_t>(k)];
}

// Who is told of a request. Inputs and outputs are all that an event may hold
// of contents: parameters, and with them secrets, are never in it.
struct request_trace {
  // Called where the stage runs, at the end of each run; files that are called
  // at the same time may do so from several threads. It must not throw, and
  // holds up the request while it runs.
  std::function<void(const trace_event&)> on_event;
  std::string request;    // names the request in each event
  bool contents = false;  // with inputs and outputs

  // Filled in by the executor, for called files.
  std::optional<steady_time> began;
  std::vector<stage_call> callers;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_TRACE_H_
