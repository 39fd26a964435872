// SPDX-License-Identifier: MIT
// How the next token is chosen, and what values are allowed.
#ifndef TINYPHI_GENERATE_SAMPLING_PARAMS_H_
#define TINYPHI_GENERATE_SAMPLING_PARAMS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/text/vocabulary.h"

TINYPHI_NAMESPACE_BEGIN

// Steps in this order: logit bias, repetition, presence and frequency
// penalties, DRY; with temperature 0 the best token is then taken; otherwise
// either mirostat, on the distribution at that temperature, or top-k, typical,
// top-p, min-p, and temperature last (llama.cpp's order). Each is off at its
// default. Allowed ranges stand beside each.
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
  std::int32_t dry_window = -1;         // [-1, 2^31); last tokens; -1: all
  // A token whose text holds one of these ends a DRY match; none is empty.
  std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
  std::int32_t mirostat = 0;  // 0 or 2
  float mirostat_tau = 5.0f;  // (0, 100], bits
  float mirostat_eta = 0.1f;  // (0, 1]
  // [-100, 100] each, added to the logit; -100 bans the token.
  std::vector<std::pair<token_id, float>> logit_bias = {};
  std::uint64_t seed = 0;
  std::int32_t n_logprobs = -1;  // [-1, 20]; -1: none, 0: the chosen one
};

// invalid_argument that names the field, its value and what is allowed.
[[nodiscard]] result<void> check_sampling(const sampling_params& p,
                                          std::size_t vocab_size);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/sampling_params.ipp"
#endif

#endif  // TINYPHI_GENERATE_SAMPLING_PARAMS_H_
