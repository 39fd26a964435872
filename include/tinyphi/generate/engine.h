// SPDX-License-Identifier: MIT
// What applications call: an engine that runs the sequences of one model
// together, and the generations it gives out.
#ifndef TINYPHI_GENERATE_ENGINE_H_
#define TINYPHI_GENERATE_ENGINE_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

class scheduler;  // scheduler.h
struct sequence;  // sequence.h
struct outcome;

// One running answer. Move-only; destroying it cancels and frees its cache.
// Iterating it drives the engine for everybody if nobody else does; several
// threads may each iterate their own generation. One that nobody reads hinders
// no other: up to max_ready_bytes of its text are kept, then it rests until
// somebody reads. cancel() may be called from any thread; it and the deadline
// take effect within 100 ms, inside anybody's prompt. A generation that was
// moved from behaves like one that has ended.
class generation {
 public:
  generation(generation&&) noexcept = default;
  generation& operator=(generation&& other) noexcept;
  ~generation();

  // The next piece of text (whole UTF-8 characters, never empty), or nothing
  // when the answer is complete. Blocks.
  [[nodiscard]] std::optional<std::string> next();
  // The same with the piece's tokens and their log-probabilities. Without a
  // tokenizer pieces have tokens only; at the end a piece may have text only.
  [[nodiscard]] std::optional<text_piece> next_piece();
  // What has come since the last piece, perhaps nothing; it neither blocks nor
  // drives. For callers that generation_params::on_progress tells of more.
  [[nodiscard]] text_piece poll();
  // How far it is before its first token.
  [[nodiscard]] prompt_progress progress() const;
  // True once the answer is complete; what came last may still be read.
  [[nodiscard]] bool done() const;
  // The rest of the text, joined. Blocks.
  [[nodiscard]] std::string text();

  // `for (std::string_view piece : answer)`: a single pass.
  class iterator;
  [[nodiscard]] iterator begin();
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  void cancel();

  // Final once next() has returned nothing; empty before the answer is done.
  [[nodiscard]] const std::optional<tinyphi::error>& error() const;
  [[nodiscard]] finish_reason finish() const;
  [[nodiscard]] tinyphi::usage usage() const;
  // The answer's tokens, without the stop token.
  [[nodiscard]] const std::vector<sampled_token>& tokens() const;
  // Where the error is `unavailable` because too many requests wait: how many
  // seconds to wait before the next try.
  [[nodiscard]] double retry_after_seconds() const;

 private:
  friend class engine;
  generation(std::shared_ptr<scheduler> s, std::shared_ptr<sequence> q)
      : scheduler_(std::move(s)), sequence_(std::move(q)) {}
  void abandon() noexcept;
  [[nodiscard]] const outcome& seen() const;

  std::shared_ptr<scheduler> scheduler_;
  std::shared_ptr<sequence> sequence_;  // null once moved from
};

class generation::iterator {
 public:
  using value_type = std::string_view;
  using difference_type = std::ptrdiff_t;
  iterator() = default;
  explicit iterator(generation* g) : generation_(g) { ++*this; }
  std::string_view operator*() const { return *piece_; }
  iterator& operator++() {
    piece_ = generation_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const iterator& i, std::default_sentinel_t) {
    return !i.piece_;
  }

 private:
  generation* generation_ = nullptr;
  std::optional<std::string> piece_;
};

// How likely a text is as the continuation of a prompt.
struct text_score {
  double log_probability = 0;   // of the whole text: the sum of `logprobs`
  std::vector<float> logprobs;  // of its tokens, in order
};

// Tokens, and how many of the last ones are to be scored: at least one, and not
// all.
struct scored_text {
  std::vector<token_id> ids;
  std::size_t n_scored = 0;
};

// A shared handle: copies are the same engine. All members may be called from
// any thread. It has no thread of its own: whoever iterates a generation
// drives, or a thread of the caller's in drive(). The same request gives the
// same tokens whatever runs beside it, with and without cache and drafts, in
// exact and in integer mode ("the same request gives the same tokens whatever
// runs beside it", engine_test.cpp); except with load_options::fast_prefill,
// where rounding depends on how much of a prompt is computed at once.
class engine {
 public:
  // invalid_argument for options out of range; limit for a budget below one
  // page of cache.
  [[nodiscard]] static result<engine> create(
      tinyphi::model m, const engine_options& options = {});

  [[nodiscard]] const tinyphi::model& model() const;
  // What was wrong with engine_options::cache_folder when it was read or
  // written last, in one line; empty if nothing was.
  [[nodiscard]] std::string cache_note() const;
  // The model's tokens, from which constraints for generation_params::format
  // are made. Made when it is first asked for; some tens of milliseconds.
  [[nodiscard]] result<token_trie> vocabulary() const;
  // As given, with the cache (kv_bytes, cache_type) that was chosen, and the
  // budget, which says what is held now.
  [[nodiscard]] const engine_options& options() const;
  // What steps were found to cost, for engine_options::step_costs of a later
  // engine. To be asked while nobody drives.
  [[nodiscard]] step_cost::table step_costs() const;
  // What it does now; cheap, and never waits for a step.
  [[nodiscard]] engine_load load() const;
  // How much of the machine a tenant gets beside others, 1 unless set; kept
  // within [1/64, 64] and remembered as long as the engine lives.
  void set_weight(std::uint64_t tenant, double weight);
  // Gives the memory of all cached pages that nobody uses back to the system,
  // after the step under way.
  void drop_cache();
  // What generation_params::pin_prompt has kept may be let go from now on.
  void unpin_prompts();
  // Makes drive() look at its stop condition, which wakes nobody by itself.
  void wake();

  // One assistant turn. Errors that are known at once (no chat format, prompt
  // longer than the context, bad parameters, a full queue) come back in the
  // generation.
  [[nodiscard]] generation chat(std::span<const message> messages,
                                const generation_params& params = {});
  [[nodiscard]] generation chat(std::initializer_list<message> messages,
                                const generation_params& params = {}) {
    return chat(std::span(messages.begin(), messages.size()), params);
  }
  // Continues segments (behind BOS if the vocabulary asks for it) or exact ids.
  [[nodiscard]] generation complete(std::span<const segment> prompt,
                                    const generation_params& params = {});
  [[nodiscard]] generation complete(std::vector<token_id> prompt,
                                    const generation_params& params = {});
  // n answers to one prompt, which is computed once; answer i has the seed
  // params.sampling.seed + i.
  [[nodiscard]] std::vector<generation> chat_n(
      std::span<const message> messages, std::size_t n,
      const generation_params& params = {});
  [[nodiscard]] std::vector<generation> complete_n(
      std::vector<token_id> prompt, std::size_t n,
      const generation_params& params = {});

  // How likely each candidate is as the continuation of the prompt, which is
  // computed once. Of params, only stop_when, priority, tenant and cache_domain
  // are used. Blocks and drives, as generation::next does. A candidate that
  // adds no token is invalid_argument.
  [[nodiscard]] result<std::vector<text_score>> score(
      std::span<const segment> prompt, std::span<const std::string> candidates,
      const generation_params& params = {});
  // The same of exact tokens. What a text has in common with the first one
  // before what is scored is computed once.
  [[nodiscard]] result<std::vector<text_score>> score(
      std::vector<scored_text> texts, const generation_params& params = {});
  // [texts][hidden]: the mean of each text's last hidden states, scaled to
  // length 1.
  [[nodiscard]] result<std::vector<std::vector<float>>> embed(
      std::span<const std::string> texts, const generation_params& params = {});

  // Runs everybody's requests on this thread until `stop` says so. While there
  // are none it measures, for five seconds in all, what steps cost here, so
  // that long prompts are read in slices of the right size from the first one
  // on; then it sleeps. unavailable while another thread is in it.
  [[nodiscard]] result<void> drive(const stop_condition& stop);

 private:
  explicit engine(std::shared_ptr<scheduler> s) : scheduler_(std::move(s)) {}
  [[nodiscard]] result<std::vector<token_id>> chat_prompt(
      std::span<const message> messages) const;
  [[nodiscard]] result<std::vector<token_id>> encode(
      std::span<const segment> prompt) const;
  [[nodiscard]] std::size_t texts_at_once() const;
  [[nodiscard]] result<const outcome*> wait_for(generation& text) const;
  std::shared_ptr<scheduler> scheduler_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/engine.ipp"
#endif

#endif  // TINYPHI_GENERATE_ENGINE_H_
