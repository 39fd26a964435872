// SPDX-License-Identifier: MIT
// Wakes those who wait when their cancel_token is set. The token has no way to
// do that itself, so all tokens of an execution context are looked at together.
#ifndef TINYPHI_PIPELINE_CANCEL_WATCH_H_
#define TINYPHI_PIPELINE_CANCEL_WATCH_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <iterator>
#include <list>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

// Any thread may call. One timer for all, and none while nobody waits.
class cancel_watch final : public boost::asio::execution_context::service {
  struct watched {
    cancel_token token;
    std::function<void()> wake;
    bool told = false;
  };

 public:
  using key_type = cancel_watch;
  inline static boost::asio::execution_context::id id;
  static constexpr auto period = std::chrono::milliseconds(5);

  explicit cancel_watch(boost::asio::execution_context& owner)
      : service(owner) {}

  // As long as it lives the token is watched.
  class entry {
   public:
    entry(entry&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), at_(other.at_) {}
    entry& operator=(entry&&) = delete;
    ~entry() {
      if (owner_ != nullptr) owner_->remove(at_);
    }

   private:
    friend class cancel_watch;
    entry(cancel_watch& owner, std::list<watched>::iterator at)
        : owner_(&owner), at_(at) {}
    cancel_watch* owner_;
    std::list<watched>::iterator at_;
  };

  // Calls `wake` once, at most a period after the token was set and perhaps
  // after the entry is gone; on a thread of `home`, whose context this is part
  // of.
  [[nodiscard]] static entry add(const boost::asio::any_io_executor& home,
                                 cancel_token token,
                                 std::function<void()> wake) {
    auto& owner = boost::asio::use_service<cancel_watch>(
        boost::asio::query(home, boost::asio::execution::context));
    const std::lock_guard lock(owner.mutex_);
    owner.all_.push_back({std::move(token), std::move(wake)});
    if (!owner.timer_) {
      owner.timer_.emplace(home);
      owner.wait();
    }
    return entry(owner, std::prev(owner.all_.end()));
  }

 private:
  void remove(std::list<watched>::iterator at) {
    const std::lock_guard lock(mutex_);
    all_.erase(at);
    if (all_.empty()) timer_.reset();
  }

  void wait() {
    timer_->expires_after(period);
    timer_->async_wait([this](const boost::system::error_code& ended) {
      if (!ended) look();
    });
  }

  void look() {
    std::vector<std::function<void()>> woken;
    {
      const std::lock_guard lock(mutex_);
      for (watched& w : all_) {
        if (w.told || !w.token.cancelled()) continue;
        w.told = true;
        woken.push_back(w.wake);
      }
      if (timer_) wait();
    }
    for (const auto& wake : woken) wake();
  }

  void shutdown() override { timer_.reset(); }

  std::mutex mutex_;
  std::list<watched> all_;
  std::optional<boost::asio::steady_timer> timer_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_CANCEL_WATCH_H_
