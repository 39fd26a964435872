// SPDX-License-Identifier: MIT
// /openapi.json: what the daemon's routes take and give, as OpenAPI 3.2, from
// the tables that check requests.
#ifndef TINYPHI_SERVE_OPENAPI_H_
#define TINYPHI_SERVE_OPENAPI_H_

#include <span>
#include <string>
#include <string_view>

#include "tinyphi/serve/fields.h"
#include "tinyphi/serve/router.h"

TINYPHI_NAMESPACE_BEGIN

// One route in the document.
struct operation {
  std::string_view method, pattern;
  std::string_view summary;
  const request_table* body = nullptr;         // null: none
  std::string_view answer = {};                // a schema of openapi_schemas()
  bool streams = false;                        // it can come in pieces
  std::string_view type = "application/json";  // of the whole answer
  std::string_view stream_type = "text/event-stream";
};

// The document's words for a route, or null: it is left out, since it only
// says that something is not offered.
[[nodiscard]] const operation* find_operation(std::string_view method,
                                              std::string_view pattern);

// The schemas of answers, by name; "Error" and "OllamaError" among them.
[[nodiscard]] json::object openapi_schemas();

struct openapi_facts {
  std::string version;
  bool keys = false;  // whoever calls over TCP needs one
  schema_limits limits = {};
};

// Has every route, in the paths and with the methods that it has. A route
// without an operation is there with its statuses only.
[[nodiscard]] json::object openapi_document(std::span<const route> routes,
                                            const openapi_facts& facts);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/openapi.ipp"
#include "tinyphi/serve/openapi_schemas.ipp"
#endif

#endif  // TINYPHI_SERVE_OPENAPI_H_
