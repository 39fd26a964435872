// SPDX-License-Identifier: MIT
#ifndef TINYPHI_SERVE_MEMORY_WATCH_IPP_
#define TINYPHI_SERVE_MEMORY_WATCH_IPP_

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

#include "tinyphi/base/cgroup.h"
#include "tinyphi/serve/memory_watch.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::chrono::seconds pressure_window{10};
// More than one a second for the window; looks that come faster cost history.
inline constexpr std::size_t max_memory_samples = 64;

// The first 4 KiB of a file; empty if there is none.
inline std::string beginning_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(4096, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(
      static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  return text;
}

// The whole of `word` as a count; a sign, a fraction or a unit is none.
inline std::optional<std::uint64_t> whole_count(std::string_view word) {
  std::uint64_t n = 0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, n);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return n;
}

// The word behind `key` in the first line that begins with `line`: lines are
// "high 3", "some avg10=0.00 total=12", "VmRSS:   12 kB".
inline std::optional<std::uint64_t> count_in_line(std::string_view text,
                                                  std::string_view line,
                                                  std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view here = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!here.starts_with(line)) continue;
    here.remove_prefix(line.size());
    const std::size_t at = here.find(key);
    if (at == std::string_view::npos) return std::nullopt;
    here.remove_prefix(at + key.size());
    const std::size_t begin = here.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return std::nullopt;
    here.remove_prefix(begin);
    return whole_count(here.substr(0, here.find_first_of(" \t")));
  }
  return std::nullopt;
}

inline std::optional<std::uint64_t> count_of_file(const std::string& path) {
  std::string text = beginning_of(path);
  if (text.ends_with('\n')) text.pop_back();
  return whole_count(text);
}

// How much of the time since `since` was spent waiting. Less than the window
// counts as all of it, so that one short wait after the start is no alarm.
inline std::optional<double> share_of(
    const memory_sample& since, const memory_sample& now,
    std::optional<std::uint64_t> memory_sample::*total) {
  const auto before = since.*total, after = now.*total;
  if (&since == &now || !before || !after) return std::nullopt;
  if (*after <= *before) return 0;  // back: we were moved to another cgroup
  const std::chrono::duration<double, std::micro> time =
      std::max<steady_time::duration>(now.at - since.at, pressure_window);
  return std::min(1.0, static_cast<double>(*after - *before) / time.count());
}

}  // namespace detail

TINYPHI_FUNC memory_sample read_memory(steady_time now,
                                       const std::string& root) {
  using namespace detail;
  memory_sample s{.at = now};
  bool own = true;  // the first folder with numbers is the process's
  for (const std::string& folder : cgroup_folders("memory", root)) {
    // "max" is no limit, as is a file that is missing or nonsense.
    if (const auto n = count_of_file(folder + "/memory.max")) {
      s.limit = std::min(*n, s.limit.value_or(*n));
    }
    const std::string pressure = beginning_of(folder + "/memory.pressure");
    if (!own || pressure.empty()) continue;
    own = false;
    s.some_us = count_in_line(pressure, "some ", "total=");
    s.full_us = count_in_line(pressure, "full ", "total=");
    s.current = count_of_file(folder + "/memory.current");
    const std::string events = beginning_of(folder + "/memory.events");
    s.high_events = count_in_line(events, "high ", "");
    s.oom_kills = count_in_line(events, "oom_kill ", "");
  }
  if (const auto kib = count_in_line(beginning_of(root + "/proc/self/status"),
                                     "VmRSS:", "")) {
    s.resident = std::min(*kib, UINT64_MAX / 1024) * 1024;
  }
  return s;
}

TINYPHI_FUNC memory_action decide(const std::vector<memory_sample>& samples) {
  memory_action a;
  if (samples.empty()) return a;
  const memory_sample& now = samples.back();
  // The youngest sample that is old enough, else the oldest.
  const memory_sample* since = &samples.front();
  for (const memory_sample& s : samples) {
    if (now.at - s.at >= detail::pressure_window) since = &s;
  }
  a.some = detail::share_of(*since, now, &memory_sample::some_us);
  a.full = detail::share_of(*since, now, &memory_sample::full_us);
  a.not_ready = a.swap_out_batch = a.full.value_or(0) > 0.01;
  // All work waiting is some work waiting, whatever the other line says.
  a.drop_cache = a.stop_batch = a.some.value_or(0) > 0.05 || a.not_ready;
  if (samples.size() < 2) return a;
  const memory_sample& last = samples[samples.size() - 2];
  a.shrink_budget = now.high_events && last.high_events &&
                    *now.high_events > *last.high_events;
  if (now.limit && now.limit != last.limit) {
    a.new_budget = *now.limit - *now.limit / 10;
  }
  return a;
}

TINYPHI_FUNC std::uint64_t budget_after(const memory_action& a,
                                        std::uint64_t now,
                                        std::uint64_t configured) {
  if (!a.new_budget) return now;
  return configured == 0 ? *a.new_budget : std::min(configured, *a.new_budget);
}

TINYPHI_FUNC memory_action memory_watch::look(steady_time now) {
  samples_.push_back(read_memory(now, root_));
  // One sample that is older than the window stays: the share is since then.
  while (samples_.size() > detail::max_memory_samples ||
         (samples_.size() > 2 &&
          now - samples_[1].at >= detail::pressure_window)) {
    samples_.erase(samples_.begin());
  }
  return decide(samples_);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_SERVE_MEMORY_WATCH_IPP_
