// SPDX-License-Identifier: MIT
// A pipeline as a tool of the Model Context Protocol: what a client is told of
// it, and what a request of it has given.
#ifndef TINYPHI_SERVE_MCP_TOOL_H_
#define TINYPHI_SERVE_MCP_TOOL_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/pipeline/type.h"
#include "tinyphi/serve/mcp_session.h"

TINYPHI_NAMESPACE_BEGIN

// JSON Schema of types. Every value of a type, as JSON, fits its schema; the
// rules of a [type.x] are in it.
class type_schemas {
 public:
  [[nodiscard]] json::object of(const type& t);
  // What the schemas refer to as "#/$defs/NAME"; empty if they do not. It must
  // be a member of the whole.
  [[nodiscard]] json::object definitions() &&;

 private:
  std::optional<json::object> refer_to(const schema& rules);
  json::value copy(json_tree::node n);

  const json_tree* document_ = nullptr;  // of the first type with rules
  std::map<std::string, json::value, std::less<>> definitions_;
  std::vector<std::string> wanted_;  // names whose definition is not copied yet
};

struct mcp_tool_limits {
  static constexpr std::size_t max_name_bytes = 128;
  static constexpr std::size_t max_bytes = std::size_t{256} << 10;
};

// {"name", "description", "inputSchema", "outputSchema", "annotations"}. It
// tells of effects: one that neither writes nor reaches out is read-only.
// bad_data for a name that tools must not have, and for an output that has no
// form in JSON; limit for more than max_bytes.
[[nodiscard]] result<json::object> describe_tool(const graph& g);

// The outputs: as a text of JSON, and as they are.
[[nodiscard]] mcp_result tool_outputs(const run_result& r);
// The same where somebody had to say yes and there was nobody: an error, since
// what the tool is for may not have been done. `stage` asked.
[[nodiscard]] mcp_result denied_outputs(const run_result& r,
                                        std::string_view stage);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/mcp_tool.ipp"
#endif

#endif  // TINYPHI_SERVE_MCP_TOOL_H_
