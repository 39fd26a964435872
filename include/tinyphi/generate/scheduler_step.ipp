// SPDX-License-Identifier: MIT
// The driver's step: sweep, admit, plan, compute, accept, publish.
#ifndef TINYPHI_GENERATE_SCHEDULER_STEP_IPP_
#define TINYPHI_GENERATE_SCHEDULER_STEP_IPP_

#include <algorithm>
#include <chrono>
#include <utility>

#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

inline usage usage_of(const sequence& s, steady_time now) {
  usage u;
  u.prompt_tokens = s.prompt_tokens;
  u.cached_tokens = s.cached_tokens;
  u.completion_tokens = s.answer.size();
  u.drafts = s.drafts;
  u.drafted_tokens = s.drafted;
  u.accepted_tokens = s.accepted;
  const steady_time admitted = s.admitted.value_or(now);
  const steady_time first = s.first_token.value_or(now);
  u.queue_seconds = seconds_between(s.submitted, admitted);
  u.prefill_seconds = seconds_between(admitted, first);
  u.decode_seconds = seconds_between(first, now);
  return u;
}

// A step that takes longer than this ends early when one of its requests is
// cancelled or late, so that its caller need not wait for it.
inline constexpr double max_reaction_ms = 100;

}  // namespace detail

// Returns whether anything was computed.
TINYPHI_FUNC bool scheduler::step() {
  beat();
  sweep();
  // Without memory for it nobody is admitted, and the next step tries again.
  (void)detail::without_throwing([this] { admit(); });
  runs_.clear();
  owners_.clear();
  if (running_.empty()) return false;
  suspect_ = running_.back().get();
  auto ok = detail::without_throwing([this] {
    plan_rows();
    compute();
  });
  if (!ok) finish(*suspect_, finish_reason::error, std::move(ok).error());
  std::erase_if(running_, [](const auto& s) { return s->done.load(); });
  ++n_steps_;
  return !runs_.empty();
}

TINYPHI_FUNC bool scheduler::end_if_stopped(sequence& s) {
  const auto why = s.stop.reason();
  if (!why && !s.admitted && s.queue_deadline &&
      std::chrono::steady_clock::now() >= *s.queue_deadline) {
    finish(s, finish_reason::error,
           tinyphi::error{error_code::deadline,
                          "the time in the queue is over; others came first"});
    return true;
  }
  if (!why) return false;
  finish(s, *why == error_code::deadline ? finish_reason::deadline
                                         : finish_reason::cancelled);
  return true;
}

// Takes in what was submitted, and ends what was cancelled or is late.
TINYPHI_FUNC void scheduler::sweep() {
  std::erase_if(running_, [this](const auto& s) { return end_if_stopped(*s); });
  {
    const std::lock_guard lock(mutex_);
    waiting_.splice(waiting_.end(), incoming_);
    work_came_ = false;
    std::size_t tokens = 0;
    for (const auto& s : waiting_) tokens += s->tokens.size();
    for (const auto& s : running_) tokens += s->left();
    waiting_ms_ = static_cast<double>(tokens) * cost_.linear_ms(64) / 64;
    if (std::exchange(unpin_, false)) cache_.unpin_all();
    if (std::exchange(drop_cache_, false)) drop_cache();
    for (const auto& [tenant, weight] : weights_) {
      shares_.set_weight(tenant, weight);
    }
    weights_.clear();
  }
  sweep_waiting();
}

// Ends what waits and was cancelled or is late.
TINYPHI_FUNC void scheduler::sweep_waiting() {
  std::erase_if(waiting_, [this](const std::shared_ptr<sequence>& s) {
    const std::size_t n = s->tokens.size();
    if (!end_if_stopped(*s)) return false;
    const std::lock_guard lock(mutex_);
    --n_waiting_;
    n_waiting_tokens_ -= std::min(n_waiting_tokens_, n);
    return true;
  });
}

// What a step would cost with 0 to 16 more rows, and a draft for each request
// that decodes, as long as it pays.
TINYPHI_FUNC void scheduler::propose_drafts() {
  step_shape shape;
  for (const plan_request& r : requests_) {
    if (!r.decodes()) continue;
    shape.decode_rows += r.left;
    shape.decode_keys += r.left * r.stored;
  }
  draft_ms_.clear();
  if (shape.decode_rows == 0 || !cost_.measured()) return;
  const std::size_t others = shape.decode_rows - 1;
  const std::size_t keys = shape.decode_keys / shape.decode_rows;
  for (std::size_t k = 0; k <= draft_policy::max_length; ++k) {
    draft_ms_.push_back(cost_.ms(shape));
    ++shape.decode_rows;
    shape.decode_keys += keys;
  }
  const model_config& config = model_.config();
  for (plan_request& r : requests_) {
    sequence& s = *members_[r.index];
    s.match_length = 0;
    if (!s.source || r.left != 1 || !r.decodes()) continue;
    // A draft does not pass the answer's end, or the switch of rotary factors.
    std::size_t room = s.max_tokens - s.answer.size() - 1;
    if (config.rope.is_longrope() && !s.long_factors) {
      room = std::min<std::size_t>(
          room, config.rope.original_context - s.tokens.size());
    }
    room = std::min(room, draft_policy::max_length);
    s.match_length = s.source->propose(room, s.proposal);
    if (s.format) keep_allowed_drafts(s);
    r.drafts = s.policy.choose_length(s.match_length, s.proposal.size(),
                                      draft_ms_, others);
  }
}

TINYPHI_FUNC void scheduler::plan_rows() {
  requests_.clear();
  members_.clear();
  for (const auto& owner : running_) {
    sequence& s = *owner;
    if (s.done) continue;
    // As Hugging Face does: once the text is longer than the original context,
    // all of it is computed with the long factors.
    if (!s.long_factors && model_.needs_long_factors(s.tokens.size())) {
      s.kv->clear();
      s.long_factors = true;
      s.pages_offered = 0;
      go_on_from_cache(s);
    }
    plan_request r;
    r.index = members_.size();
    r.tenant = s.tenant;
    r.priority = s.priority;
    r.left = s.full ? 0 : s.left();
    r.answering = !s.answer.empty();
    r.stored = s.kv->length();
    r.cached = s.cached_tokens;
    r.order = s.order;
    r.ran = s.ran;
    requests_.push_back(r);
    members_.push_back(&s);
  }
  propose_drafts();
  step_targets targets;
  targets.gap_ms = options_.gap_ms;
  targets.idle_step_ms = std::max(1000.0, options_.gap_ms);
  targets.max_slice = max_slice_;
  plan_step(requests_, cost_, targets, shares_, plan_);
  for (const planned_run& run : plan_.runs) {
    sequence& s = *members_[run.index];
    add_run(s, run);
  }
}

TINYPHI_FUNC void scheduler::add_run(sequence& s, const planned_run& run) {
  const std::size_t stored = s.kv->length(), end = stored + run.tokens;
  batch_run r;
  r.kv = &*s.kv;
  r.tokens = std::span(s.tokens).subspan(stored, run.tokens);
  r.long_factors = s.long_factors;
  switch (s.kind) {
    case request_kind::answer:
      r.n_rows = end == s.tokens.size() ? 1 + run.drafts : 0;
      if (run.drafts == 0) break;
      s.run_ids.assign(r.tokens.begin(), r.tokens.end());
      s.run_ids.insert(
          s.run_ids.end(), s.proposal.begin(),
          s.proposal.begin() + static_cast<std::ptrdiff_t>(run.drafts));
      r.tokens = s.run_ids;
      break;
    case request_kind::score: {
      // The token before the first scored one gives that one's probability.
      const std::size_t first = s.prompt_tokens - 1;
      r.n_rows = end > first ? std::min(run.tokens, end - first) : 0;
      r.output = row_output::logprobs;
      if (r.n_rows == 0) break;
      r.targets =
          std::span(s.targets).subspan(end - r.n_rows - first, r.n_rows);
      break;
    }
    case request_kind::embed:
      r.n_rows = run.tokens;
      r.output = row_output::hidden;
      break;
  }
  s.n_drafts = s.kind == request_kind::answer ? run.drafts : 0;
  runs_.push_back(r);
  owners_.push_back(&s);
}

// Called after each layer of a step, on the driver's thread.
TINYPHI_FUNC void scheduler::watch() {
  beat();
  if (calibrating_ && work_came_) step_stop_.token.cancel();
  const bool long_step = plan_.expected_ms - detail::ms_since(step_began_) >
                         detail::max_reaction_ms;
  if (!long_step) return;
  for (const sequence* s : owners_) {
    if (s->stop.reason()) step_stop_.token.cancel();
  }
  const std::size_t before = waiting_.size();
  sweep_waiting();
  if (waiting_.size() != before) changed_.notify_all();
}

TINYPHI_FUNC void scheduler::compute() {
  const std::size_t n_planned = runs_.size();
  reserve_pages();
  if (runs_.empty()) return;
  // Whose prompt makes the step long may end it at once: nothing has been
  // committed then, and the others repeat their row.
  const sequence* reader = nullptr;
  const planned_run* slice = plan_.slice();
  if (slice != nullptr) {
    sequence* s = members_[slice->index];
    if (s->kv) reader = suspect_ = s;
  }
  const bool was_child = step_has_reader_;
  step_has_reader_ = reader != nullptr;
  step_stop_.deadline = reader ? reader->stop.deadline : std::nullopt;
  if (reader || was_child || step_stop_.token.cancelled()) {
    step_stop_.token = reader ? reader->stop.token.child() : cancel_token();
  }
  step_began_ = std::chrono::steady_clock::now();
  const auto out = model_.forward(runs_, team_, scratch_, step_stop_);
  const double ms = detail::ms_since(step_began_);
  if (options_.on_step) {
    options_.on_step(ms, slice == nullptr ? 0 : slice->tokens);
  }
  const bool aborted = !out;
  shares_.charge(plan_, requests_, ms,
                 aborted && reader && reader->stop.reason());
  for (sequence* s : owners_) s->ran = shares_.step();
  if (aborted) {
    const error_code code = out.error().code;
    if (code == error_code::cancelled || code == error_code::deadline) return;
    // Where there is no memory for a slice, there may be for half of it.
    if (code == error_code::limit && reader && slice->tokens > 1) {
      max_slice_ = (slice->tokens + 1) / 2;
      return;
    }
    return finish(*suspect_, finish_reason::error, out.error());
  }
  if (runs_.size() == n_planned) cost_.learn(plan_.shape, ms);
  accept_all(*out);
}

// Samples, looks for stops and makes text, one request on one thread.
TINYPHI_FUNC void scheduler::accept_all(const forward_output& out) {
  rows_.assign(runs_.size(), {});
  std::size_t logits = 0, logprobs = 0, hidden = 0;
  const std::size_t vocab = model_.config().vocab_size;
  const std::size_t width = model_.config().hidden;
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const std::size_t n = runs_[i].n_rows;
    switch (runs_[i].output) {
      case row_output::logits:
        rows_[i] = out.logits.subspan(logits * vocab, n * vocab);
        logits += n;
        break;
      case row_output::logprobs:
        rows_[i] = out.logprobs.subspan(logprobs, n);
        logprobs += n;
        break;
      case row_output::hidden:
        rows_[i] = out.hidden.subspan(hidden * width, n * width);
        hidden += n;
        break;
    }
  }
  team_.run(runs_.size(), 1, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      sequence& s = *owners_[i];
      s.step.clear();
      auto ok = out.check(i);
      if (ok) {
        // What one throws ends it alone: the others need their tokens.
        auto thrown = detail::without_throwing([&] {
          if (s.kind == request_kind::answer) {
            accept_answer(s, rows_[i]);
          } else {
            accept_values(s, rows_[i]);
          }
        });
        if (thrown) continue;
        ok = std::move(thrown);
      }
      s.step.error = std::move(ok).error();
    }
  });
  // Without those that were lost to what was thrown.
  std::size_t bytes = 0;
  for (const sampler_scratch& scratch : samplers_) bytes += scratch.bytes();
  (void)samplers_memory_.resize(std::min(bytes, samplers_memory_.bytes()), {});
  for (std::size_t i = 0; i < runs_.size(); ++i) commit(*owners_[i], runs_[i]);
  publish();
}

// Chooses a token for each row, as long as they are what was drafted.
TINYPHI_FUNC void scheduler::accept_answer(sequence& s,
                                           std::span<const float> rows) {
  if (rows.empty()) return;
  sampler_scratch scratch;
  {
    const std::lock_guard lock(samplers_mutex_);
    if (!samplers_.empty()) {
      scratch = std::move(samplers_.back());
      samplers_.pop_back();
    }
  }
  const std::size_t had = scratch.bytes();
  const std::size_t vocab = model_.config().vocab_size;
  result<void> ok;
  for (std::size_t r = 0; r * vocab < rows.size(); ++r) {
    ok = accept_next(s, rows.subspan(r * vocab, vocab), scratch);
    if (!ok || s.step.finish || r == s.n_drafts ||
        s.tokens.back() != s.proposal[r]) {
      break;
    }
  }
  if (ok && s.format) ok = append_forced(s);
  if (!ok) s.step.error = std::move(ok).error();
  // Who made it grow beyond what there is ends, and it is let go.
  const std::lock_guard lock(samplers_mutex_);
  const std::size_t others = samplers_memory_.bytes() - had;
  auto held = samplers_memory_.resize(others + scratch.bytes(), "a sampler");
  if (!held) {
    (void)samplers_memory_.resize(others, {});
    s.step.error = std::move(held).error();
    return;
  }
  samplers_.push_back(std::move(scratch));
}

TINYPHI_FUNC result<void> scheduler::accept_next(sequence& s,
                                                 std::span<const float> row,
                                                 sampler_scratch& scratch) {
  if (s.format) return accept_next_of_format(s, row, scratch);
  TINYPHI_TRY(sampler::choice choice, s.choose->choose(row, scratch));
  s.choose->accept(choice);
  ++s.step.n_tokens;
  return accept_row(s, std::move(choice.token));
}

TINYPHI_FUNC bool scheduler::is_stop_id(token_id id) const {
  const auto& stop_ids = model_.stop_ids();
  return std::find(stop_ids.begin(), stop_ids.end(), id) != stop_ids.end();
}

TINYPHI_FUNC result<void> scheduler::accept_row(sequence& s,
                                                sampled_token token) {
  const token_id id = token.id;
  if (!s.ignore_stop_ids && is_stop_id(id)) {
    s.step.finish = finish_reason::stop;
    return {};
  }
  if (s.format) TINYPHI_CHECK_OK(s.format->accept(id));
  s.tokens.push_back(id);
  if (s.source) s.source->append(id);
  s.held.tokens.push_back(token);
  s.answer.push_back(std::move(token));
  std::string piece;
  if (s.text) piece = s.text->push(id);
  if (!s.text || !piece.empty()) {
    auto& tokens = s.step.piece.tokens;
    s.step.piece.text += piece;
    tokens.insert(tokens.end(), std::make_move_iterator(s.held.tokens.begin()),
                  std::make_move_iterator(s.held.tokens.end()));
    s.held.tokens.clear();
  }
  if ((s.text && s.text->stopped()) || (s.format && s.format->must_end())) {
    s.step.finish = finish_reason::stop;
  } else if (s.answer.size() == s.max_tokens) {
    s.step.finish = finish_reason::length;
  }
  return {};
}

// What scores and embeddings gather from their rows.
TINYPHI_FUNC void scheduler::accept_values(sequence& s,
                                           std::span<const float> rows) {
  if (s.kind == request_kind::score) {
    s.logprobs.insert(s.logprobs.end(), rows.begin(), rows.end());
    if (s.logprobs.size() == s.targets.size()) {
      s.step.finish = finish_reason::stop;
    }
    return;
  }
  const std::size_t width = model_.config().hidden;
  s.sums.resize(width);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    s.sums[i % width] += static_cast<double>(rows[i]);
  }
  if (s.kv->length() + rows.size() / width == s.tokens.size()) {
    s.step.finish = finish_reason::stop;
  }
}

// Lets what was computed and accepted count.
TINYPHI_FUNC void scheduler::commit(sequence& s, const batch_run& run) {
  if (s.step.error) return;
  std::size_t n = run.tokens.size();
  if (s.kind == request_kind::answer && run.n_rows > 0) {
    // Of the drafted tokens, those that were right; the last token that was
    // chosen is not in the cache yet.
    n -= run.n_rows - s.step.n_tokens;
    if (!s.first_token) s.first_token = std::chrono::steady_clock::now();
    if (!draft_ms_.empty() && s.source && s.step.n_tokens > 0) {
      const std::size_t right = s.step.n_tokens - 1;
      const std::size_t behind = s.step.n_tokens + s.step.n_forced;
      const bool followed =
          s.match_length > 0 && !s.proposal.empty() && !s.step.finish &&
          s.proposal[0] == s.answer[s.answer.size() - behind].id;
      if (s.n_drafts > 0) {
        ++s.drafts;
        s.drafted += s.n_drafts;
        s.accepted += right;
        s.policy.learn(s.match_length, s.n_drafts, right, draft_ms_,
                       plan_.shape.decode_rows > 0 ? plan_.n_decoding - 1 : 0);
      } else {
        s.policy.learn_undrafted(s.match_length, followed);
      }
    }
  }
  s.kv->commit(s.kv->length() + n);
  s.n_read = std::min(s.kv->length(), s.prompt_tokens);
  if (!s.step.finish)
    (void)detail::without_throwing([&] { offer_pages(s, false); });
}

// Hands out the pieces of this step, and ends who has come to an end.
TINYPHI_FUNC void scheduler::publish() {
  {
    const std::lock_guard lock(mutex_);
    for (sequence* s : owners_) {
      (void)detail::without_throwing([&] { add_piece(*s, s->step.piece); });
      s->full = s->ready.text.size() >= max_ready_bytes ||
                s->ready.tokens.size() >= max_ready_tokens;
    }
  }
  for (sequence* s : owners_) {
    if (s->step.error) {
      finish(*s, finish_reason::error, std::move(*s->step.error));
    } else if (s->step.finish) {
      finish(*s, *s->step.finish);
    } else if (s->on_progress && (!s->step.piece.empty() || !s->first_token)) {
      s->on_progress();
    }
  }
}

TINYPHI_FUNC void scheduler::add_piece(sequence& s, text_piece& piece) {
  s.ready.text += piece.text;
  s.ready.tokens.insert(s.ready.tokens.end(),
                        std::make_move_iterator(piece.tokens.begin()),
                        std::make_move_iterator(piece.tokens.end()));
}

// Ends a request: what it has computed stays in the prefix cache.
TINYPHI_FUNC void scheduler::finish(sequence& s, finish_reason why,
                                    std::optional<tinyphi::error> e) {
  if (s.kv && why != finish_reason::error) {
    (void)detail::without_throwing([&] { offer_pages(s, true); });
  }
  if (s.kind == request_kind::answer &&
      (why == finish_reason::stop || why == finish_reason::length)) {
    expected_answer_ +=
        (static_cast<double>(s.answer.size()) - expected_answer_) / 16;
  }
  forget_swapped(s);
  s.kv.reset();
  s.choose.reset();
  s.format.reset();
  s.source.reset();
  (void)s.memory.resize(
      std::min(s.memory.bytes(),
               s.tokens.capacity() * sizeof(token_id) +
                   s.answer.capacity() * sizeof(sampled_token)),
      {});
  max_slice_ = options_.prefill_chunk;
  text_piece last = std::move(s.held);
  // Lost only if there is no memory for it.
  if (s.text && !s.text->stopped()) {
    (void)detail::without_throwing([&] { last.text = s.text->finish(); });
  }
  const usage u = detail::usage_of(s, std::chrono::steady_clock::now());
  {
    const std::lock_guard lock(mutex_);
    (void)detail::without_throwing([&] { add_piece(s, last); });
    s.result.finish = why;
    s.result.error = std::move(e);
    s.result.usage = u;
    s.result.tokens = std::move(s.answer);
    s.result.logprobs = std::move(s.logprobs);
    s.result.sums = std::move(s.sums);
    s.full = false;
    s.done = true;
  }
  if (s.on_progress) s.on_progress();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_SCHEDULER_STEP_IPP_
