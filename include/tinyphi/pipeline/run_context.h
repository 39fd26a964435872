// SPDX-License-Identifier: MIT
// What a stage is given while it runs: its limits, a pool for blocking work,
// and for whom it works. Stages get it by stage.h.
#ifndef TINYPHI_PIPELINE_RUN_CONTEXT_H_
#define TINYPHI_PIPELINE_RUN_CONTEXT_H_

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "tinyphi/base/cancel.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/pipeline/approval.h"
#include "tinyphi/pipeline/host.h"
#include "tinyphi/pipeline/text_stream.h"
#include "tinyphi/pipeline/value.h"

TINYPHI_NAMESPACE_BEGIN

struct request_trace;      // trace.h
struct enclosing_request;  // executor.h
struct run_doubles;        // executor.h

// Adds what an answer took to what others did.
inline void add_usage(usage& sum, const usage& u) {
  sum.prompt_tokens += u.prompt_tokens;
  sum.cached_tokens += u.cached_tokens;
  sum.completion_tokens += u.completion_tokens;
  sum.prefill_seconds += u.prefill_seconds;
  sum.decode_seconds += u.decode_seconds;
}

// The stage that runs, and who is asked for approval; empty: nobody.
struct call_site {
  std::string stage = {};
  approver approve = {};
  effect effects = effect::none;  // of what runs after a person's yes only
  std::shared_ptr<const run_doubles> doubles = {};  // in a test
};

// One run of one stage.
class run_context {
 public:
  run_context(stop_condition stop, boost::asio::any_io_executor pool,
              trust label, request_origin origin = {}, call_site site = {},
              std::shared_ptr<const request_trace> trace = nullptr,
              const enclosing_request* within = nullptr)
      : stop_(std::move(stop)),
        pool_(std::move(pool)),
        label_(label),
        origin_(origin),
        site_(std::move(site)),
        trace_(std::move(trace)),
        within_(within) {}

  // The stage's and the request's deadline, whichever is earlier, and their
  // cancellation. Blocking work polls it every few milliseconds.
  [[nodiscard]] const stop_condition& stop() const { return stop_; }
  // The join of the labels of all inputs.
  [[nodiscard]] trust label() const { return label_; }
  // Who asked: a model that runs for it takes its place in the queue, and finds
  // nothing in the cache that others have computed.
  [[nodiscard]] const request_origin& origin() const { return origin_; }
  [[nodiscard]] const call_site& site() const { return site_; }
  // Why outputs are absent, for reports of the request.
  void give_reason(std::string why) { reason_ = std::move(why); }
  [[nodiscard]] const std::string& reason() const { return reason_; }
  // Where blocking work runs.
  [[nodiscard]] const boost::asio::any_io_executor& pool() const {
    return pool_;
  }

  // What a model was asked and has answered, for the trace: a stage that runs
  // one says so where it runs itself, once for each answer.
  void note_usage(const usage& u) { add_usage(used_, u); }
  [[nodiscard]] const usage& used() const { return used_; }
  // Who is told of the stages of a file that this one calls; may be null.
  [[nodiscard]] const std::shared_ptr<const request_trace>& trace() const {
    return trace_;
  }
  // The request that the stage is a part of, for what runs inside the stage;
  // null where a stage runs alone.
  [[nodiscard]] const enclosing_request* within() const { return within_; }

  // Runs f() on the pool and gives its value (or throws what it threw) where
  // the stage runs. f may use the stage's locals: it always finishes first.
  template <class F>
  [[nodiscard]] task<std::invoke_result_t<F&>> blocking(F f);

 private:
  stop_condition stop_;
  boost::asio::any_io_executor pool_;
  trust label_;
  request_origin origin_;
  call_site site_;
  std::string reason_;
  std::shared_ptr<const request_trace> trace_;
  const enclosing_request* within_ = nullptr;
  usage used_;
};

namespace detail {

// A part of the execution context that stages run on: it is not destroyed
// while a pool thread is still leaving the call that woke a stage there.
class pool_jobs : public boost::asio::execution_context::service {
 public:
  using key_type = pool_jobs;
  inline static boost::asio::execution_context::id id;

  // Counts until it is ended or destroyed.
  class job {
   public:
    explicit job(std::shared_ptr<std::atomic<std::size_t>> count)
        : count_(std::move(count)) {
      ++*count_;
    }
    job(job&&) noexcept = default;
    job& operator=(job&&) = delete;
    ~job() { end(); }
    void end() {
      const auto count = std::move(count_);
      if (count == nullptr) return;
      --*count;
      count->notify_all();
    }

   private:
    std::shared_ptr<std::atomic<std::size_t>> count_;
  };

  explicit pool_jobs(boost::asio::execution_context& owner) : service(owner) {}
  [[nodiscard]] job begin() { return job(count_); }
  // None whose end is not known on the stages' side yet.
  [[nodiscard]] bool none() const { return *count_ == 0; }

 private:
  void shutdown() override {
    while (const std::size_t n = *count_) count_->wait(n);
  }
  std::shared_ptr<std::atomic<std::size_t>> count_ =
      std::make_shared<std::atomic<std::size_t>>(0);
};

}  // namespace detail

template <class F>
task<std::invoke_result_t<F&>> run_context::blocking(F f) {
  using R = std::invoke_result_t<F&>;
  std::conditional_t<std::is_void_v<R>, char, std::optional<R>> value{};
  std::exception_ptr thrown;
  const auto work = [&] {
    try {
      if constexpr (std::is_void_v<R>) {
        f();
      } else {
        value.emplace(f());
      }
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  const auto start = [&work, pool = pool_](auto handler) {
    auto home = boost::asio::make_work_guard(
        boost::asio::get_associated_executor(handler));
    auto job = boost::asio::use_service<detail::pool_jobs>(
                   boost::asio::query(home.get_executor(),
                                      boost::asio::execution::context))
                   .begin();
    boost::asio::post(
        pool, [&work, job = std::move(job), home = std::move(home),
               handler = std::move(handler)]() mutable {
          work();
          {
            const auto last = std::move(home);
            boost::asio::post(last.get_executor(), std::move(handler));
          }
          job.end();
        });
  };
  const auto& token = boost::asio::use_awaitable;
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>,
                                       void()>(start, token);
  if (thrown) std::rethrow_exception(thrown);
  if constexpr (!std::is_void_v<R>) co_return *std::move(value);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_RUN_CONTEXT_H_
