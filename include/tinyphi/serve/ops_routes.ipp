// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPS_ROUTES_IPP_
#define TINYPHI_SERVE_OPS_ROUTES_IPP_

#include <chrono>
#include <utility>

#include "tinyphi/serve/model_routes.h"
#include "tinyphi/serve/ops_routes.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline bool all_alive(const server_state& s) {
  const auto now = std::chrono::steady_clock::now();
  return std::ranges::all_of(s.models,
                             [&](const auto& m) { return m->alive(now); });
}

inline boost::asio::awaitable<void> respond_state(http_exchange& x, bool good,
                                                  const char* state) {
  http_response r;
  r.status = good ? 200 : 503;
  r.body = json::serialize(good ? json::object{{"status", state}}
                                : json::object{{"error",
                                                {{"message", state},
                                                 {"type", "unavailable_error"},
                                                 {"param", nullptr},
                                                 {"code", "unavailable"}}}});
  if (!good) r.headers.emplace_back("retry-after", "1");
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> health(http_exchange& x, server_state& s) {
  const bool alive = all_alive(s);
  auto responding = respond_state(
      x, !s.loading && alive,
      s.loading ? "Loading model" : (alive ? "ok" : "an engine is stuck"));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> ready(http_exchange& x, server_state& s) {
  const char* why = "ok";
  if (s.loading) why = "Loading model";
  if (s.draining) why = "shutting down";
  if (!all_alive(s)) why = "an engine is stuck";
  for (const auto& m : s.models) {
    const double wait_ms = 1e3 * m->engine().load().waiting_seconds;
    if (wait_ms > s.answers.deadlines.queue_ms) why = "the queue is long";
  }
  auto responding = respond_state(x, std::string_view(why) == "ok", why);
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> list_requests(http_exchange& x,
                                                  server_state& s) {
  json::array all;
  const auto now = std::chrono::steady_clock::now();
  for (const running_request& r : s.running.all()) {
    if (!may_see(*x.request().from, r)) continue;
    all.push_back({{"id", r.id},
                   {"model", r.model},
                   {"state", json::string_view(r.state)},
                   {"age_ms", milliseconds_between(r.began, now)},
                   {"prompt_tokens", r.prompt_tokens},
                   {"generated_tokens", r.generated_tokens}});
  }
  json::object o{{"object", "list"}, {"data", std::move(all)}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> cancel_request(http_exchange& x,
                                                   server_state& s,
                                                   const std::string& id) {
  if (!s.running.cancel(id, *x.request().from)) {
    api_error e;
    e.status = 404;
    e.code = "not_found";
    e.message = "no request of yours with this id is under way";
    co_await respond_with(x, e);
    co_return;
  }
  json::object o{{"id", id}, {"cancelled", true}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_ops_routes(router& to, server_state& s) {
  to.add({"GET", "/health", route_access::open, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::health(x, s);
          }});
  to.add({"GET", "/ready", route_access::open, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::ready(x, s);
          }});
  to.add({"GET", "/v1/requests", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::list_requests(x, s);
          }});
  to.add({"DELETE", "/v1/requests/{id}", route_access::key, 0,
          error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>& captured) {
            return detail::cancel_request(x, s, captured[0]);
          }});
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_OPS_ROUTES_IPP_
