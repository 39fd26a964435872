// SPDX-License-Identifier: MIT
// Spreads index ranges over threads. The only user of oneTBB; nothing above
// sees a TBB type.
#ifndef TINYPHI_BASE_PARALLEL_H_
#define TINYPHI_BASE_PARALLEL_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "tinyphi/base/error.h"

TINYPHI_NAMESPACE_BEGIN

// The threads this process may use: its affinity mask and, where the system
// has one, its cgroup CPU quota (rounded down, at least 1).
[[nodiscard]] int available_threads();

// A set of at most `n_threads` threads (the caller is one of them), with its
// own limit whatever else in the process uses oneTBB. One job at a time.
class team {
 public:
  // n_threads 0: available_threads().
  explicit team(int n_threads = 0);
  ~team();
  team(team&&) noexcept;
  team& operator=(team&&) noexcept;

  [[nodiscard]] int n_threads() const { return n_threads_; }

  // Calls f(begin, end) for disjoint ranges that cover [0, n) and are at most
  // `grain` long, on several threads; returns when all are done. Ranges start
  // at multiples of `grain`. f must not throw. With one range or one thread it
  // runs on the caller, without touching TBB. Which thread runs which range
  // is not fixed, so results must not depend on it.
  void run(std::size_t n, std::size_t grain,
           const std::function<void(std::size_t, std::size_t)>& f);

 private:
  struct arena;
  std::unique_ptr<arena> arena_;
  int n_threads_ = 1;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/parallel.ipp"
#endif

#endif  // TINYPHI_BASE_PARALLEL_H_
