// SPDX-License-Identifier: MIT
// Time as a request sees it: deadlines, timeouts and waits go by a clock that
// it is given, so that a test waits for nothing.
#ifndef TINYPHI_PIPELINE_CLOCK_H_
#define TINYPHI_PIPELINE_CLOCK_H_

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <optional>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

// Used on the request's strand only.
class request_clock {
 public:
  using timer = boost::asio::steady_timer;

  virtual ~request_clock() = default;
  [[nodiscard]] virtual steady_time now() const = 0;
  // Somebody is about to wait for `t`: it expires at `at`.
  virtual void set(timer& t, steady_time at) = 0;
  // Nobody waits for `t` any more.
  virtual void forget(timer& t) = 0;
  // A time by this clock for code that looks at the steady clock; nothing if
  // it will not come there.
  [[nodiscard]] virtual std::optional<steady_time> on_steady_clock(
      steady_time at) const = 0;
};

class real_clock final : public request_clock {
 public:
  [[nodiscard]] steady_time now() const override {
    return std::chrono::steady_clock::now();
  }
  void set(timer& t, steady_time at) override { t.expires_at(at); }
  void forget(timer&) override {}
  [[nodiscard]] std::optional<steady_time> on_steady_clock(
      steady_time at) const override {
    return at;
  }
};

// It stands still while anything is computed; once all that is left to do is
// to wait, whoever runs the request lets it jump to what is waited for.
class test_clock final : public request_clock {
 public:
  [[nodiscard]] steady_time now() const override { return now_; }
  void set(timer& t, steady_time at) override {
    t.expires_at(steady_time::max());
    if (at == steady_time::max()) {
      waits_.erase(&t);
    } else {
      waits_[&t] = at;
    }
  }
  void forget(timer& t) override { waits_.erase(&t); }
  [[nodiscard]] std::optional<steady_time> on_steady_clock(
      steady_time) const override {
    return std::nullopt;
  }

  // Lets the wait end that ends first; false if there is none.
  bool advance() {
    const auto by_time = [](const auto& a, const auto& b) {
      return a.second < b.second;
    };
    const auto first = std::ranges::min_element(waits_, by_time);
    if (first == waits_.end()) return false;
    now_ = std::max(now_, first->second);
    timer& t = *first->first;
    waits_.erase(first);
    t.cancel();
    return true;
  }

 private:
  steady_time now_ = std::chrono::steady_clock::now();
  std::map<timer*, steady_time> waits_;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_PIPELINE_CLOCK_H_
