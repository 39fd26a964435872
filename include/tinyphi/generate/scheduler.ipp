// SPDX-License-Identifier: MIT
// Requests on their way in and out: what they may ask, who waits, who drives.
#ifndef TINYPHI_GENERATE_SCHEDULER_IPP_
#define TINYPHI_GENERATE_SCHEDULER_IPP_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// An idle driver wakes up so often, for stop conditions that nobody announces.
inline constexpr std::chrono::seconds max_idle{1};

// Calls f; what it throws (out of memory, as a rule) comes back as an error.
// A build without exceptions has none to catch.
template <class F>
result<void> without_throwing(F&& f) {
#if defined(__cpp_exceptions)
  try {
    f();
  } catch (const std::bad_alloc&) {
    return error{error_code::limit, "out of memory"};
  } catch (const std::exception& e) {
    return error{error_code::internal, e.what()};
  }
#else
  f();
#endif
  return {};
}

// The same of an f that may say itself what went wrong.
template <class F>
result<void> with_all_errors(F&& f) {
  result<void> said;
  TINYPHI_CHECK_OK(without_throwing([&] { said = f(); }));
  return said;
}

inline double seconds_between(steady_time from, steady_time to) {
  return std::chrono::duration<double>(to - from).count();
}

inline double ms_since(steady_time t) {
  return 1e3 * seconds_between(t, std::chrono::steady_clock::now());
}

inline result<void> check_prompt(std::span<const token_id> prompt,
                                 const model_config& config,
                                 bool may_be_empty = false) {
  if (prompt.empty() && !may_be_empty) {
    return error{error_code::invalid_argument, "the prompt has no tokens"};
  }
  if (prompt.size() >= config.max_context) {
    return error{error_code::limit,
                 "the prompt has " + std::to_string(prompt.size()) +
                     " tokens, the model's context of " +
                     std::to_string(config.max_context) +
                     " must hold it and at least one token of the answer"};
  }
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const token_id id = prompt[i];
    if (id >= 0 && static_cast<std::size_t>(id) < config.vocab_size) continue;
    return error{error_code::invalid_argument,
                 "prompt token " + std::to_string(i) + " is " +
                     std::to_string(id) + ", allowed are ids from 0 to " +
                     std::to_string(config.vocab_size - 1)};
  }
  return {};
}

}  // namespace detail

TINYPHI_FUNC scheduler::scheduler(tinyphi::model m,
                                  const engine_options& options)
    : model_(std::move(m)),
      options_(options),
      team_(options.n_threads),
      scratch_(options.budget),
      pool_(model_.config(),
            options.cache_type.value_or(model_.default_kv_type()),
            options.kv_bytes, options.budget),
      cache_(model_.config().window, 4 * pool_.max_pages() + 1024),
      max_slice_(options.prefill_chunk) {
  pool_.set_reclaim([this] { return cache_.evict(); });
  if (const tokenizer* t = model_.tokenizer()) {
    for (std::size_t i = 0; i < t->size(); ++i) {
      longest_token_ =
          std::max(longest_token_, t->bytes(static_cast<token_id>(i)).size());
    }
  }
  samplers_memory_ = options_.budget.lease(memory_use::requests);
  draft_ms_.reserve(draft_policy::max_length + 1);
  scratch_.trace = [this](std::size_t, std::span<const float>) { watch(); };
  if (options.step_costs) {
    cost_ = step_cost(*options.step_costs);
    calibrated_ = step_cost::sizes.size() + 1;
  }
  load_cache();
  if (options.swap_folder.empty()) return;
  auto file = swap_file::create(options.swap_folder, pool_.page_bytes(),
                                options.swap_bytes);
  if (file) {
    swap_ = *std::move(file);
  } else if (cache_note_.empty()) {
    cache_note_ = file.error().message;
  }
}

TINYPHI_FUNC scheduler::~scheduler() { save_cache(); }

TINYPHI_FUNC std::vector<token_id> scheduler::dry_breaker_ids(
    const sampling_params& p) const {
  std::vector<token_id> ids;
  const tokenizer* t = model_.tokenizer();
  if (p.dry_multiplier == 0 || t == nullptr) return ids;
  for (std::size_t i = 0; i < t->size(); ++i) {
    const auto id = static_cast<token_id>(i);
    const std::string_view bytes = t->bytes(id);
    if (std::any_of(p.dry_breakers.begin(), p.dry_breakers.end(),
                    [&](const std::string& breaker) {
                      return bytes.find(breaker) != std::string_view::npos;
                    })) {
      ids.push_back(id);
    }
  }
  return ids;
}

// Checks a request and fills in what follows from it.
TINYPHI_FUNC result<void> scheduler::prepare(
    sequence& s, result<std::vector<token_id>> prompt,
    const generation_params& params) const {
  const model_config& config = model_.config();
  TINYPHI_TRY(s.tokens, std::move(prompt));
  s.prompt_tokens = s.tokens.size();
  TINYPHI_CHECK_OK(check_sampling(params.sampling, config.vocab_size));
  TINYPHI_CHECK_OK(detail::check_prompt(s.tokens, config));
  const tokenizer* t = model_.tokenizer();
  for (const std::string& stop : params.stop) {
    if (t == nullptr) {
      return error{error_code::unsupported,
                   "stop strings need a tokenizer; this model has none"};
    }
    if (stop.empty()) {
      return error{error_code::invalid_argument, "a stop string is empty"};
    }
  }
  TINYPHI_CHECK_OK(limit_answer(s, params.max_tokens));
  TINYPHI_CHECK_OK(prepare_format(s, params));
  s.long_factors = params.long_from_start &&
                   model_.needs_long_factors(s.prompt_tokens + s.max_tokens);
  s.ignore_stop_ids = params.ignore_stop_ids;
  const std::size_t longest = s.prompt_tokens + s.max_tokens;
  std::size_t n_draft = 0;
  if (params.drafts) {
    n_draft = longest;
    for (const auto& reference : params.references) {
      n_draft += reference.size() + 1;
    }
    n_draft = std::min(n_draft, max_draft_tokens);
  }
  TINYPHI_CHECK_OK(hold(s, request_bytes(longest, s.max_tokens, n_draft)));
  s.choose.emplace(params.sampling, dry_breaker_ids(params.sampling),
                   config.vocab_size, longest);
  TINYPHI_CHECK_OK(hold(s, s.memory.bytes() + s.choose->bytes()));
  s.choose->observe(s.tokens);
  // Room for all that will come, so that decoding asks for no memory.
  s.tokens.reserve(longest);
  s.answer.reserve(s.max_tokens);
  if (t != nullptr) s.text.emplace(*t, params.stop);
  if (!params.drafts) return {};
  s.proposal.reserve(draft_policy::max_length);
  s.run_ids.reserve(2 * draft_policy::max_length);
  s.source.emplace(n_draft);
  for (const auto& reference : params.references) {
    s.source->add_reference(reference);
  }
  for (const token_id id : s.tokens) s.source->append(id);
  return {};
}

// Takes memory for a request that is being prepared.
TINYPHI_FUNC result<void> scheduler::hold(sequence& s,
                                          std::size_t bytes) const {
  if (s.memory.bytes() == 0) {
    s.memory = options_.budget.lease(memory_use::requests);
  }
  return s.memory.resize(bytes, "a request of " +
                                    std::to_string(s.prompt_tokens) +
                                    " prompt tokens and up to " +
                                    std::to_string(s.max_tokens) + " new ones");
}

// How long the answer may get, and what that takes of the cache.
TINYPHI_FUNC result<void> scheduler::limit_answer(
    sequence& s, std::size_t max_tokens) const {
  const std::size_t context = model_.config().max_context;
  s.max_tokens = context - s.prompt_tokens;
  if (max_tokens != 0) {
    s.max_tokens = std::min(s.max_tokens, max_tokens);
  } else if (pages_for(context) > pool_.max_pages()) {
    const std::size_t held = pool_.max_pages() * page_tokens;
    s.max_tokens = held > s.prompt_tokens ? held - s.prompt_tokens : 1;
  }
  s.worst_pages = pages_for(s.prompt_tokens + s.max_tokens);
  if (s.worst_pages <= pool_.max_pages()) return {};
  return error{
      error_code::limit,
      std::to_string(s.prompt_tokens) + " prompt tokens and up to " +
          std::to_string(s.max_tokens) + " new ones need " +
          std::to_string(s.worst_pages * pool_.page_bytes()) +
          " bytes of cache, the engine's budget is " +
          std::to_string(options_.kv_bytes) +
          "; give it more (kv_bytes) or ask for fewer tokens (max_tokens)"};
}

// Puts a request that is prepared in line, or says in it what is wrong.
TINYPHI_FUNC void scheduler::enqueue(const std::shared_ptr<sequence>& s,
                                     result<void> prepared) {
  const auto refuse = [&](tinyphi::error e) {
    s->result.finish = finish_reason::error;
    s->result.error = std::move(e);
    s->result.usage.prompt_tokens = s->prompt_tokens;
    s->done = true;
  };
  if (!prepared) return refuse(std::move(prepared).error());
  const std::lock_guard lock(mutex_);
  const std::size_t n = s->tokens.size();
  if (n_waiting_ >= options_.max_waiting ||
      n > options_.max_waiting_tokens - n_waiting_tokens_) {
    // Coming back at once would be in vain; a second is a step or two.
    const double seconds = std::max(1.0, std::ceil(waiting_ms_ / 1000));
    s->result.retry_after_seconds = seconds;
    return refuse({error_code::unavailable,
                   std::to_string(n_waiting_) + " requests of " +
                       std::to_string(n_waiting_tokens_) +
                       " tokens wait already, allowed are " +
                       std::to_string(options_.max_waiting) + " of " +
                       std::to_string(options_.max_waiting_tokens) +
                       "; try again in about " +
                       std::to_string(static_cast<long long>(seconds)) + " s"});
  }
  ++n_waiting_;
  n_waiting_tokens_ += n;
  s->order = next_order_++;
  incoming_.push_back(s);
  work_came_ = true;
  changed_.notify_all();
}

namespace detail {

inline std::shared_ptr<sequence> make_sequence(const generation_params& p) {
  auto s = std::make_shared<sequence>();
  s->submitted = std::chrono::steady_clock::now();
  // A child: ending this request must not end others of the same caller.
  s->stop = {p.stop_when.token.child(), p.stop_when.deadline};
  s->priority = p.priority;
  s->tenant = p.tenant;
  s->domain = p.cache_domain;
  s->pin_prompt = p.pin_prompt;
  s->on_progress = p.on_progress;
  s->queue_deadline = p.queue_deadline;
  return s;
}

}  // namespace detail

TINYPHI_FUNC std::shared_ptr<sequence> scheduler::submit(
    result<std::vector<token_id>> prompt, const generation_params& params) {
  auto s = detail::make_sequence(params);
  enqueue(s, detail::with_all_errors(
                 [&] { return prepare(*s, std::move(prompt), params); }));
  return s;
}

TINYPHI_FUNC std::shared_ptr<sequence> scheduler::submit_twin(
    const std::shared_ptr<sequence>& leader, const generation_params& params,
    std::vector<token_id> prompt) {
  auto s = detail::make_sequence(params);
  s->leader = leader;
  s->n_shared = prompt.empty() ? 0 : prompt.size() - 1;
  enqueue(s, detail::with_all_errors(
                 [&] { return prepare(*s, std::move(prompt), params); }));
  return s;
}

TINYPHI_FUNC std::shared_ptr<sequence> scheduler::submit_text(
    text_request r, const generation_params& params) {
  auto s = detail::make_sequence(params);
  s->kind = r.kind;
  s->leader = std::move(r.leader);
  s->n_shared = r.n_shared;
  s->tokens = std::move(r.text);
  s->prompt_tokens = s->tokens.size() - r.n_scored;
  s->long_factors = model_.needs_long_factors(s->tokens.size());
  if (r.n_scored > 0) {
    const auto first =
        s->tokens.end() - static_cast<std::ptrdiff_t>(r.n_scored);
    s->targets.assign(first, s->tokens.end());
    s->tokens.pop_back();  // nobody asks what follows it
  }
  const auto prepared = detail::with_all_errors([&]() -> result<void> {
    TINYPHI_CHECK_OK(detail::check_prompt(s->tokens, model_.config()));
    TINYPHI_CHECK_OK(detail::check_prompt(s->targets, model_.config(), true));
    TINYPHI_CHECK_OK(
        hold(*s, (s->tokens.size() + s->targets.size()) * sizeof(token_id)));
    s->worst_pages = pages_for(s->tokens.size());
    if (s->worst_pages <= pool_.max_pages()) return {};
    return error{error_code::limit,
                 "a text of " + std::to_string(s->tokens.size()) +
                     " tokens needs " +
                     std::to_string(s->worst_pages * pool_.page_bytes()) +
                     " bytes of cache, the engine's budget is " +
                     std::to_string(options_.kv_bytes) +
                     "; give it more (kv_bytes) or a shorter text"};
  });
  enqueue(s, prepared);
  return s;
}

TINYPHI_FUNC void scheduler::give_piece(sequence& s, text_piece& out) {
  out = std::exchange(s.ready, {});
  if (s.full.exchange(false)) changed_.notify_all();
}

TINYPHI_FUNC text_piece scheduler::take_piece(sequence& s) {
  const std::lock_guard lock(mutex_);
  text_piece out;
  give_piece(s, out);
  return out;
}

TINYPHI_FUNC std::optional<text_piece> scheduler::next_piece(sequence& s) {
  std::unique_lock lock(mutex_);
  while (s.ready.empty() && !s.done) {
    if (driving_ || in_drive_) {
      changed_.wait(lock);
      continue;
    }
    driving_ = true;
    lock.unlock();
    const bool worked = step();
    lock.lock();
    stop_driving(lock);
    // Everybody else rests until somebody takes what they have.
    if (!worked && s.ready.empty() && !s.done) {
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
  }
  if (s.ready.empty()) return std::nullopt;
  text_piece out;
  give_piece(s, out);
  return out;
}

TINYPHI_FUNC void scheduler::abandon(sequence& s) {
  s.stop.token.cancel();
  if (s.done) return;
  std::unique_lock lock(mutex_);
  abandoned_ = true;
  if (driving_) return;
  driving_ = true;
  stop_driving(lock);
}

// Sweeps for what was abandoned meanwhile, then lets another thread drive.
TINYPHI_FUNC void scheduler::stop_driving(std::unique_lock<std::mutex>& lock) {
  while (std::exchange(abandoned_, false)) {
    lock.unlock();
    sweep();
    lock.lock();
  }
  report_load();
  driving_ = false;
  changed_.notify_all();
}

TINYPHI_FUNC void scheduler::beat() {
  beat_ = std::chrono::steady_clock::now().time_since_epoch().count();
}

TINYPHI_FUNC void scheduler::report_load() {
  load_.running = running_.size();
  load_.pages = pool_.max_pages();
  load_.pages_in_use = pool_.pages_in_use();
  load_.pages_cached = cache_.n_cached_pages();
  load_.pages_pinned = cache_.n_pinned_pages();
  load_.page_bytes = pool_.page_bytes();
  load_.steps = n_steps_;
  load_.preemptions = n_preempted_;
  load_.swaps = n_swapped_;
  load_.idle = running_.empty() && waiting_.empty();
}

TINYPHI_FUNC engine_load scheduler::load() {
  const std::lock_guard lock(mutex_);
  engine_load l = load_;
  l.waiting = n_waiting_;
  l.waiting_tokens = n_waiting_tokens_;
  l.waiting_seconds = waiting_ms_ / 1000;
  l.last_beat = steady_time(steady_time::duration(beat_.load()));
  l.idle = l.idle && n_waiting_ == 0;
  return l;
}

TINYPHI_FUNC void scheduler::ask_to_drop_cache() {
  const std::lock_guard lock(mutex_);
  if (!driving_ && !in_drive_) return drop_cache();
  drop_cache_ = true;
  changed_.notify_all();
}

TINYPHI_FUNC void scheduler::ask_to_unpin() {
  const std::lock_guard lock(mutex_);
  if (!driving_ && !in_drive_) return cache_.unpin_all();
  unpin_ = woken_ = true;
  changed_.notify_all();
}

TINYPHI_FUNC void scheduler::set_weight(std::uint64_t tenant, double weight) {
  const std::lock_guard lock(mutex_);
  weights_.emplace_back(tenant, weight);
  woken_ = true;
  changed_.notify_all();
}

TINYPHI_FUNC void scheduler::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

TINYPHI_FUNC result<void> scheduler::drive(const stop_condition& stop) {
  std::unique_lock lock(mutex_);
  if (in_drive_) {
    return error{error_code::unavailable,
                 "another thread drives this engine; one is enough"};
  }
  // A thread in next_piece ends its step, and begins no other.
  in_drive_ = true;
  changed_.wait(lock, [this] { return !driving_; });
  driving_ = true;
  lock.unlock();
  while (!stop.reason()) {
    bool stepped = false;
    // What is without memory even to be ended is so in the next step.
    (void)detail::without_throwing([&] { stepped = step(); });
    const bool idle = running_.empty() && waiting_.empty();
    const bool worked = stepped || (idle && calibrate_next());
    lock.lock();
    changed_.notify_all();
    report_load();
    // Cancels and deadlines wake nobody, so they are looked for now and then,
    // where there is anything that could be cancelled or late.
    const auto has_work = [this] {
      return !incoming_.empty() || abandoned_ || drop_cache_ || woken_;
    };
    if (!worked && idle) {
      auto until = std::chrono::steady_clock::now() + detail::max_idle;
      if (stop.deadline) until = std::min(until, *stop.deadline);
      changed_.wait_until(lock, until, has_work);
    } else if (!worked && !has_work()) {
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    abandoned_ = woken_ = false;
    lock.unlock();
  }
  save_cache();
  lock.lock();
  in_drive_ = false;
  stop_driving(lock);
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_IPP_
