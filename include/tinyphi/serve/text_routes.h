// SPDX-License-Identifier: MIT
// The routes about texts that make no answer: /tokenize and its kind.
#ifndef TINYPHI_SERVE_TEXT_ROUTES_H_
#define TINYPHI_SERVE_TEXT_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// `s` must outlive the router's use.
void add_text_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/text_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_TEXT_ROUTES_H_
