// SPDX-License-Identifier: MIT
// Runs the requests of one engine together, step by step, on whichever thread
// waits for text or drives. Behind engine.h; applications do not see it.
#ifndef TINYPHI_GENERATE_SCHEDULER_H_
#define TINYPHI_GENERATE_SCHEDULER_H_

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/constrain/token_trie.h"
#include "tinyphi/generate/admission.h"
#include "tinyphi/generate/fair_shares.h"
#include "tinyphi/generate/prefix_cache.h"
#include "tinyphi/generate/prefix_file.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sequence.h"
#include "tinyphi/generate/step_cost.h"
#include "tinyphi/generate/step_plan.h"
#include "tinyphi/generate/swap_file.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

// A sequence rests while this much of its answer has not been read.
inline constexpr std::size_t max_ready_bytes = std::size_t{1} << 16;
inline constexpr std::size_t max_ready_tokens = 4096;
// Tokens that must come are computed with the one before them in one step, as
// rows that decode (plan_request::decodes).
inline constexpr std::size_t max_forced = 15;

// A request to score tokens, or to sum up hidden states.
struct text_request {
  request_kind kind = request_kind::score;
  std::vector<token_id> text;
  std::size_t n_scored = 0;  // score: how many of the last tokens
  std::shared_ptr<sequence> leader = {};
  std::size_t n_shared = 0;
};

// All public members may be called from any thread. There is one driver at a
// time: the thread in drive(), otherwise a thread in next_piece that finds no
// other, which steps for everybody.
//
// A step (scheduler_step.ipp): sweep out what has ended, admit who fits, plan
// rows by what a step costs on this machine, compute them, accept what they
// give, publish it. Pages (scheduler_pages.ipp): when they are short, cached
// texts give way, then the newest request of the lowest class, which goes on
// later.
class scheduler {
 public:
  // Requires resolved options: cache_type is set, and kv_bytes holds at least
  // one page.
  scheduler(tinyphi::model m, const engine_options& options);
  ~scheduler();

  // Queues a request. If it is refused, the sequence is done, and its result
  // says why.
  [[nodiscard]] std::shared_ptr<sequence> submit(
      result<std::vector<token_id>> prompt, const generation_params& params);
  // The same for one more answer to the prompt of `leader`, whose cache it
  // forks.
  [[nodiscard]] std::shared_ptr<sequence> submit_twin(
      const std::shared_ptr<sequence>& leader, const generation_params& params,
      std::vector<token_id> prompt);
  [[nodiscard]] std::shared_ptr<sequence> submit_text(
      text_request r, const generation_params& params);

  // Takes the next piece, and blocks until there is one; nothing once `s` is
  // done and all of it was taken.
  [[nodiscard]] std::optional<text_piece> next_piece(sequence& s);
  // Takes what there is, perhaps nothing; neither waits nor drives.
  [[nodiscard]] text_piece take_piece(sequence& s);
  // Cancels `s` and gives back what it holds, at once or after the step that
  // is under way.
  void abandon(sequence& s);
  // Steps until `stop` says so, and sleeps while there is nothing to do. Other
  // threads only wait meanwhile; one that is in a step ends it first.
  // unavailable if another thread is in it.
  [[nodiscard]] result<void> drive(const stop_condition& stop);

  [[nodiscard]] const tinyphi::model& model() const { return model_; }
  [[nodiscard]] const engine_options& options() const { return options_; }
  // Bytes of the tokenizer's longest token.
  [[nodiscard]] std::size_t longest_token() const { return longest_token_; }
  // Only while nobody drives.
  [[nodiscard]] const kv_pool& pool() const { return pool_; }
  [[nodiscard]] const prefix_cache& cache() const { return cache_; }
  [[nodiscard]] const step_cost& cost() const { return cost_; }
  [[nodiscard]] std::size_t steps() const { return n_steps_; }
  [[nodiscard]] std::size_t preemptions() const { return n_preempted_; }
  // How often a request went on with pages from the disk.
  [[nodiscard]] std::size_t swaps() const { return n_swapped_; }
  void drop_cache() {
    cache_.clear();
    pool_.trim();
  }
  // From any thread at any time.
  [[nodiscard]] engine_load load();
  void ask_to_drop_cache();
  void ask_to_unpin();  // before the next step
  void set_weight(std::uint64_t tenant, double weight);
  void wake();
  // What was wrong with the cache's folder when it was read or written last.
  [[nodiscard]] std::string cache_note();
  // The model's tokens for constraints; made when it is first asked for.
  [[nodiscard]] result<token_trie> vocabulary();

 private:
  // Lists, because a sequence then moves from one to the next without
  // allocating.
  using sequences = std::list<std::shared_ptr<sequence>>;

  // scheduler.ipp: requests come in and go out.
  [[nodiscard]] result<void> prepare(sequence& s,
                                     result<std::vector<token_id>> prompt,
                                     const generation_params& params) const;
  [[nodiscard]] result<void> hold(sequence& s, std::size_t bytes) const;
  [[nodiscard]] result<void> limit_answer(sequence& s,
                                          std::size_t max_tokens) const;
  [[nodiscard]] std::vector<token_id> dry_breaker_ids(
      const sampling_params& p) const;
  void enqueue(const std::shared_ptr<sequence>& s, result<void> prepared);
  void stop_driving(std::unique_lock<std::mutex>& lock);
  void give_piece(sequence& s, text_piece& out);

  // scheduler_step.ipp: the driver's step.
  bool step();
  void sweep();
  void sweep_waiting();
  bool end_if_stopped(sequence& s);
  void plan_rows();
  void propose_drafts();
  void add_run(sequence& s, const planned_run& run);
  void compute();
  void watch();
  void accept_all(const forward_output& out);
  void accept_answer(sequence& s, std::span<const float> rows);
  [[nodiscard]] result<void> accept_next(sequence& s,
                                         std::span<const float> row,
                                         sampler_scratch& scratch);
  [[nodiscard]] bool is_stop_id(token_id id) const;
  [[nodiscard]] result<void> accept_row(sequence& s, sampled_token token);
  void accept_values(sequence& s, std::span<const float> rows);
  void commit(sequence& s, const batch_run& run);
  void publish();
  void report_load();
  void beat();
  void add_piece(sequence& s, text_piece& piece);
  void finish(sequence& s, finish_reason why,
              std::optional<tinyphi::error> e = {});

  // scheduler_format.ipp: answers that must have a shape.
  [[nodiscard]] result<void> prepare_format(
      sequence& s, const generation_params& params) const;
  [[nodiscard]] result<void> accept_next_of_format(sequence& s,
                                                   std::span<const float> row,
                                                   sampler_scratch& scratch);
  [[nodiscard]] result<std::optional<token_id>> next_forced(sequence& s) const;
  [[nodiscard]] result<void> append_forced(sequence& s);
  void keep_allowed_drafts(sequence& s) const;

  // scheduler_calibrate.ipp: what steps cost, measured while there are none.
  [[nodiscard]] bool calibrate_next();
  void measure_attention();
  [[nodiscard]] double time_step(std::size_t stored, std::size_t rows);

  // scheduler_pages.ipp: the driver's pages.
  [[nodiscard]] std::size_t pages_for(std::size_t length) const;
  [[nodiscard]] std::size_t pages_to_give() const;
  void admit();
  [[nodiscard]] std::optional<std::size_t> make_room();
  [[nodiscard]] std::size_t pages_of_its_own(
      const std::shared_ptr<sequence>& owner) const;
  [[nodiscard]] std::vector<plan_request> running_requests(
      std::vector<sequences::iterator>& places);
  void begin(sequence& s);
  void go_on_from_cache(sequence& s);
  void put_aside(sequence& s);
  [[nodiscard]] bool go_on_from_disk(sequence& s);
  void forget_swapped(sequence& s);
  void offer_pages(sequence& s, bool all);
  [[nodiscard]] std::size_t pages_to_begin(const sequence& s) const;
  [[nodiscard]] std::size_t pages_kept_for_oldest() const;
  void reserve_pages();
  [[nodiscard]] bool give_way();
  void give_way(sequences::iterator place);
  [[nodiscard]] tinyphi::prefix_folder cache_folder() const;
  void load_cache();
  void save_cache();

  const tinyphi::model model_;
  const engine_options options_;
  std::size_t longest_token_ = 1;

  std::mutex vocabulary_mutex_;
  std::optional<token_trie> vocabulary_;

  std::mutex mutex_;
  std::condition_variable changed_;  // a step has ended, or work has come
  bool driving_ = false;             // a thread is the driver
  bool in_drive_ = false;            // a thread is in drive()
  bool abandoned_ = false;           // a sequence was, since the last sweep
  sequences incoming_;
  std::size_t n_waiting_ = 0, n_waiting_tokens_ = 0;  // incoming and waiting
  double waiting_ms_ = 0;                             // what they will take
  std::string cache_note_;
  std::uint64_t next_order_ = 0;
  engine_load load_;         // but for what waits
  bool drop_cache_ = false;  // as soon as the driver can
  bool unpin_ = false;
  std::vector<std::pair<std::uint64_t, double>> weights_;  // for shares_
  bool woken_ = false;  // by wake(), and it has not looked yet

  // ---- The driver's own.
  team team_;
  forward_scratch scratch_;
  kv_pool pool_;
  prefix_cache cache_;
  std::optional<prefix_key> cache_key_;  // where the cache has a folder
  std::size_t saved_at_step_ = 0;
  step_cost cost_;
  fair_shares shares_;
  admission admission_;
  sequences waiting_;
  sequences running_;
  double expected_answer_ = 256;  // tokens, the mean of recent answers
  std::size_t n_steps_ = 0, n_preempted_ = 0, n_swapped_ = 0;
  std::optional<swap_file> swap_;

  // Of those that wait and may begin.
  std::vector<waiting_request> candidates_;
  std::vector<sequences::iterator> places_;
  // This step's: the plan, its runs, and whose they are.
  std::vector<plan_request> requests_;
  std::vector<sequence*> members_;  // of requests_, by index
  std::vector<double> draft_ms_;    // a step with so many more rows
  step_plan plan_;
  std::vector<batch_run> runs_;
  std::vector<sequence*> owners_;
  std::vector<std::span<const float>> rows_;  // what each run gave
  std::vector<sampler_scratch> samplers_;  // one for each thread that accepts
  std::mutex samplers_mutex_;
  memory_lease samplers_memory_;
  std::size_t max_slice_;  // of prompt tokens: prefill_chunk, or what fitted
  stop_condition step_stop_;
  // Whether step_stop_'s token is a child of that of the prompt in this step.
  bool step_has_reader_ = false;
  steady_time step_began_;
  std::size_t calibrated_ = 0;  // measurements that were made
  double calibration_ms_ = 0;
  bool calibrating_ = false;
  std::atomic<bool> work_came_ = false;     // since the last sweep
  std::atomic<steady_time::rep> beat_ = 0;  // when the driver last moved on
  sequence* suspect_ = nullptr;  // what a failure of this step would end
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/scheduler.ipp"
#include "tinyphi/generate/scheduler_calibrate.ipp"
#include "tinyphi/generate/scheduler_format.ipp"
#include "tinyphi/generate/scheduler_pages.ipp"
#include "tinyphi/generate/scheduler_step.ipp"
#endif

#endif  // TINYPHI_GENERATE_SCHEDULER_H_
