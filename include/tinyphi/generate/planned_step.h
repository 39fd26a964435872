// SPDX-License-Identifier: MIT
// What the plan of a step is made from, and what it says.
#ifndef TINYPHI_GENERATE_PLANNED_STEP_H_
#define TINYPHI_GENERATE_PLANNED_STEP_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tinyphi/config.h"
#include "tinyphi/generate/step_cost.h"

TINYPHI_NAMESPACE_BEGIN

enum class priority_class : std::uint8_t { interactive, normal, batch };
constexpr std::size_t n_priority_classes = 3;

// A request that runs, as the planner sees it.
struct plan_request {
  std::size_t index = 0;  // the caller's own
  std::uint64_t tenant = 0;
  priority_class priority = priority_class::normal;
  std::size_t left = 0;     // tokens of its text that are not in the cache;
                            // 1: it decodes, 0: it does not run
  bool answering = false;   // what is left follows the prompt: up to 16 forced
                            // tokens count as decoding
  std::size_t drafts = 0;   // tokens that may follow those
  std::size_t stored = 0;   // tokens in the cache
  std::size_t cached = 0;   // of its prompt, from the prefix cache
  std::uint64_t order = 0;  // of submission
  std::uint64_t ran = 0;    // fair_shares::step() when it last was in a plan

  // Whether it takes rows of its own, or slices of a prompt.
  [[nodiscard]] bool decodes() const {
    return left == 1 || (answering && left > 0 && left <= 16);
  }
  [[nodiscard]] bool reads_prompt() const { return left > 0 && !decodes(); }
};

// What a step runs of one request: its next `tokens` tokens, and drafts.
struct planned_run {
  std::size_t position = 0;  // among the requests that were given
  std::size_t index = 0;     // that request's own index
  std::size_t tokens = 0;    // [1, left]
  std::size_t drafts = 0;    // after these; only with all that is left

  [[nodiscard]] std::size_t rows() const { return tokens + drafts; }
};

// A plan is kept and filled again: then it asks for no memory.
struct step_plan {
  std::vector<planned_run> runs;  // decoding ones, then the slice if any
  std::size_t n_decoding = 0;
  step_shape shape;
  double decode_ms = 0;    // expected of the decoding rows alone
  double expected_ms = 0;  // of the step
  double limit_ms = 0;     // what expected_ms was to stay within

  // Of which request a prompt is read; nullptr: of none.
  [[nodiscard]] const planned_run* slice() const {
    return runs.size() > n_decoding ? &runs.back() : nullptr;
  }

  // For plan_step only: the requests that decode, as it sorts them.
  struct row {
    priority_class priority = priority_class::normal;
    double credit = 0;
    std::uint64_t ran = 0;
    std::uint64_t order = 0;
    std::size_t position = 0;
  };
  std::vector<row> rows;
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_PLANNED_STEP_H_
