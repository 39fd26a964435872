// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_OPS_ROUTES_IPP_
#define TINYPHI_SERVE_OPS_ROUTES_IPP_

#include <algorithm>
#include <chrono>
#include <utility>

#include "tinyphi/serve/exposition.h"
#include "tinyphi/serve/openapi.h"
#include "tinyphi/serve/ops_routes.h"
#include "tinyphi/serve/respond.h"
#include "tinyphi/version.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline boost::asio::awaitable<void> respond_probe(http_exchange& x,
                                                  probe_answer a) {
  http_response r;
  r.status = a.status;
  r.body = std::move(a.body);
  if (a.retry_after_ms) {
    r.headers.emplace_back("retry-after",
                           std::to_string(*a.retry_after_ms / 1000));
  }
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> show_metrics(http_exchange& x,
                                                 server_state& s) {
  http_response r;
  r.content_type = exposition_content_type;
  r.body = s.counts->render(s.snapshot(), s.compat);
  r.headers.emplace_back("Process-Start-Time-Unix",
                         s.counts->process_start_time_unix());
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

// llama-server's view of the first model: places for requests, of which the
// first ones are taken.
inline boost::asio::awaitable<void> list_slots(http_exchange& x,
                                               server_state& s) {
  const auto m = model_for(s, "", *x.request().from);
  if (!m) {
    co_await respond_with(x, m.error());
    co_return;
  }
  const engine& e = (*m)->engine();
  const std::size_t running = e.load().running;
  json::array all;
  for (std::size_t i = 0; i < e.options().max_sequences; ++i) {
    all.push_back({{"id", i},
                   {"n_ctx", e.model().config().max_context},
                   {"is_processing", i < running}});
  }
  auto responding = respond_json(x, json::value(std::move(all)));
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

// What a service manager does with signals, for who has no right to send any.
// What comes of a reload is in the log and in /metrics.
inline boost::asio::awaitable<void> begin_reload(http_exchange& x,
                                                 const server_state& s) {
  if (!s.reload()) {
    api_error e;
    e.status = 404;
    e.code = "nothing_to_reload";
    e.message =
        "the daemon was started without a configuration file, or is shutting "
        "down";
    co_await respond_with(x, e);
    co_return;
  }
  json::object o{{"status", "reloading"}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> begin_drain(http_exchange& x,
                                                const server_state& s) {
  json::object o{{"status", "draining"}};
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
  if (!s.draining) s.drain();
}

inline boost::asio::awaitable<void> show_document(http_exchange& x,
                                                  const router& to,
                                                  const server_state& s) {
  openapi_facts facts{.version = TINYPHI_VERSION, .keys = s.keys_needed};
  // Ids that every model has; the sizes of all.
  for (const auto& m : s.models) {
    const model& weights = m->engine().model();
    const auto size = static_cast<std::size_t>(weights.config().vocab_size);
    std::size_t& least = facts.limits.vocab_size;
    least = least == 0 ? size : std::min(least, size);
    if (const tokenizer* t = weights.tokenizer()) {
      std::size_t& texts = facts.limits.n_texts;
      texts = texts == 0 ? t->size() : std::min(texts, t->size());
    }
    facts.limits.vector_sizes.push_back(
        static_cast<std::size_t>(weights.config().hidden));
  }
  json::object o = openapi_document(to.routes(), facts);
  auto responding = respond_json(x, std::move(o));
  co_await std::move(responding);
}

}  // namespace detail

TINYPHI_FUNC void add_ops_routes(router& to, server_state& s) {
  to.add({"GET", "/health", route_access::open, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::respond_probe(
                x, health(probe(s, std::chrono::steady_clock::now())));
          }});
  to.add({"GET", "/ready", route_access::open, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::respond_probe(
                x, ready(probe(s, std::chrono::steady_clock::now())));
          }});
  to.add({"GET", "/metrics",
          s.open_metrics ? route_access::open : route_access::key, 0,
          error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::show_metrics(x, s);
          }});
  // The router outlives its routes, and has all by the first request.
  to.add({"GET", "/openapi.json", route_access::key, 0, error_form::openai,
          [&s, &to](http_exchange& x, const std::vector<std::string>&) {
            return detail::show_document(x, to, s);
          }});
  to.add({"POST", "/admin/reload", route_access::admin, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::begin_reload(x, s);
          }});
  to.add({"POST", "/admin/drain", route_access::admin, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::begin_drain(x, s);
          }});
  to.add({"GET", "/slots", route_access::key, 0, error_form::openai,
          [&s](http_exchange& x, const std::vector<std::string>&) {
            return detail::list_slots(x, s);
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
