// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_ROUTER_IPP_
#define TINYPHI_SERVE_ROUTER_IPP_

#include <optional>

#include "tinyphi/serve/http_rules.h"
#include "tinyphi/serve/router.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The first part of a path, "models" of "/models/phi", which it then leaves.
inline std::string_view take_part(std::string_view& path) {
  path.remove_prefix(1);
  const std::size_t end = std::min(path.find('/'), path.size());
  const std::string_view part = path.substr(0, end);
  path.remove_prefix(end);
  return part;
}

// What stands for the parts in braces, if `path` is of that form.
inline std::optional<std::vector<std::string>> captures(
    std::string_view pattern, std::string_view path) {
  std::vector<std::string> captured;
  while (pattern.starts_with('/') && path.starts_with('/')) {
    const std::string_view wanted = take_part(pattern);
    const std::string_view part = take_part(path);
    if (wanted.starts_with('{')) {
      if (part.empty()) return std::nullopt;
      auto decoded = percent_decode(part);
      if (!decoded) return std::nullopt;
      captured.push_back(*std::move(decoded));
    } else if (wanted != part) {
      return std::nullopt;
    }
  }
  if (!pattern.empty() || !path.empty()) return std::nullopt;
  return captured;
}

inline constexpr std::string_view version_prefix = "/v1";

}  // namespace detail

TINYPHI_FUNC route_match router::find(std::string_view method,
                                      std::string_view path) const {
  route_match m;
  for (const route& r : routes_) {
    std::optional<std::vector<std::string>> captured;
    if (!r.takes) {
      captured = detail::captures(r.pattern, path);
    } else if (r.takes(path)) {
      captured.emplace({std::string(path)});
    }
    if (!captured && r.pattern.starts_with(detail::version_prefix)) {
      captured = detail::captures(
          std::string_view(r.pattern).substr(detail::version_prefix.size()),
          path);
    }
    if (!captured) continue;
    if (r.method == method || (method == "HEAD" && r.method == "GET")) {
      return {&r, *std::move(captured), {}};
    }
    if (!m.allow.empty()) m.allow += ", ";
    m.allow += r.method == "GET" ? "GET, HEAD" : r.method;
  }
  return m;
}

TINYPHI_FUNC api_error no_such_route(const route_match& m,
                                     std::string_view method,
                                     std::string_view path) {
  api_error e;
  e.status = m.allow.empty() ? 404 : 405;
  e.code = m.allow.empty() ? "not_found" : "method_not_allowed";
  e.message =
      std::string(method) + " " + std::string(path) + ": " +
      (m.allow.empty() ? "there is no such route; GET /openapi.json lists all"
                       : "allowed here: " + m.allow);
  return e;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ROUTER_IPP_
