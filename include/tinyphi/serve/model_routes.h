// SPDX-License-Identifier: MIT
// The routes that ask a model: answers, embeddings, tokens, and what there is.
#ifndef TINYPHI_SERVE_MODEL_ROUTES_H_
#define TINYPHI_SERVE_MODEL_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// `s` must outlive the router's use.
void add_model_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/model_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_MODEL_ROUTES_H_
