// SPDX-License-Identifier: MIT
// How connections come in, and which give way: part of http_server.ipp.
#ifndef TINYPHI_SERVE_HTTP_ACCEPT_IPP_
#define TINYPHI_SERVE_HTTP_ACCEPT_IPP_

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <memory>
#include <new>
#include <utility>

#include "tinyphi/serve/http_server.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {
inline constexpr std::chrono::milliseconds accept_again{100};
}  // namespace detail

TINYPHI_FUNC result<void> http_server::impl::listen_on(int fd, bool is_unix) {
  const auto l = std::make_shared<listener>(acceptor(*io_), is_unix);
  boost::system::error_code e;
  l->socket.assign(
      boost::asio::generic::stream_protocol(is_unix ? AF_UNIX : AF_INET, 0), fd,
      e);
  if (e) {
    ::close(fd);
    return error{error_code::io, "a listening socket: " + e.message()};
  }
  listening_.push_back(l);
  accept(l);
  return {};
}

TINYPHI_FUNC void http_server::impl::accept(
    const std::shared_ptr<listener>& l) {
  if (stopping_) return;
  if (open_.size() >= limits_.connections) return watch_for_next(l);
  const auto s = std::make_shared<stream_socket>(*io_);
  l->socket.async_accept(*s, [self = shared_from_this(), l,
                              s](const boost::system::error_code& e) {
    l->resting = true;
    if (self->stopping_) return;
    // No descriptors, no memory, or an error of a network: it may pass although
    // no connection ends, and perhaps there is none.
    bool in_trouble = e && e != boost::asio::error::connection_aborted;
    try {
      if (!e) self->accepted(std::move(*s), l->is_unix);
      // A connection that has closed already has had us accept.
      if (!in_trouble && l->resting) self->accept(l);
    } catch (const std::bad_alloc&) {
      in_trouble = true;
    }
    if (in_trouble) self->accept_later();
  });
  l->resting = false;
}

TINYPHI_FUNC void http_server::impl::accepted(stream_socket s, bool is_unix) {
  ++counts_.accepted;
  peer_facts peer = detail::facts_of_peer(s, is_unix);
  const auto at = by_address_.find(peer.address);
  if (!peer.local && at != by_address_.end() &&
      at->second >= limits_.connections_per_address) {
    ++counts_.turned_away;
    return;
  }
  const auto c = std::make_shared<connection>(shared_from_this(), std::move(s),
                                              std::move(peer));
  auto running = c->run();
  boost::asio::co_spawn(*io_, std::move(running),
                        [c](std::exception_ptr) { c->close(); });
}

TINYPHI_FUNC void http_server::impl::watch_for_next(
    const std::shared_ptr<listener>& l) {
  if (l->watched) return;
  l->socket.async_wait(
      acceptor::wait_read,
      [self = shared_from_this(), l](const boost::system::error_code& e) {
        l->watched = false;
        if (e || self->stopping_ || !l->resting) return;
        // A place is free once the coroutine has ended; if none will be, one
        // may have been idle for long enough in a moment.
        if (!self->make_room()) self->accept_later();
      });
  l->watched = true;
}

// Closes the connection that has been idle longest; false if none has been for
// long enough.
TINYPHI_FUNC bool http_server::impl::make_room() {
  if (idle_.empty()) return false;
  connection* const c = idle_.front();
  if (std::chrono::steady_clock::now() - c->idle_since() < limits_.gives_way) {
    return false;
  }
  c->set_idle(false);
  c->close();
  return true;
}

TINYPHI_FUNC void http_server::impl::accept_later() {
  retry_.expires_after(detail::accept_again);
  retry_.async_wait(
      [self = shared_from_this()](const boost::system::error_code& stop) {
        if (!stop) self->has_closed();
      });
}

// Where there is no memory to accept, the next connection that closes tries
// again.
TINYPHI_FUNC void http_server::impl::has_closed() noexcept {
  try {
    for (const auto& l : listening_) {
      if (l->resting) accept(l);
    }
  } catch (const std::bad_alloc&) {
  }
}

TINYPHI_FUNC void http_server::impl::stop_accepting() {
  stopping_ = true;
  for (const auto& l : listening_) {
    boost::system::error_code ignored;
    l->socket.close(ignored);
  }
  listening_.clear();
  retry_.cancel();
  for (connection* c : open_) {
    if (c->idle()) c->close();
  }
}

TINYPHI_FUNC void http_server::impl::close_all() {
  stop_accepting();
  for (connection* c : open_) c->close();
  deadlines_.stop();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HTTP_ACCEPT_IPP_
