// SPDX-License-Identifier: MIT
// How many requests of one file run at once, and how many more may wait.
#ifndef TINYPHI_PIPELINE_REQUEST_QUEUE_H_
#define TINYPHI_PIPELINE_REQUEST_QUEUE_H_

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

#include "tinyphi/base/cancel.h"
#include "tinyphi/pipeline/stage.h"

TINYPHI_NAMESPACE_BEGIN

// Those who wait go on in the order in which they came. Any thread may call.
class request_queue {
 public:
  request_queue(std::size_t most_running, std::size_t most_waiting)
      : most_running_(most_running), most_waiting_(most_waiting) {}
  request_queue(const request_queue&) = delete;
  request_queue& operator=(const request_queue&) = delete;

  // One of those that run, as long as it lives; the queue must outlive it.
  class place {
   public:
    explicit place(request_queue& owner) : owner_(&owner) {}
    place(place&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), began_(other.began_) {}
    place& operator=(place&&) = delete;
    ~place() {
      if (owner_ != nullptr) owner_->leave(began_);
    }

   private:
    request_queue* owner_;
    steady_time began_ = std::chrono::steady_clock::now();
  };

  // Waits for a place. `unavailable` if too many wait already, `cancelled` or
  // `deadline` if `stop` says so first.
  [[nodiscard]] task<result<place>> enter(stop_condition stop);

  // When who is refused now may come again: as the requests so far let expect.
  [[nodiscard]] double retry_after_seconds() const;

 private:
  struct waiter;
  using waiters = std::list<std::shared_ptr<waiter>>;

  // One that waits; it leaves the line when this ends.
  class turn;

  // Waits on the waiter's strand, until its turn or `stop`.
  static task<void> wait(std::shared_ptr<waiter> w, stop_condition stop);
  void leave(steady_time began);
  void hand_on();

  const std::size_t most_running_;
  const std::size_t most_waiting_;
  mutable std::mutex mutex_;
  std::size_t running_ = 0;
  waiters waiting_;
  double mean_seconds_ = 0;  // of requests, the latest counting most; 0: none
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/pipeline/request_queue.ipp"
#endif

#endif  // TINYPHI_PIPELINE_REQUEST_QUEUE_H_
