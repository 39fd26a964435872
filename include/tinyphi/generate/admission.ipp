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

TINYPHI_FUNC std::optional<std::size_t> choose_victim(
    std::span<const plan_request> running, const fair_shares& shares) {
  if (running.size() < 2) return std::nullopt;
  const std::size_t oldest = detail::oldest_of(running);
  std::optional<std::size_t> best;
  double best_credit = 0;
  for (std::size_t i = 0; i < running.size(); ++i) {
    if (i == oldest) continue;
    const plan_request& r = running[i];
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

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_ADMISSION_IPP_
