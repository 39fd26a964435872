// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SESSION_IPP_
#define TINYPHI_GENERATE_SESSION_IPP_

#include <string>
#include <utility>

#include "tinyphi/generate/session.h"

TINYPHI_NAMESPACE_BEGIN

struct session::state {
  state(model model_to_run, std::size_t longest, int n_threads, kv_type type)
      : m(std::move(model_to_run)),
        length_limit(longest),
        threads(n_threads),
        pool(m.config(), type,
             (longest + page_tokens) * kv_bytes_per_token(m.config(), type)),
        kv(pool, m.config()) {}

  model m;
  std::size_t length_limit;
  team threads;
  forward_scratch scratch;
  kv_pool pool;
  kv_sequence kv;
};

TINYPHI_FUNC result<session> session::create(model m, std::size_t length_limit,
                                             int n_threads,
                                             kv_type cache_type) {
  const std::size_t context = m.config().max_context;
  if (length_limit == 0 || length_limit > context) {
    return error{error_code::limit,
                 "a session of " + std::to_string(length_limit) +
                     " tokens, the model's context allows 1 to " +
                     std::to_string(context)};
  }
  return session(std::make_shared<state>(std::move(m), length_limit, n_threads,
                                         cache_type));
}

TINYPHI_FUNC result<std::span<const float>> session::run(
    std::span<const token_id> tokens, const stop_condition& stop) {
  state& s = *state_;
  if (tokens.empty()) return std::span<const float>();
  if (tokens.size() > s.length_limit - s.kv.length()) {
    return error{error_code::limit, std::to_string(tokens.size()) +
                                        " tokens after " +
                                        std::to_string(s.kv.length()) +
                                        ", the session was created for " +
                                        std::to_string(s.length_limit)};
  }
  const batch_run run{.kv = &s.kv,
                      .tokens = tokens,
                      .long_factors = s.m.needs_long_factors(s.length_limit),
                      .n_rows = tokens.size()};
  TINYPHI_TRY(const forward_output out,
              s.m.forward({&run, 1}, s.threads, s.scratch, stop));
  TINYPHI_CHECK_OK(out.check(0));
  s.kv.commit(s.kv.length() + tokens.size());
  return out.logits;
}

TINYPHI_FUNC std::size_t session::length() const { return state_->kv.length(); }
TINYPHI_FUNC forward_scratch& session::scratch() { return state_->scratch; }

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SESSION_IPP_
