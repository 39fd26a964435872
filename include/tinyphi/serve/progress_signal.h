// SPDX-License-Identifier: MIT
// Wakes a coroutine on the io thread when another thread has news for it.
#ifndef TINYPHI_SERVE_PROGRESS_SIGNAL_H_
#define TINYPHI_SERVE_PROGRESS_SIGNAL_H_

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <new>
#include <utility>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

// Always held by a shared_ptr: a notice that is under way keeps it alive.
// Notices that nobody has taken yet are one, so that a fast driver cannot fill
// the io thread's queue.
class progress_signal : public std::enable_shared_from_this<progress_signal> {
 public:
  explicit progress_signal(boost::asio::io_context& io)
      : io_(&io), timer_(io) {}

  // From any thread; neither blocks nor throws. Without memory the notice is
  // lost, and who waits looks by itself at its `until`.
  void notify() noexcept {
    if (posted_.exchange(true)) return;
    try {
      boost::asio::post(*io_, [self = shared_from_this()] {
        self->posted_ = false;
        self->set_ = true;
        self->timer_.cancel();
      });
    } catch (const std::bad_alloc&) {
      posted_ = false;  // or nobody would be told any more
    }
  }
  // On the io thread: returns after a notice, at once if there was one since
  // the last wait, or at `until`.
  boost::asio::awaitable<void> wait(steady_time until) {
    if (!set_) {
      timer_.expires_at(until);
      constexpr auto quietly =
          boost::asio::as_tuple(boost::asio::use_awaitable);
      co_await timer_.async_wait(quietly);
    }
    set_ = false;
  }

 private:
  boost::asio::io_context* io_;
  boost::asio::steady_timer timer_;
  bool set_ = false;
  std::atomic<bool> posted_ = false;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_PROGRESS_SIGNAL_H_
