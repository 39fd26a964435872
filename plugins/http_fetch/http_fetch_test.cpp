// SPDX-License-Identifier: MIT
#include "plugins/http_fetch/http_fetch.h"

#include <signal.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "support/run_stage.h"
#include "support/temp_folder.h"
#include "support/test.h"
#include "tinyphi/pipeline.h"

using namespace tinyphi;
using namespace tinyphi_test;
namespace asio = boost::asio;

namespace {

// A server on 127.0.0.1 that answers every connection in the same way: with a
// text, or by a function of its own.
class local_server {
 public:
  using answer = std::function<void(web::tcp_socket&)>;

  explicit local_server(answer how)
      : how_(std::move(how)),
        acceptor_(io_,
                  asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        thread_([this] { serve(); }) {}
  explicit local_server(std::string text)
      : local_server([text = std::move(text)](web::tcp_socket& s) {
          boost::system::error_code ignored;
          asio::write(s, asio::buffer(text), ignored);
        }) {}
  ~local_server() {
    over_ = true;
    boost::system::error_code ignored;
    web::tcp_socket wake(io_);
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  local_server(const local_server&) = delete;
  local_server& operator=(const local_server&) = delete;

  [[nodiscard]] std::uint16_t port() const {
    return acceptor_.local_endpoint().port();
  }
  [[nodiscard]] std::string place() const {
    return "127.0.0.1:" + std::to_string(port());
  }
  [[nodiscard]] int connections() const { return connections_; }
  // The request of the last connection; only after it was answered.
  [[nodiscard]] const std::string& request() const { return request_; }

 private:
  void serve() {
    while (true) {
      boost::system::error_code failed;
      web::tcp_socket s(io_);
      acceptor_.accept(s, failed);
      if (over_ || failed) return;
      ++connections_;
      read_request(s);
      how_(s);
    }
  }
  void read_request(web::tcp_socket& s) {
    request_.clear();
    boost::system::error_code failed;
    const auto whole = [&] {
      const std::size_t end = request_.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      const std::size_t at = request_.find("Content-Length: ");
      const int n = at > end ? 0 : std::atoi(request_.c_str() + at + 16);
      return request_.size() >= end + 4 + static_cast<std::size_t>(n);
    };
    while (!whole() && !failed) {
      std::array<char, 1024> bytes;
      const std::size_t n = s.read_some(asio::buffer(bytes), failed);
      request_.append(bytes.data(), n);
    }
  }

  answer how_;
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> over_ = false;
  std::atomic<int> connections_ = 0;
  std::string request_;
  std::thread thread_;
};

std::vector<network_host> hosts(const std::vector<std::string>& names) {
  std::vector<network_host> all;
  for (const std::string& name : names) {
    all.push_back(unwrap(parse_network_host(name)));
  }
  return all;
}

struct fetched {
  std::string url;
  std::vector<std::string> allowed;
  http_fetch_stage::config config = {};
  std::optional<value_data> body = {};
  type_kind body_type = type_kind::text;
  web::web_client::options options = {};
  stop_condition stop = {};

  // "STATUS TEXT", or "CODE: MESSAGE".
  [[nodiscard]] std::string text() const {
    host h({}, "/", {}, {}, {{}, {}, hosts(allowed)});
    call_facts call;
    call.types["url"] = type_kind::text;
    if (body) call.types["body"] = body_type;
    result<http_fetch_stage::outputs> out = error{};
    try {
      const http_fetch_stage stage(config, call, h, options);
      out = run_stage(stage, {.url = url, .body = body}, stop);
    } catch (const stage_error& e) {
      out = e.error;
    }
    if (out) return std::to_string(out->status) + " " + out->text;
    return std::string(to_string(out.error().code)) + ": " +
           out.error().message;
  }
};

std::string fetch_from(const local_server& s) {
  return fetched{.url = "http://" + s.place() + "/a", .allowed = {s.place()}}
      .text();
}

std::string answer_of(const std::string& bytes, std::uint64_t max_bytes = 64) {
  const local_server s(bytes);
  fetched f{.url = "http://" + s.place() + "/", .allowed = {s.place()}};
  f.config.max_bytes = {max_bytes};
  std::string said = f.text();
  const std::size_t at = said.find(s.place());
  if (at != std::string::npos) said.replace(at, s.place().size(), "HOST");
  return said;
}

std::string grant_of(const std::string& url,
                     const std::vector<std::string>& allowed) {
  const auto parsed = web::parse_url(url);
  if (!parsed) return parsed.error().message;
  const auto granted = web::find_grant(*parsed, hosts(allowed));
  if (!granted) return granted.error().message;
  return *granted == web::destination::public_only ? "public" : "local";
}

bool is_public(const char* address) {
  return web::is_public(asio::ip::make_address(address));
}

}  // namespace

TEST_CASE("http.fetch: only addresses of the public internet are public") {
  for (const char* a : {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.0.1",
                        "100.128.0.0", "172.15.0.1", "172.32.0.1",
                        "192.167.1.1", "223.255.255.255", "2606:4700::1111",
                        "2001:200::1", "64:ff9b::101:101", "::ffff:1.1.1.1"}) {
    INFO(a);
    CHECK(is_public(a));
  }
  for (const char* a : {"0.0.0.0",
                        "10.0.0.1",
                        "100.64.0.1",
                        "100.127.255.255",
                        "127.0.0.1",
                        "127.255.0.1",
                        "169.254.169.254",
                        "172.16.0.1",
                        "172.31.255.255",
                        "192.0.0.1",
                        "192.0.2.1",
                        "192.88.99.1",
                        "192.168.1.1",
                        "198.18.0.1",
                        "198.51.100.1",
                        "203.0.113.1",
                        "224.0.0.1",
                        "240.0.0.1",
                        "255.255.255.255",
                        "::",
                        "::1",
                        "::ffff:127.0.0.1",
                        "::ffff:10.0.0.1",
                        "::7f00:1",
                        "64:ff9b::7f00:1",
                        "64:ff9b::a00:1",
                        "64:ff9b:1::1",
                        "100::1",
                        "2001::1",
                        "2001:db8::1",
                        "2002:7f00:1::",
                        "3fff::1",
                        "5f00::1",
                        "fc00::1",
                        "fd12::1",
                        "fe80::1",
                        "fec0::1",
                        "ff02::1"}) {
    INFO(a);
    CHECK(!is_public(a));
  }
}

TEST_CASE("http.fetch: what [allow].net does not name is not asked") {
  CHECK(grant_of("https://pager.example/api?x=1", {"pager.example"}) ==
        "public");
  CHECK(grant_of("HTTPS://Pager.Example:443", {"pager.example"}) == "public");
  CHECK(grant_of("https://pager.example:8443/", {"pager.example:8443"}) ==
        "public");
  CHECK(grant_of("https://pager.example:8443/", {"pager.example"}) ==
        "'pager.example:8443' is not in [allow].net, which names "
        "pager.example");
  CHECK(grant_of("https://pager.exmaple/", {"pager.example", "a.example:1"}) ==
        "'pager.exmaple' is not in [allow].net, which names pager.example, "
        "a.example:1");
  CHECK(
      grant_of("https://pager.exmaple/", {"pager.example", "b.x", "c.x", "d.x",
                                          "e.x", "f.x", "g.x", "h.x", "i.x"}) ==
      "'pager.exmaple' is not in [allow].net; did you mean 'pager.example'?");
  CHECK(grant_of("https://x.pager.example/", {"pager.example"})
            .find("is not in") != std::string::npos);
  CHECK(grant_of("https://1.1.1.1/", {}) ==
        "'1.1.1.1' is not in [allow].net, which names no host");
  // What is not public is never granted, but for this machine with a port.
  CHECK(grant_of("https://10.0.0.1/", {"10.0.0.1"}) ==
        "'10.0.0.1' is not a public address");
  CHECK(grant_of("https://[::ffff:127.0.0.1]/", {"[::ffff:127.0.0.1]:443"}) ==
        "'::ffff:127.0.0.1' is not a public address");
  CHECK(grant_of("http://127.0.0.1:80/", {"127.0.0.1:80"}) == "local");
  CHECK(grant_of("https://[0:0::1]:8443/", {"[::1]:8443"}) == "local");
  CHECK(grant_of("http://localhost:8080/", {"localhost:8080"}) == "local");
  CHECK(grant_of("https://127.0.0.1/", {"127.0.0.1"}) ==
        "'127.0.0.1:443' is not in [allow].net, which names 127.0.0.1; a host "
        "of this machine is named with its port");
  CHECK(grant_of("http://pager.example/", {"pager.example:80"}) ==
        "http is for hosts of this machine only; write https://");
  // Addresses that readers disagree about are refused.
  for (const char* url : {"",
                          "pager.example",
                          "ftp://pager.example/",
                          "https:pager.example",
                          "https:///x",
                          "https://a@pager.example/",
                          "https://pager.example#x",
                          "https://pager.example/a b",
                          "https://pager.example/\r\nX: y",
                          "https://pager.example\\@evil.example/",
                          "https://pager.example:0/",
                          "https://pager.example:65536/",
                          "https://pager.example:4 3/",
                          "https://pager..example/",
                          "https://pager.example./",
                          "https://127.1/",
                          "https://0x7f000001/",
                          "https://2130706433/",
                          "https://[::1/",
                          "https://[fe80::1%25lo]/",
                          "https://-a.example/",
                          "https://a_b.example/",
                          "https://p\xC3\xA4ger.example/"}) {
    INFO(url);
    CHECK(!web::parse_url(url));
  }
  CHECK(!web::parse_url("https://a.example/" + std::string(8192, 'a')));
}

TEST_CASE("http.fetch: what is wrong is found before it runs") {
  const auto fault_of = [](http_fetch_stage::config c,
                           std::vector<std::string> bound = {},
                           std::vector<std::string> allowed = {"a.example"}) {
    host h({}, "/", {}, {}, {{}, {}, hosts(allowed)});
    call_facts call;
    for (const auto& name : bound) call.types[name] = type_kind::text;
    std::string all;
    for (const auto& f : http_fetch_stage::check(c, call, h).faults) {
      all += (all.empty() ? "" : "\n") +
             std::to_string(static_cast<int>(f.code)) + " " + f.param + ": " +
             f.message;
    }
    return all;
  };
  using config = http_fetch_stage::config;
  const std::string good = "https://a.example/";
  CHECK(fault_of(config{.url = good}).empty());
  CHECK(fault_of(config{.url = "https://b.example/"}) ==
        "4003 url: 'b.example' is not in [allow].net, which names a.example");
  CHECK(fault_of(config{.url = "a.example"}) ==
        "1005 url: 'a.example' is no address: it must begin with https://");
  CHECK(fault_of(config{}) == "1003 url: with.url or in.url must be given");
  CHECK(fault_of(config{.url = good}, {"url"}) ==
        "1013 url: with.url and in.url exclude each other");
  CHECK(fault_of(config{}, {"url"}, {}) ==
        "4003 url: in.url can lead nowhere: [allow].net names no host");
  CHECK(fault_of(config{.url = good}, {"body"}) ==
        "1013 method: in.body needs with.method = \"POST\"");
  const auto header = [&](const std::string& name, const std::string& value) {
    return fault_of(config{.url = good, .headers = {{name, secret_text::of(value)}}});
  };
  CHECK(header("Accept", "text/plain, */*").empty());
  CHECK(header("a b", "x") ==
        "1005 headers.a b: a header's name is letters, digits and '-'");
  CHECK(header("X-A", "a\r\nHost: b").find("printable ASCII") !=
        std::string::npos);
  CHECK(header("transfer-Encoding", "chunked").find("leave it out") !=
        std::string::npos);
  CHECK(header("X", std::string(9000, 'x')).find("8192") != std::string::npos);

  // In a file: an idempotent request may be tried again, another may not; and
  // an input called url is no second address.
  registry plugins;
  plugins.add<http_fetch_stage>();
  const auto file = [&](const std::string& keys) {
    return to_string(
        check_pipeline_text("tinyphi = 1\nallow.net = ['a.example']\n"
                            "output.t = 'get.text'\n[stage]\nget = { use = "
                            "'http.fetch', with.url = 'https://a.example/', " +
                                keys + " }\n",
                            "t.toml", plugins)
            .faults,
        "t.toml");
  };
  CHECK(file("retry = 2").empty());
  CHECK(to_string(check_pipeline_text(
                      "tinyphi = 1\nallow.net = ['a.example']\ninput.url = "
                      "'text'\noutput.t = 'get.text'\noutput.u = "
                      "'input.url'\n[stage]\nget = { use = 'http.fetch', "
                      "with.url = 'https://a.example/' }\n",
                      "t.toml", plugins)
                      .faults,
                  "t.toml") == "");
  CHECK(file("retry = 2, with.method = 'POST'").find("TP2019") !=
        std::string::npos);
  CHECK(file("with.methd = 'POST'").find("did you mean 'method'") !=
        std::string::npos);
  CHECK(
      to_string(check_pipeline_text(
                    "tinyphi = 1\nallow.net = ['a.example', 'b_c']\n"
                    "output.t = 'get.text'\n[stage]\nget = { use = "
                    "'http.fetch', with.url = 'https://c.example/' }\n",
                    "t.toml", plugins)
                    .faults,
                "t.toml") ==
      "t.toml:2:27: error[TP1005]: [allow].net: 'b_c' must be a host or "
      "host:port: a host's name is letters, digits and '-' between dots\n"
      "t.toml:5:41: error[TP4003]: stage get: with.url: 'c.example' is not in "
      "[allow].net, which names a.example");
}

TEST_CASE("http.fetch: a called file reaches no more than its caller") {
  const temp_folder folder;
  registry plugins;
  plugins.add<http_fetch_stage>();
  folder.write("get.toml",
               "tinyphi = 1\nallow.net = ['b.example']\noutput.t = "
               "'get.text'\n[stage]\nget = { use = 'http.fetch', with.url = "
               "'https://b.example/' }\n");
  const auto faults = [&](const std::string& allow) {
    const auto main =
        folder.write("main.toml", "tinyphi = 1\n" + allow +
                                      "output.t = 'a.t'\n[stage]\na = { use = "
                                      "'./get.toml' }\n");
    const auto checked = check_pipeline(main, plugins);
    REQUIRE_OK(checked);
    return to_string(checked->faults, "t.toml");
  };
  CHECK(faults("allow.net = ['b.example']\n").empty());
  CHECK(faults("allow.net = ['a.example', 'b.example:444']\n") ==
        "t.toml:5:13: error[TP4003]: stage a: ./get.toml grants [allow].net = "
        "'b.example', which this file's [allow].net does not name");
}

TEST_CASE("http.fetch: an answer is read in each of its forms") {
  CHECK(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") ==
        "200 hello");
  CHECK(answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b"
                  "\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n") == "200 hello");
  CHECK(answer_of("HTTP/1.0 404 Not Found\r\n\r\nno such page") ==
        "404 no such page");
  CHECK(answer_of("HTTP/1.1 204 No Content\r\n\r\n") == "204 ");
  CHECK(answer_of("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 "
                  "OK\r\nContent-Length: 1\r\n\r\nx") == "200 x");
  CHECK(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" +
                  std::string(64, 'x')) == "200 " + std::string(64, 'x'));

  // A redirect is an answer, and nobody goes there.
  const local_server other(
      "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
  const local_server s("HTTP/1.1 302 Found\r\nLocation: http://" +
                       other.place() + "/\r\nContent-Length: 0\r\n\r\n");
  CHECK(fetch_from(s) == "302 ");
  CHECK(s.connections() == 1);
  CHECK(other.connections() == 0);
}

TEST_CASE("http.fetch: a request is sent as it was asked for") {
  const local_server s("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  CHECK(fetch_from(s) == "200 ok");
  CHECK(s.request() == "GET /a HTTP/1.1\r\nHost: " + s.place() +
                           "\r\nConnection: close\r\nAccept-Encoding: "
                           "identity\r\nUser-Agent: tinyphi\r\n\r\n");
  fetched post{.url = "http://" + s.place() + "?q=%20", .allowed = {s.place()}};
  post.config.method = http_fetch_stage::verb::post;
  post.config.headers = {{"X-Key", secret_text::of("k")}};
  post.body = value_data("a\r\nb");
  CHECK(post.text() == "200 ok");
  CHECK(s.request() ==
        "POST /?q=%20 HTTP/1.1\r\nHost: " + s.place() +
            "\r\nConnection: close\r\nAccept-Encoding: identity\r\nX-Key: k\r\n"
            "User-Agent: tinyphi\r\nContent-Type: text/plain; "
            "charset=utf-8\r\nContent-Length: 4\r\n\r\na\r\nb");
  post.body_type = type_kind::json;
  CHECK(post.text() == "200 ok");
  CHECK(
      s.request().ends_with("Content-Type: application/json\r\n"
                            "Content-Length: 8\r\n\r\n\"a\\r\\nb\""));
  post.body = value_data(std::string((std::size_t{4} << 20) + 1, 'x'));
  CHECK(post.text() ==
        "limit: in.body has 4194307 bytes, at most 4194304 are allowed");
}

TEST_CASE("http.fetch: no answer is believed") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(answer_of("SSH-2.0-OpenSSH\r\n")
            .starts_with("bad_data: HOST: the answer is not HTTP/1: "));
  CHECK(answer_of(ok + "A\x01: b\r\n\r\n").starts_with("bad_data: "));
  CHECK(answer_of(ok + "Content-Length: -1\r\n\r\n").starts_with("bad_data: "));
  CHECK(answer_of(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx")
            .starts_with("bad_data: "));
  CHECK(answer_of(chunked + "xyz\r\n").starts_with("bad_data: "));
  CHECK(answer_of(ok + "Content-Length: 2\r\n\r\n\xff\xfe") ==
        "bad_data: HOST: byte 0 of the answer is not UTF-8");
  // Too short.
  const std::string ended =
      "unavailable: HOST: the connection ended before the answer did";
  CHECK(answer_of("") == ended);
  CHECK(answer_of("HTTP/1.1 200 OK\r\nConte") == ended);
  CHECK(answer_of(ok + "Content-Length: 5\r\n\r\nhell") == ended);
  CHECK(answer_of(chunked + "5\r\nhel") == ended);
  // Too much.
  const std::string body =
      "limit: HOST: the body of the answer has more than 64 bytes";
  CHECK(answer_of(ok + "Content-Length: 65\r\n\r\n") == body);
  CHECK(answer_of(ok + "Content-Length: 99999999999999999999\r\n\r\n")
            .starts_with("bad_data: "));
  CHECK(answer_of(ok + "\r\n" + std::string(65, 'x')) == body);
  CHECK(answer_of(chunked + "41\r\n" + std::string(65, 'x') +
                  "\r\n0\r\n\r\n") == body);
  const std::string head =
      "limit: HOST: the head of the answer has more than 16384 bytes";
  CHECK(answer_of(ok + "A: " + std::string(20000, 'x')) == head);
  CHECK(answer_of(chunked + "1;" + std::string(20000, 'x')) == head);
  // In small pieces it goes on for ever, but nobody listens for so long.
  std::string endless;
  for (int i = 0; i < 4000; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  CHECK(answer_of(endless) == "limit: HOST: the answer goes on and on");
}

TEST_CASE("http.fetch: who is slow is left, in time or when nobody waits") {
  // A byte now and then, for as long as somebody listens.
  const local_server s([](web::tcp_socket& to) {
    boost::system::error_code failed;
    asio::write(to, asio::buffer("HTTP/1.1 200 OK\r\n\r\n", 19), failed);
    while (!failed) {
      asio::write(to, asio::buffer("x", 1), failed);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  const std::string url = "http://" + s.place() + "/";
  fetched f{.url = url, .allowed = {s.place()}};
  f.stop.deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  CHECK(f.text() == "deadline: " + s.place() + ": no answer in time");
  f.stop.deadline.reset();
  f.options.longest = std::chrono::milliseconds(50);
  CHECK(f.text() == "deadline: " + s.place() + ": no answer in time");

  registry plugins;
  plugins.add<http_fetch_stage>();
  const auto compiled = [&](const std::string& keys) {
    return pipeline::compile_text(
        "tinyphi = 1\nallow.net = ['" + s.place() +
            "']\noutput.t = 'get.text'\n[stage]\nget = { use = 'http.fetch', "
            "with.url = '" +
            url + "'" + keys + " }\n",
        "/t.toml", plugins);
  };
  const auto timed = compiled(", timeout = '50ms'");
  REQUIRE_OK(timed);
  CHECK(timed->run({}).error().code == error_code::deadline);
  const auto p = compiled("");
  REQUIRE_OK(p);
  stop_condition stop;
  steady_time cancelled;
  std::thread other([&cancelled, token = stop.token] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    cancelled = std::chrono::steady_clock::now();
    token.cancel();
  });
  const auto done = p->run({}, stop);
  const auto ended = std::chrono::steady_clock::now();
  other.join();
  REQUIRE(!done);
  CHECK(done.error().code == error_code::cancelled);
  // 50 ms on a machine that does nothing else.
  CHECK(ended - cancelled < std::chrono::seconds(1));
}

TEST_CASE("http.fetch: a name leads to public addresses, or nowhere") {
  const local_server s("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const auto named = [&](const std::string& host, web::resolver by) {
    const std::string place = host + ":" + std::to_string(s.port());
    fetched f{.url = (host == "localhost" ? "http://" : "https://") + place,
              .allowed = {place}};
    f.options.resolve = std::move(by);
    f.stop.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(300);
    return f.text();
  };
  const auto leads_to = [](std::vector<const char*> to) {
    return [to](const std::string&) -> result<web::addresses> {
      web::addresses all;
      for (const char* a : to) all.push_back(asio::ip::make_address(a));
      return all;
    };
  };
  CHECK(named("localhost", web::resolve_by_system) == "200 ");
  CHECK(named("localhost", leads_to({"93.184.216.34"}))
            .ends_with("which is not of this machine"));
  const int before = s.connections();
  CHECK(named("evil.example", leads_to({"127.0.0.1"}))
            .ends_with(": 'evil.example' leads to 127.0.0.1, which is not a "
                       "public address"));
  // One bad address among good ones is enough.
  for (const char* a : {"::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
                        "169.254.169.254", "fe80::1", "100.64.0.1"}) {
    INFO(a);
    CHECK(named("evil.example", leads_to({"93.184.216.34", a}))
              .starts_with("invalid_argument: "));
  }
  CHECK(s.connections() == before);
  CHECK(named("no.example", leads_to({})).ends_with("the host has no address"));
  // A resolver that takes its time holds nobody up.
  const auto stuck = std::make_shared<std::atomic<bool>>(true);
  const auto start = std::chrono::steady_clock::now();
  CHECK(named("slow.example",
              [stuck](const std::string&) -> result<web::addresses> {
                while (*stuck) {
                  std::this_thread::sleep_for(std::chrono::milliseconds(1));
                }
                return web::addresses();
              })
            .starts_with("deadline: slow.example:"));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  *stuck = false;
}

namespace {

// `openssl s_server` on 127.0.0.1, with a certificate for one name; it serves
// the file page.txt.
class tls_server {
 public:
  explicit tls_server(const std::string& name) {
    folder_.write("page.txt", "hello");
    const std::string to_folder = "cd '" + folder_.path().string() + "' && ";
    const std::string make =
        to_folder +
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 "
        "-nodes -days 2 -subj /CN=test -addext subjectAltName=" +
        name + " -keyout key.pem -out cert.pem >/dev/null 2>&1";
    if (std::system(make.c_str()) != 0) return;
    const std::string serve =
        to_folder +
        "echo $$; exec openssl s_server -accept 127.0.0.1:0 -cert cert.pem "
        "-key key.pem -WWW 2>/dev/null </dev/null";
    out_ = ::popen(serve.c_str(), "r");
    std::array<char, 256> line{};
    if (std::fgets(line.data(), line.size(), out_) == nullptr) return;
    process_ = std::atoi(line.data());
    while (port_ == 0 && std::fgets(line.data(), line.size(), out_)) {
      const std::string text = line.data();
      if (!text.starts_with("ACCEPT")) continue;
      port_ = std::atoi(text.c_str() + text.rfind(':') + 1);
    }
  }
  ~tls_server() {
    if (process_ > 0) ::kill(process_, SIGKILL);
    if (out_ != nullptr) ::pclose(out_);
  }
  tls_server(const tls_server&) = delete;
  tls_server& operator=(const tls_server&) = delete;

  [[nodiscard]] bool is_there() const { return port_ > 0; }
  [[nodiscard]] std::string fetch(const std::string& host,
                                  bool is_trusted) const {
    const std::string place = host + ":" + std::to_string(port_);
    fetched f{.url = "https://" + place + "/page.txt", .allowed = {place}};
    if (is_trusted) f.options.authorities = folder_.path() / "cert.pem";
    f.stop.deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(5);
    return f.text();
  }

 private:
  temp_folder folder_;
  FILE* out_ = nullptr;
  int process_ = 0;
  int port_ = 0;
};

}  // namespace

TEST_CASE("http.fetch: TLS is spoken with the host that was meant, or not") {
  if (!web::tls_client::is_built_in) {
    CHECK(fetched{.url = "https://127.0.0.1:1/", .allowed = {"127.0.0.1:1"}}
              .text()
              .find("built without TLS") != std::string::npos);
    SKIP_CASE("built without TLS");
  }
  const tls_server right("DNS:localhost,IP:127.0.0.1");
  const tls_server other("DNS:other.example");
  if (!right.is_there() || !other.is_there()) {
    SKIP_CASE("no program openssl, or it serves nothing");
  }
  CHECK(right.fetch("127.0.0.1", true) == "200 hello");
  CHECK(right.fetch("localhost", true) == "200 hello");
  CHECK(right.fetch("localhost", false)
            .find("the certificate is not one of localhost: self") !=
        std::string::npos);
  CHECK(other.fetch("127.0.0.1", true)
            .find("the certificate is not one of 127.0.0.1: IP address") !=
        std::string::npos);
  CHECK(other.fetch("localhost", true)
            .find("the certificate is not one of localhost: hostname") !=
        std::string::npos);
}
