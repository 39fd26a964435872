// SPDX-License-Identifier: MIT
// One request on its way through the scheduler: what was asked, where it
// stands, what it has come to.
#ifndef TINYPHI_GENERATE_SEQUENCE_H_
#define TINYPHI_GENERATE_SEQUENCE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/constrain/constraint.h"
#include "tinyphi/generate/draft_policy.h"
#include "tinyphi/generate/draft_source.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/generate/swap_file.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model.h"
#include "tinyphi/text/stream_text.h"

TINYPHI_NAMESPACE_BEGIN

// What a request is for.
enum class request_kind : std::uint8_t {
  answer,  // tokens that follow a prompt
  score,   // the log-probabilities of given tokens behind a prompt
  embed    // the mean of a text's hidden states
};

// How a request ended.
struct outcome {
  finish_reason finish = finish_reason::none;
  std::optional<tinyphi::error> error;
  tinyphi::usage usage;
  std::vector<sampled_token> tokens;
  std::vector<float> logprobs;  // score: of each scored token
  std::vector<double> sums;     // embed: [hidden], of all tokens
  // Of a request that was refused because too many wait: when it is worth
  // another try.
  double retry_after_seconds = 0;
};

// Incoming, waiting, running (and waiting again, if it gives way), done.
struct sequence {
  // ---- Set when it is submitted.
  request_kind kind = request_kind::answer;
  stop_condition stop;
  bool ignore_stop_ids = false;
  priority_class priority = priority_class::normal;
  std::uint64_t tenant = 0;
  domain_id domain = 0;
  bool pin_prompt = false;
  std::uint64_t order = 0;  // of submission
  std::size_t prompt_tokens = 0;
  std::size_t max_tokens = 0;   // what context and request allow
  std::size_t worst_pages = 0;  // of the cache, at the end
  steady_time submitted;
  std::optional<steady_time> queue_deadline;
  std::function<void()> on_progress;
  // Of several requests with one prompt: the one that reads it, from whose
  // cache this one goes on behind `n_shared` tokens.
  std::shared_ptr<sequence> leader;
  std::size_t n_shared = 0;

  // ---- The driver's own. What is in `tokens` but not yet in the cache is to
  // be computed: a prompt, all of a text that changes its rotary factors or
  // gave way, or the one token chosen last.
  memory_lease memory;           // of all that grows with it
  std::vector<token_id> tokens;  // prompt and answer
  bool long_factors = false;
  std::optional<kv_sequence> kv;  // while it runs
  // The pages that were put aside when it gave way: a slot for each that the
  // window reaches, of so many positions.
  std::vector<std::optional<swap_file::slot>> swapped;
  std::size_t swapped_length = 0;
  std::size_t pages_offered = 0;  // full ones that the prefix cache has seen
  std::size_t cached_tokens = 0;
  std::optional<sampler> choose;
  std::optional<stream_text> text;  // none without a tokenizer
  std::optional<matcher> format;    // none: any answer will do
  // A run of tokens that must come, and how many of it have. They are computed
  // together, or one by one where each is to have its log-probability.
  std::vector<token_id> forced;
  std::size_t n_forced_taken = 0;
  bool one_by_one = false;
  std::vector<sampled_token> answer;
  std::optional<steady_time> admitted, first_token;
  std::uint64_t ran = 0;  // the step that it was last in

  std::optional<draft_source> source;  // none: no drafts
  draft_policy policy;
  std::size_t match_length = 0;    // of the draft under way, or of none
  std::size_t n_drafts = 0;        // of `proposal`, in this step
  std::vector<token_id> run_ids;   // the last token and its draft
  std::vector<token_id> proposal;  // scratch of the source
  std::size_t drafts = 0, drafted = 0, accepted = 0;

  std::vector<token_id> targets;  // score: what follows the prompt
  std::vector<float> logprobs;
  std::vector<double> sums;

  // ---- What its last row or rows came to, before it is committed.
  struct accepted_rows {
    std::size_t n_tokens = 0;  // chosen, of which all but the last were drafted
    std::size_t n_forced = 0;  // behind these, without a row of their own
    text_piece piece;
    std::optional<finish_reason> finish;
    std::optional<tinyphi::error> error;
    // Keeps the memory of the piece.
    void clear() {
      n_tokens = n_forced = 0;
      piece.text.clear();
      piece.tokens.clear();
      finish.reset();
      error.reset();
    }
  } step;
  text_piece held;  // tokens whose text has not come yet

  // ---- Under the scheduler's mutex; `result` is final once `done` is set.
  text_piece ready;                // that nobody has taken
  std::atomic<bool> full = false;  // nobody takes it: rests until somebody does
  std::atomic<bool> done = false;
  outcome result;

  // ---- Written by the driver, read by anybody: prompt_progress. Behind
  // has_begun `admitted` may be read, too.
  std::atomic<bool> has_begun = false;
  std::atomic<std::size_t> n_found = 0, n_read = 0;

  // How many tokens are to be computed.
  [[nodiscard]] std::size_t left() const {
    return tokens.size() - (kv ? kv->length() : 0);
  }
  // What may be seen now: nothing until it is done.
  [[nodiscard]] const outcome& seen() const { return done ? result : running; }
  const outcome running{};
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SEQUENCE_H_
