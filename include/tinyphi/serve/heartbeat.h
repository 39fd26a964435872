// SPDX-License-Identifier: MIT
// Signs of life of the daemon's threads, and what /health and /ready say.
#ifndef TINYPHI_SERVE_HEARTBEAT_H_
#define TINYPHI_SERVE_HEARTBEAT_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

// Beaten by one thread, read by any.
class heartbeat {
 public:
  explicit heartbeat(steady_time now) { beat(now); }
  void beat(steady_time now) {
    at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  }
  // Seconds since the last beat; never negative, though a beat may come between
  // reading the clock and asking.
  [[nodiscard]] double age(steady_time now) const {
    const steady_time at{
        steady_time::duration(at_.load(std::memory_order_relaxed))};
    return std::max(0.0, std::chrono::duration<double>(now - at).count());
  }

 private:
  std::atomic<steady_time::rep> at_;
};

// Older beats of a thread that has work to do mean that it is stuck.
inline constexpr double max_heartbeat_seconds = 10;

struct service_state {
  bool loaded = false;         // a model can answer
  bool draining = false;       // the daemon finishes what it has and ends
  bool engine_busy = false;    // something runs or waits
  double engine_age = 0;       // of the engine's heartbeat, in seconds
  double io_age = 0;           // of the io loop's
  double queue_estimate = 0;   // seconds that a request would wait now
  double queue_deadline = 30;  // seconds that one may wait
  bool memory_critical = false;
};

struct probe_answer {
  unsigned status = 200;
  std::string body = {};                            // JSON
  std::optional<std::int64_t> retry_after_ms = {};  // of status 503
};

// Whether the engine moves, or has nothing to do; the watchdog's condition is
// this of the engine and of the io loop.
[[nodiscard]] inline bool engine_alive(const service_state& s) {
  return !s.engine_busy || s.engine_age < max_heartbeat_seconds;
}
[[nodiscard]] inline bool feeds_watchdog(const service_state& s) {
  return engine_alive(s) && s.io_age < max_heartbeat_seconds;
}

namespace detail {
inline probe_answer not_now(std::string_view reason,
                            std::optional<double> retry_seconds) {
  probe_answer a{.status = 503};
  a.body =
      "{\"status\":\"unavailable\",\"reason\":\"" + std::string(reason) + "\"}";
  if (retry_seconds) {
    // Whole seconds, and never more than clients are willing to wait.
    const double s = *retry_seconds > 1 ? std::min(*retry_seconds, 120.0) : 1;
    a.retry_after_ms = static_cast<std::int64_t>(std::ceil(s)) * 1000;
  }
  return a;
}
inline probe_answer fine(const service_state& s) {
  const double ms = std::min(std::max(s.engine_age, 0.0) * 1e3, 1e12);
  return {.body = "{\"status\":\"ok\",\"heartbeat_ms\":" +
                  std::to_string(static_cast<std::int64_t>(ms)) + "}"};
}
}  // namespace detail

// Loaded and alive. A daemon that drains is healthy: nobody should end it.
[[nodiscard]] inline probe_answer health(const service_state& s) {
  if (!s.loaded) return detail::not_now("loading", 1);
  if (!engine_alive(s)) return detail::not_now("engine_stuck", {});
  return detail::fine(s);
}

// Send me work. The reason that lasts longest comes first.
[[nodiscard]] inline probe_answer ready(const service_state& s) {
  // Who drains does not come back under this address soon: no time to retry.
  if (s.draining) return detail::not_now("draining", {});
  if (const probe_answer h = health(s); h.status != 200) return h;
  // Pressure is a mean over 10 s, so it cannot be better earlier.
  if (s.memory_critical) return detail::not_now("memory", 10);
  // Written so that an estimate that is no number counts as too long.
  if (!(s.queue_estimate < s.queue_deadline)) {
    return detail::not_now("queue_full", s.queue_estimate - s.queue_deadline);
  }
  return detail::fine(s);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_HEARTBEAT_H_
