// SPDX-License-Identifier: MIT
// Which function answers which method and path, and what it takes to be let in.
#ifndef TINYPHI_SERVE_ROUTER_H_
#define TINYPHI_SERVE_ROUTER_H_

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/http_exchange.h"

TINYPHI_NAMESPACE_BEGIN

// Who may call a route.
enum class route_access : std::uint8_t {
  open,   // everybody: /health and /ready
  key,    // whoever has a key, or is local where there are no keys
  admin,  // callers whose key says so, and local ones over a unix socket
};

// Answers one request. What it throws becomes an error 500.
using route_handler = std::function<boost::asio::awaitable<void>(
    http_exchange& exchange, const std::vector<std::string>& captured)>;

struct route {
  std::string method;
  // "/v1/models/{id}": a part in braces takes one part of a path, decoded.
  std::string pattern;
  route_access access = route_access::key;
  std::size_t max_body = 0;
  error_form errors = error_form::openai;
  route_handler handle = {};
  // Instead of a pattern: which paths it answers, as long as it says so. What
  // is captured is the path.
  std::function<bool(std::string_view path)> takes = {};
  // Whether the caller shows something that is as good as a key.
  std::function<bool(const http_request&)> lets_in = {};
};

struct route_match {
  const route* found = nullptr;
  std::vector<std::string> captured;  // what stood for the parts in braces
  std::string allow = {};  // where the path has only other methods: theirs
};

class router {
 public:
  // Before the first request only.
  void add(route r) { routes_.push_back(std::move(r)); }
  // The route of a path, also with "/v1" in front of it or without, if that is
  // how `pattern` begins. HEAD finds what GET does.
  [[nodiscard]] route_match find(std::string_view method,
                                 std::string_view path) const;
  [[nodiscard]] const std::vector<route>& routes() const { return routes_; }

 private:
  std::vector<route> routes_;
};

// 404 or, with an allow header for the response, 405.
[[nodiscard]] api_error no_such_route(const route_match& m,
                                      std::string_view method,
                                      std::string_view path);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/router.ipp"
#endif

#endif  // TINYPHI_SERVE_ROUTER_H_
