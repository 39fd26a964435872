// SPDX-License-Identifier: MIT
// How short of memory the process is, and what to do about it.
#ifndef TINYPHI_SERVE_MEMORY_WATCH_H_
#define TINYPHI_SERVE_MEMORY_WATCH_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"

TINYPHI_NAMESPACE_BEGIN

// What the system says at one moment. Nothing: it does not say, or nonsense.
struct memory_sample {
  steady_time at;
  std::optional<std::uint64_t> current = {};      // bytes, of our cgroup
  std::optional<std::uint64_t> limit = {};        // the least of the chain
  std::optional<std::uint64_t> high_events = {};  // times throttled at "high"
  std::optional<std::uint64_t> oom_kills = {};
  // Microseconds that some, or all, work waited for memory so far.
  std::optional<std::uint64_t> some_us = {}, full_us = {};
  std::optional<std::uint64_t> resident = {};  // bytes, of this process
};

// Reads /proc and the files of cgroup version 2 below `root`. Each file is read
// to 4 KiB at most.
[[nodiscard]] memory_sample read_memory(steady_time now,
                                        const std::string& root = {});

struct memory_action {
  // Shares of the last 10 s; nothing: no pressure is told, or not yet twice.
  std::optional<double> some = {}, full = {};
  bool drop_cache = false;      // cached pages that are not pinned
  bool stop_batch = false;      // admit no request of class batch
  bool not_ready = false;       // /ready is 503
  bool swap_out_batch = false;  // batch requests give their pages back
  bool shrink_budget = false;   // throttled: what can be given back should be
  // The cgroup's limit is another one: the budget is at most this now, which is
  // nine tenths of it.
  std::optional<std::uint64_t> new_budget = {};
};

// `samples` in the order of their times, the last one taken now; the oldest is
// at least 10 s old once there are so many. The rules are those of serve.md
// 5.6: pressure of some above 5 %, of all above 1 %, throttling since the last
// sample, another limit since the last sample.
[[nodiscard]] memory_action decide(const std::vector<memory_sample>& samples);

// What a budget of `now` bytes becomes, of which `configured` were asked for at
// first (0: as many as there are): what the cgroup's limit leaves it when that
// becomes another number, lower or higher; never more than was asked for.
[[nodiscard]] std::uint64_t budget_after(const memory_action& a,
                                         std::uint64_t now,
                                         std::uint64_t configured);

// The last samples, as many as decide() needs; to be asked once a second.
class memory_watch {
 public:
  explicit memory_watch(std::string root = {}) : root_(std::move(root)) {}
  memory_action look(steady_time now);
  // Empty before the first look.
  [[nodiscard]] const std::vector<memory_sample>& samples() const {
    return samples_;
  }

 private:
  std::string root_;
  std::vector<memory_sample> samples_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/memory_watch.ipp"
#endif

#endif  // TINYPHI_SERVE_MEMORY_WATCH_H_
