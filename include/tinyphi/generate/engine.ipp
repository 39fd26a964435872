// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_ENGINE_IPP_
#define TINYPHI_GENERATE_ENGINE_IPP_

#include <algorithm>
#include <utility>

#include "tinyphi/base/memory.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/generate/engine.h"
#include "tinyphi/generate/sampling_params.ipp"
#include "tinyphi/generate/scheduler.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// One full context, at most a quarter of the memory there is.
inline std::size_t default_kv_bytes(const model& m, kv_type type) {
  const std::size_t per_token = kv_bytes_per_token(m.config(), type);
  const std::size_t context =
      n_pages(m.config().max_context) * page_tokens * per_token;
  const std::size_t memory = available_memory();
  return memory == 0 ? context : std::min(context, memory / 4);
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

TINYPHI_FUNC std::optional<std::string> generation::next() {
  return scheduler_->next_text(*sequence_);
}
TINYPHI_FUNC std::string generation::text() {
  std::string all;
  while (const auto piece = next()) all += *piece;
  return all;
}
TINYPHI_FUNC generation::iterator generation::begin() { return iterator(this); }

TINYPHI_FUNC void generation::cancel() { sequence_->stop.token.cancel(); }

TINYPHI_FUNC const std::optional<tinyphi::error>& generation::error() const {
  return sequence_->seen().error;
}
TINYPHI_FUNC finish_reason generation::finish() const {
  return sequence_->seen().finish;
}
TINYPHI_FUNC tinyphi::usage generation::usage() const {
  return sequence_->seen().usage;
}
TINYPHI_FUNC const std::vector<sampled_token>& generation::tokens() const {
  return sequence_->seen().tokens;
}

TINYPHI_FUNC result<engine> engine::create(tinyphi::model m,
                                           const engine_options& options) {
  engine_options o = options;
  const detail::number_range ranges[] = {
      {"n_threads", 1.0 * o.n_threads, '[', 0, 1024, ']'},
      {"max_sequences", static_cast<double>(o.max_sequences), '[', 1, 4096,
       ']'},
      {"prefill_chunk", static_cast<double>(o.prefill_chunk), '[', 1, 65536,
       ']'}};
  for (const auto& range : ranges) {
    if (!range.holds()) return range.fault();
  }
  if (!o.cache_type) o.cache_type = m.default_kv_type();
  if (o.kv_bytes == 0) o.kv_bytes = detail::default_kv_bytes(m, *o.cache_type);
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
TINYPHI_FUNC const engine_options& engine::options() const {
  return scheduler_->options();
}

TINYPHI_FUNC generation engine::chat(std::span<const message> messages,
                                     const generation_params& params) {
  const auto ids = [&]() -> result<std::vector<token_id>> {
    TINYPHI_TRY(const chat_format format, model().chat_format());
    TINYPHI_TRY(const auto prompt, render_chat(format, messages));
    return model().tokenizer()->encode(prompt, true);
  };
  return {scheduler_, scheduler_->submit(ids(), params)};
}

TINYPHI_FUNC generation engine::complete(std::span<const segment> prompt,
                                         const generation_params& params) {
  if (const tokenizer* t = model().tokenizer()) {
    return complete(t->encode(prompt, true), params);
  }
  return {scheduler_,
          scheduler_->submit(
              tinyphi::error{error_code::unsupported,
                             model().path().string() +
                                 ": has no tokenizer; give token ids"},
              params)};
}
TINYPHI_FUNC generation engine::complete(std::vector<token_id> prompt,
                                         const generation_params& params) {
  return {scheduler_, scheduler_->submit(std::move(prompt), params)};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_ENGINE_IPP_
