// SPDX-License-Identifier: MIT
// A connected socket of any kind, with a deadline on each wait.
#ifndef TINYPHI_SERVE_CONNECTION_SOCKET_H_
#define TINYPHI_SERVE_CONNECTION_SOCKET_H_

#include <poll.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

using stream_socket = boost::asio::generic::stream_protocol::socket;

// Closes sockets whose time is over, to the second. One timer serves all; it
// wakes up when the first deadline is over, so that thousands that wait cost
// nothing. Beast's own timers are one each, and fail the operation after the
// one that was late.
class socket_deadlines {
  struct state {
    stream_socket* socket;
    std::optional<steady_time> due;
    bool passed = false;
  };

 public:
  explicit socket_deadlines(boost::asio::io_context& io) : timer_(io) {}

  // No deadline counts any more.
  void stop() {
    stopped_ = true;
    timer_.cancel();
  }

  // The deadline of one socket; the socket must outlive it.
  class entry {
   public:
    entry(socket_deadlines& all, stream_socket& s)
        : all_(&all), at_(all.entries_.insert(all.entries_.end(), {&s, {}})) {}
    ~entry() { all_->entries_.erase(at_); }
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;

    void set(std::chrono::seconds from_now) {
      at_->due = std::chrono::steady_clock::now() + from_now;
      all_->arm(*at_->due);
    }
    void clear() { at_->due.reset(); }
    // Its time was over, and the socket is closed.
    [[nodiscard]] bool passed() const { return at_->passed; }

   private:
    socket_deadlines* all_;
    std::list<state>::iterator at_;
  };

 private:
  // Looks at all deadlines a second behind this one at the latest.
  void arm(steady_time due) {
    if (stopped_ || (armed_ && *armed_ <= due + granularity)) return;
    // Seldom: whoever asks again and again must not have us look as often.
    armed_ = std::max(due, looked_ + granularity);
    timer_.expires_at(*armed_);
    try {
      timer_.async_wait([this](const boost::system::error_code& e) {
        if (!e) look();
      });
    } catch (...) {
      armed_.reset();  // or no later deadline would be looked at
      throw;
    }
  }
  void look() {
    armed_.reset();
    looked_ = std::chrono::steady_clock::now();
    std::optional<steady_time> next;
    for (state& e : entries_) {
      if (!e.due) continue;
      if (*e.due > looked_) {
        next = std::min(*e.due, next.value_or(*e.due));
        continue;
      }
      e.due.reset();
      e.passed = true;
      boost::system::error_code ignored;
      e.socket->close(ignored);
    }
    if (next) arm(*next);
  }

  static constexpr std::chrono::seconds granularity{1};
  boost::asio::steady_timer timer_;
  bool stopped_ = false;
  std::optional<steady_time> armed_;  // when the timer wakes up
  steady_time looked_;
  std::list<state> entries_;
};

namespace detail {
// A client that half-closes its connection counts as gone, as with nginx.
inline bool peer_has_closed(int fd) {
  pollfd p{fd, POLLRDHUP, 0};
  return ::poll(&p, 1, 0) > 0 && p.revents != 0;
}
}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_CONNECTION_SOCKET_H_
