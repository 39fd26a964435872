// SPDX-License-Identifier: MIT
// Runs a graph once: stages as coroutines on one strand, each as soon as its
// inputs are there; time limits, cancellation, and text that leaves piece by
// piece. A request owns all it starts: when it ends, nothing of it is running.
#ifndef TINYPHI_PIPELINE_EXECUTOR_H_
#define TINYPHI_PIPELINE_EXECUTOR_H_

#include <algorithm>
#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/pipeline/clock.h"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/trace.h"
#include "tinyphi/pipeline/value_ledger.h"

TINYPHI_NAMESPACE_BEGIN

// A stream's sender waits while even its fastest reader is this far behind.
inline constexpr std::size_t max_unread_bytes = std::size_t{4} << 10;

enum class stage_outcome : std::uint8_t { skipped, done };
[[nodiscard]] constexpr std::string_view to_string(stage_outcome o) {
  return o == stage_outcome::done ? "done" : "skipped";
}

struct stage_report {
  std::string id;
  stage_outcome outcome = stage_outcome::skipped;
  std::string reason;        // why it was skipped, or gave less than it may
  double seconds = 0;        // from its start to its end
  std::size_t rounds = 0;    // of `repeat`, over all items; else 1 for each run
  std::size_t attempts = 0;  // those after a failure included
  bool failed = false;       // a fallback stands for it
};

using input_values = std::map<std::string, value_data, std::less<>>;

// Values by name, in the order of the file's [output].
class output_values {
 public:
  using item = std::pair<std::string, value>;
  using const_iterator = std::vector<item>::const_iterator;

  void add(std::string name, value v) {
    all_.emplace_back(std::move(name), std::move(v));
  }
  [[nodiscard]] const_iterator begin() const { return all_.begin(); }
  [[nodiscard]] const_iterator end() const { return all_.end(); }
  [[nodiscard]] const_iterator find(std::string_view name) const {
    return std::ranges::find(all_, name, &item::first);
  }

 private:
  std::vector<item> all_;
};

struct run_result {
  output_values outputs;
  std::vector<stage_report> stages;  // in the order of the graph
  double seconds = 0;
};

// Takes the pieces of the outputs that are streams; the pieces of one output
// come in order and joined are its value. While it waits the pipeline waits.
// It may throw: the request then fails.
using text_reader =
    std::function<task<void>(std::string_view output, std::string piece)>;

// By out-port of a stage; nothing where it is absent.
using call_outputs = std::vector<std::optional<value_data>>;

// What stands for parts of the pipeline while it is tested or replayed.
struct run_doubles {
  // The outputs, or the error, of the n-th attempt of a stage, from 0, instead
  // of a run. Nothing: it runs.
  std::function<std::optional<result<call_outputs>>(std::size_t stage,
                                                    std::size_t attempt)>
      fake;
  // The same of a run by its place, as a trace knows it; may be empty. It is
  // asked where `fake` has nothing to say.
  std::function<std::optional<result<call_outputs>>(std::size_t stage,
                                                    const stage_call& call)>
      recorded;
  // The n-th turn of the model of a stage that has tools, from 0, instead of
  // the model's; and the outputs, or the error, of the n-th attempt of a tool's
  // call.
  std::function<std::optional<value_data>(std::string_view stage,
                                          std::size_t turn)>
      turn;
  std::function<std::optional<result<call_outputs>>(std::string_view tool,
                                                    std::size_t attempt)>
      tool;
  // By stage: it does not run. What it would give is not missed by fakes.
  // Empty: all run.
  std::vector<bool> left_out;
  std::string why_left_out = "the test leaves it out";
};

// How often a tool ran, and how often a person did not let it.
struct tool_count {
  std::size_t calls = 0;
  std::size_t denied = 0;
};
using tool_counts = std::map<std::string, tool_count, std::less<>>;

// What there was of a request when it ended, well or not.
struct run_record {
  std::vector<std::optional<value_data>> slots;  // of the graph
  std::vector<stage_report> stages;              // in the order of the graph
  std::string failed_stage;                      // empty: none
  tool_counts tools;
};

// What a called file takes over from the request that it is a part of.
struct enclosing_request {
  std::shared_ptr<request_clock> clock;
  std::optional<steady_time> deadline;  // by that clock
  std::shared_ptr<value_ledger> values;
  // Somebody reads what the called file streams while it runs.
  bool is_followed = false;
  tinyphi::tool_counts* tool_counts = nullptr;  // counts, unless null
};

struct run_options {
  // Not an aggregate: g++ 12 destroys aggregate temporaries of a co_await
  // expression, such as a default argument, twice.
  run_options() = default;

  stop_condition stop;
  text_reader on_text;  // may be empty
  // Its priority is the best that the request may have; the file's own class
  // counts if it is lower.
  request_origin origin = {.priority = priority_class::interactive};
  std::shared_ptr<request_clock> clock;  // null: the steady clock
  approver approve;  // may be empty: every question is then denied
  std::shared_ptr<const run_doubles> doubles;  // may be null
  std::shared_ptr<run_record> record;          // filled in, unless null
  // Of a called file; null for all others. It must outlive the request.
  const enclosing_request* within = nullptr;
  std::shared_ptr<const request_trace> trace;  // is told, unless null
};

// Runs the graph on the executor of the calling coroutine; blocking work goes
// to `pool`. Ends when all stages have ended: after an error, a deadline or a
// cancellation (of `stop`, or by the coroutine's cancellation slot) those that
// run are cancelled first. The error names the stage.
[[nodiscard]] task<result<run_result>> run_graph(
    std::shared_ptr<const graph> g, input_values inputs, run_options options,
    boost::asio::any_io_executor pool);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/executor.ipp"
#endif

#endif  // TINYPHI_PIPELINE_EXECUTOR_H_
