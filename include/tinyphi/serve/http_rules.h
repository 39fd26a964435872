// SPDX-License-Identifier: MIT
// What a request's header must be before anything else looks at it. Beast takes
// more than the standard allows (folded lines, several Hosts, unknown transfer
// codings, ...), and what two programs read differently smuggles requests.
#ifndef TINYPHI_SERVE_HTTP_RULES_H_
#define TINYPHI_SERVE_HTTP_RULES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/http_exchange.h"

TINYPHI_NAMESPACE_BEGIN

struct http_rules {
  std::size_t max_header_bytes = std::size_t{16} << 10;
  std::size_t max_fields = 64;
  // Names that a Host header may have, without a port; a page of another name
  // that was made to point here (DNS rebinding) is turned away.
  std::vector<std::string> hosts = {"localhost", "127.0.0.1", "[::1]"};
  bool any_host = false;  // on a unix socket, which no page reaches
  // Pages that may call: "https://chat.example"; other ones with an Origin are
  // turned away.
  std::vector<std::string> origins = {};
};

// A header's block as it came, from the first byte to the empty line inclusive,
// turned into a request without a body. Refused: any method but GET, HEAD,
// POST, DELETE and OPTIONS; any version but 1.1, and 1.0 for anything but GET
// and HEAD; a target that is no path; lines that are folded, end in a bare line
// feed or hold control characters; more or fewer than one Host, or one that is
// not allowed; content-length and transfer-encoding together, twice, or of
// another form than digits and "chunked"; content-encoding; an Expect other
// than 100-continue; an Origin that is neither allowed nor the Host's own.
[[nodiscard]] api_result<http_request> check_header(std::string_view block,
                                                    const http_rules& rules);

// Whether the connection goes on behind this request.
[[nodiscard]] bool keeps_alive(const http_request& r);

// What any answer to this request says to a browser: that a page of a listed
// origin may read it. Nothing lets a page send credentials.
[[nodiscard]] http_headers cors_headers(const http_request& r,
                                        const http_rules& rules);
// A browser's question whether a page of a listed origin may send some request;
// preflight_answer() is the answer, whatever the path, and no key is asked for.
[[nodiscard]] bool is_preflight(const http_request& r, const http_rules& rules);
[[nodiscard]] http_response preflight_answer();

// A part of a path or of a query with its %XX decoded; nothing if a '%' is not
// followed by two hex digits, or if what comes out holds a control character or
// is not UTF-8. A '+' stays one.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

// The client's id of a request if it is [A-Za-z0-9._-]{1,64}; else 128 random
// bits as 32 digits.
[[nodiscard]] std::string request_id(std::string_view given);
[[nodiscard]] std::string random_id();

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/http_rules.ipp"
#endif

#endif  // TINYPHI_SERVE_HTTP_RULES_H_
