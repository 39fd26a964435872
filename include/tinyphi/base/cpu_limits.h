// SPDX-License-Identifier: MIT
// How many threads the system lets this process use well.
#ifndef TINYPHI_BASE_CPU_LIMITS_H_
#define TINYPHI_BASE_CPU_LIMITS_H_

#include <span>
#include <string>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

struct cpu_limits {
  // Physical cores among the CPUs of the affinity mask: a second hyperthread
  // adds nothing to kernels that keep a core's dot-product units or its share
  // of the memory busy.
  int cores = 1;
  // CPUs' worth of time that the process's cgroups grant, the least of the
  // whole hierarchy; 0: no limit.
  double quota = 0;
  int cpus = 1;  // of the affinity mask: the logical ones

  // The quota rounds down, so that nothing is throttled, unless that would
  // give away more than a tenth of it. Never less than 1.
  [[nodiscard]] int threads() const;
  // Of more threads than this some only wait for the others, or for the quota.
  // Never less than threads().
  [[nodiscard]] int most_threads() const;
};

// `root` is put before the paths of /proc and /sys, for tests.
[[nodiscard]] cpu_limits read_cpu_limits(const std::string& root = {});

// How many physical cores the logical CPUs `cpus` belong to.
[[nodiscard]] int count_cores(std::span<const int> cpus,
                              const std::string& root = {});

// read_cpu_limits().threads()
[[nodiscard]] int available_threads();

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/cpu_limits.ipp"
#endif

#endif  // TINYPHI_BASE_CPU_LIMITS_H_
