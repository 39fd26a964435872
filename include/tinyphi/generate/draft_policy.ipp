// SPDX-License-Identifier: MIT
// What drafts earn against what they cost.
#ifndef TINYPHI_GENERATE_DRAFT_POLICY_IPP_
#define TINYPHI_GENERATE_DRAFT_POLICY_IPP_

#include <algorithm>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/draft_policy.h"
#include "tinyphi/generate/draft_source.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr std::size_t long_match = 16;  // tokens; more end a pause
inline constexpr std::size_t drafts_per_verdict = 32;
inline constexpr double least_gain = 1.03;
inline constexpr std::size_t first_pause = 64, last_pause = 1024;  // tokens
// The expected rate counts as so many tokens seen; later ones as one in 32.
inline constexpr double expected_weight = 4, seen_weight = 32;
// In plain steps: what drafts may lose at the start and more with each token,
// and the most that is kept of what they gain.
inline constexpr double first_credit = 2, credit_per_token = .01;
inline constexpr double most_credit = 4;

[[nodiscard]] constexpr std::size_t bucket_of(std::size_t match_length) {
  return match_length <= 3    ? 0
         : match_length <= 5  ? 1
         : match_length <= 8  ? 2
         : match_length <= 16 ? 3
                              : 4;
}

}  // namespace detail

TINYPHI_FUNC draft_policy::draft_policy(const rates& expected)
    : rates_(expected), credit_(detail::first_credit) {
  // NaN becomes 0.
  for (double& rate : rates_) rate = rate > 0 ? std::min(rate, 1.0) : 0;
}

TINYPHI_FUNC std::size_t draft_policy::choose_length(
    std::size_t match_length, std::size_t available,
    std::span<const double> step_ms, std::size_t other_rows) const {
  const bool rests = paused_ > 0 && match_length <= detail::long_match;
  if (match_length < draft_source::min_match || rests || step_ms.empty() ||
      !(step_ms[0] > 0)) {
    return 0;
  }
  const std::size_t end = std::min({available, max_length, step_ms.size() - 1});
  std::size_t best = 0;
  double tokens = static_cast<double>(other_rows) + 1;
  double best_tokens = tokens, all_right = 1;
  const double most_ms = step_ms[0] * (1 + credit_);
  for (std::size_t k = 1; k <= end && step_ms[k] > 0; ++k) {
    all_right *= rates_[detail::bucket_of(match_length + k - 1)];
    tokens += all_right;
    if (step_ms[k] <= most_ms &&
        tokens * step_ms[best] > best_tokens * step_ms[k]) {
      best = k;
      best_tokens = tokens;
    }
  }
  return best;
}

TINYPHI_FUNC void draft_policy::observe(std::size_t match_length,
                                        bool right) noexcept {
  const std::size_t b = detail::bucket_of(match_length);
  seen_[b] =
      std::min(seen_[b] + 1, detail::seen_weight - detail::expected_weight);
  rates_[b] +=
      ((right ? 1.0 : 0.0) - rates_[b]) / (detail::expected_weight + seen_[b]);
}

TINYPHI_FUNC void draft_policy::earn(double steps) noexcept {
  credit_ = std::min(credit_ + steps, detail::most_credit);
}

// After every 32 drafts.
TINYPHI_FUNC void draft_policy::judge() noexcept {
  if (made_ < detail::least_gain * spent_) {
    paused_ = next_pause_;
    next_pause_ = std::min(2 * next_pause_, detail::last_pause);
  } else {
    next_pause_ = detail::first_pause;
  }
  drafts_ = 0;
  made_ = spent_ = 0;
}

TINYPHI_FUNC void draft_policy::learn(std::size_t match_length,
                                      std::size_t drafted, std::size_t accepted,
                                      std::span<const double> step_ms,
                                      std::size_t other_rows) {
  TINYPHI_ASSERT(accepted <= drafted);
  if (drafted == 0 || drafted >= step_ms.size() || !(step_ms[0] > 0)) {
    learn_undrafted(0, false);
    return;
  }
  if (match_length > detail::long_match) paused_ = 0;
  for (std::size_t i = 0; i < std::min(accepted + 1, drafted); ++i) {
    observe(match_length + i, i < accepted);
  }
  const auto others = static_cast<double>(other_rows);
  const auto tokens = static_cast<double>(accepted) + 1;
  const double made = (others + tokens) / (others + 1);
  const double spent = step_ms[drafted] / step_ms[0];
  earn(made - spent + tokens * detail::credit_per_token);
  made_ += made;
  spent_ += spent;
  if (++drafts_ >= detail::drafts_per_verdict) judge();
}

TINYPHI_FUNC void draft_policy::learn_undrafted(std::size_t match_length,
                                                bool followed) {
  if (match_length >= draft_source::min_match) observe(match_length, followed);
  earn(detail::credit_per_token);
  if (paused_ > 0) --paused_;
  if (match_length > detail::long_match) paused_ = 0;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_DRAFT_POLICY_IPP_
