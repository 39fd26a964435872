// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_ENGINE_IPP_
#define TINYPHI_GENERATE_ENGINE_IPP_

#include <algorithm>
#include <cmath>
#include <utility>

#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/sampling_params.ipp"
#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// One full context, at most a quarter of the memory there is and half of what
// the budget has left.
inline std::size_t default_kv_bytes(const model& m, kv_type type,
                                    const memory_budget& budget) {
  const std::size_t per_token = kv_bytes_per_token(m.config(), type);
  const std::size_t context =
      n_pages(m.config().max_context) * page_tokens * per_token;
  std::size_t most = context;
  if (const std::size_t available = available_memory(); available > 0) {
    most = std::min(most, available / 4);
  }
  if (const std::size_t limit = budget.limit(); limit > 0) {
    most =
        std::min(most, (limit - std::min(limit, budget.usage().total())) / 2);
  }
  return most;
}

// Why a request that gives no text did not give what it was asked for.
inline result<void> outcome_of(const outcome& o) {
  if (o.error) return *o.error;
  if (o.finish == finish_reason::stop) return {};
  return o.finish == finish_reason::deadline
             ? error{error_code::deadline, "the deadline has passed"}
             : error{error_code::cancelled, "cancelled"};
}

}  // namespace detail

TINYPHI_FUNC generation& generation::operator=(generation&& other) noexcept {
  abandon();
  sequence_ = std::move(other.sequence_);
  scheduler_ = std::move(other.scheduler_);
  return *this;
}
TINYPHI_FUNC generation::~generation() { abandon(); }
TINYPHI_FUNC void generation::abandon() noexcept {
  if (sequence_) scheduler_->abandon(*sequence_);
}

TINYPHI_FUNC std::optional<text_piece> generation::next_piece() {
  if (!sequence_) return std::nullopt;
  return scheduler_->next_piece(*sequence_);
}
TINYPHI_FUNC std::optional<std::string> generation::next() {
  while (auto piece = next_piece()) {
    if (!piece->text.empty()) return std::move(piece->text);
  }
  return std::nullopt;
}
TINYPHI_FUNC text_piece generation::poll() {
  return sequence_ ? scheduler_->take_piece(*sequence_) : text_piece{};
}
TINYPHI_FUNC prompt_progress generation::progress() const {
  if (!sequence_) return {};
  const sequence& s = *sequence_;
  if (!s.has_begun) return {.total = s.prompt_tokens};
  return {true, s.n_found, s.n_read, s.prompt_tokens, *s.admitted};
}
TINYPHI_FUNC bool generation::done() const {
  return !sequence_ || sequence_->done;
}
TINYPHI_FUNC std::string generation::text() {
  std::string all;
  while (const auto piece = next()) all += *piece;
  return all;
}
TINYPHI_FUNC generation::iterator generation::begin() { return iterator(this); }

TINYPHI_FUNC void generation::cancel() {
  if (sequence_) sequence_->stop.token.cancel();
}

TINYPHI_FUNC const outcome& generation::seen() const {
  static const outcome moved_from{};
  return sequence_ ? sequence_->seen() : moved_from;
}
TINYPHI_FUNC const std::optional<tinyphi::error>& generation::error() const {
  return seen().error;
}
TINYPHI_FUNC finish_reason generation::finish() const { return seen().finish; }
TINYPHI_FUNC tinyphi::usage generation::usage() const { return seen().usage; }
TINYPHI_FUNC const std::vector<sampled_token>& generation::tokens() const {
  return seen().tokens;
}
TINYPHI_FUNC double generation::retry_after_seconds() const {
  return seen().retry_after_seconds;
}

TINYPHI_FUNC result<engine> engine::create(tinyphi::model m,
                                           const engine_options& options) {
  engine_options o = options;
  const detail::number_range ranges[] = {
      {"n_threads", 1.0 * o.n_threads, '[', 0, 1024, ']'},
      {"max_sequences", static_cast<double>(o.max_sequences), '[', 1, 4096,
       ']'},
      {"prefill_chunk", static_cast<double>(o.prefill_chunk), '[', 1, 65536,
       ']'},
      {"max_waiting", static_cast<double>(o.max_waiting), '[', 1, 1 << 20, ']'},
      {"max_waiting_tokens", static_cast<double>(o.max_waiting_tokens), '[', 1,
       std::exp2(32), ']'},
      {"gap_ms", o.gap_ms, '[', 1, 60000, ']'}};
  for (const auto& range : ranges) {
    if (!range.holds()) return range.fault();
  }
  if (!o.budget) o.budget = memory_budget(0);
  if (!o.cache_type) o.cache_type = m.default_kv_type();
  if (o.kv_bytes == 0) {
    o.kv_bytes = detail::default_kv_bytes(m, *o.cache_type, o.budget);
  }
  const std::size_t page =
      kv_bytes_per_token(m.config(), *o.cache_type) * page_tokens;
  if (o.kv_bytes < page) {
    return error{error_code::limit,
                 "a cache budget (kv_bytes) of " + std::to_string(o.kv_bytes) +
                     " bytes holds no page of " + std::to_string(page) +
                     " bytes (" + std::to_string(page_tokens) + " tokens)"};
  }
  return engine(std::make_shared<scheduler>(std::move(m), o));
}

TINYPHI_FUNC const tinyphi::model& engine::model() const {
  return scheduler_->model();
}
TINYPHI_FUNC std::string engine::cache_note() const {
  return scheduler_->cache_note();
}
TINYPHI_FUNC result<token_trie> engine::vocabulary() const {
  return scheduler_->vocabulary();
}
TINYPHI_FUNC step_cost::table engine::step_costs() const {
  return scheduler_->cost().learnt();
}
TINYPHI_FUNC engine_load engine::load() const { return scheduler_->load(); }
TINYPHI_FUNC void engine::set_weight(std::uint64_t tenant, double weight) {
  scheduler_->set_weight(tenant, weight);
}
TINYPHI_FUNC void engine::unpin_prompts() { scheduler_->ask_to_unpin(); }
TINYPHI_FUNC void engine::drop_cache() { scheduler_->ask_to_drop_cache(); }
TINYPHI_FUNC void engine::wake() { scheduler_->wake(); }
TINYPHI_FUNC const engine_options& engine::options() const {
  return scheduler_->options();
}

// The ids of a prompt. A text that cannot fit the context whatever its tokens
// are is refused before it is tokenized.
TINYPHI_FUNC result<std::vector<token_id>> engine::encode(
    std::span<const segment> prompt) const {
  const tokenizer* t = model().tokenizer();
  if (t == nullptr) {
    return tinyphi::error{
        error_code::unsupported,
        model().path().string() + ": has no tokenizer; give token ids"};
  }
  const std::size_t most =
      model().config().max_context * scheduler_->longest_token();
  std::size_t n = 0;
  for (const segment& s : prompt) n += s.text.size();
  if (n > most) {
    return tinyphi::error{error_code::limit,
                          "the prompt has " + std::to_string(n) +
                              " bytes; the context of " +
                              std::to_string(model().config().max_context) +
                              " tokens holds at most " + std::to_string(most)};
  }
  return t->encode(prompt, true);
}

TINYPHI_FUNC result<std::vector<token_id>> engine::chat_prompt(
    std::span<const message> messages) const {
  TINYPHI_TRY(const chat_format format, model().chat_format());
  TINYPHI_TRY(const auto prompt, render_chat(format, messages));
  return encode(prompt);
}

TINYPHI_FUNC generation engine::chat(std::span<const message> messages,
                                     const generation_params& params) {
  return {scheduler_, scheduler_->submit(chat_prompt(messages), params)};
}

TINYPHI_FUNC generation engine::complete(std::span<const segment> prompt,
                                         const generation_params& params) {
  return {scheduler_, scheduler_->submit(encode(prompt), params)};
}
TINYPHI_FUNC generation engine::complete(std::vector<token_id> prompt,
                                         const generation_params& params) {
  return {scheduler_, scheduler_->submit(std::move(prompt), params)};
}

TINYPHI_FUNC std::vector<generation> engine::chat_n(
    std::span<const message> messages, std::size_t n,
    const generation_params& params) {
  auto prompt = chat_prompt(messages);
  if (prompt) return complete_n(*std::move(prompt), n, params);
  std::vector<generation> all;
  for (std::size_t i = 0; i < n; ++i) {
    all.push_back({scheduler_, scheduler_->submit(prompt, params)});
  }
  return all;
}

TINYPHI_FUNC std::vector<generation> engine::complete_n(
    std::vector<token_id> prompt, std::size_t n,
    const generation_params& params) {
  std::vector<generation> all;
  generation_params p = params;
  std::shared_ptr<sequence> first;
  for (std::size_t i = 0; i < n; ++i, ++p.sampling.seed) {
    auto s = first ? scheduler_->submit_twin(first, p, prompt)
                   : scheduler_->submit(prompt, p);
    if (!first) first = s;
    all.push_back({scheduler_, std::move(s)});
  }
  return all;
}

// So many texts of one call are under way at once: the queue is for everybody.
TINYPHI_FUNC std::size_t engine::texts_at_once() const {
  return std::min<std::size_t>(options().max_sequences, options().max_waiting);
}

// Drives until a text is done; what it has come to lives as long as `text`.
TINYPHI_FUNC result<const outcome*> engine::wait_for(generation& text) const {
  while (text.next_piece()) {
  }
  TINYPHI_CHECK_OK(detail::outcome_of(text.seen()));
  return &text.seen();
}

TINYPHI_FUNC result<std::vector<text_score>> engine::score(
    std::span<const segment> prompt, std::span<const std::string> candidates,
    const generation_params& params) {
  TINYPHI_TRY(const auto shared, encode(prompt));
  // The prompt and a candidate are tokenized together, as the model has learnt
  // to read them, so that what they share may end before the prompt does.
  std::vector<scored_text> texts;
  std::vector<segment> whole(prompt.begin(), prompt.end());
  whole.emplace_back();
  for (const std::string& candidate : candidates) {
    whole.back().text = candidate;
    scored_text t;
    TINYPHI_TRY(t.ids, encode(whole));
    const auto differs =
        std::mismatch(shared.begin(), shared.end(), t.ids.begin(), t.ids.end());
    t.n_scored = static_cast<std::size_t>(t.ids.end() - differs.second);
    if (t.n_scored == 0 || t.n_scored == t.ids.size()) {
      return tinyphi::error{
          error_code::invalid_argument,
          "candidate " + std::to_string(texts.size()) +
              (t.n_scored == 0 ? " adds no token to the prompt"
                               : " follows an empty prompt") +
              "; both need text"};
    }
    texts.push_back(std::move(t));
  }
  return score(std::move(texts), params);
}

TINYPHI_FUNC result<std::vector<text_score>> engine::score(
    std::vector<scored_text> texts, const generation_params& params) {
  for (const scored_text& t : texts) {
    if (t.n_scored > 0 && t.n_scored < t.ids.size()) continue;
    return tinyphi::error{error_code::invalid_argument,
                          std::to_string(t.n_scored) + " of " +
                              std::to_string(t.ids.size()) +
                              " tokens are to be scored; allowed are 1 to one "
                              "less than all"};
  }
  std::vector<generation> runs;
  std::vector<text_score> scores;
  const auto collect = [&]() -> result<void> {
    TINYPHI_TRY(const outcome* o, wait_for(runs[scores.size()]));
    text_score s;
    s.logprobs = o->logprobs;
    for (const float p : s.logprobs) s.log_probability += double{p};
    scores.push_back(std::move(s));
    return {};
  };
  // The last token before those that are scored gives the first score.
  const auto before = [](const scored_text& t) {
    return t.ids.begin() +
           static_cast<std::ptrdiff_t>(t.ids.size() - t.n_scored - 1);
  };
  for (const scored_text& t : texts) {
    text_request r{.text = t.ids, .n_scored = t.n_scored};
    if (!runs.empty()) {
      const scored_text& first = texts.front();
      const auto same = std::mismatch(t.ids.begin(), before(t),
                                      first.ids.begin(), before(first));
      r.leader = runs.front().sequence_;
      r.n_shared = static_cast<std::size_t>(same.first - t.ids.begin());
    }
    runs.push_back({scheduler_, scheduler_->submit_text(std::move(r), params)});
    if (runs.size() - scores.size() == texts_at_once()) {
      TINYPHI_CHECK_OK(collect());
    }
  }
  while (scores.size() < runs.size()) TINYPHI_CHECK_OK(collect());
  return scores;
}

TINYPHI_FUNC result<std::vector<std::vector<float>>> engine::embed(
    std::span<const std::string> texts, const generation_params& params) {
  std::vector<generation> runs;
  std::vector<std::vector<float>> vectors;
  const auto collect = [&]() -> result<void> {
    TINYPHI_TRY(const outcome* o, wait_for(runs[vectors.size()]));
    // The mean has the direction of the sum; the length is made 1.
    double squares = 0;
    for (const double x : o->sums) squares += x * x;
    const double length = squares > 0 ? std::sqrt(squares) : 1;
    std::vector<float>& v = vectors.emplace_back();
    for (const double x : o->sums) v.push_back(static_cast<float>(x / length));
    return {};
  };
  for (const std::string& text : texts) {
    const segment s{text};
    TINYPHI_TRY(auto ids, encode({&s, 1}));
    text_request r{.kind = request_kind::embed, .text = std::move(ids)};
    runs.push_back({scheduler_, scheduler_->submit_text(std::move(r), params)});
    if (runs.size() - vectors.size() == texts_at_once()) {
      TINYPHI_CHECK_OK(collect());
    }
  }
  while (vectors.size() < runs.size()) TINYPHI_CHECK_OK(collect());
  return vectors;
}

TINYPHI_FUNC result<void> engine::drive(const stop_condition& stop) {
  return scheduler_->drive(stop);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_ENGINE_IPP_
