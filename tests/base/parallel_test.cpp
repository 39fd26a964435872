// SPDX-License-Identifier: MIT
#include "tinyphi/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("a team covers a range once, in pieces that start at the grain") {
  for (const int n_threads : {1, 2, 5}) {
    team threads(n_threads);
    CHECK(threads.n_threads() == n_threads);
    for (const std::size_t n : {0, 1, 7, 8, 9, 1000}) {
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

TEST_CASE("a grain of zero counts as one") {
  team threads(2);
  std::atomic<std::size_t> calls{0};
  threads.run(5, 0, [&](std::size_t, std::size_t) { ++calls; });
  CHECK(calls == 5);
}

TEST_CASE("a moved team goes on working") {
  team first(2);
  team second = std::move(first);
  std::atomic<std::size_t> sum{0};
  second.run(100, 1, [&](std::size_t begin, std::size_t) { sum += begin; });
  CHECK(sum == 4950);
}

TEST_CASE("there is at least one thread, and zero means all of them") {
  CHECK(available_threads() >= 1);
  CHECK(team(0).n_threads() == available_threads());
}
