// SPDX-License-Identifier: MIT
// Timing for the benches of kernels, and the limits that their shares are of.
#ifndef BENCH_MEASURE_H_
#define BENCH_MEASURE_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "tinyphi/kernels/kernels.h"

namespace bench {

inline constexpr int repeats = 7;

// Seconds of the fastest run of f(thread) on all threads at once.
inline double best_seconds(std::size_t threads,
                           const std::function<void(std::size_t)>& f) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < threads; ++t) others.emplace_back(f, t);
    f(0);
    for (std::thread& other : others) other.join();
    const std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return best;
}

struct limits {
  double bytes = 0, dots = 0, fmas = 0;  // per second
};

inline limits limits_of(std::size_t threads,
                        const tinyphi::aligned_array<std::byte>& memory) {
  std::vector<std::uint64_t> work(threads * 8);  // a cache line each
  limits result;
  const std::size_t share = memory.size() / threads;
  for (const auto order : tinyphi::all_read_orders) {
    const double time = best_seconds(threads, [&](std::size_t t) {
      work[t * 8] +=
          tinyphi::probe_read(memory.data() + t * share, share, order);
    });
    result.bytes =
        std::max(result.bytes, static_cast<double>(memory.size()) / time);
  }
  constexpr std::size_t rounds = 1'000'000;
  const double dot_time = best_seconds(threads, [&](std::size_t t) {
    std::int32_t sink = 1;
    work[t * 8] = tinyphi::probe_dot_product(rounds, &sink);
  });
  result.dots = static_cast<double>(work[0] * threads) / dot_time;
  const double fma_time = best_seconds(threads, [&](std::size_t t) {
    float sink = 0.5f;
    work[t * 8] = tinyphi::probe_fma(rounds, &sink);
  });
  result.fmas = static_cast<double>(work[0] * threads) / fma_time;
  return result;
}

}  // namespace bench

#endif  // BENCH_MEASURE_H_
