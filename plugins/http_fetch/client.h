// SPDX-License-Identifier: MIT
// One request over HTTP/1.1, on a connection of its own. Nothing that comes
// back is believed: not its lengths, not its sizes, not where it sends us.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_CLIENT_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_CLIENT_H_

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/http_fetch/name_lookup.h"
#include "plugins/http_fetch/public_address.h"
#include "plugins/http_fetch/tls.h"
#include "plugins/http_fetch/url.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/utf8.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {

struct web_request {
  web_url url;
  destination where = destination::public_only;
  std::string_view method = "GET";
  std::string fields = {};  // "Name: value\r\n", each as it is sent
  std::optional<std::string> body = {};
  std::size_t max_bytes = std::size_t{1} << 20;  // of the answer's body
  // Asked whenever more of the body has come, whose type is `kind`: whether
  // the rest of it is not waited for.
  std::function<bool(std::string_view kind, std::string_view body)> is_enough =
      {};
};

struct web_answer {
  std::int64_t status = 0;
  std::string text;          // UTF-8
  std::string kind = {};     // Content-Type
  std::string session = {};  // Mcp-Session-Id
};

// Of what comes back besides the body.
inline constexpr std::size_t max_head_bytes = std::size_t{16} << 10;
// A body in the smallest chunks has six bytes of them for each of its own.
inline constexpr std::size_t max_framing = 8;
// Of addresses of one host that are tried.
inline constexpr std::size_t max_tries = 4;

// Whether all addresses may be connected to; one that may not is reason enough
// to doubt the name.
[[nodiscard]] inline result<void> check_addresses(const web_request& r,
                                                  const addresses& all) {
  const bool is_local = r.where == destination::this_machine;
  for (const auto& a : all) {
    if (is_local ? a.is_loopback() : is_public(a)) continue;
    return error{error_code::invalid_argument,
                 quote(r.url.host.name) + " leads to " + a.to_string() +
                     ", which is not " +
                     (is_local ? "of this machine" : "a public address")};
  }
  return {};
}

// What it reads and gives up with, apart from the connection.
class answer_reader {
 public:
  explicit answer_reader(std::size_t max_bytes,
                         decltype(web_request::is_enough) is_enough = {})
      : max_bytes_(max_bytes),
        is_enough_(std::move(is_enough)),
        left_(4 * max_head_bytes + max_framing * max_bytes) {
    begin();
  }

  // True when the answer is whole.
  [[nodiscard]] result<bool> take(std::string_view bytes) {
    if (bytes.size() > left_) {
      return error{error_code::limit, "the answer goes on and on"};
    }
    left_ -= bytes.size();
    pending_.append(bytes);
    while (!pending_.empty()) {
      boost::system::error_code failed;
      const boost::asio::const_buffer all(pending_.data(), pending_.size());
      const std::size_t n = parser_->put(all, failed);
      pending_.erase(0, n);
      if (failed == http::error::need_more) {
        // The lines between chunks have no bound of their own.
        if (pending_.size() > max_head_bytes) return too_large("head");
        break;
      }
      if (failed) return fault(failed);
      if (parser_->is_done()) {
        // 1xx only announces the answer (RFC 9110, 15.2).
        if (parser_->get().result_int() / 100 != 1) return true;
        begin();
      } else if (n == 0) {
        break;
      }
    }
    return is_enough_ && parser_->is_header_done() &&
           is_enough_(field("Content-Type"), parser_->get().body());
  }

  // The other side has ended the connection.
  [[nodiscard]] result<void> end() {
    boost::system::error_code failed;
    if (parser_->is_header_done()) {
      parser_->put_eof(failed);
      if (!failed && parser_->is_done()) return {};
    }
    return error{error_code::unavailable,
                 "the connection ended before the answer did"};
  }

  [[nodiscard]] result<web_answer> answer() {
    web_answer a{parser_->get().result_int(), std::move(parser_->get().body()),
                 field("Content-Type"), field("Mcp-Session-Id")};
    const std::size_t bad = find_invalid_utf8(a.text);
    if (bad == std::string_view::npos) return a;
    return error{error_code::bad_data,
                 "byte " + std::to_string(bad) + " of the answer is not UTF-8"};
  }

 private:
  struct http {
    using parser =
        boost::beast::http::response_parser<boost::beast::http::string_body>;
    using error = boost::beast::http::error;
  };

  void begin() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(max_head_bytes));
    parser_->body_limit(max_bytes_);
    parser_->eager(true);
  }

  [[nodiscard]] std::string field(const char* name) const {
    const auto& all = parser_->get();
    const auto it = all.find(name);
    if (it == all.end()) return {};
    const auto value = it->value();
    return {value.data(), value.size()};
  }

  static error too_large(const std::string& what, std::size_t most) {
    return {error_code::limit, "the " + what + " of the answer has more than " +
                                   std::to_string(most) + " bytes"};
  }
  static error too_large(const std::string& what) {
    return too_large(what, max_head_bytes);
  }
  [[nodiscard]] error fault(const boost::system::error_code& failed) const {
    if (failed == http::error::body_limit) return too_large("body", max_bytes_);
    if (failed == http::error::header_limit) return too_large("head");
    return {error_code::bad_data,
            "the answer is not HTTP/1: " + failed.message()};
  }

  std::size_t max_bytes_;
  decltype(web_request::is_enough) is_enough_;
  std::size_t left_;  // bytes that may still come
  std::string pending_;
  std::optional<http::parser> parser_;
};

class web_client {
 public:
  struct options {
    resolver resolve = resolve_by_system;
    // Whom to believe; empty: the system's authorities.
    std::filesystem::path authorities = {};
    // Of a request that has no deadline of its own.
    std::chrono::milliseconds longest{60000};
  };
  explicit web_client(options o)
      : lookup_(std::move(o.resolve)),
        tls_(o.authorities),
        longest_(o.longest) {}

  // Asks once. Runs on the executor of the coroutine, and ends at once with its
  // cancellation or the deadline. Errors do not name the host.
  [[nodiscard]] task<result<web_answer>> fetch(
      web_request r, std::optional<steady_time> deadline) const {
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto open = std::make_shared<open_socket>(executor);
    boost::asio::steady_timer timer(
        executor,
        deadline.value_or(std::chrono::steady_clock::now() + longest_));
    const auto on_time = [open](const boost::system::error_code& stopped) {
      if (!stopped) open->end();
    };
    timer.async_wait(on_time);
    auto answer = co_await ask(r, *open);
    if (!answer && open->is_over) {
      co_return error{error_code::deadline, "no answer in time"};
    }
    co_return answer;
  }

 private:
  struct open_socket {
    explicit open_socket(const boost::asio::any_io_executor& e) : socket(e) {}

    void end() {
      is_over = true;
      boost::system::error_code ignored;
      socket.close(ignored);
    }

    tcp_socket socket;
    bool is_over = false;
  };

  [[nodiscard]] task<result<web_answer>> ask(const web_request& r,
                                             open_socket& open) const {
    auto where = co_await addresses_of(r, open);
    if (!where) co_return std::move(where).error();
    // The addresses that were checked, and no other: the name is not asked for
    // again.
    const auto connected = co_await connect(r, *where, open);
    if (!connected) co_return connected.error();
    std::unique_ptr<connection> c;
    if (r.url.is_secure) {
      auto made = co_await tls_.connect(open.socket, r.url.host);
      if (!made) co_return std::move(made).error();
      c = *std::move(made);
    } else {
      c = std::make_unique<stream_connection<tcp_socket&>>(open.socket);
    }
    co_return co_await exchange(r, *c);
  }

  [[nodiscard]] task<result<addresses>> addresses_of(const web_request& r,
                                                     open_socket& open) const {
    addresses all;
    if (r.url.host.address) {
      all.push_back(*r.url.host.address);
    } else {
      std::function<bool()> is_over = [&open] { return open.is_over; };
      auto lookup = lookup_.find(r.url.host.name, std::move(is_over));
      auto found = co_await std::move(lookup);
      if (!found) co_return std::move(found).error();
      all = *std::move(found);
    }
    const auto allowed = check_addresses(r, all);
    if (!allowed) co_return allowed.error();
    co_return all;
  }

  [[nodiscard]] task<result<void>> connect(const web_request& r,
                                           const addresses& all,
                                           open_socket& open) const {
    boost::system::error_code failed;
    for (std::size_t i = 0; i < std::min(all.size(), max_tries); ++i) {
      if (open.is_over) break;
      const boost::asio::ip::tcp::endpoint to(all[i], r.url.port());
      boost::system::error_code ignored;
      open.socket.close(ignored);
      auto token =
          boost::asio::redirect_error(boost::asio::use_awaitable, failed);
      co_await open.socket.async_connect(to, token);
      if (!failed) co_return result<void>();
    }
    co_return error{error_code::unavailable,
                    "no connection: " + failed.message()};
  }

  static std::string head_of(const web_request& r) {
    network_host host = r.url.host;
    const auto usual = r.url.is_secure ? https_port : http_port;
    if (host.port == usual) host.port.reset();
    std::string head =
        std::string(r.method) + " " + r.url.target +
        " HTTP/1.1\r\nHost: " + to_string(host) +
        "\r\nConnection: close\r\nAccept-Encoding: identity\r\n" + r.fields;
    if (r.body) {
      head += "Content-Length: " + std::to_string(r.body->size()) + "\r\n";
    }
    return head + "\r\n";
  }

  static task<result<web_answer>> exchange(const web_request& r,
                                           connection& c) {
    const std::string sent = head_of(r) + r.body.value_or("");
    boost::system::error_code failed;
    co_await c.write(boost::asio::buffer(sent), failed);
    // Who refuses what we say may answer before it has read all of it.
    boost::system::error_code ended;
    answer_reader reader(r.max_bytes, r.is_enough);
    std::array<char, 4096> bytes;
    while (true) {
      const std::size_t n =
          co_await c.read_some(boost::asio::buffer(bytes), ended);
      if (ended) break;
      const auto whole = reader.take({bytes.data(), n});
      if (!whole) co_return whole.error();
      if (*whole) co_return reader.answer();
    }
    if (ended == boost::asio::error::eof && !failed) {
      const auto whole = reader.end();
      if (!whole) co_return whole.error();
      co_return reader.answer();
    }
    co_return error{
        error_code::unavailable,
        "the connection broke: " + (failed ? failed : ended).message()};
  }

  name_lookup lookup_;
  tls_client tls_;
  std::chrono::milliseconds longest_;
};

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_CLIENT_H_
