// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SAMPLER_IPP_
#define TINYPHI_GENERATE_SAMPLER_IPP_

#include <algorithm>
#include <cmath>
#include <limits>

#include "tinyphi/generate/sampler.h"
#include "tinyphi/generate/sampling_steps.ipp"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<void> check_logits(std::span<const float> logits,
                                       std::size_t position) {
  if (detail::find_best(logits).valid) return {};
  const std::string row =
      "the logits of the token at position " + std::to_string(position);
  const auto wrong =
      std::find_if(logits.begin(), logits.end(), detail::is_no_logit);
  if (wrong == logits.end()) {
    return error{error_code::bad_data,
                 row + " allow none of " + std::to_string(logits.size()) +
                     " ids: all are -inf, at least one must be finite; check "
                     "the model's file"};
  }
  return error{error_code::bad_data,
               row + " hold " + (std::isnan(*wrong) ? "NaN" : "+inf") +
                   " at id " + std::to_string(wrong - logits.begin()) +
                   ", allowed are finite numbers and -inf; check the model's "
                   "file"};
}

TINYPHI_FUNC float log_probability(std::span<const float> logits, token_id id) {
  const float highest = detail::find_best(logits).logit;
  double sum = 0;
  for (const float x : logits)
    sum += static_cast<double>(std::exp(x - highest));
  const double log_sum = static_cast<double>(highest) + std::log(sum);
  return static_cast<float>(
      static_cast<double>(logits[static_cast<std::size_t>(id)]) - log_sum);
}

TINYPHI_FUNC sampler_scratch::sampler_scratch(std::size_t vocab_size,
                                              std::size_t max_length) {
  adjusted_.reserve(vocab_size);
  candidates_.reserve(vocab_size);
  ranked_.reserve(vocab_size);
  matches_.reserve(max_length);
  repeats_.reserve(max_length);
}

TINYPHI_FUNC std::size_t sampler_scratch::bytes() const {
  return detail::bytes_of(adjusted_) + detail::bytes_of(candidates_) +
         detail::bytes_of(ranked_) + detail::bytes_of(matches_) +
         detail::bytes_of(repeats_) + allowed_.words().size_bytes();
}

TINYPHI_FUNC sampler::sampler(sampling_params p,
                              std::vector<token_id> dry_breaker_ids,
                              std::size_t vocab_size, std::size_t max_length)
    : params_(std::move(p)),
      breakers_(std::move(dry_breaker_ids)),
      mu_(2 * params_.mirostat_tau) {
  std::sort(breakers_.begin(), breakers_.end());
  // -1, all, becomes the largest number.
  const auto keep = [this](std::int32_t window) {
    kept_ = std::max(kept_, static_cast<std::size_t>(window));
  };
  if (params_.dry_multiplier > 0) keep(params_.dry_window);
  if (has_penalties()) {
    keep(params_.penalty_window);
    counts_.reserve(vocab_size);
  }
  history_.reserve(kept_ < max_length / 2 ? 2 * kept_ : max_length);
}

TINYPHI_FUNC std::size_t sampler::bytes() const {
  return detail::bytes_of(breakers_) + detail::bytes_of(history_) +
         detail::bytes_of(counts_) + own_.bytes();
}

TINYPHI_FUNC void sampler::observe(std::span<const token_id> tokens) {
  for (const token_id id : tokens) remember(id);
}

TINYPHI_FUNC void sampler::remember(token_id id) {
  ++length_;
  if (kept_ == 0) return;
  if (has_penalties()) {
    const auto count_of = [this](token_id t) -> std::int32_t& {
      const auto at = static_cast<std::size_t>(t);
      if (at >= counts_.size()) counts_.resize(at + 1);
      return counts_[at];
    };
    const auto window = static_cast<std::size_t>(params_.penalty_window);
    ++count_of(id);
    if (history_.size() >= window) {
      --count_of(history_[history_.size() - window]);
    }
  }
  if (history_.size() / 2 >= kept_) {
    history_.erase(history_.begin(),
                   history_.end() - static_cast<std::ptrdiff_t>(kept_));
  }
  history_.push_back(id);
}

TINYPHI_FUNC result<sampler::choice> sampler::choose(
    std::span<const float> logits, sampler_scratch& scratch,
    const choice_filter* filter) const {
  choice c;
  c.position = length_;
  c.mu = mu_;
  const bool penalizes = filter == nullptr || filter->penalizes();
  const std::span<const float> adjusted = adjust(logits, scratch, penalizes);
  const bool as_they_are = adjusted.data() == logits.data();
  if (!as_they_are) TINYPHI_CHECK_OK(check_logits(logits, length_));
  const detail::best_logit best = detail::find_best(adjusted);
  if (!best.valid && as_they_are) return check_logits(logits, length_).error();
  if (!best.valid && filter == nullptr) return nothing_left();
  c.token.id = static_cast<token_id>(best.id);
  if (filter != nullptr) {
    TINYPHI_CHECK_OK(choose_allowed(adjusted, c.token.id, scratch, *filter, c));
    if (c.ended) return c;
  } else if (params_.temperature > 0) {
    detail::collect_candidates(adjusted, scratch.candidates_);
    draw(scratch, c);
  }
  add_logprobs(logits, scratch, c);
  return c;
}

// Of what the filter lets through: the best, or one that is drawn.
TINYPHI_FUNC result<void> sampler::choose_allowed(
    std::span<const float> adjusted, token_id best, sampler_scratch& scratch,
    const choice_filter& filter, choice& c) const {
  if (params_.temperature == 0 &&
      adjusted[static_cast<std::size_t>(best)] > detail::minus_infinity) {
    TINYPHI_TRY(const bool may_come, filter.allows(best));
    if (may_come) return {};
  }
  TINYPHI_CHECK_OK(filter.allowed(scratch.allowed_));
  auto& all = scratch.candidates_;
  detail::collect_candidates(adjusted, scratch.allowed_, all);
  if (all.empty()) {
    if (!filter.may_end()) return nothing_left(scratch.allowed_.count());
    c.ended = true;
    return {};
  }
  c.token.id = all.front().id;
  if (all.size() == 1) return {};
  if (params_.temperature > 0) {
    draw(scratch, c);
    return {};
  }
  const float highest = detail::highest_logit(all);
  const auto is_best = [&](const detail::candidate& x) {
    return x.logit == highest;
  };
  c.token.id = std::find_if(all.begin(), all.end(), is_best)->id;
  return {};
}

TINYPHI_FUNC result<sampler::choice> sampler::take(
    std::span<const float> logits, token_id id,
    sampler_scratch& scratch) const {
  TINYPHI_CHECK_OK(check_logits(logits, length_));
  choice c;
  c.position = length_;
  c.mu = mu_;
  c.token.id = id;
  add_logprobs(logits, scratch, c);
  return c;
}

TINYPHI_FUNC void sampler::add_logprobs(std::span<const float> logits,
                                        sampler_scratch& scratch,
                                        choice& c) const {
  if (params_.n_logprobs < 0) return;
  detail::collect_candidates(logits, scratch.candidates_);
  detail::add_logprobs(scratch.candidates_,
                       static_cast<std::size_t>(params_.n_logprobs), c.token);
}

TINYPHI_FUNC void sampler::accept(const choice& c) {
  TINYPHI_ASSERT(c.position == length_ && !c.ended);
  accept(c.token.id);
  mu_ = c.mu;
}

TINYPHI_FUNC void sampler::accept(token_id id) {
  remember(id);
  ++accepted_;
}

TINYPHI_FUNC result<sampled_token> sampler::sample(
    std::span<const float> logits) {
  TINYPHI_TRY(choice c, choose(logits, own_));
  accept(c);
  return std::move(c.token);
}

TINYPHI_FUNC error sampler::nothing_left() const {
  return {error_code::invalid_argument,
          "logit_bias bans (-100) every id that the model allows for the token "
          "at position " +
              std::to_string(length_) + "; leave at least one"};
}

TINYPHI_FUNC error sampler::nothing_left(std::size_t allowed) const {
  return {
      error_code::invalid_argument,
      "of " + std::to_string(allowed) +
          " ids that the answer's format allows for the token at position " +
          std::to_string(length_) +
          " logit_bias (-100) and the model leave none; leave at least one"};
}

TINYPHI_FUNC bool sampler::has_penalties() const {
  return params_.penalty_window != 0 &&
         (params_.repetition_penalty != 1 || params_.presence_penalty != 0 ||
          params_.frequency_penalty != 0);
}

// The logits after bias, penalties and DRY; the logits themselves if none of
// them is on. What was finite stays so unless it is banned.
TINYPHI_FUNC std::span<const float> sampler::adjust(
    std::span<const float> logits, sampler_scratch& scratch,
    bool penalizes) const {
  const bool counts = penalizes && has_penalties();
  const bool dry = penalizes && params_.dry_multiplier > 0;
  if (params_.logit_bias.empty() && !counts && !dry) return logits;

  auto& adjusted = scratch.adjusted_;
  adjusted.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : params_.logit_bias) {
    float& logit = adjusted[static_cast<std::size_t>(id)];
    logit = bias > detail::banning_bias ? logit + bias : detail::minus_infinity;
  }
  if (counts) penalize_counts(scratch);
  if (dry) penalize_repeats(scratch);
  return adjusted;
}

// Repetition, presence and frequency penalties.
TINYPHI_FUNC void sampler::penalize_counts(sampler_scratch& scratch) const {
  auto& adjusted = scratch.adjusted_;
  const float repetition = params_.repetition_penalty;
  TINYPHI_ASSERT(counts_.size() <= adjusted.size());
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] == 0 || adjusted[i] == detail::minus_infinity) continue;
    const float x = adjusted[i];
    adjusted[i] = detail::finite(
        (x > 0 ? x / repetition : x * repetition) -
        (params_.presence_penalty +
         params_.frequency_penalty * static_cast<float>(counts_[i])));
  }
}

// DRY: a token that would make the end of the text repeat an earlier stretch
// of n tokens loses multiplier * base^(n - allowed_length).
TINYPHI_FUNC void sampler::penalize_repeats(sampler_scratch& scratch) const {
  // -1, all, becomes the largest number.
  const std::size_t n =
      std::min(history_.size(), static_cast<std::size_t>(params_.dry_window));
  const auto text = std::span(history_).last(n);
  const auto breaks = [&](token_id id) {
    return std::binary_search(breakers_.begin(), breakers_.end(), id);
  };
  const auto limit = static_cast<std::size_t>(
      std::find_if(text.rbegin(), text.rend(), breaks) - text.rbegin());
  const auto allowed = static_cast<std::size_t>(params_.dry_allowed_length);
  // Not a little more for each token.
  scratch.matches_.reserve(history_.capacity());
  auto& repeats = scratch.repeats_;
  repeats.reserve(history_.capacity());
  detail::backward_matches(text, scratch.matches_);
  repeats.clear();
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t length = std::min(scratch.matches_[i], limit);
    const token_id next = text[n - i];
    if (length >= allowed && !breaks(next)) repeats.emplace_back(next, length);
  }
  // Of each token, the longest repeat comes last.
  std::sort(repeats.begin(), repeats.end());
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    const auto [id, length] = repeats[i];
    if (i + 1 < repeats.size() && repeats[i + 1].first == id) continue;
    const float penalty =
        params_.dry_multiplier *
        std::pow(params_.dry_base, static_cast<float>(length - allowed));
    float& logit = scratch.adjusted_[static_cast<std::size_t>(id)];
    // A finite bound: repeating is still better than a banned token.
    if (logit > detail::minus_infinity) {
      logit = detail::finite(logit - std::min(penalty, 1e30f));
    }
  }
}

// The steps before temperature, and temperature; mirostat has its own.
TINYPHI_FUNC void sampler::keep_likely(sampler_scratch& scratch) const {
  auto& all = scratch.candidates_;
  auto& heap = scratch.ranked_;
  if (params_.mirostat == 0) {
    if (params_.top_k > 0) {
      detail::keep_top_k(all, heap, static_cast<std::size_t>(params_.top_k));
    }
    if (params_.typical_p < 1) {
      detail::keep_typical(all, heap, params_.typical_p);
    }
    if (params_.top_p < 1) detail::keep_top_p(all, heap, params_.top_p);
    if (params_.min_p > 0) detail::keep_min_p(all, params_.min_p);
  }
  const float highest = detail::highest_logit(all);
  for (detail::candidate& c : all) {
    c.logit = (c.logit - highest) / params_.temperature;
  }
  if (params_.mirostat == 0) return;
  // Basu et al., 2021, algorithm of "v2".
  const double log_sum = detail::log_sum_exp(all);
  std::erase_if(all, [&](const detail::candidate& c) {
    return c.logit < 0 && detail::surprise(c, log_sum) > mu_;
  });
}

// One of the candidates, of which there is at least one.
TINYPHI_FUNC void sampler::draw(sampler_scratch& scratch, choice& c) const {
  keep_likely(scratch);
  const auto& all = scratch.candidates_;
  double sum = 0;
  for (const auto& x : all) sum += static_cast<double>(std::exp(x.logit));
  double left = uniform() * sum;
  const detail::candidate* chosen = nullptr;
  for (const auto& x : all) {
    const auto weight = static_cast<double>(std::exp(x.logit));
    if (weight == 0) continue;
    chosen = &x;
    if ((left -= weight) < 0) break;
  }
  c.token.id = chosen->id;
  if (params_.mirostat == 0) return;
  const double observed = detail::surprise(*chosen, std::log(sum));
  c.mu -= params_.mirostat_eta *
          static_cast<float>(observed - params_.mirostat_tau);
}

// In [0, 1), the same for the same seed and count of tokens before it.
TINYPHI_FUNC double sampler::uniform() const {
  constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;
  const std::uint64_t bits = detail::mix64(
      detail::mix64(params_.seed + golden) + (accepted_ + 1) * golden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SAMPLER_IPP_
