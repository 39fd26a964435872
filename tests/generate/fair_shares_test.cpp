// SPDX-License-Identifier: MIT
#include "tinyphi/generate/fair_shares.h"

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "support/step_machine.h"
#include "support/test.h"

using namespace tinyphi;
using tinyphi_test::step_machine;
using tinyphi_test::step_simulation;

namespace {

const step_machine machines[] = {tinyphi_test::emerald_rapids(),
                                 tinyphi_test::zen4(), tinyphi_test::avx2()};

// Milliseconds of the last step that the slice's owner pays.
double slice_ms(const step_simulation& s, double step_ms) {
  return step_ms * (1 - s.plan.decode_ms / s.plan.expected_ms);
}

// Keeps one prompt of a length that `length` draws waiting for `tenant`.
template <class Length>
void keep_waiting(step_simulation& s, std::uint64_t tenant, Length length,
                  priority_class priority = priority_class::normal) {
  for (const plan_request& r : s.requests) {
    if (r.tenant == tenant && r.priority == priority) return;
  }
  s.add(tenant, length(), 1, priority);
}

// One step; adds what its slice took to the sum of its owner.
template <class Key, class KeyOf>
double step_into(step_simulation& s, std::map<Key, double>& sums,
                 KeyOf key_of) {
  const std::vector<plan_request> before = s.requests;
  const double ms = s.step();
  if (const planned_run* run = s.plan.slice()) {
    sums[key_of(before[run->position])] += slice_ms(s, ms);
  }
  return ms;
}

std::uint64_t tenant_of(const plan_request& r) { return r.tenant; }
priority_class priority_of(const plan_request& r) { return r.priority; }

plan_request waiting_prompt(std::uint64_t tenant) {
  return {.tenant = tenant, .left = 1000};
}

// A plan whose only run is a slice of requests[position].
step_plan slice_plan(std::size_t position) {
  step_plan plan;
  plan.runs.push_back({.position = position, .tokens = 100});
  plan.shape.slice = 100;
  plan.expected_ms = 100;
  return plan;
}

}  // namespace

TEST_CASE(
    "Two tenants that both wait stay within one quantum and one slice of"
    " each other, over 10,000 steps, whatever their prompts' lengths") {
  for (const step_machine& m : machines) {
    for (const std::size_t long_prompt : {20, 300, 4000}) {
      INFO(m.name << ", 10 tokens against " << long_prompt);
      step_simulation s(m);
      s.noise = .1;
      std::map<std::uint64_t, double> paid;
      double longest_slice = 0;
      double apart = 0;
      for (int i = 0; i < 10000; ++i) {
        keep_waiting(s, 1, [] { return std::size_t{10}; });
        keep_waiting(s, 2, [&] { return long_prompt; });
        const double before = paid[1] + paid[2];
        step_into(s, paid, tenant_of);
        longest_slice = std::max(longest_slice, paid[1] + paid[2] - before);
        apart = std::max(apart, std::abs(paid[1] - paid[2]));
      }
      CHECK(paid[1] > 100'000);
      CHECK(apart <= fair_shares::quantum_ms + longest_slice);
    }
  }
}

TEST_CASE(
    "A tenant's turn lasts until its quantum is used, then the next has"
    " one") {
  const step_cost cost = tinyphi_test::zen4().calibrated();
  const std::vector<plan_request> both = {waiting_prompt(7), waiting_prompt(8)};
  fair_shares shares;
  step_plan plan;
  std::vector<std::uint64_t> turns;
  for (int i = 0; i < 12; ++i) {
    plan_step(both, cost, {}, shares, plan);
    REQUIRE(plan.slice() != nullptr);
    turns.push_back(both[plan.slice()->position].tenant);
    shares.charge(plan, both, 34, false);
  }
  CHECK(turns ==
        std::vector<std::uint64_t>{7, 7, 7, 8, 8, 8, 7, 7, 7, 8, 8, 8});
}

TEST_CASE("Tenants of weights 1, 2 and 4 get time in proportion within 2 %") {
  step_simulation s(tinyphi_test::zen4());
  s.shares.set_weight(2, 2);
  s.shares.set_weight(3, 4);
  std::map<std::uint64_t, double> paid;
  for (int i = 0; i < 5000; ++i) {
    for (const std::uint64_t t : {1, 2, 3}) {
      keep_waiting(s, t, [&] { return 50 + 700 * (s.random() % 2); });
    }
    step_into(s, paid, tenant_of);
  }
  CHECK(paid[2] / paid[1] == Approx(2).epsilon(.02));
  CHECK(paid[3] / paid[1] == Approx(4).epsilon(.02));
}

TEST_CASE(
    "A lower class gets 5 % of the time, within 0.5 %, while higher ones"
    " wait, and all of it otherwise") {
  step_simulation s(tinyphi_test::zen4());
  s.noise = .1;
  std::map<priority_class, double> paid;
  const auto length = [&] { return 1 + s.random() % 900; };
  for (int i = 0; i < 20000; ++i) {
    keep_waiting(s, 1, length, priority_class::interactive);
    keep_waiting(s, 2, length, priority_class::batch);
    step_into(s, paid, priority_of);
  }
  const double all =
      paid[priority_class::interactive] + paid[priority_class::batch];
  CHECK(paid[priority_class::batch] / all >= .045);
  CHECK(paid[priority_class::batch] / all <= .055);
  std::map<priority_class, double> alone;
  std::erase_if(s.requests,
                [](const plan_request& r) { return r.tenant == 1; });
  for (int i = 0; i < 100; ++i) {
    keep_waiting(s, 2, length, priority_class::batch);
    step_into(s, alone, priority_of);
  }
  CHECK(alone[priority_class::batch] > 0);
  CHECK(alone.size() == 1);
}

TEST_CASE("Three classes that wait: 90 %, 5 % and 5 %, within 0.5 %") {
  step_simulation s(tinyphi_test::emerald_rapids());
  std::map<priority_class, double> paid;
  const auto length = [&] { return 1 + s.random() % 900; };
  for (int i = 0; i < 20000; ++i) {
    keep_waiting(s, 1, length, priority_class::interactive);
    keep_waiting(s, 1, length, priority_class::normal);
    keep_waiting(s, 1, length, priority_class::batch);
    step_into(s, paid, priority_of);
  }
  double all = 0;
  for (const auto& [c, ms] : paid) all += ms;
  CHECK(std::abs(paid[priority_class::normal] / all - .05) < .005);
  CHECK(std::abs(paid[priority_class::batch] / all - .05) < .005);
}

TEST_CASE("Who decodes much gets fewer slices: the sum is shared within 5 %") {
  // Tenant 1 has two streams and prompts, tenant 2 only prompts.
  step_simulation s(tinyphi_test::zen4());
  for (int i = 0; i < 2; ++i) s.add(1, 1, 1'000'000);
  std::map<std::uint64_t, double> paid;
  double decoded = 0;
  for (int i = 0; i < 1000; ++i) {
    bool waits[3] = {};
    for (const plan_request& r : s.requests) {
      if (r.reads_prompt()) waits[r.tenant] = true;
    }
    for (const std::uint64_t t : {1, 2}) {
      if (!waits[t]) s.add(t, 600, 1);
    }
    const double ms = step_into(s, paid, tenant_of);
    decoded += ms * s.plan.decode_ms / s.plan.expected_ms;
  }
  CHECK((paid[1] + decoded) / paid[2] == Approx(1).epsilon(.05));
}

TEST_CASE("Who returns has no more credit than one of those who stayed") {
  fair_shares shares;
  const std::vector<plan_request> both = {waiting_prompt(1), waiting_prompt(2)};
  const std::vector<plan_request> one = {waiting_prompt(1)};
  shares.charge(slice_plan(0), both, 90, false);
  CHECK(shares.credit(2) == Approx(100));
  // Tenant 2 is away, while tenant 1 uses up what it gets.
  for (int i = 0; i < 50; ++i) shares.charge(slice_plan(0), one, 95, false);
  const double stayed = shares.credit(1);
  CHECK(shares.credit(2) <= std::max(stayed, 0.0));
  const double newcomer = shares.credit(77);
  CHECK(newcomer == shares.credit(2));
  REQUIRE(newcomer < 90);
  shares.charge(slice_plan(0), both, 10, false);
  CHECK(shares.credit(2) == newcomer);
}

TEST_CASE("A tenant keeps two quanta at most") {
  fair_shares shares;
  const std::vector<plan_request> requests = {
      waiting_prompt(1), {.tenant = 2, .left = 1, .answering = true}};
  for (int i = 0; i < 50; ++i) {
    shares.charge(slice_plan(0), requests, 250, false);
    CHECK(shares.credit(2) <= 2 * fair_shares::quantum_ms);
  }
  CHECK(shares.credit(2) == 2 * fair_shares::quantum_ms);
}

TEST_CASE(
    "A cancelled slice's tenant pays the whole step, and remains in debt"
    " when it comes again") {
  fair_shares shares;
  std::vector<plan_request> requests = {
      waiting_prompt(1),
      waiting_prompt(2),
      {.tenant = 3, .left = 1, .answering = true}};
  step_plan plan = slice_plan(0);
  plan.runs.insert(plan.runs.begin(), {.position = 2, .tokens = 1});
  plan.n_decoding = 1;
  plan.shape.decode_rows = 1;
  plan.decode_ms = 50;
  fair_shares finished = shares;
  finished.charge(plan, requests, 100, false);
  CHECK(finished.credit(1) == Approx(50));
  CHECK(finished.credit(3) == Approx(50));
  shares.charge(plan, requests, 900, true);
  CHECK(shares.credit(1) == Approx(-800));
  CHECK(shares.credit(3) == Approx(100));
  // It hangs up and comes again: the other one is served until it is repaid.
  requests.erase(requests.begin());
  shares.charge(slice_plan(0), requests, 50, false);
  CHECK(shares.credit(1) == Approx(-800));
  requests.push_back(waiting_prompt(1));
  double paid = 50;
  step_plan next;
  for (;;) {
    plan_step(requests, tinyphi_test::zen4().calibrated(), {}, shares, next);
    REQUIRE(next.slice() != nullptr);
    if (requests[next.slice()->position].tenant == 1) break;
    shares.charge(next, requests, 100, false);
    paid += 100;
    REQUIRE(paid < 5000);
  }
  CHECK(paid >= 700);
  CHECK(paid <= 1600);
}

TEST_CASE("Debt ends at twenty quanta: 2 s of others' time") {
  fair_shares shares;
  const std::vector<plan_request> both = {waiting_prompt(1), waiting_prompt(2)};
  for (int i = 0; i < 9; ++i) shares.charge(slice_plan(0), both, 1e6, true);
  CHECK(shares.credit(1) == -20 * fair_shares::quantum_ms);
}

TEST_CASE("Strange times and weights leave credit finite") {
  fair_shares shares;
  const std::vector<plan_request> both = {waiting_prompt(1), waiting_prompt(2)};
  const double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const double infinite = std::numeric_limits<double>::infinity();
  for (const double x : {not_a_number, infinite, -infinite, -1.0, 0.0}) {
    shares.set_weight(1, x);
    shares.charge(slice_plan(0), both, x, false);
    shares.charge(slice_plan(1), both, x, true);
    CHECK(std::isfinite(shares.credit(1)));
    CHECK(std::isfinite(shares.credit(2)));
    CHECK(std::isfinite(shares.credit(3)));
  }
}
