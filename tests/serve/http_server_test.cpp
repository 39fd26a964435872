// SPDX-License-Identifier: MIT
#include "tinyphi/serve/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "support/test.h"

using namespace tinyphi;
using namespace std::chrono_literals;

namespace {

// A client of one connection, which blocks.
class client {
 public:
  explicit client(std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~client() { close(); }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  void send(const std::string& bytes) {
    REQUIRE(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  // Reads until `text` has come, or the end; five seconds at most.
  std::string until(const std::string& text) {
    while (text.empty() || got_.find(text) == std::string::npos) {
      pollfd p{fd_, POLLIN, 0};
      char buffer[4096];
      if (::poll(&p, 1, 5000) <= 0) break;
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      got_.append(buffer, static_cast<std::size_t>(n));
    }
    return got_;
  }
  std::string to_end() { return until(""); }
  [[nodiscard]] bool closed() const { return closed_; }
  void half_close() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
  std::string got_;
  bool closed_ = false;
};

// A server of small routes on a thread of its own.
class fixture {
 public:
  explicit fixture(server_limits limits = {}) {
    add("GET", "/hello", [](http_exchange& x) -> boost::asio::awaitable<void> {
      http_response r;
      r.content_type = "text/plain";
      r.body = "hello";
      co_await x.respond(std::move(r));
    });
    add("POST", "/echo", [](http_exchange& x) -> boost::asio::awaitable<void> {
      http_response r;
      r.body = x.request().body;
      co_await x.respond(std::move(r));
    });
    add("POST", "/throw", [](http_exchange&) -> boost::asio::awaitable<void> {
      throw std::runtime_error("secret");
      co_return;
    });
    add("POST", "/wait",
        [this](http_exchange& x) -> boost::asio::awaitable<void> {
          ++waiting;
          boost::asio::steady_timer t(io_);
          while (!x.gone().cancelled()) {
            t.expires_after(1ms);
            co_await t.async_wait(boost::asio::use_awaitable);
          }
          ++gone;
        });
    add("GET", "/stream", [](http_exchange& x) -> boost::asio::awaitable<void> {
      co_await x.begin_stream("text/event-stream");
      co_await x.write("one\n");
      co_await x.write("two\n");
      co_await x.end_stream();
    });
    server_hooks hooks;
    hooks.let_in =
        [](const http_request& r, const route*,
           const peer_facts& p) -> api_result<std::shared_ptr<const caller>> {
      if (!r.header("x-stranger").empty()) {
        return api_error{.status = 401, .message = "no"};
      }
      // Not a CHECK: Catch2 is for one thread.
      if (p.address != "127.0.0.1" || !p.local) {
        return api_error{.status = 403, .message = "another peer"};
      }
      return std::make_shared<const caller>();
    };
    hooks.ended = [this](const http_request&, const route*,
                         const request_report& r) {
      statuses.push_back(r.status);
    };
    http_rules rules;
    rules.origins = {"https://chat.example"};
    server_.emplace(io_, routes_, std::move(rules), limits, std::move(hooks));
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(fd, 100) == 0);
    socklen_t n = sizeof at;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &n) == 0);
    port = ntohs(at.sin_port);
    const auto listening = server_->listen_on(fd, false);
    REQUIRE_OK(listening);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~fixture() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    on_io([this] { server_.reset(); });
    thread_.join();
  }
  // Runs f on the io thread, and waits for it.
  template <class F>
  void on_io(F f) {
    std::atomic<bool> done = false;
    boost::asio::post(io_, [&] {
      f();
      done = true;
    });
    while (!done) std::this_thread::sleep_for(1ms);
  }
  server_counts counts() {
    server_counts c;
    on_io([&] { c = server_->counts(); });
    return c;
  }
  void stop_accepting() {
    on_io([this] { server_->stop_accepting(); });
  }

  std::uint16_t port = 0;
  std::atomic<int> waiting = 0, gone = 0;
  std::vector<unsigned> statuses;

 private:
  using simple = std::function<boost::asio::awaitable<void>(http_exchange&)>;
  void add(std::string method, std::string path, simple f) {
    routes_.add({std::move(method), std::move(path), route_access::key, 1000,
                 error_form::openai,
                 [f](http_exchange& x, const std::vector<std::string>&) {
                   return f(x);
                 }});
  }

  boost::asio::io_context io_{1};
  router routes_;
  std::optional<http_server> server_;
  std::thread thread_;
};

std::string get(const std::string& path, const std::string& more = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}
std::string post(const std::string& path, const std::string& body,
                 const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
}

template <class F>
bool soon(F f) {
  for (int i = 0; i < 3000; ++i) {
    if (f()) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

}  // namespace

TEST_CASE("requests over one connection are answered in turn", "[threads]") {
  fixture f;
  client c(f.port);
  c.send(get("/hello"));
  CHECK(c.until("hello").starts_with("HTTP/1.1 200 OK\r\n"));
  c.send(post("/echo", "a body") + get("/stream") + get("/hello"));
  const std::string all = c.until("2\r\n");
  CHECK(c.until("0\r\n\r\n").find("4\r\none\n\r\n4\r\ntwo\n\r\n") !=
        std::string::npos);
  CHECK(c.until("0\r\n\r\nHTTP/1.1 200 OK").find("a body") !=
        std::string::npos);
  CHECK_FALSE(c.closed());
  c.close();
  f.stop();
  CHECK(f.statuses == std::vector<unsigned>{200, 200, 200, 200});
}

TEST_CASE("HEAD has a head and no body", "[threads]") {
  fixture f;
  client c(f.port);
  c.send(
      "HEAD /hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string all = c.to_end();
  CHECK(all.find("content-length: 5\r\n") != std::string::npos);
  CHECK(all.ends_with("\r\n\r\n"));
  CHECK(c.closed());
}

TEST_CASE("what is refused is told, and the connection ends", "[threads]") {
  fixture f;
  const std::pair<std::string, const char*> cases[] = {
      {get("/nothing"), "HTTP/1.1 404 "},
      {get("/echo"), "HTTP/1.1 405 "},
      {get("/echo", "Content-Length: 5\r\n") + "GET /h", "HTTP/1.1 405 "},
      {get("/hello", "Content-Length: 1001\r\n"), "HTTP/1.1 413 "},
      {"PATCH /hello HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 405 "},
      {get("/hello", "X-Stranger: 1\r\n"), "HTTP/1.1 401 "},
      {post("/echo", std::string(1001, 'a')), "HTTP/1.1 413 "},
      {post("/echo", "a", "Content-Encoding: gzip\r\n"), "HTTP/1.1 415 "},
      {"nonsense\r\n\r\n", "HTTP/1.1 400 "},
      {post("/echo", "a", "Transfer-Encoding: chunked\r\n") + get("/hello"),
       "HTTP/1.1 400 "},
  };
  for (const auto& [bytes, answer] : cases) {
    client c(f.port);
    c.send(bytes);
    const std::string all = c.to_end();
    INFO(bytes.substr(0, 60));
    CHECK(all.starts_with(answer));
    CHECK(all.find("connection: close") != std::string::npos);
    CHECK(all.find("HTTP/1.1", 1) == std::string::npos);
  }
  CHECK(soon([&] { return f.counts().connections == 0; }));
}

TEST_CASE("a method that a path has not is told those that it has",
          "[threads]") {
  fixture f;
  for (const char* method : {"PATCH", "QUERY", "TRACE", "POST"}) {
    INFO(method);
    client c(f.port);
    c.send(std::string(method) +
           " /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    const std::string all = c.to_end();
    CHECK(all.starts_with("HTTP/1.1 405 "));
    CHECK(all.find("\r\nallow: GET, HEAD\r\n") != std::string::npos);
  }
}

TEST_CASE("a route that throws is a 500 that tells nothing", "[threads]") {
  fixture f;
  client c(f.port);
  c.send(post("/throw", ""));
  const std::string all = c.until("}}");
  CHECK(all.starts_with("HTTP/1.1 500 "));
  CHECK(all.find("secret") == std::string::npos);
}

TEST_CASE("a client that leaves is noticed while it is being answered",
          "[threads]") {
  fixture f;
  for (const int way : {0, 1, 2}) {
    f.waiting = f.gone = 0;
    client c(f.port);
    c.send(post("/wait", ""));
    REQUIRE(soon([&] { return f.waiting == 1; }));
    if (way == 2) c.send(get("/hello"));  // bytes that hide the end
    CHECK(f.gone == 0);
    way == 1 ? c.half_close() : c.close();
    CHECK(soon([&] { return f.gone == 1; }));
  }
  CHECK(soon([&] { return f.counts().requests == 0; }));
}

TEST_CASE("a client that asks for leave to send its body gets it",
          "[threads]") {
  fixture f;
  client c(f.port);
  c.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
      "Expect: 100-continue\r\n\r\n");
  CHECK(c.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("body");
  CHECK(c.until("body").find("HTTP/1.1 200 OK") != std::string::npos);
}

TEST_CASE("nobody is asked to send a body that is refused or here already",
          "[threads]") {
  fixture f;
  const auto ask = [](const std::string& length) {
    return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
           length + "\r\nExpect: 100-continue\r\n\r\n";
  };
  client large(f.port);
  large.send(ask("1001"));
  CHECK(large.to_end().starts_with("HTTP/1.1 413 "));
  client hasty(f.port);
  hasty.send(ask("4") + "body");
  CHECK(hasty.until("body").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a page of a listed origin may ask, and read what it gets",
          "[threads]") {
  fixture f;
  const std::string origin = "Origin: https://chat.example\r\n";
  const std::string allowed =
      "\r\naccess-control-allow-origin: https://chat.example\r\n";
  client c(f.port);
  // The browser asks without a key, and goes on over the same connection.
  c.send("OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\n" + origin +
         "X-Stranger: 1\r\nAccess-Control-Request-Method: POST\r\n\r\n");
  const std::string leave = c.until("\r\n\r\n");
  CHECK(leave.starts_with("HTTP/1.1 204 "));
  CHECK(leave.find(allowed) != std::string::npos);
  CHECK(leave.find("connection: close") == std::string::npos);
  c.send(post("/echo", "a body", origin));
  const std::string answer = c.until("a body").substr(leave.size());
  CHECK(answer.starts_with("HTTP/1.1 200 "));
  CHECK(answer.find(allowed) != std::string::npos);
  c.send(get("/stream", origin));
  CHECK(
      c.until("0\r\n\r\n").substr(leave.size() + answer.size()).find(allowed) !=
      std::string::npos);
  client stranger(f.port);  // may read why it is turned away
  stranger.send(get("/hello", origin + "X-Stranger: 1\r\n"));
  const std::string no = stranger.to_end();
  CHECK(no.starts_with("HTTP/1.1 401 "));
  CHECK(no.find(allowed) != std::string::npos);
  client other(f.port);
  other.send(
      "OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\n"
      "Origin: https://evil.example\r\n"
      "Access-Control-Request-Method: POST\r\n\r\n");
  const std::string evil = other.to_end();
  CHECK(evil.starts_with("HTTP/1.1 403 "));
  CHECK(evil.find("access-control") == std::string::npos);
}

TEST_CASE("a wrong method is told which are right", "[threads]") {
  fixture f;
  client c(f.port);
  c.send(get("/echo"));
  CHECK(c.to_end().find("\r\nallow: POST\r\n") != std::string::npos);
}

TEST_CASE("without descriptors for a while, connections wait and come in then",
          "[threads]") {
  fixture f;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  std::optional<client> c;
  f.on_io([&] {
    c.emplace(f.port);
    const int next = ::dup(0);
    ::close(next);
    const rlimit none{static_cast<rlim_t>(next), before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  });
  c->send(get("/hello"));
  std::this_thread::sleep_for(30ms);
  const server_counts without = f.counts();
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(without.accepted == 0);
  CHECK(c->until("hello").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("who begins and does not go on is cut off, others are not",
          "[threads]") {
  server_limits limits;
  limits.header = 1s;
  limits.body = 1s;
  limits.idle = 2s;
  fixture f(limits);
  client slow_header(f.port), slow_body(f.port), idle(f.port);
  slow_header.send("GET /hello HTT");
  slow_body.send(
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nb");
  client working(f.port);
  working.send(post("/wait", ""));
  CHECK(slow_header.to_end().empty());
  CHECK(slow_body.to_end().empty());
  CHECK(slow_header.closed());
  CHECK(slow_body.closed());
  CHECK(idle.to_end().empty());
  CHECK(idle.closed());
  CHECK(soon([&] { return f.counts().connections == 1; }));
  CHECK(f.gone == 0);
}

TEST_CASE("more connections than allowed wait until others have ended",
          "[threads]") {
  server_limits limits;
  limits.connections = 2;
  fixture f(limits);
  client a(f.port), b(f.port), c(f.port);
  a.send(get("/hello"));
  a.until("hello");
  b.send(get("/hello"));
  b.until("hello");
  c.send(get("/hello"));
  std::this_thread::sleep_for(50ms);
  CHECK(f.counts().connections == 2);
  a.close();
  CHECK(c.until("hello").starts_with("HTTP/1.1 200 OK"));
}

TEST_CASE("the connection that was idle longest gives way to one that waits",
          "[threads]") {
  server_limits limits;
  limits.connections = 3;
  limits.gives_way = 100ms;
  fixture f(limits);
  client busy(f.port);
  busy.send(post("/wait", ""));
  REQUIRE(soon([&] { return f.waiting == 1; }));
  const auto ask = [](client& c, const std::string& text) {
    c.send(post("/echo", text));
    return c.until(text).ends_with(text);
  };
  client first(f.port), second(f.port);
  CHECK(ask(first, "one"));
  CHECK(ask(second, "two"));
  CHECK(ask(first, "three"));
  // Nobody waits: nobody is closed.
  std::this_thread::sleep_for(200ms);
  CHECK(f.counts().connections == 3);
  client third(f.port);
  CHECK(ask(third, "four"));
  second.to_end();
  CHECK(second.closed());
  CHECK(ask(first, "five"));
  // Those that are left are busy, or were not idle for long: it waits for that.
  client fourth(f.port);
  CHECK(ask(fourth, "six"));
  third.to_end();
  CHECK(third.closed());
  CHECK(ask(first, "seven"));
  CHECK(f.counts().connections == 3);
  CHECK(f.gone == 0);
}

TEST_CASE("a server that stops ends idle connections, and lets others finish",
          "[threads]") {
  fixture f;
  client idle(f.port), busy(f.port);
  idle.send(get("/hello"));
  idle.until("hello");
  busy.send(post("/wait", ""));
  REQUIRE(soon([&] { return f.waiting == 1; }));
  f.stop_accepting();
  idle.to_end();
  CHECK(idle.closed());
  CHECK(f.gone == 0);
  CHECK(f.counts().requests == 1);
}
