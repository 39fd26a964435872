// SPDX-License-Identifier: MIT
// Approvals over HTTP: what pipelines ask of people, and the answers.
#ifndef TINYPHI_SERVE_APPROVAL_ROUTES_H_
#define TINYPHI_SERVE_APPROVAL_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// GET /v1/approvals: what waits for an answer; POST /v1/approvals/{id} with
// {"decision", "digest"}. A key has the questions of its own runs, an admin all
// of them. `s` must outlive the router's use.
void add_approval_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/approval_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_APPROVAL_ROUTES_H_
