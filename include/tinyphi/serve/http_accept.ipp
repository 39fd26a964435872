// SPDX-License-Identifier: MIT
// How connections come in, and which give way: part of http_server.ipp.
#ifndef TINYPHI_SERVE_HTTP_ACCEPT_IPP_
#define TINYPHI_SERVE_HTTP_ACCEPT_IPP_

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <memory>
#include <utility>

#include "tinyphi/serve/http_server.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {
inline constexpr std::chrono::milliseconds accept_again{100};
}  // namespace detail

TINYPHI_FUNC result<void> http_server::impl::listen_on(int fd, bool is_unix) {
  const auto a = std::make_shared<acceptor>(*io_);
  boost::system::error_code e;
  a->assign(
      boost::asio::generic::stream_protocol(is_unix ? AF_UNIX : AF_INET, 0), fd,
      e);
  if (e) {
    ::close(fd);
    return error{error_code::io, "a listening socket: " + e.message()};
  }
  listening_.emplace_back(a, is_unix);
  accept(a, is_unix);
  return {};
}

TINYPHI_FUNC void http_server::impl::accept(const std::shared_ptr<acceptor>& a,
                                            bool is_unix) {
  if (stopping_) return;
  if (open_.size() >= limits_.connections) {
    resting_.emplace(a, is_unix);
    watch_for_next(a, is_unix);
    return;
  }
  const auto s = std::make_shared<stream_socket>(*io_);
  a->async_accept(*s, [self = shared_from_this(), a, s,
                       is_unix](const boost::system::error_code& e) {
    if (self->stopping_) return;
    if (!e) self->accepted(std::move(*s), is_unix);
    if (e && e != boost::asio::error::connection_aborted) {
      // No descriptors, no memory, or an error of a network: it may pass
      // although no connection ends, and perhaps there is none.
      self->resting_.emplace(a, is_unix);
      self->accept_later();
      return;
    }
    self->accept(a, is_unix);
  });
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
    const std::shared_ptr<acceptor>& a, bool is_unix) {
  if (!watched_.insert(a).second) return;
  a->async_wait(acceptor::wait_read,
                [self = shared_from_this(), a,
                 is_unix](const boost::system::error_code& e) {
                  self->watched_.erase(a);
                  if (e || self->stopping_ ||
                      !self->resting_.contains({a, is_unix})) {
                    return;
                  }
                  // A place is free once the coroutine has ended; if none will
                  // be, one may have been idle for long enough in a moment.
                  if (!self->make_room()) self->accept_later();
                });
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

TINYPHI_FUNC void http_server::impl::has_closed() {
  const auto resting = std::exchange(resting_, {});
  for (const auto& [a, is_unix] : resting) accept(a, is_unix);
}

TINYPHI_FUNC void http_server::impl::stop_accepting() {
  stopping_ = true;
  for (const auto& [a, is_unix] : listening_) {
    boost::system::error_code ignored;
    a->close(ignored);
  }
  listening_.clear();
  resting_.clear();
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
