// SPDX-License-Identifier: MIT
#ifndef TINYPHI_PIPELINE_REQUEST_QUEUE_IPP_
#define TINYPHI_PIPELINE_REQUEST_QUEUE_IPP_

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>

#include "tinyphi/pipeline/cancel_watch.h"
#include "tinyphi/pipeline/request_queue.h"

TINYPHI_NAMESPACE_BEGIN

struct request_queue::waiter {
  explicit waiter(const boost::asio::any_io_executor& home)
      : strand(boost::asio::make_strand(home)), timer(strand) {}

  // From any thread.
  static void wake(const std::shared_ptr<waiter>& w) {
    boost::asio::post(w->strand, [w] { w->timer.cancel(); });
  }

  boost::asio::strand<boost::asio::any_io_executor> strand;
  boost::asio::steady_timer timer;  // on the strand only
  std::atomic<bool> has_place = false;
};

class request_queue::turn {
 public:
  // The queue is locked.
  turn(request_queue& owner, const boost::asio::any_io_executor& home)
      : owner_(&owner),
        waiter_(std::make_shared<waiter>(home)),
        at_(owner.waiting_.insert(owner.waiting_.end(), waiter_)) {}
  turn(const turn&) = delete;
  turn& operator=(const turn&) = delete;
  ~turn() {
    if (is_over_) return;
    const std::lock_guard lock(owner_->mutex_);
    if (waiter_->has_place) {
      owner_->hand_on();
    } else {
      owner_->waiting_.erase(at_);
    }
  }

  [[nodiscard]] const std::shared_ptr<waiter>& who() const { return waiter_; }
  // Whether it has a place, which is then the caller's.
  [[nodiscard]] bool take_place() {
    const std::lock_guard lock(owner_->mutex_);
    is_over_ = waiter_->has_place;
    return is_over_;
  }

 private:
  request_queue* owner_;
  std::shared_ptr<waiter> waiter_;
  waiters::iterator at_;
  bool is_over_ = false;
};

TINYPHI_FUNC task<void> request_queue::wait(std::shared_ptr<waiter> w,
                                            stop_condition stop) {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  std::function<void()> wake = [w] { waiter::wake(w); };
  const auto watched =
      cancel_watch::add(w->strand, stop.token, std::move(wake));
  while (!w->has_place && !stop.reason()) {
    w->timer.expires_at(stop.deadline.value_or(steady_time::max()));
    boost::system::error_code woken;
    auto token = boost::asio::redirect_error(boost::asio::use_awaitable, woken);
    co_await w->timer.async_wait(token);
    const boost::asio::cancellation_state cancelled =
        co_await boost::asio::this_coro::cancellation_state;
    if (cancelled.cancelled() != boost::asio::cancellation_type::none) break;
  }
}

TINYPHI_FUNC task<result<request_queue::place>> request_queue::enter(
    stop_condition stop) {
  const boost::asio::any_io_executor home =
      co_await boost::asio::this_coro::executor;
  std::optional<turn> mine;
  {
    const std::lock_guard lock(mutex_);
    if (running_ < most_running_) {
      ++running_;
      co_return place(*this);
    }
    if (waiting_.size() >= most_waiting_) {
      co_return error{error_code::unavailable,
                      std::to_string(running_) + " running and " +
                          std::to_string(waiting_.size()) +
                          " waiting are as many requests as "
                          "[limits].concurrency and queue allow; try again "
                          "later"};
    }
    mine.emplace(*this, home);
  }
  task<void> waiting = wait(mine->who(), stop);
  const auto& token = boost::asio::use_awaitable;
  co_await boost::asio::co_spawn(mine->who()->strand, std::move(waiting),
                                 token);
  if (mine->take_place()) co_return place(*this);
  if (stop.reason() == error_code::deadline) {
    co_return error{error_code::deadline,
                    "the request's deadline has passed while it waited"};
  }
  co_return error{error_code::cancelled, "the request was cancelled"};
}

TINYPHI_FUNC void request_queue::leave(steady_time began) {
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - began;
  const std::lock_guard lock(mutex_);
  constexpr double weight = 0.125;
  mean_seconds_ =
      mean_seconds_ == 0
          ? seconds.count()
          : mean_seconds_ + weight * (seconds.count() - mean_seconds_);
  hand_on();
}

// The place of one that ended goes to the first that waits.
TINYPHI_FUNC void request_queue::hand_on() {
  if (waiting_.empty()) {
    --running_;
    return;
  }
  const std::shared_ptr<waiter> first = waiting_.front();
  waiting_.pop_front();
  first->has_place = true;
  waiter::wake(first);
}

TINYPHI_FUNC double request_queue::retry_after_seconds() const {
  const std::lock_guard lock(mutex_);
  constexpr double unknown = 1;
  if (mean_seconds_ == 0) return unknown;
  return mean_seconds_ * static_cast<double>(waiting_.size() + 1) /
         static_cast<double>(most_running_);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_REQUEST_QUEUE_IPP_
