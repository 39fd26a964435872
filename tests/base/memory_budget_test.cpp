// SPDX-License-Identifier: MIT
#include "tinyphi/base/memory_budget.h"

#include <algorithm>
#include <atomic>
#include <latch>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

TEST_CASE("a lease counts until it is destroyed, resized or moved away") {
  const memory_budget budget(1000);
  {
    auto pages = budget.take(memory_use::cache, 600, "pages");
    REQUIRE(pages);
    CHECK(budget.usage().of(memory_use::cache) == 600);
    CHECK(pages->resize(700, "pages"));
    CHECK(pages->resize(200, "pages"));
    CHECK(budget.usage().of(memory_use::cache) == 200);

    memory_lease moved = *std::move(pages);
    CHECK(moved.bytes() == 200);
    CHECK(budget.usage().total() == 200);
    auto weights = budget.take(memory_use::weights, 300, "weights");
    REQUIRE(weights);
    CHECK(budget.usage().of(memory_use::weights) == 300);
    moved = *std::move(weights);
    CHECK(budget.usage().of(memory_use::cache) == 0);
    CHECK(budget.usage().total() == 300);
    moved.release();
    CHECK(budget.usage().total() == 0);
    CHECK(moved.resize(5, "weights"));
    CHECK(budget.usage().of(memory_use::weights) == 5);
  }
  CHECK(budget.usage().total() == 0);
}

TEST_CASE("a budget is spent to the last byte and not beyond") {
  const memory_budget budget(1000);
  auto first = budget.take(memory_use::weights, 400, "weights");
  auto second = budget.take(memory_use::scratch, 600, "buffers");
  REQUIRE(first);
  REQUIRE(second);
  CHECK_FALSE(budget.take(memory_use::requests, 1, "a request"));
  CHECK_FALSE(second->resize(601, "buffers"));
  CHECK(second->bytes() == 600);
  // Not by an overflow either.
  const std::size_t most = std::numeric_limits<std::size_t>::max();
  CHECK_FALSE(second->resize(most, "buffers"));
  CHECK_FALSE(budget.take(memory_use::requests, most, "a request"));
  CHECK(second->resize(599, "buffers"));
  CHECK(budget.take(memory_use::requests, 1, "a request"));
  CHECK(budget.usage().total() == 999);
}

TEST_CASE(
    "a refusal says what for, how much, who has the memory and what to do") {
  const memory_budget budget(1000);
  const auto a = budget.take(memory_use::weights, 400, "weights");
  const auto b = budget.take(memory_use::cache, 300, "pages");
  const auto refused =
      budget.take(memory_use::requests, 301, "a request of 9 tokens");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == error_code::limit);
  CHECK(refused.error().message ==
        "301 bytes more for a request of 9 tokens do not fit the memory budget "
        "of 1000 bytes, of which are taken: weights 400, cache 300, scratch 0, "
        "requests 0; give it more, or ask for less at a time");
}

TEST_CASE("a lower limit takes nothing away, and lets nothing grow") {
  const memory_budget budget(100);
  auto a = budget.take(memory_use::cache, 80, "pages");
  REQUIRE_OK(a);
  budget.set_limit(50);
  CHECK(budget.limit() == 50);
  CHECK(budget.usage().total() == 80);
  CHECK_FALSE(a->resize(81, "one more"));
  CHECK_FALSE(budget.take(memory_use::requests, 1, "a request"));
  CHECK(a->resize(60, "less"));
  CHECK_FALSE(a->resize(61, "more"));
  CHECK(a->resize(49, "less"));
  CHECK(budget.take(memory_use::requests, 1, "a request"));
  budget.set_limit(0);
  CHECK(a->resize(1000, "as many as they like"));
}

TEST_CASE("a budget without a limit counts; an empty one does not") {
  const memory_budget unlimited(0);
  const auto lease =
      unlimited.take(memory_use::cache, std::size_t{1} << 50, "pages");
  REQUIRE(lease);
  CHECK(unlimited.usage().of(memory_use::cache) == std::size_t{1} << 50);
  CHECK(unlimited);

  const memory_budget empty;
  CHECK_FALSE(empty);
  auto free = empty.take(memory_use::cache, 100, "pages");
  REQUIRE(free);
  CHECK(free->resize(std::size_t{1} << 60, "pages"));
  CHECK(empty.usage().total() == 0);
  CHECK(empty.limit() == 0);
}

TEST_CASE("a lease outlives the handle that it was taken from") {
  memory_lease lease;
  const memory_budget kept(100);
  {
    const memory_budget copy = kept;
    lease = *copy.take(memory_use::cache, 60, "pages");
  }
  CHECK(kept.usage().total() == 60);
  lease = memory_lease();
  CHECK(kept.usage().total() == 0);
}

TEST_CASE("threads together never hold more than the limit, and leave nothing",
          "[threads]") {
  const memory_budget budget(1000);
  std::atomic<int> granted = 0, refused = 0, beyond = 0;
  std::latch all_there(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      memory_lease kept = budget.lease(memory_use::scratch);
      all_there.arrive_and_wait();
      for (std::size_t i = 0; i < 2000; ++i) {
        const std::size_t n =
            (i * 37 + static_cast<std::size_t>(t) * 101) % 400;
        (kept.resize(n, "buffers") ? granted : refused)++;
        const auto other = budget.take(memory_use::cache, 400 - n, "pages");
        if (budget.usage().total() > budget.limit()) ++beyond;
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(granted > 0);
  CHECK(refused > 0);
  CHECK(beyond == 0);
  CHECK(budget.usage().total() == 0);
}
