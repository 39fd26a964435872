// SPDX-License-Identifier: MIT
// A connected socket of any kind, with a deadline on each wait.
#ifndef TINYPHI_SERVE_CONNECTION_SOCKET_H_
#define TINYPHI_SERVE_CONNECTION_SOCKET_H_

#include <poll.h>

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

// Closes sockets whose time is over, to the second. One timer serves all, and
// none runs while there is no deadline: Beast's own timers are one each, and
// fail the operation after the one that was late.
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
    armed_ = true;
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
      all_->arm();
    }
    void clear() { at_->due.reset(); }
    // Its time was over, and the socket is closed.
    [[nodiscard]] bool passed() const { return at_->passed; }

   private:
    socket_deadlines* all_;
    std::list<state>::iterator at_;
  };

 private:
  void arm() {
    if (armed_) return;
    armed_ = true;
    timer_.expires_after(std::chrono::seconds(1));
    timer_.async_wait([this](const boost::system::error_code& e) {
      if (!e) tick();
    });
  }
  void tick() {
    armed_ = false;
    const auto now = std::chrono::steady_clock::now();
    bool any = false;
    for (state& e : entries_) {
      if (!e.due) continue;
      if (*e.due > now) {
        any = true;
        continue;
      }
      e.due.reset();
      e.passed = true;
      boost::system::error_code ignored;
      e.socket->close(ignored);
    }
    if (any) arm();
  }

  boost::asio::steady_timer timer_;
  bool armed_ = false;
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
