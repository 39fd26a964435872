// SPDX-License-Identifier: MIT
// Runs a request and keeps what is told of it, as events and as a trace.
#ifndef TESTS_PIPELINE_RECORDING_H_
#define TESTS_PIPELINE_RECORDING_H_

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/fakes.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/trace_file.h"
#include "tinyphi/pipeline/value_json.h"

namespace tinyphi_test {

struct recording {
  result<run_result> ended = error{};
  run_record record;
  std::vector<trace_event> events;
  std::string text;  // the trace, of a file in the pipeline's folder
};

inline recording record_request(
    const pipeline& p, const input_values& inputs, bool contents = true,
    std::shared_ptr<const run_doubles> doubles = nullptr) {
  recording r;
  std::mutex mutex;
  const auto trace = std::make_shared<request_trace>();
  trace->request = "r1";
  trace->contents = contents;
  trace->on_event = [&](const trace_event& e) {
    const std::lock_guard lock(mutex);
    r.events.push_back(e);
  };
  run_options options;
  options.trace = trace;
  options.doubles = std::move(doubles);
  options.record = std::make_shared<run_record>();
  const auto record = options.record;
  r.ended = p.run(inputs, std::move(options));
  r.record = *record;
  trace_head head;
  head.request = "r1";
  head.file = std::filesystem::path(p.graph().file).filename().string();
  head.hash = p.graph().hash;
  head.inputs = inputs;
  r.text = to_json_line(head) + "\n";
  for (const trace_event& e : r.events) r.text += to_json_line(e) + "\n";
  r.text += to_json_line(end_of(r.ended, *record, 0.5)) + "\n";
  return r;
}

// "note/ask[2] 1.1 failed unavailable: it is down {text: "a"} -> {}"
inline std::string to_line(const trace_event& e) {
  const auto named = [](const stage_call& c) {
    return c.stage + (c.item ? "[" + std::to_string(*c.item) + "]" : "");
  };
  std::string line;
  for (const stage_call& c : e.callers) line += named(c) + "/";
  line += named(e.call) + " " + std::to_string(e.call.round) + "." +
          std::to_string(e.call.attempt) + " " +
          std::string(to_string(e.outcome));
  if (e.failure) {
    line += " " + std::string(to_string(e.failure->code)) + ": " +
            e.failure->message;
  }
  if (!e.reason.empty()) line += ": " + e.reason;
  const auto add = [&](const port_values& values) {
    for (const auto& [name, data] : values) {
      line += " " + name + "=" + json::serialize(to_json(data));
    }
  };
  add(e.in);
  if (!e.out.empty()) line += " ->";
  add(e.out);
  return line;
}
inline std::string to_lines(const std::vector<trace_event>& events) {
  std::string all;
  for (const trace_event& e : events) all += to_line(e) + "\n";
  return all;
}

}  // namespace tinyphi_test

#endif  // TESTS_PIPELINE_RECORDING_H_
