// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_FOLLOWED_RUN_IPP_
#define TINYPHI_SERVE_FOLLOWED_RUN_IPP_

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <cstddef>
#include <utility>

#include "tinyphi/serve/answer_start.h"
#include "tinyphi/serve/followed_run.h"
#include "tinyphi/serve/server_state.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline boost::asio::awaitable<void> run_into(std::shared_ptr<followed_run> to,
                                             pipeline p, input_values inputs,
                                             run_options options) {
  auto running = p.async_run(std::move(inputs), std::move(options));
  to->done.emplace(co_await std::move(running));
}

}  // namespace detail

TINYPHI_FUNC boost::asio::awaitable<void> followed_run::leave_and_wait(
    std::shared_ptr<followed_run> run, std::string more) {
  run->leave(more);
  while (!run->bytes.empty()) {
    auto waiting = run->room->wait(std::chrono::steady_clock::now() +
                                   std::chrono::seconds(1));
    co_await std::move(waiting);
  }
}

TINYPHI_FUNC boost::asio::awaitable<bool> begun_late::write(std::string bytes) {
  if (!begun) {
    begun = true;
    auto beginning = x->begin_stream(type);
    co_await std::move(beginning);
  }
  auto writing = x->write(std::move(bytes));
  co_return co_await std::move(writing);
}

TINYPHI_FUNC boost::asio::awaitable<result<run_result>> follow(
    boost::asio::io_context& io, std::shared_ptr<followed_run> run, pipeline p,
    input_values inputs, run_options options, begun_late& stream) {
  constexpr std::chrono::seconds quiet{10};
  boost::asio::co_spawn(io,
                        detail::run_into(run, std::move(p), std::move(inputs),
                                         std::move(options)),
                        [run](std::exception_ptr thrown) {
                          run->thrown = std::move(thrown);
                          run->has_ended = true;
                          run->news->notify();
                        });
  while (!run->has_ended || !run->bytes.empty()) {
    if (run->bytes.empty()) {
      const auto until = std::chrono::steady_clock::now() + quiet;
      auto waiting = run->news->wait(until);
      co_await std::move(waiting);
      const bool is_quiet = std::chrono::steady_clock::now() >= until;
      if (is_quiet && stream.begun && stream.has_comments() &&
          run->bytes.empty()) {
        run->bytes = ": keep-alive\n\n";
      }
    }
    if (run->bytes.empty()) continue;
    std::string bytes = run->bytes;
    const std::size_t n = bytes.size();
    auto writing = stream.write(std::move(bytes));
    co_await std::move(writing);
    run->bytes.erase(0, n);
    run->room->notify();
  }
  auto& told = stream.x->report().approvals;
  told.insert(told.end(), run->approvals.begin(), run->approvals.end());
  if (run->thrown) std::rethrow_exception(run->thrown);
  co_return *std::move(run->done);
}

TINYPHI_FUNC run_options options_of_run(
    const http_exchange& x, const served_pipeline& p, const cancel_token& stop,
    const answer_environment& around, std::shared_ptr<followed_run> run,
    std::function<void(const pending_approval&)> waits) {
  run_options options;
  options.stop.token = stop;
  options.stop.deadline =
      detail::after_ms(x.request().arrived, around.deadlines.total_ms);
  options.origin =
      origin_of(*x.request().from, p.compiled.graph().limits.priority);
  options.approve = around.approvals->asker(
      {p.name, x.request().id, x.request().from, std::move(waits),
       [run = std::move(run)](const settled_question& q) {
         run->approvals.push_back(q.stage + ": " + q.outcome);
         if (!q.given && !run->denied) run->denied = q;
       }});
  return options;
}

TINYPHI_FUNC running_request entry_of_run(const http_exchange& x,
                                          const served_pipeline& p) {
  running_request r;
  r.id = x.request().id;
  r.model = std::string(pipeline_prefix) + p.name;
  r.state = "running";
  r.began = x.request().arrived;
  r.from = x.request().from;
  r.stop = x.gone().child();
  return r;
}

TINYPHI_FUNC counted_run::counted_run(http_exchange& x,
                                      const running_request& r, metrics* counts)
    : x_(&x) {
  if (counts == nullptr) return;
  counts_ = counts;
  series_ = counts->find(r.model, origin_of(*r.from, std::nullopt).priority);
  counts->request_started(*series_);
}

TINYPHI_FUNC counted_run::~counted_run() {
  if (!series_) return;
  request_report& report = x_->report();
  report.total_ms = detail::milliseconds_between(
      x_->request().arrived, std::chrono::steady_clock::now());
  if (x_->gone().cancelled()) report.cancelled_in = "other";
  counts_->request_ended(*series_, report);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_FOLLOWED_RUN_IPP_
