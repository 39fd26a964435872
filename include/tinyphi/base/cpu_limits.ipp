// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_CPU_LIMITS_IPP_
#define TINYPHI_BASE_CPU_LIMITS_IPP_

#if defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "tinyphi/base/cgroup.h"
#include "tinyphi/base/cpu_limits.h"
#include "tinyphi/base/plain_text.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The logical CPUs that this thread may run on.
inline std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
#if defined(__linux__)
  // The kernel refuses masks that are shorter than its own.
  for (std::size_t words = 1; cpus.empty() && words <= 256; words *= 4) {
    std::vector<cpu_set_t> mask(words);
    const std::size_t bytes = words * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, mask.data()) != 0) continue;
    for (std::size_t cpu = 0; cpu < bytes * 8; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, mask.data())) {
        cpus.push_back(static_cast<int>(cpu));
      }
    }
  }
#endif
  if (cpus.empty()) {
    cpus.resize(std::max(1u, std::thread::hardware_concurrency()));
    std::iota(cpus.begin(), cpus.end(), 0);
  }
  return cpus;
}

// Quota over period if the two are numbers that limit anything, otherwise 0.
inline double cpus_of(double quota, double period) {
  const double cpus = quota > 0 && period > 0 ? quota / period : 0;
  return std::isfinite(cpus) ? cpus : 0;
}

// What one cgroup grants; 0: no limit.
inline double cgroup_quota(const std::string& folder) {
  double quota = 0, period = 0;
  // Version 2: "QUOTA PERIOD" or "max PERIOD". Version 1: a file for each,
  // without limit the quota is -1.
  if (open_plain_text(folder + "/cpu.max") >> quota >> period) {
    return cpus_of(quota, period);
  }
  if (open_plain_text(folder + "/cpu.cfs_quota_us") >> quota &&
      open_plain_text(folder + "/cpu.cfs_period_us") >> period) {
    return cpus_of(quota, period);
  }
  return 0;
}

}  // namespace detail

TINYPHI_FUNC int count_cores(std::span<const int> cpus,
                             const std::string& root) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    const std::string name = "cpu" + std::to_string(cpu);
    std::ifstream file(root + "/sys/devices/system/cpu/" + name +
                       "/topology/thread_siblings_list");
    std::string siblings;
    cores.insert(std::getline(file, siblings) ? siblings : name);
  }
  return std::max(1, static_cast<int>(cores.size()));
}

TINYPHI_FUNC int cpu_limits::threads() const {
  if (quota <= 0 || quota >= cores) return cores;
  const double whole = std::max(1.0, std::floor(quota));
  return static_cast<int>(whole >= 0.9 * quota ? whole : std::ceil(quota));
}

TINYPHI_FUNC int cpu_limits::most_threads() const {
  const int most = std::max(cpus, threads());
  if (quota <= 0 || quota >= most) return most;
  return std::max(threads(), static_cast<int>(std::ceil(quota)));
}

TINYPHI_FUNC cpu_limits read_cpu_limits(const std::string& root) {
  const std::vector<int> cpus = detail::allowed_cpus();
  cpu_limits limits{.cores = count_cores(cpus, root),
                    .cpus = static_cast<int>(cpus.size())};
  for (const std::string& folder : cgroup_folders("cpu", root)) {
    const double quota = detail::cgroup_quota(folder);
    if (quota > 0 && (limits.quota == 0 || quota < limits.quota)) {
      limits.quota = quota;
    }
  }
  return limits;
}

TINYPHI_FUNC int available_threads() { return read_cpu_limits().threads(); }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_CPU_LIMITS_IPP_
