// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_HTTP_SERVER_IPP_
#define TINYPHI_SERVE_HTTP_SERVER_IPP_

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "tinyphi/serve/connection_socket.h"
#include "tinyphi/serve/http_server.h"
#include "tinyphi/serve/request_reader.h"
#include "tinyphi/serve/response_head.h"
#include "tinyphi/serve/serve_answer.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr auto quietly =
    boost::asio::as_tuple(boost::asio::use_awaitable);

// Who is at the other end.
inline peer_facts facts_of_peer(stream_socket& s, bool is_unix) {
  peer_facts peer;
  if (is_unix) {
    ucred who{};
    socklen_t n = sizeof who;
    if (::getsockopt(s.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &n) ==
        0) {
      peer.uid = who.uid;
    }
    return peer;
  }
  boost::system::error_code e;
  const auto remote = s.remote_endpoint(e);
  peer.local = false;
  if (e) return peer;
  boost::asio::ip::tcp::endpoint tcp;
  tcp.resize(remote.size());
  std::memcpy(tcp.data(), remote.data(), remote.size());
  peer.address = tcp.address().to_string();
  peer.local = tcp.address().is_loopback();
  boost::asio::ip::tcp::no_delay no_delay(true);
  s.set_option(no_delay, e);
  return peer;
}

// How often that is looked for where bytes of a next request hide it.
inline constexpr std::chrono::milliseconds look_for_close{50};
inline constexpr std::size_t read_bytes = std::size_t{16} << 10;
// What a client may still send after it was refused.
inline constexpr std::size_t max_thrown_away = std::size_t{4} << 20;

}  // namespace detail

class http_server::impl : public std::enable_shared_from_this<impl> {
 public:
  impl(boost::asio::io_context& io, const router& routes, http_rules rules,
       server_limits limits, server_hooks hooks)
      : io_(&io),
        routes_(&routes),
        rules_(std::move(rules)),
        unix_rules_(rules_),
        limits_(limits),
        hooks_(std::move(hooks)),
        deadlines_(io),
        retry_(io) {
    // Whoever may open a unix socket may call it as they like.
    unix_rules_.any_host = true;
  }

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
  using acceptor =
      boost::asio::basic_socket_acceptor<boost::asio::generic::stream_protocol>;

  struct listener {
    listener(acceptor s, bool u) : socket(std::move(s)), is_unix(u) {}

    acceptor socket;
    bool is_unix;
    bool resting = true;   // it does not accept
    bool watched = false;  // for who wants in although there is no room
  };

  void accept(const std::shared_ptr<listener>& from);
  void accepted(stream_socket s, bool is_unix);
  // Waits until somebody wants in although there is no room, and makes some.
  void watch_for_next(const std::shared_ptr<listener>& from);
  bool make_room();
  // Accepts again where there was no room.
  void has_closed() noexcept;
  void accept_later();

  boost::asio::io_context* io_;
  const router* routes_;
  http_rules rules_, unix_rules_;
  server_limits limits_;
  server_hooks hooks_;
  socket_deadlines deadlines_;
  boost::asio::steady_timer retry_;
  std::vector<std::shared_ptr<listener>> listening_;
  std::set<connection*> open_;
  std::list<connection*> idle_;  // of those; the first for the longest time
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
        rules_(peer_.local && peer_.address.empty() ? &owner_->unix_rules_
                                                    : &owner_->rules_),
        reader_(*rules_) {
    // What may throw comes first: only a whole connection takes itself out.
    std::size_t& n = owner_->by_address_[peer_.address];
    owner_->open_.insert(this);
    ++n;
    set_idle(true);
  }
  ~connection() {
    owner_->open_.erase(this);
    set_idle(false);
    const auto at = owner_->by_address_.find(peer_.address);
    if (--at->second == 0) owner_->by_address_.erase(at);
    owner_->has_closed();
  }

  boost::asio::awaitable<void> run();
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  [[nodiscard]] bool idle() const { return place_.empty(); }
  [[nodiscard]] steady_time idle_since() const { return idle_since_; }
  void set_idle(bool idle) {
    if (idle == place_.empty()) return;
    if (!idle) {
      place_.splice(place_.end(), owner_->idle_, place_at_);
      return;
    }
    owner_->idle_.splice(owner_->idle_.end(), place_);
    idle_since_ = std::chrono::steady_clock::now();
  }

 private:
  friend class exchange;

  boost::asio::awaitable<bool> read_more();
  boost::asio::awaitable<bool> write(std::string bytes);
  boost::asio::awaitable<bool> answer_request();
  boost::asio::awaitable<bool> answer_preflight();
  // False if the body never comes, or is refused, which has been said then.
  // `to` is null for a request that no route takes and that has no body.
  boost::asio::awaitable<bool> read_body(const route* to);
  boost::asio::awaitable<void> refuse(http_request request, const route* to,
                                      const api_error& e,
                                      http_headers headers = {});
  boost::asio::awaitable<void> watch_peer(cancel_token gone);
  boost::asio::awaitable<void> handle(exchange& x, const route& to,
                                      const std::vector<std::string>& captured);

  std::shared_ptr<impl> owner_;
  stream_socket socket_;
  peer_facts peer_;
  socket_deadlines::entry deadline_;
  const http_rules* rules_;
  request_reader reader_;
  std::list<connection*> place_{this};  // in the owner's list while idle
  std::list<connection*>::iterator place_at_ = place_.begin();
  steady_time idle_since_;
};

// One request of a connection.
class http_server::impl::exchange : public http_exchange {
 public:
  exchange(connection& c, http_request r, bool keep_alive)
      : http_exchange(std::move(r)),
        connection_(&c),
        keep_alive_(keep_alive),
        cors_(cors_headers(request(), *c.rules_)) {}

  boost::asio::awaitable<bool> respond(http_response response) override {
    if (state_ != state::nothing) co_return false;
    state_ = state::complete;
    report().status = response.status;
    add_own_headers(response.headers);
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
    http_headers all;
    add_own_headers(all);
    std::string bytes =
        stream_head(content_type, all, keep_alive_, request().id);
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
    auto sending = send(std::string(last_chunk));
    co_return co_await std::move(sending);
  }

  [[nodiscard]] bool complete() const { return state_ == state::complete; }
  [[nodiscard]] bool untouched() const { return state_ == state::nothing; }

 private:
  enum class state { nothing, streaming, complete };

  void add_own_headers(http_headers& to) {
    to.insert(to.end(), headers().begin(), headers().end());
    to.insert(to.end(), cors_.begin(), cors_.end());
  }

  boost::asio::awaitable<bool> send(std::string bytes) {
    report().bytes_out += bytes.size();
    auto writing = connection_->write(std::move(bytes));
    const bool ok = co_await std::move(writing);
    if (!ok) gone().cancel();
    co_return ok && !gone().cancelled();
  }

  connection* connection_;
  bool keep_alive_;
  http_headers cors_;
  state state_ = state::nothing;
};

TINYPHI_FUNC boost::asio::awaitable<void> http_server::impl::connection::run() {
  while (socket_.is_open()) {
    if (reader_.idle()) {
      if (owner_->stopping_) break;
      // Idle connections hold no buffer: it is bought once bytes are there.
      set_idle(true);
      deadline_.set(owner_->limits_.idle);
      const auto [e] = co_await socket_.async_wait(stream_socket::wait_read,
                                                   detail::quietly);
      if (e) break;
    }
    set_idle(false);
    if (!co_await answer_request()) break;
  }
  close();
}

// Reads what has come into the reader; false at the connection's end.
TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::read_more() {
  std::string buffer(detail::read_bytes, '\0');
  const auto [e, n] = co_await socket_.async_read_some(
      boost::asio::buffer(buffer.data(), buffer.size()), detail::quietly);
  if (e) co_return false;
  reader_.push(std::string_view(buffer).substr(0, n));
  co_return true;
}

TINYPHI_FUNC boost::asio::awaitable<bool> http_server::impl::connection::write(
    std::string bytes) {
  deadline_.set(owner_->limits_.write);
  const auto [e, n] = co_await boost::asio::async_write(
      socket_, boost::asio::buffer(bytes.data(), bytes.size()),
      detail::quietly);
  deadline_.clear();
  co_return !e && n == bytes.size();
}

// Reads one request and answers it; false if the connection ends with it.
TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::answer_request() {
  deadline_.set(owner_->limits_.header);
  read_state state = reader_.advance();
  while (state == read_state::need_more) {
    if (!co_await read_more()) co_return false;
    state = reader_.advance();
  }
  if (state == read_state::refused) {
    http_request unknown;
    unknown.id = random_id();
    auto refusing = refuse(std::move(unknown), nullptr, reader_.refusal());
    co_await std::move(refusing);
    co_return false;
  }
  const http_request& header = reader_.request();
  if (is_preflight(header, *rules_)) {
    auto answering = answer_preflight();
    co_return co_await std::move(answering);
  }
  const route_match match = owner_->routes_->find(header.method, header.path);
  auto from = owner_->hooks_.let_in(header, match.found, peer_);
  std::optional<api_error> no;
  if (!from) {
    no = std::move(from).error();
  } else if (match.found == nullptr) {
    no = no_such_route(match, header.method, header.path);
  }
  if (no) {
    http_headers allow;
    if (no->status == 405) allow.emplace_back("allow", match.allow);
    auto refusing = refuse(header, match.found, *no, std::move(allow));
    co_await std::move(refusing);
    co_return false;
  }
  const bool keep_alive = keeps_alive(header) && !owner_->stopping_;
  if (!co_await read_body(match.found)) co_return false;
  http_request request = reader_.take();
  request.from = *std::move(from);
  const std::size_t bytes_in = request.body.size();
  exchange x(*this, std::move(request), keep_alive);
  x.report().bytes_in = bytes_in;
  deadline_.clear();
  ++owner_->counts_.requests;
  // Whatever fails on the way: a daemon that drains waits for this count.
  std::unique_ptr<std::size_t, void (*)(std::size_t*)> counted(
      &owner_->counts_.requests, [](std::size_t* n) { --*n; });
  co_await handle(x, *match.found, match.captured);
  counted.reset();
  x.report().total_ms = detail::milliseconds_between(
      x.request().arrived, std::chrono::steady_clock::now());
  owner_->hooks_.ended(x.request(), match.found, x.report());
  co_return x.complete() && keep_alive && !x.gone().cancelled();
}

// Tells a browser what pages may do. It asks without a key, on any path.
TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::answer_preflight() {
  const bool keep_alive = keeps_alive(reader_.request()) && !owner_->stopping_;
  if (!co_await read_body(nullptr)) co_return false;
  exchange x(*this, reader_.take(), keep_alive);
  auto responding = x.respond(preflight_answer());
  const bool sent = co_await std::move(responding);
  owner_->hooks_.ended(x.request(), nullptr, x.report());
  co_return sent&& keep_alive;
}

TINYPHI_FUNC boost::asio::awaitable<bool>
http_server::impl::connection::read_body(const route* to) {
  deadline_.set(owner_->limits_.body);
  reader_.read_body(to == nullptr ? 0 : to->max_body);
  read_state state = reader_.advance();
  // Nobody is asked for a body that will be refused, or is here already.
  if (state == read_state::need_more && reader_.expects_continue()) {
    std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    auto writing = write(std::move(go_on));
    if (!co_await std::move(writing)) co_return false;
    deadline_.set(owner_->limits_.body);
  }
  while (state == read_state::need_more) {
    if (!co_await read_more()) co_return false;
    state = reader_.advance();
  }
  if (state == read_state::complete) co_return true;
  auto refusing = refuse(reader_.request(), to, reader_.refusal());
  co_await std::move(refusing);
  co_return false;
}

// Answers with an error and has nothing read after it: bytes that follow may be
// the rest of a body, or of anything.
TINYPHI_FUNC boost::asio::awaitable<void> http_server::impl::connection::refuse(
    http_request request, const route* to, const api_error& e,
    http_headers headers) {
  exchange x(*this, std::move(request), false);
  http_response r;
  r.status = e.status;
  r.body = to_body(e, to == nullptr ? error_form::openai : to->errors);
  r.headers = std::move(headers);
  for (auto& h : retry_headers(e)) r.headers.push_back(std::move(h));
  x.report().code = e.code;
  auto responding = x.respond(std::move(r));
  co_await std::move(responding);
  owner_->hooks_.ended(x.request(), to, x.report());
  // The client is still sending; a connection that is closed now would be reset
  // before it has read the answer. What comes within a moment is thrown away.
  boost::system::error_code ignored;
  socket_.shutdown(stream_socket::shutdown_send, ignored);
  deadline_.set(std::chrono::seconds(1));
  std::string rest(detail::read_bytes, '\0');
  for (std::size_t read = 0; read < detail::max_thrown_away;) {
    const auto [error, n] = co_await socket_.async_read_some(
        boost::asio::buffer(rest.data(), rest.size()), detail::quietly);
    if (error) break;
    read += n;
  }
}

TINYPHI_FUNC boost::asio::awaitable<void> http_server::impl::connection::handle(
    exchange& x, const route& to, const std::vector<std::string>& captured) {
  // A signal of its own for each watch: the last one may still be ending.
  const auto end_watch = std::make_shared<boost::asio::cancellation_signal>();
  auto watching = watch_peer(x.gone());
  boost::asio::co_spawn(
      socket_.get_executor(), std::move(watching),
      boost::asio::bind_cancellation_slot(end_watch->slot(),
                                          [end_watch](std::exception_ptr) {}));
  std::exception_ptr thrown;
  std::string what;
  try {
    co_await to.handle(x, captured);
  } catch (const std::exception& e) {
    thrown = std::current_exception();
    what = e.what();
  }
  end_watch->emit(boost::asio::cancellation_type::terminal);
  if (thrown && x.untouched()) {
    const api_error e = to_api_error({error_code::internal, what});
    std::string body = to_body(e);
    auto responding = respond_error(x, e, std::move(body));
    co_await std::move(responding);
  }
}

// Cancels `gone` once the client has closed the connection, while its request
// is being answered.
TINYPHI_FUNC boost::asio::awaitable<void>
http_server::impl::connection::watch_peer(cancel_token gone) {
  const auto self = shared_from_this();
  boost::asio::steady_timer pause(socket_.get_executor());
  for (;;) {
    const auto [e] =
        co_await socket_.async_wait(stream_socket::wait_read, detail::quietly);
    if (e == boost::asio::error::operation_aborted && socket_.is_open()) break;
    if (e || detail::peer_has_closed(socket_.native_handle())) {
      gone.cancel();
      break;
    }
    // Bytes of a next request are there and hide whether the client is: they
    // wait, and we look now and then.
    pause.expires_after(detail::look_for_close);
    const auto [stopped] = co_await pause.async_wait(detail::quietly);
    if (stopped) break;
  }
}

TINYPHI_FUNC http_server::http_server(boost::asio::io_context& io,
                                      const router& routes, http_rules rules,
                                      server_limits limits, server_hooks hooks)
    : impl_(std::make_shared<impl>(io, routes, std::move(rules), limits,
                                   std::move(hooks))) {}
TINYPHI_FUNC void http_server::close() { impl_->close_all(); }
TINYPHI_FUNC result<void> http_server::listen_on(int fd, bool is_unix) {
  return impl_->listen_on(fd, is_unix);
}
TINYPHI_FUNC void http_server::stop_accepting() { impl_->stop_accepting(); }
TINYPHI_FUNC server_counts http_server::counts() const {
  return impl_->counts();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HTTP_SERVER_IPP_
