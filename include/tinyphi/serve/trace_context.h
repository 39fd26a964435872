// SPDX-License-Identifier: MIT
// The W3C's traceparent header: which trace a request belongs to.
#ifndef TINYPHI_SERVE_TRACE_CONTEXT_H_
#define TINYPHI_SERVE_TRACE_CONTEXT_H_

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/serve/http_exchange.h"

TINYPHI_NAMESPACE_BEGIN

struct trace_context {
  std::string trace_id;   // 32 hex digits
  std::string parent_id;  // 16 hex digits: the caller's span
  bool sampled = false;   // the caller keeps this trace
  friend bool operator==(const trace_context&, const trace_context&) = default;
};

// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". Nothing if the
// form is another one in the slightest; of a later version, which may only add
// to the end, the known part is read.
[[nodiscard]] inline std::optional<trace_context> parse_traceparent(
    std::string_view text) {
  constexpr std::size_t known = 55;
  const auto hex = [&](std::size_t at, std::size_t n) {
    return text.substr(at, n).find_first_not_of("0123456789abcdef") ==
           std::string_view::npos;
  };
  const auto zero = [](std::string_view id) {
    return id.find_first_not_of('0') == std::string_view::npos;
  };
  if (text.size() < known || text[2] != '-' || text[35] != '-' ||
      text[52] != '-' || !hex(0, 2) || !hex(3, 32) || !hex(36, 16) ||
      !hex(53, 2)) {
    return std::nullopt;
  }
  const std::string_view version = text.substr(0, 2);
  const bool longer = text.size() > known;
  if (version == "ff" || (longer && (version == "00" || text[known] != '-'))) {
    return std::nullopt;
  }
  trace_context t;
  t.trace_id = text.substr(3, 32);
  t.parent_id = text.substr(36, 16);
  const char flags = text[54];
  t.sampled = ((flags <= '9' ? flags - '0' : flags - 'a' + 10) & 1) != 0;
  if (zero(t.trace_id) || zero(t.parent_id)) return std::nullopt;
  return t;
}

// Of a request; nothing if there is no such header, or more than one.
[[nodiscard]] inline std::optional<trace_context> trace_of(
    const http_request& r) {
  const auto n = std::ranges::count_if(
      r.headers, [](const auto& h) { return h.first == "traceparent"; });
  if (n != 1) return std::nullopt;
  return parse_traceparent(r.header("traceparent"));
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_TRACE_CONTEXT_H_
