// SPDX-License-Identifier: MIT
// tinyphi replay: a recorded request once more.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/pipeline.h"
#include "cli/request_view.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/pipeline/testing/recorded.h"

namespace cli {

namespace {

using tinyphi::error;
using tinyphi::error_code;
using tinyphi::result;

struct replay_options {
  std::string trace;
  std::string from;  // empty: all stages run
  bool stream = false;
  bool as_json = false;
  view_options view;
};

// What stands for the stages before `from`.
result<void> take_recorded(const tinyphi::recorded_trace& trace,
                           const tinyphi::graph& g, const replay_options& o,
                           request_options& request) {
  std::vector<std::string_view> ids;
  for (const tinyphi::graph_stage& s : g.stages) ids.push_back(s.id);
  const auto it = std::ranges::find(ids, o.from);
  if (it == ids.end()) {
    return error{error_code::invalid_argument,
                 "--from: no stage " + tinyphi::quote(o.from) +
                     tinyphi::did_you_mean(o.from, ids)};
  }
  auto found = tinyphi::recorded_runs::take(
      trace, g,
      stages_before(trace, g, static_cast<std::size_t>(it - ids.begin())));
  if (!found) {
    return error{error_code::bad_data, to_string(found.error(), o.trace)};
  }
  const auto runs = std::make_shared<tinyphi::recorded_runs>(*std::move(found));
  auto doubles = std::make_shared<tinyphi::run_doubles>();
  doubles->recorded = [runs, name = o.trace](std::size_t stage,
                                             const tinyphi::stage_call& call)
      -> std::optional<result<tinyphi::call_outputs>> {
    if (!runs->stages()[stage]) return std::nullopt;
    if (auto given = runs->find(stage, call)) return given;
    return result<tinyphi::call_outputs>(
        error{error_code::bad_data, name + " has no such run; replay it from " +
                                        call.stage + " or before"});
  };
  request.not_created = runs->stages();
  request.doubles = std::move(doubles);
  return {};
}

int replay(const replay_options& o) {
  const interrupt_guard interrupt;
  const auto host = pipeline_host(interrupt.token());
  const auto text =
      tinyphi::read_file(o.trace, tinyphi::trace_limits::max_bytes);
  if (!text) return fail(text.error());
  auto trace = tinyphi::read_trace(*text, o.trace);
  if (!trace) return fail(trace.error());
  const std::string file =
      (std::filesystem::path(o.trace).parent_path() / trace->head.file)
          .lexically_normal()
          .string();
  auto proved = prove(file, false, host);
  if (!proved.graph) return proved.status;
  request_options request{o.stream, o.as_json, o.view, nullptr, {}, {}};
  if (!o.from.empty()) {
    const auto taken = take_recorded(*trace, *proved.graph, o, request);
    if (!taken) return fail(taken.error());
  } else if (trace->head.hash != proved.graph->hash) {
    note(file + " has changed since " + o.trace + " was recorded");
  }
  return run_request(std::move(proved.graph), file,
                     std::move(trace->head.inputs), request, interrupt.token(),
                     host);
}

}  // namespace

void add_replay(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "replay", "run a recorded request again, whole or from a stage on",
      "tinyphi run FILE -i question=Why? --trace t.jsonl\n"
      "         tinyphi replay t.jsonl --from generate\n"
      "The pipeline may have changed where it runs again; a change of what "
      "the\n"
      "trace stands for is TP5009.");
  auto o = std::make_shared<replay_options>();
  command->add_option("trace", o->trace, "trace of `tinyphi run --trace`")
      ->required();
  command
      ->add_option("--from", o->from,
                   "this stage, and all that wait for it, run; the others give "
                   "what they gave, but for prompts, which are made again")
      ->type_name("STAGE");
  command->add_flag("--stream", o->stream, "print text while it is made");
  command->add_flag("--json", o->as_json,
                    "outputs, stages and times as one JSON object");
  add_view_options(*command, o->view);
  command->final_callback([o, &run] { run = [o] { return replay(*o); }; });
}

}  // namespace cli
