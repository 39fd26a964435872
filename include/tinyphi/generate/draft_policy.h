// SPDX-License-Identifier: MIT
// How long a draft should be, and whether drafts pay at all: learnt from what
// was accepted, weighed with what the steps of this machine cost.
#ifndef TINYPHI_GENERATE_DRAFT_POLICY_H_
#define TINYPHI_GENERATE_DRAFT_POLICY_H_

#include <array>
#include <cstddef>
#include <span>

#include "tinyphi/config.h"

TINYPHI_NAMESPACE_BEGIN

// One per request; a value without memory of its own. After each step of the
// request exactly one of learn and learn_undrafted is called. Whatever the
// texts, drafts make n tokens take at most n / 100 + 2 plain steps longer: none
// is longer than what is left of that allows.
class draft_policy {
 public:
  static constexpr std::size_t max_length = 16;
  // Matches of 3, 4 to 5, 6 to 8, 9 to 16, and more than 16 tokens.
  static constexpr std::size_t n_buckets = 5;
  // How often the token after a match of each bucket is the right one.
  using rates = std::array<double, n_buckets>;
  static constexpr rates usual_rates = {.3, .45, .6, .75, .85};

  // `expected`: what to begin with, as from earlier requests like this one.
  // Values outside of [0, 1] are taken as the nearest inside.
  explicit draft_policy(const rates& expected = usual_rates);

  // The draft length k that makes the most tokens in a millisecond of the step:
  // the maximum of (other_rows + E(k)) / step_ms[k], the least k of equals.
  // E(k) = 1 + r1 + r1 r2 + ... with k products; the token after i accepted
  // ones counts as one after a match that is i longer. k is at most
  // `available`, max_length and step_ms.size() - 1; 0 for a match below
  // draft_source::min_match or while drafts pause.
  // step_ms[k]: the cost of the step with k rows for the draft besides those of
  // other_rows and the request's own one; positive (a cost that is not a
  // positive number ends the range).
  [[nodiscard]] std::size_t choose_length(std::size_t match_length,
                                          std::size_t available,
                                          std::span<const double> step_ms,
                                          std::size_t other_rows) const;

  // The step verified `drafted` tokens after such a match, and the first
  // `accepted` of them stood. The other two as for choose_length.
  void learn(std::size_t match_length, std::size_t drafted,
             std::size_t accepted, std::span<const double> step_ms,
             std::size_t other_rows);
  // The step had no draft. Where there was a match, `followed` says whether the
  // token that followed it before has come again: the rates stay true at no
  // cost, in a pause too. match_length 0: there was none.
  void learn_undrafted(std::size_t match_length, bool followed);

  [[nodiscard]] const rates& acceptance() const noexcept { return rates_; }
  // How many tokens from now without drafts, 0: none. Drafts whose last 32 made
  // less than 1.03 times the tokens of plain steps pause for 64 tokens, then
  // twice as long each time, up to 1024, until they pay again; a match of more
  // than 16 tokens ends a pause.
  [[nodiscard]] std::size_t paused() const noexcept { return paused_; }

 private:
  void observe(std::size_t match_length, bool right) noexcept;
  void earn(double steps) noexcept;
  void judge() noexcept;

  rates rates_;
  std::array<double, n_buckets> seen_ = {};
  double credit_;     // what drafts may lose now, in plain steps
  double made_ = 0;   // by drafts since the last verdict, and
  double spent_ = 0;  // what they took, in plain steps
  std::size_t drafts_ = 0;
  std::size_t paused_ = 0;
  std::size_t next_pause_ = 64;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/draft_policy.ipp"
#endif

#endif  // TINYPHI_GENERATE_DRAFT_POLICY_H_
