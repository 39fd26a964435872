// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SAMPLER_IPP_
#define TINYPHI_GENERATE_SAMPLER_IPP_

#include <algorithm>
#include <cmath>
#include <limits>

#include "tinyphi/generate/sampler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline constexpr float minus_infinity = -std::numeric_limits<float>::infinity();
inline constexpr float banning_bias = -100.0f;

// SplitMix64's output function (Steele, Lea, Flood, 2014).
inline std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// Keeps the candidates of highest key, ties by lower id, up to and with the
// first for which enough() holds; they stay in their order. A heap, because few
// of many are kept as a rule.
template <class Key, class Enough>
void keep_best(std::vector<candidate>& all, Key key, Enough enough) {
  struct entry {
    float key;
    candidate c;
    bool operator<(const entry& o) const {
      return key != o.key ? key < o.key : c.id > o.c.id;
    }
  };
  if (all.size() < 2) return;
  std::vector<entry> heap;
  heap.reserve(all.size());
  for (const candidate& c : all) heap.push_back({key(c), c});
  std::make_heap(heap.begin(), heap.end());
  entry last = heap.front();
  while (!enough(last.c)) {
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    if (heap.empty()) return;
    last = heap.front();
  }
  std::erase_if(all, [&](const candidate& c) {
    return entry{key(c), c} < last;
  });
}

inline float highest_logit(const std::vector<candidate>& all) {
  float highest = minus_infinity;
  for (const candidate& c : all) highest = std::max(highest, c.logit);
  return highest;
}

// ln of the sum of exp(logit). A finite maximum must exist.
inline double log_sum_exp(const std::vector<candidate>& all) {
  const float highest = highest_logit(all);
  double sum = 0;
  for (const candidate& c : all) {
    sum += static_cast<double>(std::exp(c.logit - highest));
  }
  return static_cast<double>(highest) + std::log(sum);
}

inline double log_probability(const candidate& c, double log_sum) {
  return static_cast<double>(c.logit) - log_sum;
}

inline void keep_top_k(std::vector<candidate>& all, std::size_t k) {
  if (k >= all.size()) return;
  std::size_t kept = 0;
  keep_best(
      all, [](const candidate& c) { return c.logit; },
      [&](const candidate&) { return ++kept == k; });
}

inline void keep_top_p(std::vector<candidate>& all, double p) {
  const double log_sum = log_sum_exp(all);
  double covered = 0;
  keep_best(
      all, [](const candidate& c) { return c.logit; },
      [&](const candidate& c) {
        return (covered += std::exp(log_probability(c, log_sum))) >= p;
      });
}

// Meister et al., "Locally typical sampling", 2022: the tokens whose surprise
// is nearest to the entropy, until they cover p.
inline void keep_typical(std::vector<candidate>& all, double p) {
  const double log_sum = log_sum_exp(all);
  double entropy = 0;
  for (const candidate& c : all) {
    const double log_p = log_probability(c, log_sum);
    const double probability = std::exp(log_p);
    if (probability > 0) entropy -= probability * log_p;
  }
  double covered = 0;
  keep_best(
      all,
      [&](const candidate& c) {
        return static_cast<float>(
            -std::abs(log_probability(c, log_sum) + entropy));
      },
      [&](const candidate& c) {
        return (covered += std::exp(log_probability(c, log_sum))) >= p;
      });
}

// Keeps what is at least min_p times as likely as the likeliest.
inline void keep_min_p(std::vector<candidate>& all, float min_p) {
  const float least = highest_logit(all) + std::log(min_p);
  std::erase_if(all, [&](const candidate& c) { return c.logit < least; });
}

// Lengths of the longest common prefixes of `text` with each of its suffixes
// (Z-algorithm); the first is 0.
inline std::vector<std::size_t> prefix_matches(std::span<const token_id> text) {
  std::vector<std::size_t> z(text.size(), 0);
  std::size_t left = 0, right = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < text.size() && text[z[i]] == text[i + z[i]]) ++z[i];
    if (i + z[i] > right) left = i, right = i + z[i];
  }
  return z;
}

inline token_id best_token(std::span<const float> logits) {
  std::size_t best = 0;
  float highest = minus_infinity;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > highest) highest = logits[i], best = i;
  }
  return static_cast<token_id>(best);
}

// The tokens that may be chosen: no NaN, no -inf; +inf becomes finite.
inline void collect_candidates(std::span<const float> logits,
                               std::vector<candidate>& out) {
  out.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > minus_infinity)) continue;
    out.push_back({static_cast<token_id>(i),
                   std::min(logits[i], std::numeric_limits<float>::max())});
  }
}

// Fills in the log-probability of `chosen` and the n best, given all candidates
// in order of id.
inline void add_logprobs(std::vector<candidate>& all, std::size_t n,
                         sampled_token& chosen) {
  chosen.logprob = minus_infinity;
  if (all.empty()) return;
  const double log_sum = log_sum_exp(all);
  const auto log_p = [&](const candidate& c) {
    return static_cast<float>(log_probability(c, log_sum));
  };
  const auto found = std::lower_bound(
      all.begin(), all.end(), chosen.id,
      [](const candidate& c, token_id id) { return c.id < id; });
  if (found != all.end() && found->id == chosen.id) {
    chosen.logprob = log_p(*found);
  }
  const auto end =
      all.begin() + static_cast<std::ptrdiff_t>(std::min(n, all.size()));
  std::partial_sort(
      all.begin(), end, all.end(), [](const candidate& a, const candidate& b) {
        return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
      });
  for (auto c = all.begin(); c != end; ++c) {
    chosen.top.push_back({c->id, log_p(*c)});
  }
}

}  // namespace detail

TINYPHI_FUNC sampler::sampler(sampling_params p,
                              std::vector<token_id> dry_breaker_ids)
    : params_(std::move(p)),
      breakers_(std::move(dry_breaker_ids)),
      mu_(2 * params_.mirostat_tau) {
  std::sort(breakers_.begin(), breakers_.end());
}

TINYPHI_FUNC void sampler::observe(std::span<const token_id> prompt) {
  for (const token_id id : prompt) remember(id);
}

TINYPHI_FUNC void sampler::remember(token_id id) {
  history_.push_back(id);
  ++counts_[id];
  if (params_.penalty_window < 0) return;
  const auto window = static_cast<std::size_t>(params_.penalty_window);
  if (history_.size() <= window) return;
  const auto left = counts_.find(history_[history_.size() - 1 - window]);
  if (--left->second == 0) counts_.erase(left);
}

TINYPHI_FUNC sampled_token sampler::sample(std::span<const float> logits) {
  TINYPHI_ASSERT(!logits.empty());
  sampled_token chosen;
  const std::span<const float> adjusted = adjust(logits);
  if (params_.temperature > 0) {
    detail::collect_candidates(adjusted, candidates_);
    chosen.id = candidates_.empty() ? 0 : draw();
  } else {
    chosen.id = detail::best_token(adjusted);
  }
  remember(chosen.id);
  if (params_.n_logprobs >= 0) {
    detail::collect_candidates(logits, candidates_);
    detail::add_logprobs(candidates_,
                         static_cast<std::size_t>(params_.n_logprobs), chosen);
  }
  return chosen;
}

// The logits after bias, penalties and DRY; the logits themselves if none of
// them is on.
TINYPHI_FUNC std::span<const float> sampler::adjust(
    std::span<const float> logits) {
  const float repetition = params_.repetition_penalty;
  const bool penalties = repetition != 1 || params_.presence_penalty != 0 ||
                         params_.frequency_penalty != 0;
  const bool dry = params_.dry_multiplier > 0;
  if (params_.logit_bias.empty() && !penalties && !dry) return logits;

  adjusted_.assign(logits.begin(), logits.end());
  const auto at = [&](token_id id) -> float& {
    return adjusted_[static_cast<std::size_t>(id)];
  };
  for (const auto& [id, bias] : params_.logit_bias) {
    at(id) =
        bias > detail::banning_bias ? at(id) + bias : detail::minus_infinity;
  }
  if (penalties) {
    for (const auto& [id, count] : counts_) {
      float& logit = at(id);
      logit = logit > 0 ? logit / repetition : logit * repetition;
      logit -= params_.presence_penalty +
               params_.frequency_penalty * static_cast<float>(count);
    }
  }
  if (dry) penalize_repeats();
  return adjusted_;
}

// DRY: a token that would make the end of the text repeat an earlier stretch
// of n tokens loses multiplier * base^(n - allowed_length).
TINYPHI_FUNC void sampler::penalize_repeats() {
  std::size_t n = history_.size();
  if (params_.dry_window >= 0) {
    n = std::min(n, static_cast<std::size_t>(params_.dry_window));
  }
  const std::vector<token_id> backwards(
      history_.rbegin(), history_.rbegin() + static_cast<std::ptrdiff_t>(n));
  const auto breaks = [&](token_id id) {
    return std::binary_search(breakers_.begin(), breakers_.end(), id);
  };
  const auto limit = static_cast<std::size_t>(
      std::find_if(backwards.begin(), backwards.end(), breaks) -
      backwards.begin());
  const auto allowed = static_cast<std::size_t>(params_.dry_allowed_length);
  const std::vector<std::size_t> matches = detail::prefix_matches(backwards);
  std::unordered_map<token_id, std::size_t> longest;
  for (std::size_t i = 1; i < n; ++i) {
    const std::size_t length = std::min(matches[i], limit);
    const token_id next = backwards[i - 1];
    if (length < allowed || breaks(next)) continue;
    std::size_t& so_far = longest[next];
    so_far = std::max(so_far, length);
  }
  for (const auto& [id, length] : longest) {
    const float penalty =
        params_.dry_multiplier *
        std::pow(params_.dry_base, static_cast<float>(length - allowed));
    // A finite bound: repeating is still better than a banned token.
    adjusted_[static_cast<std::size_t>(id)] -= std::min(penalty, 1e30f);
  }
}

// One of the candidates, of which there is at least one.
TINYPHI_FUNC token_id sampler::draw() {
  auto& all = candidates_;
  const float temperature = params_.temperature;
  const auto surprise = [](const detail::candidate& c, double log_sum) {
    return -detail::log_probability(c, log_sum) / std::log(2.0);
  };
  if (params_.mirostat == 2) {  // Basu et al., 2021, algorithm of "v2"
    const float highest = detail::highest_logit(all);
    for (detail::candidate& c : all)
      c.logit = (c.logit - highest) / temperature;
    const double log_sum = detail::log_sum_exp(all);
    std::erase_if(all, [&](const detail::candidate& c) {
      return c.logit < 0 && surprise(c, log_sum) > mu_;
    });
  } else {
    if (params_.top_k > 0) {
      detail::keep_top_k(all, static_cast<std::size_t>(params_.top_k));
    }
    if (params_.typical_p < 1) detail::keep_typical(all, params_.typical_p);
    if (params_.top_p < 1) detail::keep_top_p(all, params_.top_p);
    if (params_.min_p > 0) detail::keep_min_p(all, params_.min_p);
    const float highest = detail::highest_logit(all);
    for (detail::candidate& c : all)
      c.logit = (c.logit - highest) / temperature;
  }

  double sum = 0;
  for (const detail::candidate& c : all)
    sum += static_cast<double>(std::exp(c.logit));
  double left = next_uniform() * sum;
  const detail::candidate* chosen = nullptr;
  for (const detail::candidate& c : all) {
    const auto weight = static_cast<double>(std::exp(c.logit));
    if (weight == 0) continue;
    chosen = &c;
    if ((left -= weight) < 0) break;
  }
  if (params_.mirostat == 2) {
    const double observed = surprise(*chosen, std::log(sum));
    mu_ -= params_.mirostat_eta *
           static_cast<float>(observed - params_.mirostat_tau);
  }
  return chosen->id;
}

// In [0, 1), the same for the same seed and count of numbers before it.
TINYPHI_FUNC double sampler::next_uniform() {
  constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;
  const std::uint64_t bits =
      detail::mix64(detail::mix64(params_.seed + golden) + ++counter_ * golden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SAMPLER_IPP_
