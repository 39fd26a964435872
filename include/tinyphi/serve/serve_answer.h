// SPDX-License-Identifier: MIT
// Runs the answers to one request and tells them in the client's dialect, with
// the deadlines and the ends that a server promises.
#ifndef TINYPHI_SERVE_SERVE_ANSWER_H_
#define TINYPHI_SERVE_SERVE_ANSWER_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>

#include "tinyphi/serve/answer_request.h"
#include "tinyphi/serve/dialect.h"
#include "tinyphi/serve/http_exchange.h"
#include "tinyphi/serve/metrics.h"
#include "tinyphi/serve/running_requests.h"
#include "tinyphi/serve/served_model.h"

TINYPHI_NAMESPACE_BEGIN

class approvals;  // approvals.h

// Milliseconds from the request's arrival on.
struct answer_deadlines {
  double queue_ms = 30'000;
  double first_token_ms = 120'000;
  double total_ms = 600'000;
};

// What answers need of the server around them; it outlives them.
struct answer_environment {
  boost::asio::io_context* io = nullptr;
  // Tokenizing a long text takes a third of a second: not on the io thread.
  boost::asio::thread_pool* workers = nullptr;
  answer_deadlines deadlines = {};
  running_requests* running = nullptr;
  metrics* counts = nullptr;                // may be null
  tinyphi::approvals* approvals = nullptr;  // null: nobody can be asked
};

// Makes the dialect of a request once the facts of its answer are known; one of
// openai_chat.h and its like.
using make_dialect = std::function<std::unique_ptr<dialect>(
    const answer_request&, answer_facts)>;

// Answers `r` by `m`. A response has been sent when it returns, unless the
// client has gone; whatever happened is in the exchange's report. The head of
// a stream waits for the first token, five seconds at most, so that what fails
// early has a status of its own.
boost::asio::awaitable<void> serve_answer(http_exchange& exchange,
                                          std::shared_ptr<served_model> m,
                                          answer_request r,
                                          const make_dialect& make,
                                          const answer_environment& around);

// Sends an error as the whole response.
boost::asio::awaitable<void> respond_error(http_exchange& exchange,
                                           const api_error& e,
                                           std::string body);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/serve_answer.ipp"
#endif

#endif  // TINYPHI_SERVE_SERVE_ANSWER_H_
