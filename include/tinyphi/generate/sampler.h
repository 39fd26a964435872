// SPDX-License-Identifier: MIT
// Logits to a token: seeded, reproducible, the same for any batch or thread.
#ifndef TINYPHI_GENERATE_SAMPLER_H_
#define TINYPHI_GENERATE_SAMPLER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/constrain/token_set.h"
#include "tinyphi/generate/choice_filter.h"
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

// A row of logits holds finite numbers and, for tokens that may not come, -inf;
// at least one is finite. Otherwise bad_data, which names the position in the
// text that the row is for, and the first id at fault.
[[nodiscard]] result<void> check_logits(std::span<const float> logits,
                                        std::size_t position);

// ln of the probability that a row, for which check_logits holds, gives to
// `id`; -inf for a token that may not come.
[[nodiscard]] float log_probability(std::span<const float> logits, token_id id);

namespace detail {
struct candidate {
  token_id id;
  float logit;
};
struct ranked_candidate {
  float key;
  candidate c;
};
}  // namespace detail

// What choosing needs room for, between calls nothing of worth: one for each
// thread that chooses at a time serves any number of sequences.
class sampler_scratch {
 public:
  // With room for rows of vocab_size, and for DRY over max_length tokens;
  // choosing grows what is too small.
  explicit sampler_scratch(std::size_t vocab_size = 0,
                           std::size_t max_length = 0);
  // What it holds of memory.
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend class sampler;
  std::vector<float> adjusted_;
  std::vector<detail::candidate> candidates_;  // in order of id
  std::vector<detail::ranked_candidate> ranked_;
  std::vector<std::size_t> matches_;
  std::vector<std::pair<token_id, std::size_t>> repeats_;
  token_set allowed_;
};

// The state of one sequence: random stream, history, mirostat's mu. choose
// computes and accept commits, so a choice may be dropped as if it had never
// been made. Token i of the answer has random number i, whether it needs one or
// not, so that tokens that were not up to choice change no others. Members that
// are const may be called from many threads at once, and samplers share
// nothing.
class sampler {
 public:
  // The next token, and what changes when it is accepted.
  struct choice {
    sampled_token token;
    std::size_t position = 0;  // tokens before it
    float mu = 0;              // mirostat's from then on
    bool ended = false;        // no token: all that may come is the end
  };

  // p has passed check_sampling. dry_breaker_ids: tokens that end a DRY match.
  // Given the vocabulary's size and the longest that prompt and answer get
  // together, observe and accept allocate nothing.
  sampler(sampling_params p, std::vector<token_id> dry_breaker_ids,
          std::size_t vocab_size = 0, std::size_t max_length = 0);

  // Tokens in front of the answer count for penalties and DRY, and have no
  // random number. They lie in the vocabulary.
  void observe(std::span<const token_id> tokens);
  // The next token, a function of what was observed and accepted so far and of
  // `logits`, one row. Ties go to the lower id. Errors as check_logits, and
  // invalid_argument if logit_bias bans all that the row allows. Allocates for
  // sampled_token::top alone, once `scratch` has the size.
  // With a filter only what it lets through is a candidate, in front of all
  // steps that drop some; its errors come back, and where nothing is left and
  // the answer may end, it has `ended`.
  [[nodiscard]] result<choice> choose(
      std::span<const float> logits, sampler_scratch& scratch,
      const choice_filter* filter = nullptr) const;
  // The choice of a token that must come, with its log-probability.
  [[nodiscard]] result<choice> take(std::span<const float> logits, token_id id,
                                    sampler_scratch& scratch) const;
  // Commits what choose returned since the last change: the token joins those
  // observed, one random number is used up, mu moves.
  void accept(const choice& c);
  // The same of a token that must come.
  void accept(token_id id);
  // choose and accept in one, with a scratch of its own.
  [[nodiscard]] result<sampled_token> sample(std::span<const float> logits);

  // Tokens observed and accepted so far.
  [[nodiscard]] std::size_t length() const { return length_; }
  // What it holds of memory.
  [[nodiscard]] std::size_t bytes() const;

 private:
  void remember(token_id id);
  [[nodiscard]] bool has_penalties() const;
  [[nodiscard]] std::span<const float> adjust(std::span<const float> logits,
                                              sampler_scratch& scratch,
                                              bool penalizes) const;
  void penalize_counts(sampler_scratch& scratch) const;
  void penalize_repeats(sampler_scratch& scratch) const;
  void keep_likely(sampler_scratch& scratch) const;
  void draw(sampler_scratch& scratch, choice& c) const;
  [[nodiscard]] double uniform() const;
  void add_logprobs(std::span<const float> logits, sampler_scratch& scratch,
                    choice& c) const;
  [[nodiscard]] result<void> choose_allowed(std::span<const float> adjusted,
                                            token_id best,
                                            sampler_scratch& scratch,
                                            const choice_filter& filter,
                                            choice& c) const;
  [[nodiscard]] error nothing_left() const;
  [[nodiscard]] error nothing_left(std::size_t allowed) const;

  sampling_params params_;
  std::vector<token_id> breakers_;    // sorted
  std::size_t kept_ = 0;              // of the last tokens, for windows
  std::vector<token_id> history_;     // the last ones, kept_ at least
  std::vector<std::int32_t> counts_;  // by id, in the penalty window
  std::size_t length_ = 0;
  std::uint64_t accepted_ = 0;  // (seed, tokens accepted before) -> number
  float mu_ = 0;
  sampler_scratch own_;  // sample's
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/sampler.ipp"
#endif

#endif  // TINYPHI_GENERATE_SAMPLER_H_
