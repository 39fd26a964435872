// SPDX-License-Identifier: MIT
// Logits to a token: seeded, reproducible, the same for any batch or thread.
#ifndef TINYPHI_GENERATE_SAMPLER_H_
#define TINYPHI_GENERATE_SAMPLER_H_

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Steps in this order: logit bias, penalties, DRY, then either mirostat or
// top-k, typical, top-p, min-p; temperature last (llama.cpp's order). Each is
// off at its default. Allowed ranges stand beside each; check_sampling names
// the value, the field and the range when one is broken.
struct sampling_params {
  float temperature = 0.0f;          // [0, 100]; 0: greedy
  std::int32_t top_k = 0;            // [0, 2^31); 0: all; clamped to vocabulary
  float top_p = 1.0f;                // (0, 1]
  float min_p = 0.0f;                // [0, 1)
  float typical_p = 1.0f;            // (0, 1]
  float repetition_penalty = 1.0f;   // (0, 10]
  float presence_penalty = 0.0f;     // [-2, 2]
  float frequency_penalty = 0.0f;    // [-2, 2]
  std::int32_t penalty_window = 64;  // [-1, 2^31); last tokens; -1: all
  float dry_multiplier = 0.0f;       // [0, 100]; 0: off
  float dry_base = 1.75f;            // [1, 10]
  std::int32_t dry_allowed_length = 2;  // [0, 2^16]
  std::int32_t dry_window = -1;         // [-1, 2^31)
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
  std::int32_t mirostat = 0;                           // 0 or 2
  float mirostat_tau = 5.0f;                           // (0, 100]
  float mirostat_eta = 0.1f;                           // (0, 1]
  std::vector<std::pair<token_id, float>> logit_bias;  // bias [-100, 100],
                                                       // -100 and below bans
  std::uint64_t seed = 0;
  std::int32_t n_logprobs = -1;  // [-1, 20]; -1: none, 0: the chosen one
};

[[nodiscard]] result<void> check_sampling(const sampling_params& p,
                                          std::size_t vocab_size);

struct token_logprob {
  token_id id = 0;
  float logprob = 0;
};

struct sampled_token {
  token_id id = 0;
  // With n_logprobs >= 0: the chosen token's log-probability under the model's
  // own distribution (before any sampling step), and the n best.
  float logprob = 0;
  std::vector<token_logprob> top;
};

// The state of one sequence: random stream, history, mirostat's mu.
class sampler {
 public:
  // p has passed check_sampling. dry_breaker_ids: tokens that end a DRY match.
  sampler(sampling_params p, std::vector<token_id> dry_breaker_ids);

  // Prompt tokens count for penalties and DRY.
  void observe(std::span<const token_id> prompt);
  // Picks the next token and remembers it. Ties go to the lower id; logits of
  // -inf (and NaN) are never chosen unless nothing else is left. `banned`
  // tokens (for example all stop ids before a minimum length) are excluded.
  [[nodiscard]] sampled_token sample(std::span<const float> logits,
                                     std::span<const token_id> banned = {});

 private:
  sampling_params params_;
  std::vector<token_id> breakers_;
  std::vector<token_id> history_;
  std::uint64_t counter_ =
      0;  // random numbers drawn: (seed, counter) -> number
  float mu_ = 0;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/sampler.ipp"
#endif

#endif  // TINYPHI_GENERATE_SAMPLER_H_
