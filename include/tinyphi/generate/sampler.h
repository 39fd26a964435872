// SPDX-License-Identifier: MIT
// Logits to a token: seeded, reproducible, the same for any batch or thread.
#ifndef TINYPHI_GENERATE_SAMPLER_H_
#define TINYPHI_GENERATE_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "tinyphi/generate/sampling_params.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

struct token_logprob {
  token_id id = 0;
  float logprob = 0;
};

struct sampled_token {
  token_id id = 0;
  // With n_logprobs >= 0: the chosen token's log-probability under the model's
  // own distribution (before any sampling step), and the n best, best first.
  float logprob = 0;
  std::vector<token_logprob> top;
};

namespace detail {
struct candidate {
  token_id id;
  float logit;
};
}  // namespace detail

// The state of one sequence: random stream, history, mirostat's mu.
class sampler {
 public:
  // p has passed check_sampling. dry_breaker_ids: tokens that end a DRY match.
  sampler(sampling_params p, std::vector<token_id> dry_breaker_ids);

  // Prompt tokens count for penalties and DRY. They lie in the vocabulary.
  void observe(std::span<const token_id> prompt);
  // Picks the next token and remembers it. Ties go to the lower id; logits of
  // -inf and NaN are never chosen unless nothing else is left.
  [[nodiscard]] sampled_token sample(std::span<const float> logits);

 private:
  void remember(token_id id);
  [[nodiscard]] std::span<const float> adjust(std::span<const float> logits);
  void penalize_repeats();
  [[nodiscard]] token_id draw();
  [[nodiscard]] double next_uniform();

  sampling_params params_;
  std::vector<token_id> breakers_;  // sorted
  std::vector<token_id> history_;
  std::unordered_map<token_id, std::int32_t> counts_;  // in the penalty window
  std::uint64_t counter_ = 0;  // numbers drawn: (seed, counter) -> number
  float mu_ = 0;

  std::vector<float> adjusted_;
  std::vector<detail::candidate> candidates_;  // in order of id
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/sampler.ipp"
#endif

#endif  // TINYPHI_GENERATE_SAMPLER_H_
