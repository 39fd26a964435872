// SPDX-License-Identifier: MIT
// The Model Context Protocol over HTTP: POST /mcp.
#ifndef TINYPHI_SERVE_MCP_ROUTES_H_
#define TINYPHI_SERVE_MCP_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// One message in each body, answered by JSON, or by a stream of events where
// the client wants to know of progress. Nothing is kept from one request to the
// next: a client of a revision with a handshake names it in the header
// mcp-protocol-version from then on. The tools are the pipelines of [pipeline]
// that say so and that the caller may use. `s` must outlive the router's use.
void add_mcp_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/mcp_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_MCP_ROUTES_H_
