// SPDX-License-Identifier: MIT
// Runs the sequences of one engine together, step by step, on whichever thread
// waits for text. Behind engine.h; applications do not see it.
#ifndef TINYPHI_GENERATE_SCHEDULER_H_
#define TINYPHI_GENERATE_SCHEDULER_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model.h"
#include "tinyphi/text/stream_text.h"

TINYPHI_NAMESPACE_BEGIN

// How an answer ended.
struct outcome {
  finish_reason finish = finish_reason::none;
  std::optional<tinyphi::error> error;
  tinyphi::usage usage;
  std::vector<sampled_token> tokens;
};

// One request on its way: incoming, waiting, running, done.
struct sequence {
  // Set when it is submitted.
  stop_condition stop;
  bool ignore_stop_ids = false;
  std::size_t prompt_tokens = 0;
  std::size_t max_tokens = 0;  // what context and request allow
  std::size_t pages = 0;       // of the cache, at the worst
  steady_time submitted;

  // The driver's own. What is in `tokens` but not yet in the cache is to be
  // run: a prompt, all of a text that changes its rotary factors, or the one
  // token chosen last.
  std::vector<token_id> tokens;  // prompt and answer
  bool long_factors = false;
  std::optional<kv_sequence> kv;  // while it runs
  std::optional<sampler> choose;
  std::optional<stream_text> text;  // none without a tokenizer
  std::vector<sampled_token> answer;
  std::optional<steady_time> admitted, first_token;

  // Under the scheduler's mutex; `result` is final once `done` is set.
  std::string ready;  // text that nobody has taken
  std::atomic<bool> done = false;
  outcome result;

  // What may be seen now: nothing until it is done.
  [[nodiscard]] const outcome& seen() const { return done ? result : running; }
  const outcome running{};
};

// All public members may be called from any thread. Each step runs one batch:
// the next token of every running sequence, and a slice of the first prompt
// that is not yet read. There is one driver at a time: a thread in next_text
// that finds no other steps for everybody.
class scheduler {
 public:
  // Options without zeros; kv_bytes holds at least one page.
  scheduler(tinyphi::model m, const engine_options& options);

  // Takes a request. What is wrong with it is in the sequence's result.
  [[nodiscard]] std::shared_ptr<sequence> submit(
      result<std::vector<token_id>> prompt, const generation_params& params);
  // Blocks until there is text, and takes it; nothing once `s` is done.
  [[nodiscard]] std::optional<std::string> next_text(sequence& s);
  // Cancels `s` and gives back what it holds, at once or after the step that
  // is under way.
  void abandon(sequence& s);

  [[nodiscard]] const tinyphi::model& model() const { return model_; }
  [[nodiscard]] const engine_options& options() const { return options_; }
  // To be looked at while nobody drives.
  [[nodiscard]] const kv_pool& pool() const { return pool_; }

 private:
  // Lists, so that a sequence moves on without memory being asked for.
  using sequences = std::list<std::shared_ptr<sequence>>;

  [[nodiscard]] result<void> prepare(sequence& s,
                                     result<std::vector<token_id>> prompt,
                                     const generation_params& params) const;
  [[nodiscard]] result<void> make_room(sequence& s,
                                       std::size_t max_tokens) const;
  [[nodiscard]] std::size_t pages_for(std::size_t length) const;
  [[nodiscard]] std::vector<token_id> dry_breaker_ids(
      const sampling_params& p) const;

  // The driver's.
  void step();
  void sweep();
  void admit();
  void plan();
  void run_batch();
  void accept(sequence& s, std::span<const float> logits);
  void finish(sequence& s, finish_reason why,
              std::optional<tinyphi::error> e = {});
  void stop_driving(std::unique_lock<std::mutex>& lock);

  const tinyphi::model model_;
  const engine_options options_;

  std::mutex mutex_;
  std::condition_variable changed_;  // a step has ended
  bool driving_ = false;
  bool abandoned_ = false;  // something was, since the last sweep
  sequences incoming_;

  // The driver's own.
  team team_;
  forward_scratch scratch_;
  kv_pool pool_;
  std::size_t promised_pages_ = 0;  // worst cases of all that run
  sequences waiting_;
  sequences running_;
  std::vector<batch_run> runs_;    // this step's, ...
  std::vector<sequence*> owners_;  // ... and whose they are
  sequence* suspect_ = nullptr;    // whom an exception would end
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/scheduler.ipp"
#endif

#endif  // TINYPHI_GENERATE_SCHEDULER_H_
