// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_STEP_PLAN_IPP_
#define TINYPHI_GENERATE_STEP_PLAN_IPP_

#include <algorithm>
#include <array>
#include <tuple>

#include "tinyphi/generate/step_plan.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// `n` more rows of a request that has `before` of them in this step.
inline void add_rows(step_shape& s, const plan_request& r, std::size_t before,
                     std::size_t n) {
  s.decode_rows += n;
  s.decode_keys += n * (r.stored + before) + n * (n + 1) / 2;
}

// The rows in the order in which they are due.
inline void sort_rows(std::span<const plan_request> requests,
                      const fair_shares& shares,
                      std::vector<step_plan::row>& rows) {
  for (step_plan::row& row : rows) {
    const plan_request& r = requests[row.position];
    row = {r.priority, shares.credit(r.tenant), r.ran, r.order, row.position};
  }
  std::sort(rows.begin(), rows.end(),
            [](const step_plan::row& a, const step_plan::row& b) {
              return std::tuple(a.priority, -a.credit, a.ran, a.order) <
                     std::tuple(b.priority, -b.credit, b.ran, b.order);
            });
  if (shares.step() % 20 != 0) return;
  const auto longest = std::min_element(
      rows.begin(), rows.end(),
      [](const step_plan::row& a, const step_plan::row& b) {
        return std::tuple(a.ran, a.order) < std::tuple(b.ran, b.order);
      });
  std::rotate(rows.begin(), longest, longest + 1);
}

// Whether the tenant of a prompt that waits has had less time than all whose
// rows decode.
inline bool is_owed(std::span<const plan_request> requests,
                    const plan_request& prompt, const fair_shares& shares,
                    const step_plan& out) {
  const double credit = shares.credit(prompt.tenant);
  return std::all_of(
      out.rows.begin(), out.rows.end(), [&](const step_plan::row& row) {
        const plan_request& r = requests[row.position];
        return r.tenant != prompt.tenant && r.priority >= prompt.priority &&
               shares.credit(r.tenant) < credit;
      });
}

// One row each for as many of out.rows as fit into `gap_ms`.
inline void choose_rows(std::span<const plan_request> requests,
                        const step_cost& cost, double gap_ms,
                        const fair_shares& shares, step_plan& out) {
  step_shape all;
  for (const step_plan::row& row : out.rows) {
    add_rows(all, requests[row.position], 0, 1);
  }
  std::size_t n = out.rows.size();
  out.shape = all;
  if (n > 1 && cost.ms(all) > gap_ms) {
    sort_rows(requests, shares, out.rows);
    step_shape first;
    add_rows(first, requests[out.rows[0].position], 0, 1);
    const double limit = std::max(gap_ms, 1.5 * cost.ms(first));
    out.shape = first;
    n = 1;
    step_shape s = first;
    for (std::size_t i = 1; i < out.rows.size(); ++i) {
      add_rows(s, requests[out.rows[i].position], 0, 1);
      if (cost.ms(s) > limit) continue;
      n = i + 1;
      out.shape = s;
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t position = out.rows[i].position;
    out.runs.push_back({position, requests[position].index, 1, 0});
  }
  out.n_decoding = n;
  out.decode_ms = cost.ms(out.shape);
}

// Forced tokens and drafts, while they pay and fit. Another run is the first
// to be asked in every step.
inline void add_drafts(std::span<const plan_request> requests,
                       const step_cost& cost, const fair_shares& shares,
                       double limit_ms, step_plan& out) {
  const auto add = [&](planned_run& run, std::size_t n) {
    step_shape more = out.shape;
    add_rows(more, requests[run.position], run.rows(), n);
    const double ms = cost.ms(more);
    const double rows_before = static_cast<double>(out.shape.rows());
    const double rows_after = static_cast<double>(more.rows());
    if (ms > limit_ms || rows_after * out.decode_ms < rows_before * ms) {
      return false;
    }
    out.shape = more;
    out.decode_ms = ms;
    return true;
  };
  for (std::size_t i = 0; i < out.n_decoding; ++i) {
    planned_run& run = out.runs[(i + shares.step()) % out.n_decoding];
    const plan_request& r = requests[run.position];
    const std::size_t forced = r.left - 1;
    const std::size_t drafts = std::min<std::size_t>(r.drafts, 16);
    if (drafts > 0 && add(run, forced + drafts)) {
      run.tokens = r.left;
      run.drafts = drafts;
    } else if (forced > 0 && add(run, forced)) {
      run.tokens = r.left;
    }
  }
}

// The position of the prompt that is due; the number of requests if none is.
inline std::size_t choose_prompt(std::span<const plan_request> requests,
                                 const fair_shares& shares) {
  std::array<bool, n_priority_classes> waiting{};
  for (const plan_request& r : requests) {
    if (r.reads_prompt()) waiting[static_cast<std::size_t>(r.priority)] = true;
  }
  const priority_class due = shares.due_class(waiting);
  const bool oldest = shares.step() % 4 == 3;
  std::size_t best = requests.size();
  double best_credit = 0;
  // Those with credit go by their place in the round, without by the least
  // debt.
  const auto tenant_before = [&](std::uint64_t a, double a_credit,
                                 std::uint64_t b, double b_credit) {
    if ((a_credit > 0) != (b_credit > 0)) return a_credit > 0;
    const std::uint64_t a_turn = a - shares.turn();
    const std::uint64_t b_turn = b - shares.turn();
    if (a_credit > 0 || a_credit == b_credit) return a_turn < b_turn;
    return a_credit > b_credit;
  };
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const plan_request& r = requests[i];
    if (!r.reads_prompt() || r.priority != due) continue;
    if (best < requests.size() && requests[best].tenant == r.tenant) {
      const plan_request& b = requests[best];
      if (oldest || r.cached == b.cached ? r.order < b.order
                                         : r.cached > b.cached) {
        best = i;
      }
      continue;
    }
    const double credit = shares.credit(r.tenant);
    if (best < requests.size() &&
        !tenant_before(r.tenant, credit, requests[best].tenant, best_credit)) {
      continue;
    }
    best = i;
    best_credit = credit;
  }
  return best;
}

// The slice that reads fastest within the limit; 0: none fits. Between two
// measured sizes it is the largest that leaves 5 % of the limit, as its time is
// not measured itself.
inline std::size_t choose_slice(const step_cost& cost, step_shape shape,
                                std::size_t most, double limit_ms) {
  std::array<std::size_t, step_cost::sizes.size() + 2> slices{};
  std::array<double, step_cost::sizes.size() + 2> rates{};
  std::size_t n = 0;
  double best = 0;
  const auto consider = [&](std::size_t p) {
    shape.slice = p;
    const double ms = cost.ms(shape);
    if (ms > limit_ms) return;
    slices[n] = p;
    rates[n] = static_cast<double>(p) / ms;
    best = std::max(best, rates[n++]);
  };
  for (const std::size_t p : step_cost::sizes) {
    if (p < most) consider(p);
  }
  consider(most);
  if (n > 0 && slices[n - 1] < most) {
    std::size_t fits = slices[n - 1], too_many = most;
    while (too_many - fits > 1) {
      shape.slice = fits + (too_many - fits) / 2;
      (cost.ms(shape) <= 0.95 * limit_ms ? fits : too_many) = shape.slice;
    }
    if (fits > slices[n - 1]) consider(fits);
  }
  while (n > 0) {
    if (rates[--n] >= 0.97 * best) return slices[n];
  }
  return 0;
}

// Less, if that ends a page and reads nearly as fast.
inline std::size_t cut_at_page(const step_cost& cost, step_shape shape,
                               std::size_t page_tokens) {
  const std::size_t slice = shape.slice;
  if (page_tokens == 0) return slice;
  const std::size_t over = (shape.slice_stored + slice) % page_tokens;
  if (over > slice / 2) return slice;
  const double ms = cost.ms(shape);
  shape.slice -= over;
  const bool fast = static_cast<double>(shape.slice) * ms >=
                    0.9 * static_cast<double>(slice) * cost.ms(shape);
  return fast ? shape.slice : slice;
}

inline void add_slice(std::span<const plan_request> requests,
                      std::size_t position, const step_cost& cost,
                      const step_targets& targets, const fair_shares& shares,
                      step_plan& out) {
  const plan_request& r = requests[position];
  step_shape shape = out.shape;
  shape.slice_stored = r.stored;
  const std::size_t most =
      std::min(r.left, std::max<std::size_t>(targets.max_slice, 1));
  std::size_t slice = choose_slice(cost, shape, most, out.limit_ms);
  if (slice == 0) {
    if (out.n_decoding > 0 && shares.step() % 2 == 0) return;
    slice = 1;
  }
  shape.slice = slice;
  // The rest of a prompt is not cut.
  if (slice < r.left) {
    shape.slice = cut_at_page(cost, shape, targets.page_tokens);
  }
  out.shape = shape;
  out.runs.push_back({position, r.index, shape.slice, 0});
}

}  // namespace detail

TINYPHI_FUNC void plan_step(std::span<const plan_request> requests,
                            const step_cost& cost, const step_targets& targets,
                            const fair_shares& shares, step_plan& out) {
  out.runs.clear();
  out.rows.clear();
  out.n_decoding = 0;
  out.shape = {};
  out.decode_ms = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].decodes()) out.rows.push_back({.position = i});
  }
  const std::size_t prompt = detail::choose_prompt(requests, shares);
  const bool prompt_waits = prompt < requests.size();
  out.limit_ms = targets.idle_step_ms;
  if (!out.rows.empty()) {
    const bool owed = prompt_waits &&
                      detail::is_owed(requests, requests[prompt], shares, out);
    detail::choose_rows(requests, cost,
                        owed ? targets.gap_ms / 2 : targets.gap_ms, shares,
                        out);
    out.limit_ms = std::max(targets.gap_ms, 1.5 * out.decode_ms);
    // Not where even rows have to wait.
    if (out.n_decoding == out.rows.size()) {
      const double room = out.limit_ms - out.decode_ms;
      detail::add_drafts(requests, cost, shares,
                         out.decode_ms + (prompt_waits ? room / 2 : room), out);
    }
  }
  if (prompt_waits) {
    detail::add_slice(requests, prompt, cost, targets, shares, out);
  }
  out.expected_ms = cost.ms(out.shape);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_STEP_PLAN_IPP_
