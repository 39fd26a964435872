// SPDX-License-Identifier: MIT
// Work that may take a while, for a coroutine of the io thread.
#ifndef TINYPHI_SERVE_ON_POOL_H_
#define TINYPHI_SERVE_ON_POOL_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// Runs work() on the pool: the disk may be slow, and the io thread serves
// everybody. It may use the caller's locals.
inline boost::asio::awaitable<void> on_pool(boost::asio::thread_pool& pool,
                                            std::function<void()> work) {
  const auto body =
      [](std::function<void()> w) -> boost::asio::awaitable<void> {
    w();
    co_return;
  };
  auto working = boost::asio::co_spawn(pool, body(std::move(work)),
                                       boost::asio::use_awaitable);
  co_await std::move(working);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_ON_POOL_H_
