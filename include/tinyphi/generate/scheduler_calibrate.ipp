// SPDX-License-Identifier: MIT
// What steps cost on this machine, measured while a driven engine is idle.
#ifndef TINYPHI_GENERATE_SCHEDULER_CALIBRATE_IPP_
#define TINYPHI_GENERATE_SCHEDULER_CALIBRATE_IPP_

#include <algorithm>
#include <chrono>
#include <vector>

#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

// The time in ms of a step with so many rows of one sequence, behind `stored`
// tokens whose values do not matter to it; 0 if it cannot run, or was given up
// because a request came.
TINYPHI_FUNC double scheduler::time_step(std::size_t stored, std::size_t rows) {
  kv_sequence kv(pool_, model_.config());
  if (stored + rows > model_.config().max_context ||
      n_pages(stored + rows) > pool_.free_pages()) {
    return 0;
  }
  if (!kv.reserve(stored + rows)) return 0;
  kv.commit(stored);
  const std::vector<token_id> ids(rows, token_id{1});
  batch_run run;
  run.kv = &kv;
  run.tokens = ids;
  run.n_rows = rows <= draft_policy::max_length ? rows : 1;
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    step_stop_ = {};
    const auto begin = std::chrono::steady_clock::now();
    if (!model_.forward({&run, 1}, team_, scratch_, step_stop_)) return 0;
    const double ms = detail::ms_since(begin);
    best = i == 0 ? ms : std::min(best, ms);
  }
  return best;
}

// What a key costs in attention, from steps that differ in their keys only.
TINYPHI_FUNC void scheduler::measure_attention() {
  constexpr std::size_t keys = 1024, slice = 16;
  const double near_row = time_step(0, 1), far_row = time_step(keys, 1);
  const double near_slice = time_step(0, slice),
               far_slice = time_step(keys, slice);
  if (near_row <= 0 || far_row <= 0 || near_slice <= 0 || far_slice <= 0) {
    return;
  }
  cost_.set_attention(std::max(0.0, (far_row - near_row) / keys),
                      std::max(0.0, (far_slice - near_slice) / (keys * slice)));
}

// Makes the next measurement: attention, then sizes in ascending order, for
// five seconds in all; larger ones are learnt while it runs. A request that
// comes ends it, and it is made again when there is time. False once all are
// made.
TINYPHI_FUNC bool scheduler::calibrate_next() {
  constexpr double budget_ms = 5000;
  const auto& sizes = step_cost::sizes;
  if (calibrated_ > sizes.size()) return false;
  const auto begin = std::chrono::steady_clock::now();
  calibrating_ = true;
  // Without memory for it, it cannot run either.
  (void)detail::without_throwing([&] {
    if (calibrated_ == 0) return measure_attention();
    const std::size_t rows = sizes[calibrated_ - 1];
    const double ms = rows > options_.prefill_chunk ? 0 : time_step(0, rows);
    step_shape shape;
    (rows <= draft_policy::max_length ? shape.decode_rows : shape.slice) = rows;
    if (ms > 0) cost_.set(shape, ms);
  });
  calibrating_ = false;
  step_has_reader_ = false;
  calibration_ms_ += detail::ms_since(begin);
  if (!work_came_) ++calibrated_;
  if (calibration_ms_ > budget_ms) calibrated_ = sizes.size() + 1;
  if (calibrated_ > sizes.size()) {
    // What it took need not be what requests will.
    pool_.trim();
    scratch_.clear();
  }
  return true;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_CALIBRATE_IPP_
