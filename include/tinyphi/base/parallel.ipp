// SPDX-License-Identifier: MIT
#ifndef TINYPHI_BASE_PARALLEL_IPP_
#define TINYPHI_BASE_PARALLEL_IPP_

#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "tinyphi/base/denormals.h"
#include "tinyphi/base/parallel.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t cache_line = 64;
inline constexpr std::size_t most_ranges = std::size_t{1} << 31;
inline constexpr std::chrono::seconds limits_age{1};
// How long to look for what should come soon before giving the CPU away: a
// helper for the next run, the caller for the last ranges of this one. Spinning
// for a millisecond kept the system from moving a preempted thread of the team
// to the core of the one that waits for it: beside a process that burns one of
// two cores, reading memory ran at 53 % of its quiet rate, and at 77 % so.
// Tried beside such a process, without gain (Linux 6.18, 250 Hz, whole model):
// giving the CPU away between ranges every 0.5 to 3 ms, waiting in naps of
// 0.1 ms, sleeping at once when there is nothing to do, shorter time slices,
// and a helper that leaves the CPU that it shares with the caller.
inline constexpr std::chrono::microseconds idle_spin{100};
inline constexpr std::chrono::microseconds finish_spin{30};
// Beside processes that take as much CPU time as they get, threads of a team
// wait for each other longer than they help: decoding a full-size model beside
// one that burns one of two cores, two threads reached 7.5 to 11 tokens/s where
// one reached 12 to 13 (15 in peace). Not so where runs outlast the system's
// time slices (prefill: 50 tokens/s with two, 39 with one). So some runs are
// timed, and while the caller has a CPU for less than this share of them, short
// ones are shared by one thread less, for a while.
inline constexpr std::size_t timed_runs = 31;      // one in so many,
inline constexpr std::size_t timed_slow_runs = 4;  // and of slow ones
inline constexpr std::chrono::microseconds slow_run{50};
inline constexpr std::chrono::milliseconds timed_enough{40};
inline constexpr double crowded_share = 0.8;
inline constexpr std::chrono::milliseconds long_run{2};
inline constexpr std::chrono::seconds crowded_time{3};
// Calling helpers failed (no memory, no thread): try again after this.
inline constexpr std::chrono::seconds call_again{1};

inline void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Ranges [begin, end) that nobody has taken, in one word: the owner takes the
// first, everybody else the last. Whoever takes one keeps the run from ending,
// and thereby everything that the run set: a thread that comes late to a run
// takes a range of the next run, which is as good, or finds none.
class range_share {
 public:
  void fill(std::uint32_t begin, std::uint32_t end) {
    word_.store(std::uint64_t{end} << 32 | begin, std::memory_order_release);
  }
  std::optional<std::uint32_t> take_first() {
    return take([](std::uint32_t begin, std::uint32_t end) {
      return std::pair(begin, std::uint64_t{end} << 32 | (begin + 1));
    });
  }
  std::optional<std::uint32_t> take_last() {
    return take([](std::uint32_t begin, std::uint32_t end) {
      return std::pair(end - 1, std::uint64_t{end - 1} << 32 | begin);
    });
  }

 private:
  template <class Split>
  std::optional<std::uint32_t> take(const Split& split) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    while (true) {
      const auto begin = static_cast<std::uint32_t>(word);
      const auto end = static_cast<std::uint32_t>(word >> 32);
      if (begin >= end) return std::nullopt;
      const auto [taken, rest] = split(begin, end);
      // Acquire: what the run set is seen by those who hold a range of it.
      if (word_.compare_exchange_weak(word, rest, std::memory_order_acquire,
                                      std::memory_order_relaxed)) {
        return taken;
      }
    }
  }

  std::atomic<std::uint64_t> word_{0};
};

// Asks `ready` until it says yes or `limit` is over; returns what it said last.
template <class Ready>
bool spin(std::chrono::nanoseconds limit, const Ready& ready) {
  using clock = std::chrono::steady_clock;
  clock::time_point end = clock::time_point::max();
  while (true) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause_cpu();
    }
    const auto now = clock::now();
    if (now >= end) return ready();
    end = std::min(end, now + limit);
  }
}

// CPU time that the calling thread has had.
inline std::chrono::nanoseconds thread_time() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

// Sets `busy` to false, also when something is thrown.
struct release_on_exit {
  std::atomic<bool>& busy;
  ~release_on_exit() { busy.store(false, std::memory_order_release); }
};

// What some runs took together.
struct run_times {
  std::chrono::nanoseconds wall{}, cpu{};  // of the caller
  int n = 0;

  [[nodiscard]] bool are_slow() const { return wall > n * slow_run; }
  [[nodiscard]] bool are_long() const { return cpu > n * long_run; }
  [[nodiscard]] bool are_crowded() const { return cpu < crowded_share * wall; }
};

}  // namespace detail

struct team::crew {
  using clock = std::chrono::steady_clock;

  struct alignas(detail::cache_line) member {
    detail::range_share share;
    std::atomic<bool> called{false};  // its task is queued or runs
  };

  // ThreadSanitizer does not see oneTBB hand a task to its thread.
  struct helper_task {
    crew* self;
    std::size_t number;
    __attribute__((no_sanitize("thread"))) void operator()() const {
      self->help(number);
    }
  };

  crew(int n_threads, std::string machine_root);
  ~crew();
  void run(std::size_t n_items, std::size_t item_grain,
           const range_function& g);
  void run_ranges(std::size_t n_items, std::size_t item_grain,
                  const range_function& g);
  void follow_limits();
  void follow_crowd();
  void spare(int n_threads);
  void call_helpers(std::size_t n_wanted);
  void help(std::size_t self);
  void work(std::size_t self);
  void run_range(std::size_t r, std::size_t self);

  // The caller's. Helpers read the first three while they hold a range.
  const range_function* f = nullptr;
  std::size_t n = 0, grain = 0;
  const int fixed;  // number of threads; 0: what the machine gives
  const std::string root;
  std::size_t until_timed = detail::timed_runs;
  int n_allowed, n_spared = 0;  // threads
  detail::run_times timed;
  clock::time_point limits_read, crowd_seen, call_after;
  std::vector<member> members;  // the caller is the first
  std::atomic<int> n_active;    // members that have shares

  alignas(detail::cache_line) std::atomic<bool> busy{false};
  alignas(detail::cache_line) std::atomic<std::uint32_t> n_begun{0};  // runs
  std::atomic<bool> ending{false};
  alignas(detail::cache_line) std::atomic<std::uint32_t> n_done{0};  // ranges
  std::atomic<bool> failed{false};
  std::exception_ptr thrown;  // by the one who set `failed`

  alignas(detail::cache_line) oneapi::tbb::task_arena arena;
  oneapi::tbb::task_group helpers;
};

// The process's oneTBB never has more threads than it found CPUs. Shares for
// others would only be helped out: with 64 on two CPUs the demo model took
// eleven times the CPU time for the same tokens.
TINYPHI_FUNC team::crew::crew(int n_threads, std::string machine_root)
    : fixed(std::min(std::clamp(n_threads, 0, most_threads),
                     oneapi::tbb::info::default_concurrency())),
      root(std::move(machine_root)),
      n_allowed(fixed),
      members(static_cast<std::size_t>(
          fixed > 0 ? fixed : oneapi::tbb::info::default_concurrency())),
      n_active(fixed),
      arena(static_cast<int>(members.size())) {
  if (fixed == 0) follow_limits();
}

TINYPHI_FUNC team::crew::~crew() {
  ending.store(true, std::memory_order_relaxed);
  n_begun.fetch_add(1, std::memory_order_release);
  // Helpers that are still queued run here, and return at once.
  if (arena.is_active()) arena.execute([this] { helpers.wait(); });
}

TINYPHI_FUNC void team::crew::follow_limits() {
  limits_read = clock::now();
  n_allowed = std::min(read_cpu_limits(root).threads(),
                       static_cast<int>(members.size()));
  spare(n_spared);
}

// Neither clock is read in every run: that takes as long as a run's start.
TINYPHI_FUNC void team::crew::run(std::size_t n_items, std::size_t item_grain,
                                  const range_function& g) {
  if (--until_timed != 0) return run_ranges(n_items, item_grain, g);
  until_timed = detail::timed_runs;
  const auto start = clock::now();
  const auto had = detail::thread_time();
  if (fixed == 0 && start - limits_read > detail::limits_age) follow_limits();
  run_ranges(n_items, item_grain, g);
  timed.cpu += detail::thread_time() - had;
  timed.wall += clock::now() - start;
  ++timed.n;
  if (timed.are_slow()) until_timed = detail::timed_slow_runs;
  if (timed.wall >= detail::timed_enough) follow_crowd();
}

// Spares a thread, or takes one back.
TINYPHI_FUNC void team::crew::follow_crowd() {
  const detail::run_times last = std::exchange(timed, {});
  const auto now = clock::now();
  if (last.are_crowded() && !last.are_long()) {
    // A group that has used up its quota waits too, with any number of threads.
    const double quota = read_cpu_limits(root).quota;
    if (quota > 0 && quota < n_active) return;
    crowd_seen = now;
    spare(n_spared + 1);
  } else if (last.are_long() || now - crowd_seen > detail::crowded_time) {
    spare(n_spared - 1);
  }
}

TINYPHI_FUNC void team::crew::spare(int n_threads) {
  n_spared = std::clamp(n_threads, 0, n_allowed - 1);
  n_active.store(n_allowed - n_spared, std::memory_order_relaxed);
}

TINYPHI_FUNC void team::crew::run_ranges(std::size_t n_items,
                                         std::size_t item_grain,
                                         const range_function& g) {
  f = &g;
  n = n_items;
  grain = item_grain;
  const std::size_t n_ranges = (n - 1) / grain + 1;
  const auto active = static_cast<std::size_t>(n_active);
  n_done.store(0, std::memory_order_relaxed);
  for (std::size_t i = 0; i < active; ++i) {
    members[i].share.fill(
        static_cast<std::uint32_t>(n_ranges * i / active),
        static_cast<std::uint32_t>(n_ranges * (i + 1) / active));
  }
  n_begun.fetch_add(1, std::memory_order_release);
  call_helpers(std::min(n_ranges, active));
  work(0);
  while (true) {
    const std::uint32_t done = n_done.load(std::memory_order_acquire);
    if (done == n_ranges) break;
    const auto changed = [&] { return n_done.load() != done; };
    if (!detail::spin(detail::finish_spin, changed)) n_done.wait(done);
  }
  if (failed.exchange(false)) {
    std::rethrow_exception(std::exchange(thrown, nullptr));
  }
}

// Queues the helpers that are not there. Waking a thread takes the caller up
// to 20 us, which is why helpers stay a while when there is nothing to do.
TINYPHI_FUNC void team::crew::call_helpers(std::size_t n_wanted) {
  for (std::size_t i = 1; i < n_wanted; ++i) {
    std::atomic<bool>& called = members[i].called;
    if (called.load(std::memory_order_acquire)) continue;
#if defined(__cpp_exceptions)
    if (clock::now() < call_after) return;
    try {
#endif
      called.store(true, std::memory_order_relaxed);
      arena.execute([this, i] { helpers.run(helper_task{this, i}); });
#if defined(__cpp_exceptions)
    } catch (...) {  // no memory, or no thread
      called.store(false, std::memory_order_relaxed);
      call_after = clock::now() + detail::call_again;
    }
#endif
  }
}

TINYPHI_FUNC void team::crew::help(std::size_t self) {
  const flush_denormals fast;
  std::uint32_t begun;
  const auto changed = [&] {
    return n_begun.load(std::memory_order_acquire) != begun;
  };
  do {
    begun = n_begun.load(std::memory_order_acquire);
    if (ending || self >= static_cast<std::size_t>(n_active)) break;
    work(self);
  } while (detail::spin(detail::idle_spin, changed));
  members[self].called.store(false, std::memory_order_release);
}

// Takes ranges while there are any: of its own share, then of the others'.
TINYPHI_FUNC void team::crew::work(std::size_t self) {
  std::uint32_t n_taken = 0;
  const auto active = static_cast<std::size_t>(n_active);
  for (; const auto r = members[self].share.take_first(); ++n_taken) {
    run_range(*r, self);
  }
  for (std::size_t i = 1; i < active; ++i) {
    detail::range_share& other = members[(self + i) % active].share;
    for (; const auto r = other.take_last(); ++n_taken) run_range(*r, self);
  }
  if (n_taken == 0) return;
  n_done.fetch_add(n_taken);
  n_done.notify_one();
}

TINYPHI_FUNC void team::crew::run_range(std::size_t r, std::size_t self) {
#if defined(__cpp_exceptions)
  try {
#endif
    (*f)(r * grain, std::min(n, (r + 1) * grain), self);
#if defined(__cpp_exceptions)
  } catch (...) {
    if (!failed.exchange(true)) thrown = std::current_exception();
  }
#endif
}

TINYPHI_FUNC team::team(int n_threads, std::string root)
    : crew_(std::make_unique<crew>(n_threads, std::move(root))) {}
TINYPHI_FUNC team::~team() = default;
TINYPHI_FUNC team::team(team&&) noexcept = default;
TINYPHI_FUNC team& team::operator=(team&&) noexcept = default;

TINYPHI_FUNC int team::n_threads() const {
  return crew_ == nullptr ? 1 : crew_->n_active.load(std::memory_order_relaxed);
}

TINYPHI_FUNC std::size_t team::n_members() const {
  return crew_ == nullptr ? 1 : crew_->members.size();
}

TINYPHI_FUNC void team::run(std::size_t n, std::size_t grain,
                            range_function f) {
  const flush_denormals fast;
  grain = std::max<std::size_t>(grain, 1);
  const bool shared = n > grain && (n - 1) / grain < detail::most_ranges &&
                      crew_ != nullptr && crew_->members.size() > 1;
  if (shared && !crew_->busy.exchange(true, std::memory_order_acquire)) {
    const detail::release_on_exit ended{crew_->busy};
    return crew_->run(n, grain, f);
  }
  for (std::size_t begin = 0; begin < n; begin += std::min(grain, n - begin)) {
    f(begin, begin + std::min(grain, n - begin), 0);
  }
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_BASE_PARALLEL_IPP_
