// SPDX-License-Identifier: MIT
// What most routes do: wait for a place, and respond with JSON or an error.
#ifndef TINYPHI_SERVE_RESPOND_H_
#define TINYPHI_SERVE_RESPOND_H_

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "tinyphi/base/json.h"
#include "tinyphi/serve/api_error.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/progress_signal.h"
#include "tinyphi/serve/rate_limit.h"
#include "tinyphi/serve/serve_answer.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline boost::asio::awaitable<void> respond_with(
    http_exchange& x, const api_error& e,
    error_form form = error_form::openai) {
  auto responding = respond_error(x, e, to_body(e, form));
  co_await std::move(responding);
}

inline boost::asio::awaitable<void> respond_json(http_exchange& x,
                                                 json::value v) {
  http_response r;
  r.body = json::serialize(v);
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
}

// A place among those that the caller's key has, once it is this request's
// turn; 429 if there is none, 504 if its turn does not come in time.
inline boost::asio::awaitable<api_result<rate_ticket>> take_place(
    http_exchange& x, server_state& s) {
  const caller& from = *x.request().from;
  auto place = s.limiter.admit(from, std::chrono::steady_clock::now());
  x.headers() = s.limiter.headers(from, std::chrono::steady_clock::now());
  if (!place || place->runs()) co_return std::move(place);
  const auto turn = std::make_shared<progress_signal>(*s.answers.io);
  place->when_running([turn] { turn->notify(); });
  const steady_time until =
      after_ms(x.request().arrived, s.answers.deadlines.queue_ms);
  constexpr std::chrono::milliseconds look{200};  // for clients that leave
  while (!place->runs() && !x.gone().cancelled()) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) {
      api_error e = to_api_error(
          {error_code::deadline,
           "the time in the queue of this key is over; its other requests came "
           "first"});
      e.code = "deadline_queue";
      co_return e;
    }
    auto waiting = turn->wait(std::min(until, now + look));
    co_await std::move(waiting);
  }
  co_return std::move(place);
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_RESPOND_H_
