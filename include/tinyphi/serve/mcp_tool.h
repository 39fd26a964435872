// SPDX-License-Identifier: MIT
// A pipeline as a tool of the Model Context Protocol: what a client is told of
// it, and what a request of it has given.
#ifndef TINYPHI_SERVE_MCP_TOOL_H_
#define TINYPHI_SERVE_MCP_TOOL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "tinyphi/base/error.h"
#include "tinyphi/base/json.h"
#include "tinyphi/pipeline/executor.h"
#include "tinyphi/pipeline/graph.h"
#include "tinyphi/serve/mcp_session.h"

TINYPHI_NAMESPACE_BEGIN

struct mcp_tool_limits {
  static constexpr std::size_t max_name_bytes = 128;
  static constexpr std::size_t max_bytes = std::size_t{256} << 10;
};

// {"name", "description", "inputSchema", "outputSchema", "annotations"}. It
// tells of effects: one that neither writes nor reaches out is read-only.
// bad_data for a `name` that tools must not have, and for an output that has no
// form in JSON; limit for more than max_bytes.
[[nodiscard]] result<json::object> describe_tool(const graph& g,
                                                 std::string_view name);
[[nodiscard]] inline result<json::object> describe_tool(const graph& g) {
  return describe_tool(g, g.name);
}

// The outputs: as a text of JSON, and as they are.
[[nodiscard]] mcp_result tool_outputs(const run_result& r);
// The same of a request that has ended, or why it has not come to its end.
[[nodiscard]] mcp_result tool_result_of(const result<run_result>& ended);
// The same where somebody had to say yes and did not, for that reason: an
// error, since what the tool is for may not have been done. `stage` asked.
[[nodiscard]] mcp_result denied_result(const result<run_result>& ended,
                                       std::string_view stage,
                                       std::string_view reason);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/mcp_tool.ipp"
#endif

#endif  // TINYPHI_SERVE_MCP_TOOL_H_
