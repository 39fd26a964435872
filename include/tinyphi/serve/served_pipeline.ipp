// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_SERVED_PIPELINE_IPP_
#define TINYPHI_SERVE_SERVED_PIPELINE_IPP_

#include <algorithm>
#include <vector>

#include "tinyphi/pipeline/diagnostic.h"
#include "tinyphi/pipeline/value_json.h"
#include "tinyphi/serve/mcp_tool.h"
#include "tinyphi/serve/served_pipeline.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline error no_such_port(const std::string& pipeline, const char* what,
                          const std::string& name,
                          std::span<const std::string_view> known) {
  return {error_code::not_found, "pipeline '" + pipeline + "': it has no " +
                                     what + " of type text called " +
                                     quote(name) + did_you_mean(name, known)};
}

}  // namespace detail

TINYPHI_FUNC result<served_pipeline> open_pipeline(const pipeline_entry& entry,
                                                   const registry& plugins,
                                                   const host_options& options,
                                                   std::int64_t created) {
  TINYPHI_TRY(auto compiled, pipeline::compile(entry.path, plugins, options));
  const graph& g = compiled.graph();
  std::vector<std::string_view> inputs, needed, outputs;
  for (const input_spec& i : g.inputs) {
    if (!i.type.is(type_kind::text)) continue;
    inputs.push_back(i.name);
    if (!i.default_value) needed.push_back(i.name);
  }
  for (const graph_output& o : g.outputs) {
    if (o.type.is(type_kind::text)) outputs.push_back(o.name);
  }
  served_pipeline p{entry.name, compiled, entry.chat_input, entry.chat_output,
                    created};
  for (const trigger_spec& t : g.triggers) {
    const auto* http = std::get_if<http_trigger>(&t.when);
    if (http == nullptr || http->token.empty()) continue;
    TINYPHI_TRY(p.tokens[t.name], g.services->secret(http->token));
  }
  const auto known = [](const auto& names, const std::string& name) {
    return std::ranges::find(names, name) != names.end();
  };
  if (p.chat_input.empty() && needed.size() == 1) p.chat_input = needed.front();
  if (p.chat_output.empty() && !outputs.empty()) {
    p.chat_output = outputs.front();
  }
  if (!p.chat_input.empty() && !known(inputs, p.chat_input)) {
    return detail::no_such_port(entry.name, "input", p.chat_input, inputs);
  }
  if (!p.chat_output.empty() && !known(outputs, p.chat_output)) {
    return detail::no_such_port(entry.name, "output", p.chat_output, outputs);
  }
  if (entry.mcp) {
    TINYPHI_TRY(p.tool, describe_tool(g, entry.name));
  }
  return p;
}

TINYPHI_FUNC json::object describe_pipeline(const served_pipeline& p) {
  const graph& g = p.compiled.graph();
  json::array inputs, outputs;
  for (const input_spec& i : g.inputs) {
    inputs.push_back({{"name", i.name},
                      {"type", to_string(i.type)},
                      {"required", !i.default_value && !i.optional}});
  }
  for (const graph_output& o : g.outputs) {
    outputs.push_back(
        {{"name", o.name}, {"type", to_string(o.type)}, {"stream", o.stream}});
  }
  return {{"name", p.name},
          {"object", "pipeline"},
          {"created", p.created},
          {"version", g.version},
          {"summary", g.summary},
          {"inputs", std::move(inputs)},
          {"outputs", std::move(outputs)},
          {"model", "pipeline:" + p.name}};
}

TINYPHI_FUNC api_result<input_values> pipeline_inputs(
    const served_pipeline& p, const json::object& given) {
  const auto& declared = p.compiled.graph().inputs;
  std::vector<std::string_view> names;
  for (const input_spec& i : declared) names.push_back(i.name);
  input_values values;
  for (const auto& [key, v] : given) {
    const std::string name(key);
    const auto input = std::ranges::find(declared, name, &input_spec::name);
    if (input == declared.end()) {
      return invalid_value(
          "inputs", "no input " + quote(name) + did_you_mean(name, names));
    }
    auto value = check_input(*input, from_json(v));
    if (!value) {
      return invalid_value("inputs." + name, value.error().message);
    }
    values.emplace(name, *std::move(value));
  }
  for (const input_spec& i : declared) {
    if (i.default_value || i.optional || values.contains(i.name)) continue;
    return invalid_value("inputs." + i.name, "input " + i.name + " is missing");
  }
  return values;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_SERVED_PIPELINE_IPP_
