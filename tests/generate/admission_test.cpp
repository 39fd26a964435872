// SPDX-License-Identifier: MIT
#include "tinyphi/generate/admission.h"

#include <algorithm>
#include <random>
#include <vector>

#include "support/test.h"

using namespace tinyphi;

namespace {

// Shares in which `tenant` has less credit than any other.
fair_shares served(std::uint64_t tenant) {
  const std::vector<plan_request> requests = {{.tenant = tenant, .left = 100},
                                              {.tenant = 1000, .left = 100}};
  step_plan plan;
  plan.runs.push_back({.position = 0, .tokens = 100});
  plan.expected_ms = 150;
  fair_shares shares;
  shares.charge(plan, requests, 150, false);
  return shares;
}

struct running_request {
  std::size_t pages;
  double ends_ms;
};

// Pages and a virtual clock: requests begin as admission says, and hold their
// pages for a while.
struct simulation {
  std::size_t free_pages = 100;
  double now_ms = 0;
  admission order;
  fair_shares shares;
  std::vector<waiting_request> waiting;
  std::vector<running_request> running;
  std::vector<std::uint64_t> begun;  // orders

  void begin_what_may(double takes_ms) {
    while (const auto next = order.next(waiting, free_pages, shares)) {
      order.begun(waiting, *next);
      const waiting_request w = waiting[*next];
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*next));
      REQUIRE(w.pages <= free_pages);
      free_pages -= w.pages;
      running.push_back({w.pages, now_ms + takes_ms});
      begun.push_back(w.order);
    }
  }
  void advance(double ms) {
    now_ms += ms;
    std::erase_if(running, [&](const running_request& r) {
      if (r.ends_ms > now_ms) return false;
      free_pages += r.pages;
      return true;
    });
  }
};

}  // namespace

TEST_CASE(
    "The higher class begins first, in it who has more credit, then the"
    " oldest") {
  const fair_shares shares = served(1);
  const admission order;
  std::vector<waiting_request> waiting = {
      {.tenant = 2, .priority = priority_class::batch, .pages = 1, .order = 0},
      {.tenant = 1, .pages = 1, .order = 1},
      {.tenant = 2, .pages = 1, .order = 3},
      {.tenant = 2, .pages = 1, .order = 2},
      {.tenant = 1,
       .priority = priority_class::interactive,
       .pages = 1,
       .order = 9}};
  for (const std::uint64_t expected : {9, 2, 3, 1, 0}) {
    const auto next = order.next(waiting, 10, shares);
    REQUIRE(next);
    CHECK(waiting[*next].order == expected);
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(*next));
  }
  CHECK_FALSE(order.next(waiting, 10, shares));
}

TEST_CASE("Who does not fit is overtaken by who does") {
  const admission order;
  const std::vector<waiting_request> waiting = {{.pages = 11, .order = 0},
                                                {.pages = 10, .order = 1}};
  CHECK(order.next(waiting, 10, {}) == 1);
  CHECK(order.next(waiting, 11, {}) == 0);
  CHECK_FALSE(order.next(waiting, 9, {}));
}

TEST_CASE("A large request is overtaken 16 times by small ones, not for ever") {
  simulation s;
  // Small ones arrive so fast that 90 of 100 pages never are free at once.
  std::uint64_t next_order = 1;
  for (int i = 0; i < 50; ++i) {
    s.waiting.push_back({.pages = 5, .order = next_order++});
    s.begin_what_may(100);
    s.advance(5);
  }
  REQUIRE(s.free_pages < 90);
  const std::uint64_t large = next_order++;
  s.waiting.push_back({.pages = 90, .order = large});
  const double arrived_ms = s.now_ms;
  double began_ms = -1;
  for (int i = 0; i < 1000 && began_ms < 0; ++i) {
    s.waiting.push_back({.pages = 5, .order = next_order++});
    s.begin_what_may(100);
    if (std::count(s.begun.begin(), s.begun.end(), large) > 0) {
      began_ms = s.now_ms;
    }
    s.advance(5);
  }
  REQUIRE(began_ms >= 0);
  const auto younger =
      std::count_if(s.begun.begin(), s.begun.end(),
                    [&](std::uint64_t order) { return order > large; });
  CHECK(younger == 16);
  CHECK(began_ms - arrived_ms <= 16 * 5 + 100 + 5);
}

TEST_CASE(
    "Of 10,000 random arrivals each begins after at most 16 younger ones"
    " for itself and every one before it") {
  std::mt19937_64 random(3);
  simulation s;
  std::uint64_t next_order = 0;
  std::vector<std::size_t> older_waiting;
  while (next_order < 10000 || !s.waiting.empty()) {
    if (next_order < 10000 && s.waiting.size() < 30) {
      older_waiting.push_back(s.waiting.size());
      s.waiting.push_back(
          {.tenant = random() % 4,
           .priority = static_cast<priority_class>(random() % 3),
           .pages = 1 + random() % (random() % 4 == 0 ? 100 : 10),
           .order = next_order++});
    }
    s.begin_what_may(static_cast<double>(1 + random() % 50));
    s.advance(1);
    REQUIRE(s.now_ms < 1e6);
  }
  REQUIRE(s.begun.size() == 10000);
  std::size_t worst = 0;
  for (std::size_t i = 0; i < s.begun.size(); ++i) {
    const std::uint64_t order = s.begun[i];
    std::size_t younger = 0;
    for (std::size_t j = 0; j < i; ++j) younger += s.begun[j] > order;
    worst = std::max(worst, younger);
    REQUIRE(younger <= (older_waiting[order] + 1) * admission::most_bypasses);
  }
  // The bound is one that is come near to.
  CHECK(worst > 16);
}

TEST_CASE(
    "The victim is the newest of the lowest class of who has least"
    " credit, never the oldest of all") {
  const fair_shares shares = served(1);
  std::vector<plan_request> running = {
      {.tenant = 1, .priority = priority_class::batch, .left = 1, .order = 0},
      {.tenant = 2, .priority = priority_class::batch, .left = 1, .order = 1},
      {.tenant = 1, .priority = priority_class::batch, .left = 1, .order = 2},
      {.tenant = 1, .priority = priority_class::batch, .left = 0, .order = 3},
      {.tenant = 2, .priority = priority_class::batch, .left = 1, .order = 4},
      {.tenant = 1, .left = 1, .order = 5},
      {.tenant = 2, .priority = priority_class::interactive, .order = 6}};
  for (const std::uint64_t expected : {3, 2, 4, 1, 5, 6}) {
    const auto victim = choose_victim(running, shares);
    REQUIRE(victim);
    CHECK(running[*victim].order == expected);
    running.erase(running.begin() + static_cast<std::ptrdiff_t>(*victim));
  }
  CHECK_FALSE(choose_victim(running, shares));
  CHECK_FALSE(choose_victim({}, shares));
}

TEST_CASE(
    "A tenant that has nothing running gets a place of one that has two") {
  const fair_shares shares = served(1);
  const waiting_request w{.tenant = 2, .pages = 1, .order = 9};
  std::vector<plan_request> running = {{.tenant = 1, .left = 1, .order = 1},
                                       {.tenant = 1, .left = 1, .order = 3},
                                       {.tenant = 1, .left = 1, .order = 2}};
  CHECK(choose_victim_for(w, running, shares) == 1);
  // Its own first place, not its second.
  running.push_back({.tenant = 2, .left = 1, .order = 4});
  CHECK_FALSE(choose_victim_for(w, running, shares));
  // Nobody's only place, and never the oldest's.
  running = {{.tenant = 1, .left = 1, .order = 1},
             {.tenant = 3, .left = 1, .order = 2}};
  CHECK_FALSE(choose_victim_for(w, running, shares));
  running.push_back({.tenant = 3, .left = 1, .order = 0});
  CHECK(choose_victim_for(w, running, shares) == 1);
}

TEST_CASE("A higher class gets a place of a lower one, of its own tenant too") {
  const fair_shares shares;
  const waiting_request w{
      .tenant = 1, .priority = priority_class::interactive, .order = 9};
  std::vector<plan_request> running = {
      {.tenant = 1, .priority = priority_class::batch, .left = 1, .order = 1},
      {.tenant = 1, .left = 1, .order = 2},
      {.tenant = 1, .priority = priority_class::batch, .left = 1, .order = 3}};
  CHECK(choose_victim_for(w, running, shares) == 2);
  running.pop_back();
  CHECK(choose_victim_for(w, running, shares) == 1);
  running.push_back({.tenant = 1,
                     .priority = priority_class::interactive,
                     .left = 1,
                     .order = 4});
  CHECK_FALSE(choose_victim_for(w, running, shares));
}
