// SPDX-License-Identifier: MIT
// Machines on which planned steps run by a virtual clock: three measured cost
// curves, and an engine of requests that have lengths only.
#ifndef TESTS_SUPPORT_STEP_MACHINE_H_
#define TESTS_SUPPORT_STEP_MACHINE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "tinyphi/generate/fair_shares.h"
#include "tinyphi/generate/step_cost.h"
#include "tinyphi/generate/step_plan.h"

namespace tinyphi_test {

// What a step really takes.
struct step_machine {
  const char* name;
  std::vector<std::pair<double, double>> curve;  // rows, ms
  double key_ms;
  double slice_key_ms;

  double linear_ms(double rows) const {
    std::size_t i = 1;
    while (i + 1 < curve.size() && curve[i].first < rows) ++i;
    const auto [r0, t0] = curve[i - 1];
    const auto [r1, t1] = curve[i];
    return t0 + (t1 - t0) * (rows - r0) / (r1 - r0);
  }
  double ms(const tinyphi::step_shape& s) const {
    const auto slice = static_cast<double>(s.slice);
    return linear_ms(static_cast<double>(s.rows())) +
           key_ms * static_cast<double>(s.decode_keys) +
           slice_key_ms * slice *
               (static_cast<double>(s.slice_stored) + slice / 2);
  }
  // As an engine that begins to serve measures it.
  tinyphi::step_cost calibrated() const {
    tinyphi::step_cost cost;
    cost.set_attention(key_ms, slice_key_ms);
    for (const std::size_t rows : tinyphi::step_cost::sizes) {
      const tinyphi::step_shape s{.decode_rows = rows};
      cost.set(s, ms(s));
    }
    return cost;
  }
};

// Phi-3-mini Q4_0. Emerald Rapids: prototype, 2 threads.
inline step_machine emerald_rapids() {
  return {"Emerald Rapids",
          {{1, 66}, {4, 73}, {8, 83}, {16, 153}, {60, 660}, {516, 4000}},
          .008,
          .001};
}
// The README's machine.
inline step_machine zen4() {
  return {"Zen 4", {{1, 48}, {8, 101}, {256, 3024}}, .008, .001};
}
// One thread without dot products of bytes.
inline step_machine avx2() {
  return {"AVX2",
          {{1, 215},
           {2, 344},
           {4, 774},
           {8, 1354},
           {16, 2600},
           {32, 4945},
           {64, 10105},
           {256, 40635}},
          .03,
          .005};
}

struct simulated_request {
  std::size_t answer = 0;  // tokens still to come
  double arrived_ms = 0;
  double first_token_ms = -1;  // -1: not yet
  double last_token_ms = 0;
  double longest_gap_ms = 0;
};

// Steps of one engine. Requests that have ended are taken out.
struct step_simulation {
  step_machine machine;
  tinyphi::step_cost cost;
  tinyphi::step_targets targets;
  tinyphi::fair_shares shares;
  tinyphi::step_plan plan;
  std::vector<tinyphi::plan_request> requests;
  std::vector<simulated_request> states;  // by plan_request::index
  double now_ms = 0;
  double noise = 0;  // steps take up to this share longer or shorter
  std::mt19937_64 random{7};

  explicit step_simulation(step_machine m)
      : machine(std::move(m)), cost(machine.calibrated()) {}

  std::size_t add(
      std::uint64_t tenant, std::size_t prompt, std::size_t answer,
      tinyphi::priority_class priority = tinyphi::priority_class::normal) {
    requests.push_back({.index = states.size(),
                        .tenant = tenant,
                        .priority = priority,
                        .left = prompt,
                        .order = states.size()});
    states.push_back({.answer = answer, .arrived_ms = now_ms});
    return states.size() - 1;
  }

  // Plans, runs and charges one step; returns what it took.
  double step() {
    tinyphi::plan_step(requests, cost, targets, shares, plan);
    std::uniform_real_distribution<double> around(1 - noise, 1 + noise);
    const double ms = machine.ms(plan.shape) * around(random);
    now_ms += ms;
    cost.learn(plan.shape, ms);
    shares.charge(plan, requests, ms, false);
    for (const tinyphi::planned_run& run : plan.runs) advance(run);
    std::erase_if(requests, [&](const tinyphi::plan_request& r) {
      return states[r.index].answer == 0;
    });
    return ms;
  }

 private:
  void advance(const tinyphi::planned_run& run) {
    tinyphi::plan_request& r = requests[run.position];
    r.ran = shares.step();
    r.stored += run.tokens;
    r.left -= run.tokens;
    if (r.left > 0) return;
    r.left = 1;
    r.answering = true;
    simulated_request& s = states[r.index];
    --s.answer;
    if (s.first_token_ms < 0) {
      s.first_token_ms = now_ms;
    } else {
      s.longest_gap_ms = std::max(s.longest_gap_ms, now_ms - s.last_token_ms);
    }
    s.last_token_ms = now_ms;
  }
};

}  // namespace tinyphi_test

#endif  // TESTS_SUPPORT_STEP_MACHINE_H_
