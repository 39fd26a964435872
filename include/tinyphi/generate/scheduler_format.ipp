// SPDX-License-Identifier: MIT
// Answers that must have a shape: what a request may ask beside it, which
// tokens come without being chosen, how it ends.
#ifndef TINYPHI_GENERATE_SCHEDULER_FORMAT_IPP_
#define TINYPHI_GENERATE_SCHEDULER_FORMAT_IPP_

#include <algorithm>
#include <string>
#include <utility>

#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Takes back what a matcher accepts in its lifetime, also if something throws.
class unaccepting {
 public:
  explicit unaccepting(matcher& m) : matcher_(m), length_(m.length()) {}
  ~unaccepting() { matcher_.rollback(matcher_.length() - length_); }
  unaccepting(const unaccepting&) = delete;
  unaccepting& operator=(const unaccepting&) = delete;

 private:
  matcher& matcher_;
  std::size_t length_;
};

}  // namespace detail

TINYPHI_FUNC result<token_trie> scheduler::vocabulary() {
  const tokenizer* t = model_.tokenizer();
  if (t == nullptr) {
    return error{error_code::unsupported,
                 model_.path().string() +
                     ": has no tokenizer; an answer's format needs one"};
  }
  const std::lock_guard lock(vocabulary_mutex_);
  if (!vocabulary_) {
    TINYPHI_TRY(vocabulary_, token_trie::create(*t));
  }
  return *vocabulary_;
}

// Behind limit_answer. What would cut the answer, or go on behind it, is
// refused.
TINYPHI_FUNC result<void> scheduler::prepare_format(
    sequence& s, const generation_params& params) const {
  if (!params.format) return {};
  const tokenizer* t = model_.tokenizer();
  if (t == nullptr ||
      &params.format->vocabulary().source().vocab() != &t->vocab()) {
    return error{error_code::invalid_argument,
                 "format was made for the vocabulary of another model; make it "
                 "with vocabulary() of this engine"};
  }
  if (!params.stop.empty() || params.ignore_stop_ids) {
    return error{
        error_code::invalid_argument,
        std::string(params.ignore_stop_ids ? "ignore_stop_ids" : "stop") +
            " and a format do not go together: the format alone says where "
            "the answer ends; leave one of them out"};
  }
  const std::size_t shortest = params.format->shortest();
  if (s.max_tokens < shortest) {
    return error{error_code::limit,
                 "the shortest answer of this format has " +
                     std::to_string(shortest) + " tokens, and only " +
                     std::to_string(s.max_tokens) +
                     " may come; raise max_tokens, or shorten the prompt where "
                     "the context is full"};
  }
  s.format.emplace(*params.format);
  s.one_by_one = params.sampling.n_logprobs >= 0;
  return {};
}

// One more token for a row: what must come, or a choice among what may.
TINYPHI_FUNC result<void> scheduler::accept_next_of_format(
    sequence& s, std::span<const float> row, sampler_scratch& scratch) {
  if (s.format->must_end()) {
    s.step.finish = finish_reason::stop;
    return {};
  }
  TINYPHI_TRY(const auto forced, next_forced(s));
  const matcher_filter filter(*s.format, model_.stop_ids(),
                              s.max_tokens - s.answer.size());
  TINYPHI_TRY(sampler::choice choice,
              forced ? s.choose->take(row, *forced, scratch)
                     : s.choose->choose(row, scratch, &filter));
  if (choice.ended) {
    s.step.finish = finish_reason::stop;
    return {};
  }
  s.choose->accept(choice);
  ++s.step.n_tokens;
  return accept_row(s, std::move(choice.token));
}

// The token that must come next, if there is one and it leaves enough of
// max_tokens for the rest. It is one of a run that was asked for where the run
// began, so that how many rows a step has changes nothing.
TINYPHI_FUNC result<std::optional<token_id>> scheduler::next_forced(
    sequence& s) const {
  const std::size_t left = s.max_tokens - s.answer.size();
  if (s.n_forced_taken == s.forced.size()) {
    s.forced = s.format->forced(std::min(left, max_forced));
    s.n_forced_taken = 0;
  }
  if (s.forced.empty()) return std::optional<token_id>{};
  const token_id id = s.forced[s.n_forced_taken];
  TINYPHI_TRY(bool may_come, s.format->allows(id, left));
  may_come = may_come && !is_stop_id(id);
  if (may_come) {
    ++s.n_forced_taken;
    return std::optional<token_id>(id);
  }
  s.forced.clear();
  s.n_forced_taken = 0;
  return std::optional<token_id>{};
}

// What must come behind the last token joins the text, and the next step
// computes it together. Where log-probabilities are asked for, each token waits
// for its row instead.
TINYPHI_FUNC result<void> scheduler::append_forced(sequence& s) {
  if (s.one_by_one) return {};
  for (std::size_t i = 0; i < max_forced && !s.step.finish; ++i) {
    TINYPHI_TRY(const auto id, next_forced(s));
    if (!id) return {};
    s.choose->accept(*id);
    ++s.step.n_forced;
    sampled_token token;
    token.id = *id;
    TINYPHI_CHECK_OK(accept_row(s, std::move(token)));
    if (s.n_forced_taken == s.forced.size()) return {};
  }
  return {};
}

// Of the tokens that were guessed, those that may come.
TINYPHI_FUNC void scheduler::keep_allowed_drafts(sequence& s) const {
  std::size_t n = 0, left = s.max_tokens - s.answer.size();
  const detail::unaccepting restored(*s.format);
  while (n < s.proposal.size()) {
    const token_id id = s.proposal[n];
    if (is_stop_id(id)) break;
    const auto may_come = s.format->allows(id, left);
    if (!may_come || !*may_come || !s.format->accept(id)) break;
    ++n;
    --left;
  }
  s.proposal.resize(n);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_FORMAT_IPP_
