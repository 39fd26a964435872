// SPDX-License-Identifier: MIT
// Names of hosts -> addresses, by the system's resolver, which cannot be
// interrupted: it runs on a thread of its own that nobody waits for.
#ifndef TINYPHI_PLUGINS_HTTP_FETCH_NAME_LOOKUP_H_
#define TINYPHI_PLUGINS_HTTP_FETCH_NAME_LOOKUP_H_

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/pipeline/text_stream.h"

TINYPHI_NAMESPACE_BEGIN
namespace web {

using addresses = std::vector<boost::asio::ip::address>;
// Blocks, for as long as the system takes.
using resolver = std::function<result<addresses>(const std::string& host)>;

[[nodiscard]] inline result<addresses> resolve_by_system(
    const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &first);
  if (failed != 0) {
    return error{
        failed == EAI_NONAME ? error_code::not_found : error_code::unavailable,
        "the name of the host is not known: " +
            std::string(::gai_strerror(failed))};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(
      first, ::freeaddrinfo);
  addresses found;
  for (const addrinfo* a = first; a != nullptr; a = a->ai_next) {
    if (a->ai_family == AF_INET) {
      sockaddr_in in{};
      std::memcpy(&in, a->ai_addr, sizeof in);
      found.emplace_back(
          boost::asio::ip::address_v4(ntohl(in.sin_addr.s_addr)));
    } else if (a->ai_family == AF_INET6) {
      sockaddr_in6 in{};
      std::memcpy(&in, a->ai_addr, sizeof in);
      boost::asio::ip::address_v6::bytes_type bytes{};
      std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
      found.emplace_back(boost::asio::ip::address_v6(bytes));
    }
  }
  return found;
}

// Any thread may ask.
class name_lookup {
 public:
  // Threads that wait for a resolver at one time.
  static constexpr int max_waiting = 16;

  explicit name_lookup(resolver by = resolve_by_system)
      : state_(std::make_shared<state>(std::move(by))) {}

  // The addresses of a host, at least one. Ends at once when the coroutine is
  // cancelled or `is_over()`; the resolver's thread then ends by itself.
  [[nodiscard]] task<result<addresses>> find(
      std::string host, std::function<bool()> is_over) const {
    const auto q = std::make_shared<query>();
    if (auto wrong = start(std::move(host), q)) co_return *std::move(wrong);
    // The thread must not touch an executor that may be gone when it ends, so
    // it is asked instead.
    constexpr auto period = std::chrono::milliseconds(2);
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (!is_over()) {
      if (auto found = q->take()) co_return *std::move(found);
      timer.expires_after(period);
      co_await timer.async_wait(boost::asio::use_awaitable);
    }
    co_return error{error_code::deadline, "looking up the host took too long"};
  }

 private:
  struct state {
    explicit state(resolver by) : resolve(std::move(by)) {}
    resolver resolve;
    std::atomic<int> waiting = 0;
  };
  struct query {
    std::mutex mutex;
    std::optional<result<addresses>> found;

    std::optional<result<addresses>> take() {
      const std::scoped_lock lock(mutex);
      return std::move(found);
    }
  };

  [[nodiscard]] std::optional<error> start(
      std::string host, const std::shared_ptr<query>& q) const {
    if (++state_->waiting > max_waiting) {
      --state_->waiting;
      return error{error_code::unavailable,
                   "too many names of hosts are being looked up"};
    }
    const auto work = [s = state_, q, name = std::move(host)] {
      auto found = s->resolve(name);
      if (found && found->empty()) {
        found = error{error_code::not_found, "the host has no address"};
      }
      {
        const std::scoped_lock lock(q->mutex);
        q->found = std::move(found);
      }
      --s->waiting;
    };
    try {
      std::thread(work).detach();
    } catch (const std::system_error&) {
      --state_->waiting;
      return error{error_code::unavailable,
                   "no thread for looking up the host can be started"};
    }
    return std::nullopt;
  }

  std::shared_ptr<state> state_;
};

}  // namespace web
TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PLUGINS_HTTP_FETCH_NAME_LOOKUP_H_
