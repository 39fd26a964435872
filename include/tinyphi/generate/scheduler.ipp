// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_SCHEDULER_IPP_
#define TINYPHI_GENERATE_SCHEDULER_IPP_

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

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

inline double seconds_between(steady_time from, steady_time to) {
  return std::chrono::duration<double>(to - from).count();
}

inline usage usage_of(const sequence& s, steady_time now) {
  usage u;
  u.prompt_tokens = s.prompt_tokens;
  u.completion_tokens = s.answer.size();
  const steady_time admitted = s.admitted.value_or(now);
  const steady_time first = s.first_token.value_or(now);
  u.queue_seconds = seconds_between(s.submitted, admitted);
  u.prefill_seconds = seconds_between(admitted, first);
  u.decode_seconds = seconds_between(first, now);
  return u;
}

inline result<void> check_prompt(std::span<const token_id> prompt,
                                 const model_config& config) {
  if (prompt.empty()) {
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
      pool_(model_.config(),
            options.cache_type.value_or(model_.default_kv_type()),
            options.kv_bytes) {}

TINYPHI_FUNC std::size_t scheduler::pages_for(std::size_t length) const {
  return most_kv_pages(model_.config(), length, options_.prefill_chunk);
}

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
  TINYPHI_TRY(s.tokens, std::move(prompt));
  s.prompt_tokens = s.tokens.size();
  TINYPHI_CHECK_OK(check_sampling(params.sampling, model_.config().vocab_size));
  TINYPHI_CHECK_OK(detail::check_prompt(s.tokens, model_.config()));
  const tokenizer* t = model_.tokenizer();
  for (const std::string& stop : params.stop) {
    if (t == nullptr) {
      return error{error_code::unsupported,
                   "stop strings need a tokenizer, which this model has not"};
    }
    if (stop.empty()) {
      return error{error_code::invalid_argument, "a stop string is empty"};
    }
  }
  TINYPHI_CHECK_OK(make_room(s, params.max_tokens));
  s.long_factors = params.long_from_start &&
                   model_.needs_long_factors(s.prompt_tokens + s.max_tokens);
  s.ignore_stop_ids = params.ignore_stop_ids;
  s.choose.emplace(params.sampling, dry_breaker_ids(params.sampling));
  s.choose->observe(s.tokens);
  if (t != nullptr) s.text.emplace(*t, params.stop);
  return {};
}

// How long the answer may get, and what that takes of the cache.
TINYPHI_FUNC result<void> scheduler::make_room(sequence& s,
                                               std::size_t max_tokens) const {
  const std::size_t context = model_.config().max_context;
  s.max_tokens = context - s.prompt_tokens;
  if (max_tokens != 0) {
    s.max_tokens = std::min(s.max_tokens, max_tokens);
  } else if (pages_for(context) > pool_.max_pages()) {
    const std::size_t held = pool_.max_pages() * page_tokens;
    s.max_tokens = held > s.prompt_tokens ? held - s.prompt_tokens : 1;
  }
  s.pages = pages_for(s.prompt_tokens + s.max_tokens);
  if (s.pages <= pool_.max_pages()) return {};
  return error{
      error_code::limit,
      std::to_string(s.prompt_tokens) + " prompt tokens and up to " +
          std::to_string(s.max_tokens) + " new ones need " +
          std::to_string(s.pages * pool_.page_bytes()) +
          " bytes of cache, the engine's budget is " +
          std::to_string(options_.kv_bytes) +
          "; give it more (kv_bytes) or ask for fewer tokens (max_tokens)"};
}

TINYPHI_FUNC std::shared_ptr<sequence> scheduler::submit(
    result<std::vector<token_id>> prompt, const generation_params& params) {
  auto s = std::make_shared<sequence>();
  s->submitted = std::chrono::steady_clock::now();
  // A child: ending this request must not end others of the same caller.
  s->stop = {params.stop_when.token.child(), params.stop_when.deadline};
  if (auto ok = prepare(*s, std::move(prompt), params); !ok) {
    s->result.finish = finish_reason::error;
    s->result.error = std::move(ok).error();
    s->result.usage.prompt_tokens = s->prompt_tokens;
    s->done = true;
    return s;
  }
  const std::lock_guard lock(mutex_);
  incoming_.push_back(s);
  return s;
}

TINYPHI_FUNC std::optional<std::string> scheduler::next_text(sequence& s) {
  std::unique_lock lock(mutex_);
  while (s.ready.empty() && !s.done) {
    if (driving_) {
      changed_.wait(lock);
      continue;
    }
    driving_ = true;
    lock.unlock();
    step();
    lock.lock();
    stop_driving(lock);
  }
  if (s.ready.empty()) return std::nullopt;
  return std::exchange(s.ready, {});
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
  driving_ = false;
  changed_.notify_all();
}

TINYPHI_FUNC void scheduler::step() {
  sweep();
  admit();
  if (running_.empty()) return;
  suspect_ = running_.back().get();
  auto ok = detail::without_throwing([this] {
    plan();
    run_batch();
  });
  if (!ok) finish(*suspect_, finish_reason::error, std::move(ok).error());
  std::erase_if(running_, [](const auto& s) { return s->done.load(); });
}

// Takes in what was submitted, and ends what was cancelled or is late.
TINYPHI_FUNC void scheduler::sweep() {
  {
    const std::lock_guard lock(mutex_);
    waiting_.splice(waiting_.end(), incoming_);
  }
  const auto end_if_stopped = [this](const std::shared_ptr<sequence>& s) {
    const auto why = s->stop.reason();
    if (why) {
      finish(*s, *why == error_code::deadline ? finish_reason::deadline
                                              : finish_reason::cancelled);
    }
    return why.has_value();
  };
  std::erase_if(waiting_, end_if_stopped);
  std::erase_if(running_, end_if_stopped);
}

// First come, first served: a large request is not overtaken for ever.
TINYPHI_FUNC void scheduler::admit() {
  while (!waiting_.empty() && running_.size() < options_.max_sequences) {
    sequence& s = *waiting_.front();
    if (promised_pages_ + s.pages > pool_.max_pages()) return;
    running_.splice(running_.end(), waiting_, waiting_.begin());
    promised_pages_ += s.pages;
    s.admitted = std::chrono::steady_clock::now();
    s.kv.emplace(pool_, model_.config());
  }
}

TINYPHI_FUNC void scheduler::plan() {
  runs_.clear();
  owners_.clear();
  bool prefilling = false;
  for (const auto& s : running_) {
    // As Hugging Face does: once the text is longer than the original context,
    // all of it is computed with the long factors.
    if (!s->long_factors && model_.needs_long_factors(s->tokens.size())) {
      s->kv->clear();
      s->long_factors = true;
    }
    const std::size_t stored = s->kv->length();
    const std::size_t left = s->tokens.size() - stored;
    if (left > 1 && std::exchange(prefilling, true)) continue;
    const std::size_t n = std::min(left, options_.prefill_chunk);
    runs_.push_back({.kv = &*s->kv,
                     .tokens = std::span(s->tokens).subspan(stored, n),
                     .long_factors = s->long_factors,
                     .n_logits = n == left ? std::size_t{1} : 0});
    owners_.push_back(s.get());
  }
}

TINYPHI_FUNC void scheduler::run_batch() {
  const auto longest = std::max_element(
      runs_.begin(), runs_.end(), [](const batch_run& a, const batch_run& b) {
        return a.tokens.size() < b.tokens.size();
      });
  suspect_ = owners_[static_cast<std::size_t>(longest - runs_.begin())];
  // The request that makes this step long may end it: nothing has advanced
  // then, and the others repeat their one token.
  auto logits = model_.forward(runs_, team_, scratch_, suspect_->stop);
  if (!logits) {
    const error_code code = logits.error().code;
    if (code == error_code::cancelled || code == error_code::deadline) return;
    finish(*suspect_, finish_reason::error, std::move(logits).error());
    return;
  }
  const std::size_t vocab_size = model_.config().vocab_size;
  std::span<const float> rest = *logits;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i].n_logits == 0) continue;
    sequence& s = *owners_[i];
    // What one throws ends it alone: all have advanced and need their token.
    auto ok =
        detail::without_throwing([&] { accept(s, rest.first(vocab_size)); });
    if (!ok) finish(s, finish_reason::error, std::move(ok).error());
    rest = rest.subspan(vocab_size);
  }
}

// Chooses the next token of `s`.
TINYPHI_FUNC void scheduler::accept(sequence& s,
                                    std::span<const float> logits) {
  if (!s.first_token) s.first_token = std::chrono::steady_clock::now();
  sampled_token chosen = s.choose->sample(logits);
  const token_id id = chosen.id;
  const auto& stop_ids = model_.stop_ids();
  if (!s.ignore_stop_ids &&
      std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end()) {
    finish(s, finish_reason::stop);
    return;
  }
  s.tokens.push_back(id);
  s.answer.push_back(std::move(chosen));
  if (s.text) {
    const std::string piece = s.text->push(id);
    const std::lock_guard lock(mutex_);
    s.ready += piece;
  }
  if (s.text && s.text->stopped()) {
    finish(s, finish_reason::stop);
  } else if (s.answer.size() == s.max_tokens) {
    finish(s, finish_reason::length);
  }
}

TINYPHI_FUNC void scheduler::finish(sequence& s, finish_reason why,
                                    std::optional<tinyphi::error> e) {
  if (s.kv) {
    s.kv.reset();
    promised_pages_ -= s.pages;
  }
  std::string held;  // lost only if there is no memory for it
  if (s.text && !s.text->stopped()) {
    (void)detail::without_throwing([&] { held = s.text->finish(); });
  }
  const usage u = detail::usage_of(s, std::chrono::steady_clock::now());
  const std::lock_guard lock(mutex_);
  (void)detail::without_throwing([&] { s.ready += held; });
  s.result = {why, std::move(e), u, std::move(s.answer)};
  s.done = true;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_IPP_
