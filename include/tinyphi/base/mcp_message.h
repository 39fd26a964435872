// SPDX-License-Identifier: MIT
// Messages of the Model Context Protocol: their codes, names and members, for
// servers and clients of it.
#ifndef TINYPHI_BASE_MCP_MESSAGE_H_
#define TINYPHI_BASE_MCP_MESSAGE_H_

#include <optional>
#include <string_view>

#include "tinyphi/base/json.h"
#include "tinyphi/base/mcp_revision.h"

TINYPHI_NAMESPACE_BEGIN

// JSON-RPC's codes, and the protocol's own.
enum mcp_code : int {
  mcp_parse_error = -32700,
  mcp_invalid_request = -32600,
  mcp_no_such_method = -32601,
  mcp_invalid_params = -32602,
  mcp_internal_error = -32603,
  mcp_header_mismatch = -32020,
  mcp_unsupported_revision = -32022,
};

inline constexpr std::string_view mcp_revision_key =
    "io.modelcontextprotocol/protocolVersion";
inline constexpr std::string_view mcp_capabilities_key =
    "io.modelcontextprotocol/clientCapabilities";
inline constexpr std::string_view mcp_client_key =
    "io.modelcontextprotocol/clientInfo";
inline constexpr std::string_view mcp_server_key =
    "io.modelcontextprotocol/serverInfo";
// How long a client may believe a list of ours: it is the same until the
// process ends.
inline constexpr int mcp_ttl_ms = 300'000;

// The revisions that a request to us may name.
inline json::array only_newest_mcp() {
  json::array all;
  all.emplace_back(json::string_view(to_string(newest_mcp_revision)));
  return all;
}

inline json::object mcp_error(const json::value& id, int code,
                              std::string_view message) {
  return {{"jsonrpc", "2.0"},
          {"id", id},
          {"error", {{"code", code}, {"message", json::string_view(message)}}}};
}

inline const json::value* mcp_member(const json::object* o,
                                     std::string_view name) {
  return o == nullptr ? nullptr : o->if_contains(json::string_view(name));
}
inline const json::object* mcp_object(const json::object* o,
                                      std::string_view name) {
  const json::value* v = mcp_member(o, name);
  return v == nullptr ? nullptr : v->if_object();
}
inline std::optional<std::string_view> mcp_text(const json::object* o,
                                                std::string_view name) {
  const json::value* v = mcp_member(o, name);
  if (v == nullptr || !v->is_string()) return std::nullopt;
  const json::string& s = v->get_string();
  return std::string_view(s.data(), s.size());
}

// An id, or a token of progress: a text or an integer.
inline bool is_mcp_id(const json::value& v) {
  return v.is_string() || v.is_int64() || v.is_uint64();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_MCP_MESSAGE_H_
