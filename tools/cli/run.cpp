// SPDX-License-Identifier: MIT
// tinyphi run, check and graph: pipeline files.
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/pipeline.h"
#include "cli/terminal.h"
#include "exit_code.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

struct run_options {
  std::string file;
  std::vector<std::string> inputs;  // NAME=TEXT
  bool stream = false;
  bool as_json = false;
};

result<tinyphi::input_values> parse_inputs(
    const tinyphi::graph& g, const std::vector<std::string>& given) {
  tinyphi::input_values values;
  for (const std::string& text : given) {
    const auto equals = text.find('=');
    if (equals == std::string::npos) {
      return tinyphi::error{tinyphi::error_code::invalid_argument,
                            "--input " + text + ": not of the form NAME=TEXT"};
    }
    const std::string name = text.substr(0, equals);
    TINYPHI_TRY(auto value, parse_input(g, name, text.substr(equals + 1)));
    if (!values.emplace(name, std::move(value)).second) {
      return tinyphi::error{tinyphi::error_code::invalid_argument,
                            "--input " + name + ": given twice"};
    }
  }
  return values;
}

json::object result_to_json(const tinyphi::run_result& r) {
  json::object outputs;
  for (const auto& [name, value] : r.outputs) {
    outputs[name] = to_json(value.data);
  }
  json::array stages;
  for (const tinyphi::stage_report& s : r.stages) {
    stages.push_back({{"id", s.id},
                      {"outcome", json::string_view(to_string(s.outcome))},
                      {"reason", s.reason},
                      {"seconds", s.seconds}});
  }
  return {{"outputs", std::move(outputs)},
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

int run_pipeline(const run_options& o) {
  const interrupt_guard interrupt;
  const auto host = pipeline_host(interrupt.token());
  auto proved = prove(o.file, false, host);
  if (!proved.graph) return proved.status;
  // Before a model is loaded, which may take a while.
  auto inputs = parse_inputs(*proved.graph, o.inputs);
  if (!inputs) return fail(inputs.error());
  const auto pipeline =
      tinyphi::pipeline::create(std::move(proved.graph), o.file, host);
  if (!pipeline) return fail(pipeline.error());

  std::set<std::string, std::less<>> streamed;
  bool line_open = false;
  const auto on_text = [&](std::string_view output, std::string_view piece) {
    if (o.as_json) {
      print_line(
          json::serialize(json::object{{"output", json::string_view(output)},
                                       {"piece", json::string_view(piece)}}));
      return;
    }
    streamed.emplace(output);
    print(piece);
    line_open = !piece.ends_with('\n');
  };
  tinyphi::stop_condition stop;
  stop.token = interrupt.token();
  const auto done = o.stream ? pipeline->run(std::move(*inputs), stop, on_text)
                             : pipeline->run(std::move(*inputs), stop);
  if (line_open) print("\n");
  if (!done) return fail(done.error());
  if (o.as_json) {
    print_line(json::serialize(result_to_json(*done)));
  } else {
    print_outputs(*pipeline, *done, streamed);
  }
  return exit_done;
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

void add_run(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "run", "run a pipeline once",
                  "tinyphi run pipelines/docs-qa/docs-qa.toml "
                  "--input question='How do I reset the pump?'");
  auto o = std::make_shared<run_options>();
  command->add_option("file", o->file, "pipeline file")->required();
  command
      ->add_option("--input,-i", o->inputs,
                   "value of an input, JSON for a list or a record; may be "
                   "given several times")
      ->type_name("NAME=TEXT")
      ->allow_extra_args(false);
  command->add_flag("--stream", o->stream, "print text while it is made");
  command->add_flag("--json", o->as_json,
                    "outputs, stages and times as one JSON object; with "
                    "--stream each piece is an object before it");
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
