// SPDX-License-Identifier: MIT
// The bytes of a response: its head, and the chunks of a streamed body.
#ifndef TINYPHI_SERVE_RESPONSE_HEAD_H_
#define TINYPHI_SERVE_RESPONSE_HEAD_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "tinyphi/serve/http_exchange.h"

TINYPHI_NAMESPACE_BEGIN

// "HTTP/1.1 200 OK", the response's own headers, content-length, x-request-id,
// and "connection: close" unless it is kept, to the empty line. A header with a
// control character in its value is left out, whoever wrote it.
[[nodiscard]] std::string response_head(const http_response& r,
                                        std::size_t body_bytes, bool keep_alive,
                                        std::string_view request_id);
// The head of a body that comes in chunks and must not be kept by a cache or
// held back by a proxy.
[[nodiscard]] std::string stream_head(std::string_view content_type,
                                      const http_headers& headers,
                                      bool keep_alive,
                                      std::string_view request_id);
[[nodiscard]] std::string stream_chunk(std::string_view bytes);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/response_head.ipp"
#endif

#endif  // TINYPHI_SERVE_RESPONSE_HEAD_H_
