// SPDX-License-Identifier: MIT
// Decides what the next step of the engine runs: decoding rows first, then one
// slice of a prompt that fits the target for the gap between two tokens. Pure
// functions over numbers: no model, no threads, no clock.
#ifndef TINYPHI_GENERATE_STEP_PLAN_H_
#define TINYPHI_GENERATE_STEP_PLAN_H_

#include <cstddef>
#include <span>

#include "tinyphi/config.h"
#include "tinyphi/generate/fair_shares.h"
#include "tinyphi/generate/planned_step.h"
#include "tinyphi/generate/step_cost.h"

TINYPHI_NAMESPACE_BEGIN

struct step_targets {
  double gap_ms = 250;         // between two tokens of those that decode
  double idle_step_ms = 1000;  // a step while nobody decodes
  std::size_t max_slice = 512;
  std::size_t page_tokens = 0;  // where slices had best end; 0: anywhere
};

// Fills `out`, in the time of sorting the requests at most. Every request that
// decodes gets a row, unless that takes longer than max(gap, 1.5 x one row
// alone): then the higher class goes first, in it the tenant with more credit,
// and others wait for later steps (one step in twenty begins with whoever has
// waited longest). Rows have half of the gap where a prompt waits whose tenant
// has more credit than all of theirs: 16 rows alone may take the whole gap, and
// that tenant is owed as much time as they are. If all run, drafts and forced
// tokens are added while they raise tokens per millisecond; with a prompt
// waiting, in half of what the limit leaves.
//
// Then one prompt: `shares` says whose; of that tenant the one with the longest
// cached prefix, every fourth step the oldest. Its slice is the one that reads
// fastest, p / T(decode, p), within max(gap, 1.5 x T(decode, 0)), or within
// idle_step when nobody decodes; the largest of those within 3 %; less, half at
// most, to end with a page where that reads no more than 10 % slower. If none
// fits: one token, every second step while others decode.
//
// Not the best marginal rate, p / (T(decode, p) - T(decode, 0)): where a few
// rows are nearly free (Emerald Rapids, step_plan_test.cpp) that gives slices
// of 4, which read a prompt at 0.4 of the speed that it has alone; slices of 16
// within the same limit, at 0.75.
void plan_step(std::span<const plan_request> requests, const step_cost& cost,
               const step_targets& targets, const fair_shares& shares,
               step_plan& out);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/step_plan.ipp"
#endif

#endif  // TINYPHI_GENERATE_STEP_PLAN_H_
