// SPDX-License-Identifier: MIT
#include "cli/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/terminal.h"
#include "exit_code.h"
#include "plugins/plugins.h"
#include "tinyphi/base/mapped_file.h"
#include "tinyphi/model/vocabulary.h"
#include "tinyphi/pipeline/toml_file.h"

namespace cli {

namespace {

namespace json = tinyphi::json;
using tinyphi::result;

result<tinyphi::model_facts> describe_model(const tinyphi::model_spec& spec) {
  TINYPHI_TRY(const auto file, open_model_file(spec.path.string()));
  TINYPHI_TRY(const auto config, tinyphi::read_model_config(file));
  TINYPHI_TRY(auto tokenizer, tinyphi::load_tokenizer(file));
  return tinyphi::model_facts{config.max_context, std::move(tokenizer)};
}

json::array ports_to_json(const std::vector<tinyphi::port_info>& ports) {
  json::array out;
  for (const tinyphi::port_info& p : ports) {
    out.push_back({{"name", p.name},
                   {"type", to_string(p.types)},
                   {"required", p.required},
                   {"stream", p.stream}});
  }
  return out;
}

std::string effects_of(tinyphi::effect set) {
  using tinyphi::effect;
  std::string out;
  for (const auto& [flag, name] :
       {std::pair(effect::read, "read"), std::pair(effect::write, "write"),
        std::pair(effect::net, "net"), std::pair(effect::exec, "exec")}) {
    if (has(set, flag)) out += (out.empty() ? "" : " ") + std::string(name);
  }
  return out.empty() ? "none" : out;
}

json::object plugin_to_json(const tinyphi::stage_type& type) {
  json::array params;
  for (const tinyphi::param_info& p : type.params) {
    params.push_back({{"name", p.name},
                      {"type", p.type},
                      {"default", p.default_value},
                      {"allowed", p.allowed},
                      {"required", p.required},
                      {"help", p.help}});
  }
  return {{"id", json::string_view(type.info.id)},
          {"major", type.info.major},
          {"summary", json::string_view(type.info.summary)},
          {"effects", effects_of(type.info.effects)},
          {"in", ports_to_json(type.in_ports)},
          {"open_in", type.open_in_ports},
          {"out", ports_to_json(type.out_ports)},
          {"streams", ports_to_json(type.stream_ports)},
          {"open_out", type.open_out_ports},
          {"params", std::move(params)}};
}

void print_ports(const char* title,
                 const std::vector<tinyphi::port_info>& ports) {
  for (const tinyphi::port_info& p : ports) {
    print_line(std::string(title) + p.name + ": " +
               (p.stream ? "stream of " : "") + to_string(p.types) +
               (p.required ? "" : ", may be absent"));
  }
}

void print_plugin(const tinyphi::stage_type& type) {
  print_line(std::string(type.info.id) + "@" + std::to_string(type.info.major) +
             "  " + std::string(type.info.summary));
  print_line("effects  " + effects_of(type.info.effects));
  print_ports("in       ", type.in_ports);
  if (type.open_in_ports) print_line("in       more, as its parameters ask");
  print_ports("out      ", type.out_ports);
  print_ports("out      ", type.stream_ports);
  if (type.open_out_ports) print_line("out      more, as its parameters ask");
  for (const tinyphi::param_info& p : type.params) {
    std::string line = "with     " + p.name + ": " + p.type;
    if (p.required) line += ", required";
    if (!p.default_value.empty()) line += ", default " + p.default_value;
    if (!p.allowed.empty()) line += ", " + p.allowed;
    if (!p.help.empty()) line += "; " + p.help;
    print_line(line);
  }
}

}  // namespace

const tinyphi::registry& plugins() {
  static const tinyphi::registry all = [] {
    tinyphi::registry r;
    register_builtin_plugins(r);
    return r;
  }();
  return all;
}

tinyphi::host_options pipeline_host(const tinyphi::cancel_token& token) {
  tinyphi::host_options options;
  options.open_model = [token](const tinyphi::model_spec& spec) {
    model_options model;
    model.path = spec.path.string();
    return load_engine(model, token);
  };
  options.describe_model = describe_model;
  options.env = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  return options;
}

result<tinyphi::host_options> pipeline_host(
    const std::string& file, const std::string& model,
    const tinyphi::cancel_token& token) {
  return pipeline_host(file, model, pipeline_host(token));
}

result<tinyphi::host_options> pipeline_host(const std::string& file,
                                            const std::string& model,
                                            tinyphi::host_options options) {
  if (model.empty()) return options;
  std::filesystem::path only;  // empty: the models without a path
  std::string names;
  // What is wrong with the file is said by prove().
  std::vector<tinyphi::diagnostic> faults;
  const auto text = tinyphi::read_file(file, tinyphi::toml_limits::max_bytes);
  const auto spec = text ? tinyphi::read_spec(*text, file, options.env, faults)
                         : std::nullopt;
  bool all_have_paths = spec.has_value();
  if (spec) {
    for (const auto& [name, m] : spec->models) {
      all_have_paths = all_have_paths && !m.path.empty();
      names += (names.empty() ? "" : ", ") + name;
      only = m.path;
    }
    if (all_have_paths && spec->models.size() > 1) {
      return tinyphi::error{
          tinyphi::error_code::invalid_argument,
          "--model " + model + ": " + file + " has models of its own (" +
              names + "); leave out the path of the one that it stands for"};
    }
  }
  if (!all_have_paths) only.clear();
  const auto chosen = [only, model](tinyphi::model_spec m) {
    if (m.path.empty() || m.path == only) m.path = model;
    return m;
  };
  options.open_model = [chosen, open = std::move(options.open_model)](
                           const tinyphi::model_spec& m) {
    return open(chosen(m));
  };
  options.describe_model =
      [chosen, describe = std::move(options.describe_model)](
          const tinyphi::model_spec& m) { return describe(chosen(m)); };
  return options;
}

void add_pipeline_model(CLI::App& command, std::string& model) {
  command
      .add_option("-m,--model", model,
                  "GGUF file or Hugging Face folder, for the pipeline's only "
                  "model or the models that it gives no path; without it those "
                  "are the built-in demo model")
      ->type_name("MODEL");
}

proved_pipeline prove(const std::string& file, bool as_json,
                      const tinyphi::host_options& options) {
  auto checked = tinyphi::check_pipeline(file, plugins(), options);
  if (!checked) return {nullptr, fail(checked.error())};
  return report_check(*std::move(checked), file, as_json);
}

proved_pipeline report_check(tinyphi::pipeline_check checked,
                             const std::string& file, bool as_json) {
  const bool failed = checked.proved == nullptr;
  if (failed && as_json) {
    print_line(to_json(checked.faults, file));
  } else if (!checked.faults.empty()) {
    const std::string faults =
        printable(to_string(checked.faults, file)) + "\n";
    std::fwrite(faults.data(), 1, faults.size(), stderr);
  }
  if (failed) return {nullptr, exit_config};
  return {std::move(checked.proved), exit_done, std::move(checked.tests),
          std::ranges::any_of(checked.faults, [](const auto& d) {
            return severity_of(d.code) == tinyphi::severity::warning;
          })};
}

std::optional<int> inspect_plugin(const std::string& id, bool as_json) {
  // As `list` prints it: with its major version, or without.
  const std::string_view name = std::string_view(id).substr(0, id.find('@'));
  const tinyphi::stage_type* type = plugins().find(name);
  if (type == nullptr) return std::nullopt;
  const std::string full =
      std::string(name) + "@" + std::to_string(type->info.major);
  if (id != name && id != full) return std::nullopt;
  if (as_json) {
    print_line(json::serialize(plugin_to_json(*type)));
  } else {
    print_plugin(*type);
  }
  return exit_done;
}

int inspect_pipeline(const std::string& file, bool as_json) {
  const auto proved =
      prove(file, as_json, pipeline_host(tinyphi::cancel_token()));
  const auto& graph = proved.graph;
  if (graph == nullptr) return proved.status;
  json::array inputs, outputs, called;
  if (!as_json) {
    print_line(graph->name + (graph->version.empty() ? "" : " ") +
               graph->version + (graph->summary.empty() ? "" : "  ") +
               graph->summary);
    print_line("effects  " + effects_of(graph->effects));
  }
  for (const tinyphi::input_spec& i : graph->inputs) {
    const json::value given =
        i.default_value ? to_json(*i.default_value) : json::value();
    inputs.push_back({{"name", i.name},
                      {"type", to_string(i.type)},
                      {"trust", to_string(i.label)},
                      {"required", !i.optional && !i.default_value},
                      {"default", given},
                      {"max_bytes", i.max_bytes},
                      {"max_items", i.max_items}});
    if (as_json) continue;
    print_line("in       " + i.name + ": " + to_string(i.type) + ", " +
               std::string(to_string(i.label)) +
               (i.optional ? ", may be left out" : "") +
               (i.default_value ? ", default " + json::serialize(given) : ""));
  }
  for (const tinyphi::graph_output& o : graph->outputs) {
    outputs.push_back({{"name", o.name},
                       {"type", to_string(o.type)},
                       {"trust", to_string(o.label)},
                       {"required", !o.may_be_absent},
                       {"stream", o.stream}});
    if (as_json) continue;
    print_line("out      " + o.name + ": " + (o.stream ? "stream of " : "") +
               to_string(o.type) + ", " + std::string(to_string(o.label)) +
               (o.may_be_absent ? ", may be absent" : ""));
  }
  for (const std::string& other : graph->called_files) {
    called.emplace_back(other);
    if (!as_json) print_line("calls    " + other);
  }
  const tinyphi::request_limits& most = graph->limits;
  json::value deadline;  // null: none
  if (graph->deadline) {
    deadline = std::chrono::duration<double>(*graph->deadline).count();
  }
  if (as_json) {
    print_line(json::serialize(
        json::object{{"name", graph->name},
                     {"version", graph->version},
                     {"summary", graph->summary},
                     {"effects", effects_of(graph->effects)},
                     {"in", std::move(inputs)},
                     {"out", std::move(outputs)},
                     {"calls", std::move(called)},
                     {"limits",
                      {{"deadline_seconds", std::move(deadline)},
                       {"concurrency", most.concurrency},
                       {"queue", most.queue},
                       {"memory", most.memory},
                       {"items", most.items},
                       {"text", most.text}}}}));
    return exit_done;
  }
  print_line("limits   deadline " +
             (graph->deadline ? std::to_string(graph->deadline->count()) + " ms"
                              : std::string("none")) +
             ", texts of " + human_bytes(most.text) + ", lists of " +
             std::to_string(most.items) + ", memory " +
             human_bytes(most.memory));
  return exit_done;
}

int plan_pipeline(const std::string& file, bool as_json) {
  const auto proved =
      prove(file, as_json, pipeline_host(tinyphi::cancel_token()));
  const auto& graph = proved.graph;
  if (graph == nullptr) return proved.status;
  if (!as_json) {
    print(plan_text(*graph));
    return exit_done;
  }
  json::array stages;
  for (const tinyphi::stage_plan& s : plan(*graph)) {
    json::value timeout;  // null: none
    if (s.timeout) {
      timeout = std::chrono::duration<double>(*s.timeout).count();
    }
    stages.push_back({{"id", s.id},
                      {"plugin", s.plugin},
                      {"timeout_seconds", std::move(timeout)},
                      {"model", s.model},
                      {"context", s.context},
                      {"prompt_tokens", s.prompt_tokens},
                      {"reserve", s.reserve},
                      {"answer_tokens", s.answer_tokens}});
  }
  print_line(json::serialize(stages));
  return exit_done;
}

void add_list(CLI::App& app, action& run) {
  CLI::App* command =
      add_command(app, "list", "list the plugins of pipelines", "tinyphi list");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "as a JSON array, with all details");
  command->final_callback([as_json, &run] {
    run = [as_json] {
      json::array all;
      for (const auto& [id, type] : plugins().types()) {
        if (*as_json) {
          all.push_back(plugin_to_json(type));
          continue;
        }
        print_line(padded(id + "@" + std::to_string(type.info.major), 18) +
                   "  " + std::string(type.info.summary));
      }
      if (*as_json) print_line(json::serialize(all));
      return exit_done;
    };
  });
}

}  // namespace cli
