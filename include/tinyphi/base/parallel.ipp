// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_PARALLEL_IPP_
#define TINYPHI_BASE_PARALLEL_IPP_

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/partitioner.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tinyphi/base/cgroup.h"
#include "tinyphi/base/parallel.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// CPUs' worth of quota that cgroup v2 grants this process, or 0 for no limit.
inline int cgroup_cpu_quota() {
  double least = 0;
  for (const std::string& folder : cgroup_folders()) {
    std::ifstream file(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (file >> quota >> period && quota != "max" && period > 0) {
      const double cpus = std::strtod(quota.c_str(), nullptr) / period;
      if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
    }
  }
  return least == 0 ? 0 : std::max(1, static_cast<int>(least));
}

}  // namespace detail

TINYPHI_FUNC int available_threads() {
  const int n = std::max(1, oneapi::tbb::info::default_concurrency());
  const int quota = detail::cgroup_cpu_quota();
  return quota == 0 ? n : std::min(n, quota);
}

// More threads than CPUs gain nothing, and TBB would print a warning.
struct team::arena {
  explicit arena(int n)
      : tbb(std::min(n, oneapi::tbb::info::default_concurrency())) {}
  oneapi::tbb::task_arena tbb;
};

TINYPHI_FUNC team::team(int n_threads)
    : n_threads_(n_threads > 0 ? n_threads : available_threads()) {
  if (n_threads_ > 1) arena_ = std::make_unique<arena>(n_threads_);
}
TINYPHI_FUNC team::~team() = default;
TINYPHI_FUNC team::team(team&&) noexcept = default;
TINYPHI_FUNC team& team::operator=(team&&) noexcept = default;

TINYPHI_FUNC void team::run(
    std::size_t n, std::size_t grain,
    const std::function<void(std::size_t, std::size_t)>& f) {
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t n_ranges = (n + grain - 1) / grain;
  const auto run_range = [&](std::size_t r) {
    f(r * grain, std::min(n, (r + 1) * grain));
  };
  if (arena_ == nullptr || n_ranges < 2) {
    for (std::size_t r = 0; r < n_ranges; ++r) run_range(r);
    return;
  }
  // Measured best of TBB's partitioners for short jobs. A range per task
  // keeps the tail stealable when a thread is preempted.
  arena_->tbb.execute([&] {
    oneapi::tbb::parallel_for(
        oneapi::tbb::blocked_range<std::size_t>(0, n_ranges, 1),
        [&](const oneapi::tbb::blocked_range<std::size_t>& ranges) {
          for (std::size_t r = ranges.begin(); r != ranges.end(); ++r) {
            run_range(r);
          }
        },
        oneapi::tbb::simple_partitioner());
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_PARALLEL_IPP_
