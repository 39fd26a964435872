// SPDX-License-Identifier: MIT
#include "cli/machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "tinyphi/base/memory.h"
#include "tinyphi/kernels/kernels.h"

namespace cli {

namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The rest of the first line of `path` that begins with `key`, without blanks
// and colon.
std::string value_of(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto begin = line.find_first_not_of(" \t:", key.size());
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return {};
}

// What `work` did per second, by the amounts that it returns.
template <class Work>
double rate(int repeats, const Work& work) {
  double amount = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) amount += work();
  const std::chrono::duration<double> time =
      std::chrono::steady_clock::now() - start;
  return amount / time.count();
}

// The sum of what `probe(rounds, &sink)` returns on all threads of `threads`.
template <class Number, class Probe>
double run_probe(tinyphi::team& threads, const Probe& probe) {
  constexpr std::size_t rounds = 100000;
  constexpr std::size_t jobs_per_thread = 20;
  std::atomic<std::uint64_t> macs{0};
  threads.run(static_cast<std::size_t>(threads.n_threads()) * jobs_per_thread,
              1, [&](std::size_t, std::size_t) {
                Number sink = 1;
                macs += probe(rounds, &sink);
              });
  return static_cast<double>(macs);
}

double read_all(tinyphi::team& threads,
                const tinyphi::aligned_array<std::byte>& memory,
                tinyphi::read_order order) {
  std::atomic<std::uint64_t> sink{0};
  threads.run(memory.size(), std::size_t{8} << 20,
              [&](std::size_t begin, std::size_t end) {
                sink += tinyphi::probe_read(memory.data() + begin, end - begin,
                                            order);
              });
  return static_cast<double>(memory.size());
}

// So many bytes, or what a small machine can spare.
std::size_t spare_bytes(std::size_t wanted) {
  return std::min(wanted, tinyphi::available_memory() / 8);
}

double median_of(const std::vector<machine_limits>& samples,
                 double machine_limits::*what) {
  std::vector<double> values;
  for (const machine_limits& s : samples) values.push_back(s.*what);
  if (values.empty()) return 0;
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::string cpu_name() {
  const std::string name = value_of("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::string huge_pages(int n_threads) {
  const std::string line =
      first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const auto open = line.find('[');
  const auto close = line.find(']');
  if (open == std::string::npos || close == std::string::npos) return "unknown";
  std::string text = line.substr(open + 1, close - open - 1);

  // What the system grants is another matter: its memory may be in pieces.
  const std::size_t asked = spare_bytes(std::size_t{128} << 20);
  const auto in_use = [] {
    return std::strtoull(
        value_of("/proc/self/smaps_rollup", "AnonHugePages").c_str(), nullptr,
        10);  // KiB
  };
  auto huge = tinyphi::aligned_array<std::byte>::create(asked);
  auto small = tinyphi::aligned_array<std::byte>::create(asked);
  if (!huge || !small || asked == 0) return text;
  madvise(small->data(), asked, MADV_NOHUGEPAGE);
  const auto before = in_use();
  std::memset(huge->data(), 1, asked);
  const auto granted = (in_use() - before) >> 10;
  text += ", " + std::to_string(granted) + " of " +
          std::to_string(asked >> 20) + " MiB granted";
  if (granted == 0) return text;

  std::memset(small->data(), 1, asked);
  tinyphi::team threads(n_threads);
  double of_huge = 0, of_small = 0;
  for (int i = 0; i < 5; ++i) {
    const auto read = [&](const auto& memory) {
      return rate(2, [&] {
        return read_all(threads, memory, tinyphi::read_order::four_prefetched);
      });
    };
    of_huge = std::max(of_huge, read(*huge));
    of_small = std::max(of_small, read(*small));
  }
  const auto hundredths = std::lround(100 * of_huge / of_small);
  return text + ", read at " + std::to_string(hundredths) +
         " % of the speed of small ones";
}

machine_probe::machine_probe(int n_threads) : team_(n_threads) {
  auto memory = tinyphi::aligned_array<std::byte>::create(
      spare_bytes(std::size_t{512} << 20));
  if (!memory) return;
  memory_ = *std::move(memory);
  // Pages that were never written to are all one page of zeros, in the cache.
  team_.run(memory_.size(), std::size_t{8} << 20,
            [&](std::size_t begin, std::size_t end) {
              std::memset(memory_.data() + begin, 1, end - begin);
            });
}

void machine_probe::sample() {
  machine_limits s;
  for (const auto order : tinyphi::all_read_orders) {
    s.read_bytes_per_second =
        std::max(s.read_bytes_per_second,
                 rate(5, [&] { return read_all(team_, memory_, order); }));
  }
  s.int8_macs_per_second = rate(4, [&] {
    return run_probe<std::int32_t>(team_, tinyphi::probe_dot_product);
  });
  s.f32_macs_per_second =
      rate(2, [&] { return run_probe<float>(team_, tinyphi::probe_fma); });
  samples_.push_back(s);
}

machine_limits machine_probe::limits() const {
  return {median_of(samples_, &machine_limits::read_bytes_per_second),
          median_of(samples_, &machine_limits::int8_macs_per_second),
          median_of(samples_, &machine_limits::f32_macs_per_second)};
}

machine_limits measure_limits(int n_threads) {
  machine_probe probe(n_threads);
  for (int i = 0; i < 3; ++i) probe.sample();
  return probe.limits();
}

tinyphi::json::object to_json(int n_threads, const machine_limits& limits) {
  return {{"threads", n_threads},
          {"read_bytes_per_second", limits.read_bytes_per_second},
          {"int8_macs_per_second", limits.int8_macs_per_second},
          {"f32_macs_per_second", limits.f32_macs_per_second}};
}

std::size_t resident_memory() {
  // "VmRSS:      1234 kB"
  const std::string text = value_of("/proc/self/status", "VmRSS");
  return text.empty() ? 0 : std::stoull(text) * 1024;
}

}  // namespace cli
