// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_FAIR_SHARES_IPP_
#define TINYPHI_GENERATE_FAIR_SHARES_IPP_

#include <algorithm>
#include <cmath>

#include "tinyphi/generate/fair_shares.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

constexpr std::uint64_t remembered_steps = 1024;
constexpr std::size_t most_accounts = 16384;

}  // namespace detail

TINYPHI_FUNC fair_shares::accounts::const_iterator fair_shares::find(
    std::uint64_t tenant) const {
  const auto at = std::lower_bound(
      accounts_.begin(), accounts_.end(), tenant,
      [](const account& a, std::uint64_t t) { return a.tenant < t; });
  return at != accounts_.end() && at->tenant == tenant ? at : accounts_.end();
}

TINYPHI_FUNC fair_shares::account& fair_shares::open(std::uint64_t tenant) {
  auto at = std::lower_bound(
      accounts_.begin(), accounts_.end(), tenant,
      [](const account& a, std::uint64_t t) { return a.tenant < t; });
  if (at == accounts_.end() || at->tenant != tenant) {
    at = accounts_.insert(at, {.tenant = tenant, .credit = newcomer_credit_});
  }
  return *at;
}

TINYPHI_FUNC void fair_shares::set_weight(std::uint64_t tenant, double weight) {
  account& a = open(tenant);
  a.weight = weight > 1.0 / 64 ? std::min(weight, 64.0) : 1.0 / 64;
  a.kept = true;
}

TINYPHI_FUNC double fair_shares::credit(std::uint64_t tenant) const {
  const auto at = find(tenant);
  if (at == accounts_.end()) return newcomer_credit_;
  if (at->seen == step_) return at->credit;
  return std::min(at->credit, newcomer_credit_);
}

TINYPHI_FUNC priority_class fair_shares::due_class(
    const std::array<bool, n_priority_classes>& waiting) const {
  std::size_t highest = 0;
  while (highest + 1 < n_priority_classes && !waiting[highest]) ++highest;
  std::size_t due = highest;
  double owed = 0;
  for (std::size_t c = highest + 1; c < n_priority_classes; ++c) {
    if (!waiting[c] || owed_ms_[c] <= owed) continue;
    due = c;
    owed = owed_ms_[c];
  }
  return static_cast<priority_class>(due);
}

// Notes whose requests there are, and for which a prompt of the highest class
// waits.
TINYPHI_FUNC void fair_shares::see(std::span<const plan_request> requests) {
  waiting_.fill(false);
  for (const plan_request& r : requests) {
    if (r.reads_prompt()) waiting_[static_cast<std::size_t>(r.priority)] = true;
  }
  const auto highest =
      std::find(waiting_.begin(), waiting_.end(), true) - waiting_.begin();
  account* a = nullptr;
  for (const plan_request& r : requests) {
    if (a == nullptr || a->tenant != r.tenant) {
      a = &open(r.tenant);
      if (a->seen != step_) {
        if (a->seen + 1 != step_) {
          a->credit = std::min(a->credit, newcomer_credit_);
        }
        a->seen = step_;
        a->due = false;
      }
    }
    a->due |=
        r.reads_prompt() && static_cast<std::ptrdiff_t>(r.priority) == highest;
  }
}

TINYPHI_FUNC void fair_shares::pay(std::uint64_t tenant, double ms) {
  account& a = open(tenant);
  a.credit = std::max(a.credit - ms / a.weight, -most_debt_quanta * quantum_ms);
}

TINYPHI_FUNC void fair_shares::pay_classes(priority_class paid, double ms) {
  const auto payer = static_cast<std::size_t>(paid);
  bool higher_waits = false;
  for (std::size_t c = 0; c < n_priority_classes; ++c) {
    double& owed = owed_ms_[c];
    if (!higher_waits) {
      owed = 0;
    } else {
      if (waiting_[c]) owed += lower_class_share * ms;
      if (c == payer) owed -= ms;
      owed = std::min(owed, waiting_[c] ? quantum_ms : 0.0);
    }
    higher_waits = higher_waits || waiting_[c];
  }
}

TINYPHI_FUNC void fair_shares::charge(const step_plan& plan,
                                      std::span<const plan_request> requests,
                                      double measured_ms, bool aborted) {
  ++step_;
  see(requests);
  const double ms = measured_ms > 0 ? std::min(measured_ms, 1e7) : 0;
  const planned_run* slice = plan.slice();
  double decode_ms = ms;
  if (slice != nullptr) {
    const bool split = !aborted && plan.expected_ms > 0;
    decode_ms =
        split ? ms * std::min(plan.decode_ms / plan.expected_ms, 1.0) : 0;
    const plan_request& owner = requests[slice->position];
    pay(owner.tenant, ms - decode_ms);
    pay_classes(owner.priority, ms - decode_ms);
    turn_ = owner.tenant + (credit(owner.tenant) > 0 ? 0 : 1);
  }
  const auto rows = static_cast<double>(plan.shape.decode_rows);
  for (std::size_t i = 0; i < plan.n_decoding; ++i) {
    const planned_run& run = plan.runs[i];
    pay(requests[run.position].tenant,
        decode_ms * static_cast<double>(run.rows()) / rows);
  }
  begin_rounds();
  forget();
}

TINYPHI_FUNC void fair_shares::begin_rounds() {
  const bool anyone_waits =
      std::find(waiting_.begin(), waiting_.end(), true) != waiting_.end();
  double most = -most_debt_quanta * quantum_ms;
  bool anyone = false;
  for (const account& a : accounts_) {
    if (a.seen != step_ || (anyone_waits && !a.due)) continue;
    most = std::max(most, a.credit);
    anyone = true;
  }
  const double rounds =
      anyone && most <= 0 ? std::floor(-most / quantum_ms) + 1 : 0;
  newcomer_credit_ = anyone ? -most_debt_quanta * quantum_ms : quantum_ms;
  for (account& a : accounts_) {
    const bool here = a.seen == step_;
    if (here || a.credit < 0) {
      a.credit = std::min(a.credit + rounds * quantum_ms,
                          here ? most_quanta * quantum_ms : 0);
    }
    if (here) newcomer_credit_ = std::max(newcomer_credit_, a.credit);
  }
  newcomer_credit_ = std::min(newcomer_credit_, quantum_ms);
}

// Debt is remembered longer than credit, but neither without bound.
TINYPHI_FUNC void fair_shares::forget() {
  const bool full = accounts_.size() > detail::most_accounts;
  std::erase_if(accounts_, [&](const account& a) {
    if (a.kept || a.seen == step_) return false;
    return full || (a.credit >= 0 && a.seen + detail::remembered_steps < step_);
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_FAIR_SHARES_IPP_
