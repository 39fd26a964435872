// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_ADMISSION_IPP_
#define TINYPHI_GENERATE_ADMISSION_IPP_

#include <algorithm>
#include <tuple>

#include "tinyphi/generate/admission.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class Request>
std::size_t oldest_of(std::span<const Request> requests) {
  const auto at = std::min_element(
      requests.begin(), requests.end(),
      [](const Request& a, const Request& b) { return a.order < b.order; });
  return static_cast<std::size_t>(at - requests.begin());
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::size_t> admission::next(
    std::span<const waiting_request> waiting, std::size_t free_pages,
    const fair_shares& shares) const {
  if (waiting.empty()) return std::nullopt;
  if (holds_back()) {
    const std::size_t oldest = detail::oldest_of(waiting);
    if (waiting[oldest].pages > free_pages) return std::nullopt;
    return oldest;
  }
  std::optional<std::size_t> best;
  double best_credit = 0;
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    const waiting_request& w = waiting[i];
    if (w.pages > free_pages) continue;
    const double credit = shares.credit(w.tenant);
    if (best) {
      const waiting_request& b = waiting[*best];
      if (std::tuple(b.priority, -best_credit, b.order) <=
          std::tuple(w.priority, -credit, w.order)) {
        continue;
      }
    }
    best = i;
    best_credit = credit;
  }
  return best;
}

TINYPHI_FUNC void admission::begun(std::span<const waiting_request> waiting,
                                   std::size_t position) {
  bypasses_ = position == detail::oldest_of(waiting) ? 0 : bypasses_ + 1;
}

namespace detail {

// Of those that may give way, the lowest class's; in it the newest of the
// tenant with the least credit.
template <class May>
std::optional<std::size_t> choose_victim(std::span<const plan_request> running,
                                         const fair_shares& shares, May may) {
  if (running.size() < 2) return std::nullopt;
  const std::size_t oldest = oldest_of(running);
  std::optional<std::size_t> best;
  double best_credit = 0;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const plan_request& r = running[i];
    if (i == oldest || !may(r)) continue;
    const double credit = shares.credit(r.tenant);
    if (best) {
      const plan_request& b = running[*best];
      if (std::tuple(b.priority, -best_credit, b.order) >=
          std::tuple(r.priority, -credit, r.order)) {
        continue;
      }
    }
    best = i;
    best_credit = credit;
  }
  return best;
}

}  // namespace detail

TINYPHI_FUNC std::optional<std::size_t> choose_victim(
    std::span<const plan_request> running, const fair_shares& shares) {
  return detail::choose_victim(running, shares,
                               [](const plan_request&) { return true; });
}

TINYPHI_FUNC std::optional<std::size_t> choose_victim_for(
    const waiting_request& w, std::span<const plan_request> running,
    const fair_shares& shares) {
  const auto has_one = [&](const plan_request& r) {
    return r.tenant == w.tenant && r.priority <= w.priority;
  };
  if (std::any_of(running.begin(), running.end(), has_one)) return std::nullopt;
  return detail::choose_victim(running, shares, [&](const plan_request& r) {
    if (r.priority != w.priority) return r.priority > w.priority;
    const auto same = [&](const plan_request& other) {
      return other.tenant == r.tenant && other.priority == r.priority;
    };
    return std::count_if(running.begin(), running.end(), same) > 1;
  });
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_ADMISSION_IPP_
