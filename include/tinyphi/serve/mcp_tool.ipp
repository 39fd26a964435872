// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_MCP_TOOL_IPP_
#define TINYPHI_SERVE_MCP_TOOL_IPP_

#include <algorithm>

#include "tinyphi/base/ascii.h"
#include "tinyphi/pipeline/type_schema.h"
#include "tinyphi/pipeline/value_json.h"
#include "tinyphi/serve/mcp_tool.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline bool is_mcp_tool_name(std::string_view name) {
  const auto is_allowed = [](char c) {
    return ascii::is_word(c) || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= mcp_tool_limits::max_name_bytes &&
         std::ranges::all_of(name, is_allowed);
}

}  // namespace detail

TINYPHI_FUNC result<json::object> describe_tool(const graph& g,
                                                std::string_view name) {
  const auto refuse = [&](error_code code, std::string why) {
    return error{code, g.file + ": " + std::move(why)};
  };
  if (!detail::is_mcp_tool_name(name)) {
    return refuse(
        error_code::bad_data,
        (name == g.name ? "[pipeline].name is " : "its name is ") +
            quote(name) + "; a tool's has letters, digits, '_', '-' and '.', " +
            std::to_string(mcp_tool_limits::max_name_bytes) + " at most");
  }
  for (const graph_output& o : g.outputs) {
    if (fits(o.type, type_kind::json)) continue;
    return refuse(error_code::bad_data, "output " + o.name + " is a " +
                                            to_string(o.type) +
                                            ", which has no form in JSON");
  }
  json::object tool{{"name", json::string_view(name)}};
  if (!g.summary.empty()) tool["description"] = g.summary;
  tool["inputSchema"] = input_schema(g);
  tool["outputSchema"] = output_schema(g);
  const bool reaches_out =
      has(g.effects, effect::net) || has(g.effects, effect::exec);
  tool["annotations"] = {
      {"readOnlyHint", !reaches_out && !has(g.effects, effect::write)},
      {"openWorldHint", reaches_out}};
  if (const std::size_t n = json::serialize(tool).size();
      n > mcp_tool_limits::max_bytes) {
    return refuse(error_code::limit,
                  "its description as a tool has " + std::to_string(n) +
                      " bytes, at most " +
                      std::to_string(mcp_tool_limits::max_bytes) +
                      " are allowed; its [type] tables are in it");
  }
  return tool;
}

TINYPHI_FUNC mcp_result tool_outputs(const run_result& r) {
  constexpr std::size_t most = mcp_limits{}.max_line;
  value_data::record all;
  json::object structured;
  for (const auto& [name, v] : r.outputs) all.push_back({name, v.data});
  auto text = json_text(value_data(all), most);
  if (!text) {
    return mcp_failure("the outputs have more than " + std::to_string(most) +
                       " bytes as JSON");
  }
  for (const auto& m : all) structured[m.name] = to_json(m.value);
  return {.texts = {*std::move(text)}, .structured = std::move(structured)};
}

TINYPHI_FUNC mcp_result tool_result_of(const result<run_result>& ended) {
  return ended ? tool_outputs(*ended) : mcp_failure(ended.error().message);
}

TINYPHI_FUNC mcp_result denied_result(const result<run_result>& ended,
                                      std::string_view stage,
                                      std::string_view reason) {
  const std::string no =
      "stage " + std::string(stage) +
      " asks a person, and the answer was no: " + std::string(reason);
  if (!ended) return mcp_failure(ended.error().message + "; " + no);
  mcp_result out = tool_outputs(*ended);
  if (out.is_error) return out;
  // Who gets both shows a model no text.
  out.structured.reset();
  out.is_error = true;
  out.texts.insert(out.texts.begin(),
                   no + ". These are the outputs without a yes:");
  return out;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_MCP_TOOL_IPP_
