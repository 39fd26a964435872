// SPDX-License-Identifier: MIT
#include "cli/machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string_view>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
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

// Best amount per second of several tries; `work` returns the amount it did.
template <class Work>
double best_rate(const Work& work) {
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const double amount = work();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::max(best, amount / time.count());
  }
  return best;
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

double read_bandwidth(tinyphi::team& threads) {
  // More than caches hold, if there is room.
  const std::size_t size =
      std::min(std::size_t{1} << 30, tinyphi::available_memory() / 4);
  const auto buffer = tinyphi::aligned_array<std::byte>::create(size);
  if (!buffer) return 0;
  std::atomic<std::uint64_t> sink{0};
  return best_rate([&] {
    threads.run(
        size, std::size_t{8} << 20, [&](std::size_t begin, std::size_t end) {
          sink += tinyphi::probe_read(buffer->data() + begin, end - begin);
        });
    return static_cast<double>(size);
  });
}

}  // namespace

std::string cpu_name() {
  const std::string name = value_of("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

std::string huge_pages() {
  const std::string line =
      first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  const auto open = line.find('[');
  const auto close = line.find(']');
  if (open == std::string::npos || close == std::string::npos) return "unknown";
  return line.substr(open + 1, close - open - 1);
}

machine_limits measure_limits(int n_threads) {
  tinyphi::team threads(n_threads);
  machine_limits limits;
  limits.read_bytes_per_second = read_bandwidth(threads);
  limits.int8_macs_per_second = best_rate([&] {
    return run_probe<std::int32_t>(threads, tinyphi::probe_dot_product);
  });
  limits.f32_macs_per_second =
      best_rate([&] { return run_probe<float>(threads, tinyphi::probe_fma); });
  return limits;
}

}  // namespace cli
