// SPDX-License-Identifier: MIT
// The routes of whoever operates the daemon.
#ifndef TINYPHI_SERVE_OPS_ROUTES_H_
#define TINYPHI_SERVE_OPS_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// /health, /ready, /metrics, /openapi.json, and the requests under way:
// /v1/requests. `s` must outlive the router's use, and its members from
// `counts` on must be set.
void add_ops_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/ops_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_OPS_ROUTES_H_
