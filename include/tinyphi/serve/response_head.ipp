// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_RESPONSE_HEAD_IPP_
#define TINYPHI_SERVE_RESPONSE_HEAD_IPP_

#include <algorithm>
#include <charconv>

#include "tinyphi/serve/response_head.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline std::string_view reason_phrase(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

inline void add_header(std::string& head, std::string_view name,
                       std::string_view value) {
  const bool fit = std::ranges::all_of(value, [](unsigned char c) {
    return c == '\t' || (c >= 0x20 && c != 0x7f);
  });
  if (fit) head.append(name).append(": ").append(value).append("\r\n");
}

inline std::string begin_head(unsigned status, std::string_view content_type,
                              const http_headers& headers, bool keep_alive,
                              std::string_view request_id) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " " +
                     std::string(reason_phrase(status)) + "\r\n";
  if (!content_type.empty()) add_header(head, "content-type", content_type);
  add_header(head, "x-request-id", request_id);
  add_header(head, "x-content-type-options", "nosniff");
  for (const auto& [name, value] : headers) add_header(head, name, value);
  if (!keep_alive) add_header(head, "connection", "close");
  return head;
}

}  // namespace detail

TINYPHI_FUNC std::string response_head(const http_response& r,
                                       std::size_t body_bytes, bool keep_alive,
                                       std::string_view request_id) {
  std::string head =
      detail::begin_head(r.status, r.status == 204 ? "" : r.content_type,
                         r.headers, keep_alive, request_id);
  if (r.status != 204) {
    detail::add_header(head, "content-length", std::to_string(body_bytes));
  }
  return head + "\r\n";
}

TINYPHI_FUNC std::string stream_head(std::string_view content_type,
                                     const http_headers& headers,
                                     bool keep_alive,
                                     std::string_view request_id) {
  std::string head =
      detail::begin_head(200, content_type, headers, keep_alive, request_id);
  detail::add_header(head, "cache-control", "no-store");
  detail::add_header(head, "x-accel-buffering", "no");  // nginx holds back else
  detail::add_header(head, "transfer-encoding", "chunked");
  return head + "\r\n";
}

TINYPHI_FUNC std::string stream_chunk(std::string_view bytes) {
  char size[2 * sizeof(std::size_t)];
  const auto end = std::to_chars(size, size + sizeof size, bytes.size(), 16);
  std::string chunk(size, end.ptr);
  return chunk.append("\r\n").append(bytes).append("\r\n");
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RESPONSE_HEAD_IPP_
