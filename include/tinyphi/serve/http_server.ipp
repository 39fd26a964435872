// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_HTTP_SERVER_IPP_
#define TINYPHI_SERVE_HTTP_SERVER_IPP_

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tinyphi/serve/connection_socket.h"
#include "tinyphi/serve/http_server.h"
#include "tinyphi/serve/request_reader.h"
#include "tinyphi/serve/response_head.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

namespace asio = boost::asio;

// A client that half-closes its connection counts as gone, as with nginx.
inline bool peer_has_closed(int fd) {
  pollfd p{fd, POLLRDHUP, 0};
  return ::poll(&p, 1, 0) > 0 && p.revents != 0;
}

// How often that is looked for where bytes of a next request hide it.
inline constexpr std::chrono::milliseconds look_for_close{50};
inline constexpr std::size_t read_bytes = std::size_t{16} << 10;

}  // namespace detail

class http_server::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(boost::asio::io_context& io, const router& routes, http_rules rules,
       server_limits limits, server_hooks hooks)
      : io_(&io),
        routes_(&routes),
        rules_(std::move(rules)),
        limits_(limits),
        hooks_(std::move(hooks)),
        deadlines_(io) {}

  result<void> listen_on(int fd, bool is_unix);
  void stop_accepting();
  void close_all();
  [[nodiscard]] server_counts counts() const {
    server_counts c = counts_;
    c.connections = open_.size();
    return c;
  }

 private:
  class connection;
  class exchange;
  using acceptor = boost::asio::basic_socket_acceptor<
      boost::asio::generic::stream_protocol>;

  void accept(const std::shared_ptr<acceptor>& from, bool is_unix);
  void accepted(stream_socket s, bool is_unix);
  // Accepts again where there was no room.
  void has_closed();

  boost::asio::io_context* io_;
  const router* routes_;
  http_rules rules_;
  server_limits limits_;
  server_hooks hooks_;
  socket_deadlines deadlines_;
  std::vector<std::pair<std::shared_ptr<acceptor>, bool>> listening_;
  std::set<std::pair<std::shared_ptr<acceptor>, bool>> resting_;  // no room
  std::set<connection*> open_;
  std::map<std::string, std::size_t> by_address_;
  server_counts counts_;
  bool stopping_ = false;
};

// One connection, kept by its coroutine.
class http_server::impl::connection
    : public std::enable_shared_from_this<connection> {
 public:
  connection(std::shared_ptr<impl> owner, stream_socket s, peer_facts peer)
      : owner_(std::move(owner)),
        socket_(std::move(s)),
        peer_(std::move(peer)),
        deadline_(owner_->deadlines_, socket_),
        reader_(owner_->rules_) {
    owner_->open_.insert(this);
    if (!peer_.local) ++owner_->by_address_[peer_.address];
  }
  ~connection() {
    owner_->open_.erase(this);
    if (!peer_.local) {
      const auto at = owner_->by_address_.find(peer_.address);
      if (--at->second == 0) owner_->by_address_.erase(at);
    }
    owner_->has_closed();
  }

  boost::asio::awaitable<void> run();
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  [[nodiscard]] bool idle() const { return idle_; }

 private:
  friend class exchange;

  boost::asio::awaitable<bool> read_more();
  boost::asio::awaitable<bool> write(std::string bytes);
  boost::asio::awaitable<bool> answer_request();
  boost::asio::awaitable<bool> read_body(const route& to);
  boost::asio::awaitable<void> watch_peer(cancel_token gone);
  boost::asio::awaitable<void> handle(exchange& x, const route& to,
                                      const std::vector<std::string>& captured);

  std::shared_ptr<impl> owner_;
  stream_socket socket_;
  peer_facts peer_;
  socket_deadlines::entry deadline_;
  request_reader reader_;
  bool idle_ = true;
  bool watching_ = false;
  boost::asio::cancellation_signal end_watch_;
};

// One request of a connection.
class http_server::impl::exchange : public http_exchange {
 public:
  exchange(connection& c, http_request r, bool keep_alive)
      : http_exchange(std::move(r)), connection_(&c), keep_alive_(keep_alive) {}

  boost::asio::awaitable<bool> respond(http_response response) override {
    if (state_ != state::nothing) co_return false;
    state_ = state::complete;
    report().status = response.status;
    const bool head_only = request().method == "HEAD";
    std::string bytes = response_head(response, response.body.size(),
                                      keep_alive_, request().id);
    if (!head_only) bytes += response.body;
    auto sending = send(std::move(bytes));
    co_return co_await std::move(sending);
  }
  boost::asio::awaitable<bool> begin_stream(std::string content_type) override {
    if (state_ != state::nothing) co_return false;
    state_ = state::streaming;
    report().status = 200;
    std::string bytes =
        stream_head(content_type, keep_alive_, request().id);
    auto sending = send(std::move(bytes));
    co_return co_await std::move(sending);
  }
  boost::asio::awaitable<bool> write(std::string bytes) override {
    if (state_ != state::streaming || bytes.empty()) co_return false;
    std::string chunk = stream_chunk(bytes);
    auto sending = send(std::move(chunk));
    co_return co_await std::move(sending);
  }
  boost::asio::awaitable<bool> end_stream() override {
    if (state_ != state::streaming) co_return false;
    state_ = state::complete;
    std::string last = "0\r\n\r\n";
    auto sending = send(std::move(last));
    co_return co_await std::move(sending);
  }

  [[nodiscard]] bool complete() const { return state_ == state::complete; }
  [[nodiscard]] bool untouched() const { return state_ == state::nothing; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }

 private:
  enum class state { nothing, streaming, complete };

  boost::asio::awaitable<bool> send(std::string bytes) {
    report().bytes_out += bytes.size();
    auto writing = connection_->write(std::move(bytes));
    const bool ok = co_await std::move(writing);
    if (!ok) gone().cancel();
    co_return ok && !gone().cancelled();
  }

  connection* connection_;
  bool keep_alive_;
  state state_ = state::nothing;
};

TINYPHI_FUNC boost::asio::awaitable<void> http_server::impl::connection::run() {
  while (socket_.is_open()) {
    if (reader_.idle()) {
      if (owner_->stopping_) break;
      // Idle connections hold no buffer: it is bought once bytes are there.
      idle_ = true;
      deadline_.set(owner_->limits_.idle);
      constexpr auto quietly =
          boost::asio::as_tuple(boost::asio::use_awaitable);
      const auto [e] =
          co_await socket_.async_wait(stream_socket::wait_read, quietly);
      if (e) break;
    }
    idle_ = false;
    if (!co_await answer_request()) break;
  }
  close();
}

// Reads what has come into the reader; false at the connection's end.
TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::read_more() {
  std::string buffer(detail::read_bytes, '\0');
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  const auto [e, n] = co_await socket_.async_read_some(
      boost::asio::buffer(buffer.data(), buffer.size()), quietly);
  if (e) co_return false;
  reader_.push(std::string_view(buffer).substr(0, n));
  co_return true;
}

TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::write(std::string bytes) {
  deadline_.set(owner_->limits_.write);
  constexpr auto quietly = boost::asio::as_tuple(boost::asio::use_awaitable);
  const auto [e, n] = co_await boost::asio::async_write(
      socket_, boost::asio::buffer(bytes.data(), bytes.size()), quietly);
  deadline_.clear();
  co_return !e && n == bytes.size();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HTTP_SERVER_IPP_
