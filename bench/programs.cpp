// SPDX-License-Identifier: MIT
// What it takes to start a confined program from a process with 2 GiB of heap
// and busy threads, 5 ms at most, and what 1000 calls leave behind: no process
// and no descriptor, or the exit status is 1.
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <thread>
#include <vector>

#include "plugins/process/exchange.h"

using namespace tinyphi;

namespace {

std::ptrdiff_t count_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd"), end;
  return std::distance(begin(all), end);
}

}  // namespace

int main() {
  constexpr std::size_t calls = 1000;
  const std::vector<char> heap(std::size_t{2} << 30, 1);
  std::atomic<bool> is_over = false;
  std::vector<std::thread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([&] {
      while (!is_over) {
        const auto some = std::make_unique<std::vector<char>>(100);
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      }
    });
  }
  const auto run = [&] {
    const auto folder = process::private_folder::make();
    auto program = process::checked_program("/bin/true");
    if (!folder || !program) return 1;
    process::program_start start;
    start.program = *std::move(program);
    start.arguments = {"true"};
    start.folder = folder->path();
    const auto before = count_descriptors();
    std::vector<double> times;
    for (std::size_t i = 0; i < calls; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      auto started = process::launch(start);
      const std::chrono::duration<double, std::milli> time =
          std::chrono::steady_clock::now() - begin;
      if (!started) {
        std::printf("%s\n", started.error().message.c_str());
        return 1;
      }
      times.push_back(time.count());
      if (process::exchange(*std::move(started), "", {}).failed) return 1;
    }
    std::ranges::sort(times);
    siginfo_t info{};
    const bool no_child =
        ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == -1;
    const auto more = count_descriptors() - before;
    std::printf("start, ms: %.2f at the median, %.2f in 99 of 100\n",
                times[calls / 2], times[calls * 99 / 100]);
    std::printf("left by %zu calls: %s, %td descriptors\n", calls,
                no_child ? "no process" : "processes", more);
    return no_child && more == 0 ? 0 : 1;
  };
  const int status = run();
  is_over = true;
  for (std::thread& t : busy) t.join();
  return status;
}
