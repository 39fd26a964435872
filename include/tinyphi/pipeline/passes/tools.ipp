// SPDX-License-Identifier: MIT
// Tools: each [tool.x] is compiled as a file of its own with one stage.
// In-ports to which the table binds nothing become the file's inputs, which are
// the arguments; `approve` becomes a stage in front that shows them to a
// person. Its faults: TP2003, and those of the file.
#ifndef TINYPHI_PIPELINE_PASSES_TOOLS_IPP_
#define TINYPHI_PIPELINE_PASSES_TOOLS_IPP_

#include "tinyphi/pipeline/compile.h"
#include "tinyphi/pipeline/passes/compilation.h"
#include "tinyphi/pipeline/tool.h"
#include "tinyphi/pipeline/type_schema.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

class tool_pass {
 public:
  explicit tool_pass(compilation& c) : c_(c) {}

  void run() {
    for (const auto& [name, spec] : c_.spec.tools) {
      auto tool = spec.poisoned ? nullptr : compile(name, spec);
      c_.g.services->add_tool(name, tool);  // null: faulty, and known
      c_.g.tools.emplace(name, std::move(tool));
    }
  }

 private:
  std::shared_ptr<file_tool> compile(const std::string& name,
                                     const tool_spec& spec) {
    pipeline_spec file = file_around(name, spec);
    const std::size_t before = c_.faults.size();
    if (!add_arguments(spec, file)) return nullptr;
    auto tool = std::make_shared<file_tool>();
    tool->name = name;
    tool->describe = spec.describe;
    tool->at = spec.call.at;
    tool->asks_person = spec.approve.has_value();
    tool->body = compile_graph(file, c_.plugins, c_.options, c_.callers.back(),
                               c_.faults, c_.callers);
    if (tool->body == nullptr ||
        has_errors(std::span(c_.faults).subspan(before))) {
      return nullptr;
    }
    use(tool->body->used);
    tool->effects = tool->body->effects;
    tool->unasked_effects = tool->body->unasked_effects;
    for (const graph_output& o : tool->body->outputs) {
      tool->makes = join(tool->makes, o.label);
    }
    tool->parameters = json::serialize(input_schema(*tool->body));
    return tool;
  }

  // The file without its stages, inputs and outputs.
  [[nodiscard]] pipeline_spec file_around(const std::string& name,
                                          const tool_spec& spec) const {
    pipeline_spec file;
    file.name = name;
    file.hash = spec.call.hash;
    file.is_part = true;
    file.env = c_.spec.env;
    file.limits = c_.spec.limits;
    file.models = c_.spec.models;
    file.rules = c_.spec.rules;
    file.secrets = c_.spec.secrets;
    file.prompts = c_.spec.prompts;
    file.mcp_servers = c_.spec.mcp_servers;
    file.types = c_.spec.types;
    file.allowed = c_.spec.allowed;
    file.libraries = c_.spec.libraries;
    return file;
  }

  // False (reported) if the plugin or an argument cannot be a tool's.
  bool add_arguments(const tool_spec& spec, pipeline_spec& file) {
    file.stages = {spec.call};
    graph alone;
    alone.services = c_.g.services;
    const std::size_t before = c_.faults.size();
    compilation probe(file, c_.plugins, c_.options, c_.callers, alone,
                      c_.faults);
    add_ports(probe);
    if (has_errors(std::span(c_.faults).subspan(before))) return false;
    const graph_stage& stage = alone.stages.front();
    for (const graph_port& p : stage.in) {
      const auto is_bound = [&](const binding_spec& b) {
        return b.port == p.info.name;
      };
      if (std::ranges::any_of(spec.call.in, is_bound)) continue;
      if (!add_argument(spec, p.info, file)) return false;
    }
    if (spec.approve) ask_first(spec, file);
    for (const port_info& p : stage.out) {
      file.outputs.push_back({.from = bind(p.name, spec.call.id + "." + p.name,
                                           !p.required || spec.approve),
                              .default_value = {}});
    }
    return true;
  }

  bool add_argument(const tool_spec& spec, const port_info& port,
                    pipeline_spec& file) {
    const auto text = std::ranges::find(port.types, type(type_kind::text));
    const type& t = text == port.types.end() ? port.types.front() : *text;
    const bool is_place = t.is(type_kind::path);
    if (t.is(type_kind::any) || t.is(type_kind::prompt) || is_place) {
      c_.report(fault::type_mismatch, spec.call.at,
                spec.call.title() + ": a model cannot give in." + port.name +
                    ", which is " +
                    (t.is(type_kind::any) ? "of any type"
                     : is_place           ? "a path that the file must say"
                                          : "a prompt") +
                    "; bind it");
      return false;
    }
    // A person says yes to all that is shown, so nothing of it is left out.
    file.inputs.push_back({.name = port.name,
                           .at = spec.call.at,
                           .type = t,
                           .optional = !port.required && !spec.approve});
    return true;
  }

  [[nodiscard]] static binding_spec bind(const std::string& port,
                                         const std::string& from,
                                         bool optional = false) {
    return {.port = port, .at = {}, .from = {{from, optional, {}}}};
  }

  // The arguments go through a stage that asks.
  static void ask_first(const tool_spec& spec, pipeline_spec& file) {
    stage_spec ask;
    ask.id = spec.call.id == "ask" ? "asks" : "ask";
    ask.at = spec.call.at;
    ask.hash = spec.call.hash;
    ask.plugin = "approve";
    ask.plugin_at = spec.call.at;
    const auto text = [&](std::string value) {
      return config_node{.data = std::move(value), .at = spec.call.at};
    };
    ask.with = config_node{
        .data =
            config_table{
                {"ask", spec.call.at,
                 text("May the model use the tool " + spec.call.id + "?")},
                {"wait", spec.call.at,
                 text(std::to_string(spec.approve->count()) + "ms")}},
        .at = spec.call.at};
    stage_spec& call = file.stages.front();
    for (const input_spec& input : file.inputs) {
      ask.in.push_back(bind(input.name, "input." + input.name));
      call.in.push_back(bind(input.name, ask.id + "." + input.name));
    }
    if (file.inputs.empty()) call.when = text(ask.id + ".approved");
    file.stages.insert(file.stages.begin(), std::move(ask));
  }

  void use(const used_names& names) {
    c_.used.env.insert(names.env.begin(), names.env.end());
    c_.used.models.insert(names.models.begin(), names.models.end());
    c_.used.rules.insert(names.rules.begin(), names.rules.end());
    c_.used.secrets.insert(names.secrets.begin(), names.secrets.end());
    c_.used.prompts.insert(names.prompts.begin(), names.prompts.end());
    c_.used.mcp_servers.insert(names.mcp_servers.begin(),
                               names.mcp_servers.end());
    c_.used.types.insert(names.types.begin(), names.types.end());
    c_.used.add_places(names);
  }

  compilation& c_;
};

}  // namespace detail

inline void add_tools(compilation& c) { detail::tool_pass(c).run(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_PASSES_TOOLS_IPP_
