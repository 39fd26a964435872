// SPDX-License-Identifier: MIT
// The routes that Ollama's clients call: [serve.ollama] asks for them.
#ifndef TINYPHI_SERVE_OLLAMA_ROUTES_H_
#define TINYPHI_SERVE_OLLAMA_ROUTES_H_

#include "tinyphi/serve/router.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

// `s` must outlive the router's use. What changes models is answered by 501.
void add_ollama_routes(router& to, server_state& s);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/ollama_routes.ipp"
#endif

#endif  // TINYPHI_SERVE_OLLAMA_ROUTES_H_
