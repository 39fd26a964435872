// SPDX-License-Identifier: MIT
#include "tinyphi/base/parallel.h"

#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/temp_folder.h"
#include "support/test.h"

using namespace tinyphi;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

// Whether a run over n items visits each of them once.
bool covers(team& threads, std::size_t n, std::size_t grain) {
  std::vector<int> visits(n, 0);
  threads.run(n, grain, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) ++visits[i];
  });
  return std::ranges::all_of(visits, [](int v) { return v == 1; });
}

// Many runs of changing sizes, close together and apart; false if one of them
// went wrong.
bool keeps_covering(team& threads, clock_type::duration time) {
  const auto end = clock_type::now() + time;
  for (std::size_t i = 0; clock_type::now() < end; ++i) {
    if (!covers(threads, 1 + i * 7919 % 300, 1 + i % 5)) return false;
    if (i % 97 == 0) std::this_thread::sleep_for(300us);
  }
  return true;
}

// So many teams at once keep covering for a while.
void check_teams_cover(int n_teams, int n_threads) {
  std::vector<std::future<bool>> teams;
  for (int i = 0; i < n_teams; ++i) {
    teams.push_back(std::async(std::launch::async, [n_threads] {
      team threads(n_threads);
      return keeps_covering(threads, 300ms);
    }));
  }
  for (auto& t : teams) CHECK(t.get());
}

std::chrono::microseconds cpu_time() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
         std::chrono::microseconds(used.ru_utime.tv_usec +
                                   used.ru_stime.tv_usec);
}

}  // namespace

TEST_CASE("a team covers a range once, in pieces that start at the grain",
          "[threads]") {
  const int cpus = read_cpu_limits().cpus;
  for (const int n_threads : {1, 2, 5}) {
    team threads(n_threads);
    CHECK(threads.n_threads() == std::min(n_threads, cpus));
    for (const std::size_t n : {0u, 1u, 7u, 8u, 9u, 1000u}) {
      std::vector<int> visits(n, 0);
      std::atomic<bool> fits{true};
      threads.run(n, 8, [&](std::size_t begin, std::size_t end) {
        if (begin % 8 != 0 || end > n || end - begin > 8) fits = false;
        for (std::size_t i = begin; i < end; ++i) ++visits[i];
      });
      CHECK(fits);
      CHECK(std::ranges::all_of(visits, [](int v) { return v == 1; }));
    }
  }
}

TEST_CASE("a member of a run works on one range at a time, and has a number",
          "[threads]") {
  for (const int n_threads : {1, 2, 5}) {
    team threads(n_threads);
    REQUIRE(threads.n_members() >= 1);
    REQUIRE(threads.n_members() <= static_cast<std::size_t>(n_threads));
    std::vector<std::atomic<bool>> at_work(threads.n_members());
    std::atomic<bool> right{true};
    for (int run = 0; run < 200; ++run) {
      threads.run(100, 1, [&](std::size_t, std::size_t, std::size_t member) {
        if (member >= at_work.size() || at_work[member].exchange(true)) {
          right = false;
          return;
        }
        std::this_thread::yield();
        at_work[member] = false;
      });
    }
    CHECK(right);
  }
}

TEST_CASE("a grain of zero counts as one, a huge one as all", "[threads]") {
  team threads(2);
  std::atomic<std::size_t> calls{0};
  const auto count = [&](std::size_t, std::size_t) { ++calls; };
  threads.run(5, 0, count);
  CHECK(calls == 5);
  threads.run(5, std::numeric_limits<std::size_t>::max(), count);
  CHECK(calls == 6);
}

TEST_CASE("a team has a sensible number of threads whatever is asked for",
          "[threads]") {
  for (const int n_threads : {std::numeric_limits<int>::min(), -1, 1025,
                              std::numeric_limits<int>::max()}) {
    team threads(n_threads);
    CHECK(threads.n_threads() >= 1);
    CHECK(threads.n_threads() <= read_cpu_limits().cpus);
    CHECK(covers(threads, 5000, 1));
  }
}

TEST_CASE("a moved team goes on working, what is left of it works alone",
          "[threads]") {
  team first(2);
  CHECK(covers(first, 100, 1));
  team second = std::move(first);
  CHECK(covers(second, 100, 1));
  CHECK(first.n_threads() == 1);  // NOLINT: moved from
  CHECK(covers(first, 100, 1));   // NOLINT: moved from
  second = team(3);
  CHECK(covers(second, 100, 1));
}

TEST_CASE("teams end while their helpers wait, work or have not come",
          "[threads]") {
  for (int i = 0; i < 200; ++i) {
    team threads(2);
    for (int runs = 0; runs < i % 4; ++runs) CHECK(covers(threads, 8, 1));
    if (i % 20 == 0) std::this_thread::sleep_for(200us);
  }
}

TEST_CASE("runs inside runs, and runs of two threads at once, are done alone",
          "[threads]") {
  team threads(2);
  std::atomic<std::size_t> sum{0};
  threads.run(4, 1, [&](std::size_t i, std::size_t) {
    threads.run(5, 1, [&](std::size_t j, std::size_t) { sum += i * 10 + j; });
  });
  CHECK(sum == 340);
  std::vector<std::future<bool>> callers;
  for (int i = 0; i < 4; ++i) {
    callers.push_back(std::async(
        std::launch::async, [&] { return keeps_covering(threads, 50ms); }));
  }
  for (auto& c : callers) CHECK(c.get());
}

TEST_CASE("what is thrown in a range comes out of the run", "[threads]") {
  for (const int n_threads : {1, 2, 4}) {
    team threads(n_threads);
    for (std::size_t bad = 0; bad < 60; ++bad) {
      std::atomic<int> inside = 0;
      const auto run = [&](std::size_t n_bad) {
        threads.run(60, 1, [&](std::size_t i, std::size_t) {
          ++inside;
          const bool throws = i >= bad && i < bad + n_bad;
          --inside;
          if (throws) throw std::runtime_error("range");
        });
      };
      CHECK_THROWS_WITH(run(1), "range");
      CHECK(inside == 0);
      CHECK_THROWS_WITH(run(60), "range");  // many at once
      CHECK(covers(threads, 60, 1));
    }
  }
}

TEST_CASE("one thread after the other may run a team", "[threads]") {
  team threads(2);
  for (int i = 0; i < 20; ++i) {
    bool ok = false;
    std::thread([&] { ok = covers(threads, 50, 1); }).join();
    CHECK(ok);
  }
}

TEST_CASE("a run waits for ranges that are taken, not for threads",
          "[threads]") {
  // On two CPUs there is one helper for both teams; the first holds it.
  team first(2), second(2);
  std::promise<void> release;
  const auto released = release.get_future().share();
  std::thread holder([&] {
    first.run(2, 1, [&](std::size_t, std::size_t) { released.wait(); });
  });
  std::this_thread::sleep_for(5ms);
  for (int i = 0; i < 100; ++i) CHECK(covers(second, 20, 1));
  release.set_value();
  holder.join();
}

TEST_CASE("many teams share the machine", "[threads]") {
  check_teams_cover(8, 4);
}

TEST_CASE("an idle team takes no CPU time") {
  team threads(2);
  CHECK(covers(threads, 1000, 1));
  // oneTBB first looks after what the tests before this left behind.
  std::chrono::microseconds used = 1h;
  for (int i = 0; i < 40 && used > 1ms; ++i) {
    const auto before = cpu_time();
    std::this_thread::sleep_for(50ms);
    used = cpu_time() - before;
  }
  CHECK(used <= 1ms);
}

// Whether a team that keeps running in this way soon does so with n threads.
bool soon_runs_with(team& threads, int n, clock_type::duration range_time,
                    clock_type::duration limit = 20s) {
  const auto end = clock_type::now() + limit;
  while (clock_type::now() < end && threads.n_threads() != n) {
    threads.run(8, 1, [&](std::size_t, std::size_t) {
      const auto done = clock_type::now() + range_time;
      while (clock_type::now() < done) {
      }
    });
  }
  return threads.n_threads() == n;
}

TEST_CASE("a team follows the machine's limits while it runs", "[threads]") {
  const tinyphi_test::temp_folder machine;
  machine.write("proc/self/mountinfo", "31 24 0:27 / /cg rw - cgroup2 c rw\n");
  machine.write("proc/self/cgroup", "0::/\n");
  machine.write("cg/cpu.max", "100000 100000\n");
  team threads(0, machine.path().string());
  const int fixed = team(2, machine.path().string()).n_threads();
  CHECK(fixed == std::min(2, read_cpu_limits().cpus));
  CHECK(threads.n_threads() == 1);
  if (available_threads() == 1) SKIP_CASE("in part: one CPU");
  machine.write("cg/cpu.max", "max 100000\n");
  // Long runs share among all threads even where others take the CPUs.
  CHECK(soon_runs_with(
      threads, read_cpu_limits(machine.path().string()).threads(), 4ms));
  machine.write("cg/cpu.max", "50000 100000\n");
  CHECK(soon_runs_with(threads, 1, 4ms));
}

TEST_CASE("short runs take fewer threads while others take the CPUs") {
  if (read_cpu_limits().cpus < 2) return;
  std::atomic<bool> done{false};
  std::vector<std::thread> others;
  for (unsigned i = 0; i < 3 * std::thread::hardware_concurrency(); ++i) {
    others.emplace_back([&] {
      while (!done) {
      }
    });
  }
  team threads(2);
  REQUIRE(threads.n_threads() == 2);
  CHECK(soon_runs_with(threads, 1, 50us));
  CHECK(soon_runs_with(threads, 2, 4ms));
  CHECK(soon_runs_with(threads, 1, 50us));
  // A group that has used up its quota waits too, but needs its threads.
  const tinyphi_test::temp_folder machine;
  machine.write("proc/self/mountinfo", "31 24 0:27 / /cg rw - cgroup2 c rw\n");
  machine.write("proc/self/cgroup", "0::/\n");
  machine.write("cg/cpu.max", "150000 100000\n");
  team limited(2, machine.path().string());
  CHECK(!soon_runs_with(limited, 1, 50us, 1s));
  done = true;
  for (auto& other : others) other.join();
}

TEST_CASE("denormals are zero in every range, and afterwards as before",
          "[threads]") {
  volatile float least = std::numeric_limits<float>::min();
  for (const std::size_t n : {1u, 100u}) {
    team threads(2);
    std::atomic<int> denormals{0};
    threads.run(n, 1, [&](std::size_t, std::size_t) {
      std::this_thread::sleep_for(10us);
      denormals += least / 4 != 0;
    });
#if defined(__x86_64__) || defined(__aarch64__)
    CHECK(denormals == 0);
#endif
    CHECK(least / 4 != 0);
  }
}

// What the next test stops and continues.
TEST_CASE("runs for a while", "[.][child]") {
  team threads(2);
  CHECK(keeps_covering(threads, 1s));
}

TEST_CASE("a process that is stopped and continued again and again goes on",
          "[threads]") {
  char program[] = "/proc/self/exe", filter[] = "[child]";
  char* arguments[] = {program, filter, nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, program, nullptr, nullptr, arguments, environ) ==
          0);
  int status = 0;
  for (int i = 0; i < 400 && waitpid(child, &status, WNOHANG) == 0; ++i) {
    kill(child, SIGSTOP);
    std::this_thread::sleep_for(i % 3 * 1ms);
    kill(child, SIGCONT);
    std::this_thread::sleep_for(i % 5 * 500us);
  }
  if (!WIFEXITED(status)) waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

// Keeps the thread that it interrupts from going on for a while.
extern "C" void suspend(int) {
  const timespec time{0, 2'000'000};
  nanosleep(&time, nullptr);
}

TEST_CASE(
    "threads that are suspended one by one, wherever they are, delay "
    "others but lose nothing",
    "[threads]") {
  struct sigaction action = {}, before = {};
  action.sa_handler = suspend;
  action.sa_flags = SA_RESTART;
  REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
  std::atomic<bool> done{false};
  std::size_t n_suspended = 0;
  std::thread suspender([&] {
    while (!done) {
      for (const auto& task :
           std::filesystem::directory_iterator("/proc/self/task")) {
        const int thread = std::stoi(task.path().filename().string());
        if (thread == gettid()) continue;
        n_suspended += tgkill(getpid(), thread, SIGUSR1) == 0;
        std::this_thread::sleep_for(500us);
      }
    }
  });
  check_teams_cover(3, 2);
  done = true;
  suspender.join();
  CHECK(n_suspended > 50);
  action.sa_handler = SIG_IGN;  // drops those that did not arrive yet
  sigaction(SIGUSR1, &action, nullptr);
  sigaction(SIGUSR1, &before, nullptr);
}
