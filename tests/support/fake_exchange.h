// SPDX-License-Identifier: MIT
// An exchange without a network, which records what a route sends.
#ifndef TESTS_SUPPORT_FAKE_EXCHANGE_H_
#define TESTS_SUPPORT_FAKE_EXCHANGE_H_

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/serve/http_exchange.h"

namespace tinyphi_test {

inline tinyphi::http_request request_of(std::string path, std::string body) {
  tinyphi::http_request r;
  r.method = body.empty() ? "GET" : "POST";
  r.path = std::move(path);
  r.body = std::move(body);
  r.id = "test-id";
  r.from = std::make_shared<tinyphi::caller>();
  r.arrived = std::chrono::steady_clock::now();
  return r;
}

class fake_exchange : public tinyphi::http_exchange {
 public:
  explicit fake_exchange(tinyphi::http_request r)
      : http_exchange(std::move(r)) {}

  boost::asio::awaitable<bool> respond(tinyphi::http_response r) override {
    response = std::move(r);
    report().status = response->status;
    co_return !gone().cancelled();
  }
  boost::asio::awaitable<bool> begin_stream(std::string type) override {
    stream_type = std::move(type);
    report().status = 200;
    co_return !gone().cancelled();
  }
  boost::asio::awaitable<bool> write(std::string bytes) override {
    if (on_write) on_write(bytes);
    pieces.push_back(std::move(bytes));
    co_return !gone().cancelled();
  }
  boost::asio::awaitable<bool> end_stream() override {
    ended = true;
    co_return !gone().cancelled();
  }

  [[nodiscard]] std::string streamed() const {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }

  std::optional<tinyphi::http_response> response;
  std::string stream_type;
  std::vector<std::string> pieces;
  bool ended = false;
  std::function<void(const std::string&)> on_write;
};

// Runs a coroutine to its end; what it throws comes through.
inline void run_to_end(boost::asio::io_context& io,
                       boost::asio::awaitable<void> work) {
  std::exception_ptr thrown;
  boost::asio::co_spawn(io, std::move(work),
                        [&](std::exception_ptr e) { thrown = e; });
  io.restart();
  io.run();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_FAKE_EXCHANGE_H_
