// SPDX-License-Identifier: MIT
// The steps from a row of logits to the candidates that are drawn from. Behind
// sampler.ipp.
#ifndef TINYPHI_GENERATE_SAMPLING_STEPS_IPP_
#define TINYPHI_GENERATE_SAMPLING_STEPS_IPP_

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

inline bool operator<(const ranked_candidate& a, const ranked_candidate& b) {
  return a.key != b.key ? a.key < b.key : a.c.id > b.c.id;
}

// Keeps the candidates of highest key, ties by lower id, up to and with the
// first for which enough() holds; they stay in their order. A heap, because few
// of many are kept as a rule; its content does not matter.
template <class Key, class Enough>
void keep_best(std::vector<candidate>& all, std::vector<ranked_candidate>& heap,
               Key key, Enough enough) {
  if (all.size() < 2) return;
  heap.clear();
  for (const candidate& c : all) heap.push_back({key(c), c});
  std::make_heap(heap.begin(), heap.end());
  ranked_candidate last = heap.front();
  while (!enough(last.c)) {
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    if (heap.empty()) return;
    last = heap.front();
  }
  std::erase_if(all, [&](const candidate& c) {
    return ranked_candidate{key(c), c} < last;
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

// In bits, as mirostat counts.
inline double surprise(const candidate& c, double log_sum) {
  return -log_probability(c, log_sum) / std::log(2.0);
}

inline void keep_top_k(std::vector<candidate>& all,
                       std::vector<ranked_candidate>& heap, std::size_t k) {
  if (k >= all.size()) return;
  std::size_t kept = 0;
  keep_best(
      all, heap, [](const candidate& c) { return c.logit; },
      [&](const candidate&) { return ++kept == k; });
}

inline void keep_top_p(std::vector<candidate>& all,
                       std::vector<ranked_candidate>& heap, double p) {
  const double log_sum = log_sum_exp(all);
  double covered = 0;
  keep_best(
      all, heap, [](const candidate& c) { return c.logit; },
      [&](const candidate& c) {
        return (covered += std::exp(log_probability(c, log_sum))) >= p;
      });
}

// Meister et al., "Locally typical sampling", 2022: the tokens whose surprise
// is nearest to the entropy, until they cover p.
inline void keep_typical(std::vector<candidate>& all,
                         std::vector<ranked_candidate>& heap, double p) {
  const double log_sum = log_sum_exp(all);
  double entropy = 0;
  for (const candidate& c : all) {
    const double log_p = log_probability(c, log_sum);
    const double probability = std::exp(log_p);
    if (probability > 0) entropy -= probability * log_p;
  }
  double covered = 0;
  keep_best(
      all, heap,
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

// Lengths of the longest common prefixes of a text, read from its end, with
// each of its suffixes (Z-algorithm); the first is 0.
inline void backward_matches(std::span<const token_id> text,
                             std::vector<std::size_t>& z) {
  const std::size_t n = text.size();
  const auto at = [&](std::size_t i) { return text[n - 1 - i]; };
  z.assign(n, 0);
  std::size_t left = 0, right = 0;
  for (std::size_t i = 1; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && at(z[i]) == at(i + z[i])) ++z[i];
    if (i + z[i] > right) left = i, right = i + z[i];
  }
}

// NaN and +inf, which no row of logits may hold.
inline bool is_no_logit(float x) {
  return !(x <= std::numeric_limits<float>::max());
}

inline float finite(float x) {
  constexpr float most = std::numeric_limits<float>::max();
  return std::clamp(x, -most, most);
}

struct best_logit {
  std::size_t id = 0;
  float logit = minus_infinity;
  bool valid = true;  // the row holds only what it may
};

// In lanes, which compilers turn into SIMD: a greedy choice among 32064 takes
// 17 us, one by one 31 us (Xeon, SSE2).
inline best_logit find_best(std::span<const float> logits) {
  constexpr std::size_t n_lanes = 16;
  float highest[n_lanes];
  std::uint32_t wrong[n_lanes] = {};
  std::fill_n(highest, n_lanes, minus_infinity);
  const auto look = [&](std::size_t lane, float x) {
    highest[lane] = x > highest[lane] ? x : highest[lane];
    wrong[lane] |= is_no_logit(x) ? 1u : 0u;
  };
  const std::size_t whole = logits.size() - logits.size() % n_lanes;
  for (std::size_t i = 0; i < whole; i += n_lanes) {
    for (std::size_t lane = 0; lane < n_lanes; ++lane) {
      look(lane, logits[i + lane]);
    }
  }
  for (std::size_t i = whole; i < logits.size(); ++i)
    look(i - whole, logits[i]);
  const float best = *std::max_element(highest, highest + n_lanes);
  const bool valid = std::find(wrong, wrong + n_lanes, 1u) == wrong + n_lanes &&
                     best > minus_infinity;
  const auto at = std::find(logits.begin(), logits.end(), best);
  return {static_cast<std::size_t>(at - logits.begin()), best, valid};
}

inline void collect_candidates(std::span<const float> logits,
                               std::vector<candidate>& out) {
  out.clear();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > minus_infinity) {
      out.push_back({static_cast<token_id>(i), logits[i]});
    }
  }
}

// Those of a set, which may be of fewer or more ids than the row.
inline void collect_candidates(std::span<const float> logits,
                               const token_set& set,
                               std::vector<candidate>& out) {
  out.clear();
  set.for_each([&](token_id id) {
    const auto i = static_cast<std::size_t>(id);
    if (i < logits.size() && logits[i] > minus_infinity) {
      out.push_back({id, logits[i]});
    }
  });
}

// Fills in the log-probability of `chosen` and the n best, given all candidates
// in order of id.
inline void add_logprobs(std::vector<candidate>& all, std::size_t n,
                         sampled_token& chosen) {
  const double log_sum = log_sum_exp(all);
  const auto log_p = [&](const candidate& c) {
    return static_cast<float>(log_probability(c, log_sum));
  };
  const auto found = std::lower_bound(
      all.begin(), all.end(), chosen.id,
      [](const candidate& c, token_id id) { return c.id < id; });
  chosen.logprob = log_p(*found);
  n = std::min(n, all.size());
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(n);
  std::partial_sort(
      all.begin(), end, all.end(), [](const candidate& a, const candidate& b) {
        return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
      });
  chosen.top.reserve(n);
  for (auto c = all.begin(); c != end; ++c) {
    chosen.top.push_back({c->id, log_p(*c)});
  }
}

template <class T>
std::size_t bytes_of(const std::vector<T>& v) {
  return v.capacity() * sizeof(T);
}

}  // namespace detail

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SAMPLING_STEPS_IPP_
