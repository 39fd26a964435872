// SPDX-License-Identifier: MIT
// tinyphi run, check and graph: pipeline files.
#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/approval.h"
#include "cli/batch.h"
#include "cli/command.h"
#include "cli/given_inputs.h"
#include "cli/pipeline.h"
#include "cli/request_view.h"
#include "cli/terminal.h"
#include "exit_code.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct run_options {
  std::string file;
  std::vector<std::string> inputs;  // NAME=TEXT
  std::string model;
  batch_options batch;
  std::vector<std::string> approved;
  std::string approvals;  // a folder; empty: the terminal
  bool stream = false;
  bool as_json = false;
  std::string until;  // empty: all stages run
  view_options view;
};

json::object result_to_json(const tinyphi::run_result& r) {
  json::array stages;
  for (const tinyphi::stage_report& s : r.stages) {
    stages.push_back({{"id", s.id},
                      {"outcome", json::string_view(to_string(s.outcome))},
                      {"reason", s.reason},
                      {"seconds", s.seconds}});
  }
  return {{"outputs", outputs_to_json(r)},
          {"stages", std::move(stages)},
          {"seconds", r.seconds}};
}

// Outputs in the order of the file, but for those that were streamed already.
void print_outputs(const tinyphi::pipeline& p, const tinyphi::run_result& r,
                   const std::set<std::string, std::less<>>& streamed) {
  const auto& declared = p.graph().outputs;
  for (const tinyphi::graph_output& output : declared) {
    const auto found = r.outputs.find(output.name);
    if (found == r.outputs.end() || streamed.contains(output.name)) continue;
    std::string text = to_text(found->second.data);
    if (text.empty()) continue;
    if (text.ends_with('\n')) text.pop_back();
    // One output speaks for itself.
    const bool plain = declared.size() == 1 ||
                       output.type.is(tinyphi::type_kind::text) ||
                       output.type == tinyphi::type_of<tinyphi::citations>();
    print_line(plain ? text : output.name + ": " + text);
  }
}

// Stops behind a stage: what does not lead to it does not run.
result<void> stop_behind(const tinyphi::graph& g, const std::string& stage,
                         request_options& o) {
  std::vector<std::string_view> ids;
  for (const tinyphi::graph_stage& s : g.stages) ids.push_back(s.id);
  const auto it = std::ranges::find(ids, stage);
  if (it == ids.end()) {
    return tinyphi::error{tinyphi::error_code::invalid_argument,
                          "--until: no stage " + tinyphi::quote(stage) +
                              tinyphi::did_you_mean(stage, ids)};
  }
  auto doubles = std::make_shared<tinyphi::run_doubles>();
  doubles->left_out = leading_to(g, static_cast<std::size_t>(it - ids.begin()));
  doubles->left_out.flip();
  doubles->why_left_out = "it does not lead to " + stage;
  o.not_created = doubles->left_out;
  o.doubles = std::move(doubles);
  return {};
}

int run_pipeline(const run_options& o) {
  if (!o.batch.each.empty()) {
    return run_batch(o.file, o.model, o.inputs, o.batch, o.as_json);
  }
  const interrupt_guard interrupt;
  const auto chosen = pipeline_host(o.file, o.model, interrupt.token());
  if (!chosen) return fail(chosen.error());
  const auto& host = *chosen;
  auto proved = prove(o.file, false, host);
  if (!proved.graph) return proved.status;
  // Before a model is loaded, which may take a while.
  auto inputs = given_inputs(*proved.graph, o.inputs);
  if (!inputs) return fail(inputs.error());
  for (const std::string& stage : o.approved) {
    const std::string wrong = wrong_approval(*proved.graph, stage);
    if (!wrong.empty()) return fail_usage("--approve: " + wrong);
  }
  request_options request{o.stream, o.as_json, o.view, nullptr, {}, {}};
  request.approve =
      o.approvals.empty()
          ? approve_at_terminal(o.approved)
          : approve_by_file(o.approved, o.approvals, proved.graph->name);
  if (!o.until.empty()) {
    const auto stops = stop_behind(*proved.graph, o.until, request);
    if (!stops) return fail(stops.error());
  }
  return run_request(std::move(proved.graph), o.file, *std::move(inputs),
                     request, interrupt.token(), host);
}

struct check_options {
  std::vector<std::string> files;
  bool open_all = false;
  bool deny_warnings = false;
  bool as_json = false;
};

int check_pipelines(const check_options& o) {
  const interrupt_guard interrupt;
  const auto host = pipeline_host(interrupt.token());
  int status = exit_done;
  for (const std::string& file : o.files) {
    auto proved = prove(file, o.as_json, host);
    if (proved.graph == nullptr) {
      status = proved.status;
      continue;
    }
    if (o.deny_warnings && proved.has_warnings) status = exit_config;
    if (o.open_all) {
      const auto opened =
          tinyphi::pipeline::create(std::move(proved.graph), file, host);
      if (!opened) {
        status = fail(opened.error());
        continue;
      }
    }
    print_line(o.as_json ? "[]" : file + ": ok");
  }
  return status;
}

struct graph_options {
  std::string file;
  std::string format = "text";
};

int show_graph(const graph_options& o) {
  const auto proved =
      prove(o.file, false, pipeline_host(tinyphi::cancel_token()));
  const auto& graph = proved.graph;
  if (graph == nullptr) return proved.status;
  using tinyphi::graph_format;
  const auto format = o.format == "dot"       ? graph_format::dot
                      : o.format == "mermaid" ? graph_format::mermaid
                      : o.format == "svg"     ? graph_format::svg
                                              : graph_format::text;
  print(describe(*graph, format));
  return exit_done;
}

}  // namespace

int run_request(std::shared_ptr<tinyphi::graph> g, const std::string& file,
                tinyphi::input_values inputs, const request_options& o,
                const tinyphi::cancel_token& token,
                const tinyphi::host_options& host) {
  const auto view = request_view::open(o.view, g, inputs);
  if (!view) return fail(view.error());
  const auto pipeline =
      tinyphi::pipeline::create(std::move(g), file, host, o.not_created);
  if (!pipeline) return fail(pipeline.error());

  std::set<std::string, std::less<>> streamed;
  bool line_open = false;
  const auto on_text = [&](std::string_view output,
                           std::string piece) -> tinyphi::task<void> {
    if (o.as_json) {
      print_line(
          json::serialize(json::object{{"output", json::string_view(output)},
                                       {"piece", json::string_view(piece)}}));
      co_return;
    }
    streamed.emplace(output);
    print(piece);
    line_open = !piece.ends_with('\n');
  };
  tinyphi::run_options options;
  options.stop.token = token;
  if (o.stream) options.on_text = on_text;
  options.doubles = o.doubles;
  options.approve = o.approve;
  (*view)->attach(options);
  const auto done = pipeline->run(std::move(inputs), std::move(options));
  if (line_open) print("\n");
  json::object out;
  if (done && o.as_json) out = result_to_json(*done);
  if (done && !o.as_json) print_outputs(*pipeline, *done, streamed);
  const auto told = (*view)->finish(done, o.as_json ? &out : nullptr);
  if (!out.empty()) print_line(json::serialize(out));
  if (!done) return fail(done.error());
  if (!told) return fail(told.error());
  return exit_done;
}

void add_run(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "run", "run a pipeline once, or for each line of a file",
                  "tinyphi run pipelines/docs-qa/docs-qa.toml "
                  "--input question='How do I reset the pump?'\n"
                  "         tinyphi run pipelines/summarise/summarise.toml "
                  "-i text=@report.txt\n"
                  "         tinyphi run pipelines/smallest.toml "
                  "--each questions.jsonl --out answers.jsonl --resume");
  auto o = std::make_shared<run_options>();
  command->add_option("file", o->file, "pipeline file")->required();
  command->add_option("--input,-i", o->inputs, given_inputs_help)
      ->type_name("NAME=TEXT")
      ->allow_extra_args(false);
  add_pipeline_model(*command, o->model);
  CLI::Option* each = add_batch_options(*command, o->batch);
  command
      ->add_option("--approve", o->approved,
                   "yes to what this stage asks a person; without it the "
                   "question is put at the terminal, and no is the answer "
                   "where there is none")
      ->type_name("STAGE")
      ->allow_extra_args(false);
  command
      ->add_option("--approvals", o->approvals,
                   "put what is asked of a person into this folder as ID.json "
                   "instead, and take ID.yes, a copy of it, for yes and ID.no "
                   "for no")
      ->type_name("DIR");
  command->add_flag("--stream", o->stream, "print text while it is made")
      ->excludes(each);
  command->add_flag("--json", o->as_json,
                    "outputs, stages and times as one JSON object; with "
                    "--stream each piece is an object before it, with --each "
                    "it counts requests");
  command
      ->add_option("--until", o->until,
                   "stop behind this stage; what does not lead to it does not "
                   "run")
      ->type_name("STAGE");
  add_view_options(*command, o->view);
  // These are of one request.
  for (const char* name : {"--approve", "--approvals", "--until", "--show",
                           "--stats", "--trace"}) {
    command->get_option(name)->excludes(each);
  }
  command->final_callback(
      [o, &run] { run = [o] { return run_pipeline(*o); }; });
}

void add_check(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "check", "check pipeline files without running them",
                  "tinyphi check pipelines/docs-qa/docs-qa.toml\n"
                  "What a code such as TP2007 means: tinyphi explain TP2007");
  auto o = std::make_shared<check_options>();
  command->add_option("files", o->files, "pipeline files")->required();
  command->add_flag("--open", o->open_all,
                    "also load the models and create the stages");
  command->add_flag("--deny-warnings", o->deny_warnings,
                    "a warning fails the check, too");
  command->add_flag("--json", o->as_json,
                    "a JSON array of faults per file, on standard output");
  command->final_callback(
      [o, &run] { run = [o] { return check_pipelines(*o); }; });
}

void add_graph(CLI::App& app, action& run) {
  CLI::App* command = add_command(
      app, "graph", "show the checked graph of a pipeline",
      "tinyphi graph pipelines/docs-qa/docs-qa.toml --format mermaid");
  auto o = std::make_shared<graph_options>();
  command->add_option("file", o->file, "pipeline file")->required();
  command->add_option("--format", o->format, "text, dot, mermaid or svg")
      ->check(CLI::IsMember({"text", "dot", "mermaid", "svg"}))
      ->capture_default_str();
  command->final_callback([o, &run] { run = [o] { return show_graph(*o); }; });
}

}  // namespace cli
