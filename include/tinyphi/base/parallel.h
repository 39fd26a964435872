// SPDX-License-Identifier: MIT
// Spreads index ranges over threads. The only user of oneTBB; nothing above
// sees a TBB type.
#ifndef TINYPHI_BASE_PARALLEL_H_
#define TINYPHI_BASE_PARALLEL_H_

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>

#include "tinyphi/base/cpu_limits.h"

TINYPHI_NAMESPACE_BEGIN

// A reference to some f(begin, end) or f(begin, end, member), which must
// outlive it. Two words; costs a call through a pointer.
class range_function {
 public:
  template <class F>
  requires(!std::same_as<F, range_function> &&
           (std::invocable<const F&, std::size_t, std::size_t> ||
            std::invocable<const F&, std::size_t, std::size_t, std::size_t>))
      range_function(
          const F& f)  // NOLINT: implicit, so that calls take lambdas
      : f_(&f),
        call_([](const void* g, std::size_t begin, std::size_t end,
                 [[maybe_unused]] std::size_t member) {
          const F& h = *static_cast<const F*>(g);
          if constexpr (std::invocable<const F&, std::size_t, std::size_t>) {
            h(begin, end);
          } else {
            h(begin, end, member);
          }
        }) {}

  void operator()(std::size_t begin, std::size_t end,
                  std::size_t member) const {
    call_(f_, begin, end, member);
  }

 private:
  const void* f_;
  void (*call_)(const void*, std::size_t, std::size_t, std::size_t);
};

// Of a team; more is a mistake.
inline constexpr int most_threads = 1024;

// Threads that work through ranges together: the caller of `run` and oneTBB
// workers that help it. Helpers wait for the next run for a fraction of a
// millisecond, so that runs in close succession start in well under a
// microsecond; then they go back to oneTBB, which shares them with everything
// else in the process or lets them sleep.
//
// A run needs no helper: whoever is there takes ranges, and the caller waits
// only for ranges that somebody took. A helper that is preempted, late or
// missing delays a run by the range it holds, at most. Where other processes
// keep taking the CPUs away, short runs (a token's decoding) are shared by
// fewer threads than allowed, which is faster.
class team {
 public:
  // n_threads 0: as many as the machine gives, looked up again about once a
  // second while the team runs (read_cpu_limits, with `root`). Otherwise up to
  // that many, but no more than oneTBB has for the whole process, which is the
  // CPUs that it may run on; less than 0 counts as 0, more than most_threads as
  // that.
  explicit team(int n_threads = 0, std::string root = {});
  ~team();
  team(team&&) noexcept;
  team& operator=(team&&) noexcept;

  // How many threads the next run shares its work among.
  [[nodiscard]] int n_threads() const;

  // Members that a run may ever have: what f gets as its third argument is
  // less. It never changes.
  [[nodiscard]] std::size_t n_members() const;

  // Calls f(begin, end) for disjoint ranges that cover [0, n) and are at most
  // `grain` long, on several threads; returns when all are done. Ranges start
  // at multiples of `grain`. Every thread has a share of neighbouring ranges,
  // from run to run the same, and when it has done them helps the others; so
  // which thread runs which range is not fixed, and results must not depend on
  // it. A member of a run, the caller being 0, works on one range at a time, so
  // f may use memory that belongs to its number. Denormal numbers are flushed
  // to zero meanwhile. A run from within f, or while another thread runs the
  // team, is done by its caller alone. What f throws (the first, of several),
  // run throws when no thread is in f any more; ranges may have been left out
  // then.
  void run(std::size_t n, std::size_t grain, range_function f);

 private:
  struct crew;
  std::unique_ptr<crew> crew_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/base/parallel.ipp"
#endif

#endif  // TINYPHI_BASE_PARALLEL_H_
