// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_MODEL_IPP_
#define TINYPHI_MODEL_MODEL_IPP_

#include <algorithm>
#include <string>
#include <utility>

#include "tinyphi/model/layers.h"
#include "tinyphi/model/model.h"
#include "tinyphi/model/model_config.ipp"
#include "tinyphi/model/vocabulary.h"
#include "tinyphi/model/weights.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Markers that end an answer in each chat format, besides the ids that the file
// itself names: many files name only <|endoftext|>.
inline std::vector<std::string_view> end_of_turn_markers(chat_format format) {
  switch (format) {
    case chat_format::phi3_april:
    case chat_format::phi3:
    case chat_format::phi3_medium:
      return {"<|end|>", "<|endoftext|>", "<|assistant|>", "<|user|>",
              "<|system|>"};
    case chat_format::phi3_small:
    case chat_format::phi4_mini:
      return {"<|end|>", "<|endoftext|>", "<|user|>", "<|system|>"};
    case chat_format::phi4:
      return {"<|im_end|>", "<|endoftext|>", "<|im_start|>"};
  }
  return {};
}

// Files of weights alone are models too; they run, but do not chat.
inline bool has_tokenizer(const model_file& file) {
  if (file.gguf() != nullptr) {
    return file.gguf()->metadata().contains("tokenizer.ggml.tokens");
  }
  return file.hf()->file("tokenizer.json") ||
         file.hf()->file_ending_in(".tiktoken");
}

// What of a run does not depend on the others.
inline result<void> check_run(const batch_run& run, const model_config& c) {
  if (run.tokens.empty() || run.n_rows > run.tokens.size()) {
    return error{error_code::invalid_argument,
                 "a run of " + std::to_string(run.tokens.size()) +
                     " tokens that asks for " + std::to_string(run.n_rows) +
                     " rows of output; a run has at least one token, and at "
                     "most a row for each"};
  }
  if (run.output == row_output::logprobs && run.targets.size() != run.n_rows) {
    return error{error_code::invalid_argument,
                 "a run that asks for the log-probabilities of " +
                     std::to_string(run.targets.size()) + " ids in " +
                     std::to_string(run.n_rows) +
                     " rows; each row is asked for one id"};
  }
  if (run.long_factors && !c.rope.is_longrope()) {
    return error{error_code::invalid_argument,
                 "a run asks for long rotary factors, the model has none"};
  }
  return {};
}

// Everything about a model that follows from its configuration, weights and
// tokenizer.
inline void complete(model_weights& w) {
  const model_config& c = w.config;
  const auto note = [&w](const linear& l) {
    (w.in_integers(l) ? w.has_integer_products : w.has_f32_products) = true;
  };
  for (const layer_weights& l : w.layers) {
    for (const linear* m :
         {&l.qkv, &l.attention_out, &l.gate_up, &l.ffn_down}) {
      note(*m);
    }
  }
  note(w.lm_head);

  w.short_rope = make_rope_table(c.rope, false);
  if (c.rope.is_longrope()) w.long_rope = make_rope_table(c.rope, true);

  w.chat_format = error{error_code::unsupported,
                        w.path.string() + ": has no tokenizer, so no chat"};
  w.stop_ids = c.eos_ids;
  for (const token_id id : c.masked_ids) {
    if (id >= 0 && static_cast<std::size_t>(id) < c.vocab_size) {
      w.absent_ids.push_back(id);
    }
  }
  if (w.tokenizer) {
    w.chat_format = recognise_chat_format(*w.tokenizer);
    if (w.chat_format) {
      for (std::string_view marker : end_of_turn_markers(*w.chat_format)) {
        if (const auto id = w.tokenizer->find(marker)) {
          w.stop_ids.push_back(*id);
        }
      }
    }
    for (std::size_t i = 0; i < c.vocab_size; ++i) {
      const auto id = static_cast<token_id>(i);
      if (w.tokenizer->bytes(id).empty()) w.absent_ids.push_back(id);
    }
  }
  std::sort(w.stop_ids.begin(), w.stop_ids.end());
  w.stop_ids.erase(std::unique(w.stop_ids.begin(), w.stop_ids.end()),
                   w.stop_ids.end());
}

}  // namespace detail

TINYPHI_FUNC forward_scratch::forward_scratch(memory_budget budget)
    : buffers_(std::make_unique<layer_buffers>(std::move(budget))) {}
TINYPHI_FUNC void forward_scratch::clear() {
  buffers_ = std::make_unique<layer_buffers>(memory_budget(buffers_->budget));
}
TINYPHI_FUNC forward_scratch::~forward_scratch() = default;
TINYPHI_FUNC forward_scratch::forward_scratch(forward_scratch&&) noexcept =
    default;
TINYPHI_FUNC forward_scratch& forward_scratch::operator=(
    forward_scratch&&) noexcept = default;

TINYPHI_FUNC result<model> model::load(const std::filesystem::path& path,
                                       const load_options& options) {
  TINYPHI_TRY(model_file file, model_file::open(path));
  return load(std::move(file), options);
}

TINYPHI_FUNC result<model> model::load(model_file file,
                                       const load_options& options) {
  auto w = std::make_shared<model_weights>();
  w->path = file.path();
  w->exact = options.exact;
  w->fast_prefill = options.fast_prefill;
  w->file.emplace(std::move(file));
  TINYPHI_TRY(w->config, read_model_config(*w->file));
  TINYPHI_CHECK_OK(limit_context(w->config, options));
  if (detail::has_tokenizer(*w->file)) {
    TINYPHI_TRY(w->tokenizer, load_tokenizer(*w->file));
    if (w->tokenizer->size() > w->config.vocab_size) {
      return error{error_code::bad_data,
                   w->path.string() + ": the tokenizer has " +
                       std::to_string(w->tokenizer->size()) +
                       " tokens, the embedding only " +
                       std::to_string(w->config.vocab_size) + " rows"};
    }
  }
  TINYPHI_CHECK_OK(load_weights(*w, options));
  w->file.reset();
  detail::complete(*w);
  return model(std::move(w));
}

TINYPHI_FUNC result<model> model::random(const model_config& config, dtype type,
                                         std::uint64_t seed,
                                         const load_options& options) {
  auto w = std::make_shared<model_weights>();
  TINYPHI_TRY(w->config, detail::finish_config(config, "random weights"));
  TINYPHI_CHECK_OK(limit_context(w->config, options));
  w->exact = options.exact;
  w->fast_prefill = options.fast_prefill;
  TINYPHI_CHECK_OK(randomize_weights(*w, type, seed, options));
  detail::complete(*w);
  return model(std::move(w));
}

TINYPHI_FUNC const model_config& model::config() const { return w_->config; }
TINYPHI_FUNC bool model::exact() const { return w_->exact; }
TINYPHI_FUNC bool model::fast_prefill() const { return w_->fast_prefill; }
TINYPHI_FUNC const std::filesystem::path& model::path() const {
  return w_->path;
}
TINYPHI_FUNC std::size_t model::weight_bytes() const { return w_->bytes(); }
TINYPHI_FUNC std::size_t model::step_bytes() const {
  return w_->bytes() - w_->embedding.bytes.size();
}
TINYPHI_FUNC std::uint64_t model::content_hash(team& threads) const {
  return w_->content_hash(threads);
}
TINYPHI_FUNC std::string model::simd_target() { return kernel_target(); }
TINYPHI_FUNC const tinyphi::tokenizer* model::tokenizer() const {
  return w_->tokenizer ? &*w_->tokenizer : nullptr;
}
TINYPHI_FUNC const result<tinyphi::chat_format>& model::chat_format() const {
  return w_->chat_format;
}
TINYPHI_FUNC const std::vector<token_id>& model::stop_ids() const {
  return w_->stop_ids;
}
TINYPHI_FUNC bool model::needs_long_factors(std::size_t length) const {
  const rope_config& rope = w_->config.rope;
  return rope.is_longrope() && length > rope.original_context;
}

namespace detail {

inline result<void> check_ids(std::span<const token_id> ids,
                              const model_config& c) {
  for (const token_id id : ids) {
    if (id >= 0 && static_cast<std::size_t>(id) < c.vocab_size) continue;
    return error{error_code::invalid_argument,
                 "token id " + std::to_string(id) +
                     " is not in the vocabulary of " +
                     std::to_string(c.vocab_size)};
  }
  return {};
}

// Adds the tokens and the wanted rows of `run` to the batch.
inline result<void> add_run(const batch_run& run, const model_config& c,
                            layer_buffers& b) {
  TINYPHI_CHECK_OK(check_run(run, c));
  const std::size_t begin = run.kv->length();
  const std::size_t end = begin + run.tokens.size();
  if (end > c.max_context) {
    return error{error_code::limit, std::to_string(end) +
                                        " tokens do not fit the context of " +
                                        std::to_string(c.max_context)};
  }
  TINYPHI_CHECK_OK(check_ids(run.tokens, c));
  TINYPHI_CHECK_OK(check_ids(run.targets, c));
  TINYPHI_CHECK_OK(run.kv->reserve(end));
  auto& rows = run.output == row_output::logits     ? b.logit_rows
               : run.output == row_output::logprobs ? b.logprob_rows
                                                    : b.hidden_rows;
  for (std::size_t i = 0; i < run.tokens.size(); ++i) {
    if (i + run.n_rows >= run.tokens.size()) rows.push_back(b.tokens.size());
    b.tokens.push_back({run.tokens[i], begin + i, run.kv, run.long_factors});
  }
  b.targets.insert(b.targets.end(), run.targets.begin(), run.targets.end());
  return {};
}

inline bool all_finite(std::span<const float> x) {
  // A finite number times zero is zero; infinities and NaN give NaN, which
  // stays in the sum. Eight sums, so that they go on side by side.
  float sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= x.size(); i += 8) {
    for (std::size_t k = 0; k < 8; ++k) sums[k] += x[i + k] * 0.0f;
  }
  for (; i < x.size(); ++i) sums[0] += x[i] * 0.0f;
  float sum = 0;
  for (const float s : sums) sum += s;
  return sum == 0.0f;
}

// Notes `layer` for each run of which a row is not finite and that has no note.
inline void note_bad_rows(std::span<const batch_run> runs,
                          std::span<const float> x, std::size_t hidden,
                          std::int32_t layer, std::vector<std::int32_t>& bad) {
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::size_t n = runs[i].tokens.size() * hidden;
    if (bad[i] < 0 && !all_finite(x.first(n))) bad[i] = layer;
    x = x.subspan(n);
  }
}

inline result<void> run_layers(layer_ops& f, const layer_trace& trace) {
  return f.config().arch == architecture::phi3_small
             ? phi3_small_layers(f, trace)
             : phi3_layers(f, trace);
}

}  // namespace detail

TINYPHI_FUNC result<void> forward_output::check(std::size_t i) const {
  if (bad_layer[i] < 0) return {};
  return error{error_code::bad_data,
               bad_layer[i] == 0
                   ? std::string("a number of the embedding is not finite: the "
                                 "model's weights are damaged")
                   : "a number is not finite after layer " +
                         std::to_string(bad_layer[i]) +
                         ": the model's weights are damaged, or overflow in "
                         "this arithmetic"};
}

TINYPHI_FUNC result<forward_output> model::forward(
    std::span<const batch_run> runs, team& threads, forward_scratch& scratch,
    const stop_condition& stop) const {
  const model_config& c = w_->config;
  layer_buffers& b = *scratch.buffers_;
  b.tokens.clear();
  b.targets.clear();
  for (auto* rows : {&b.logit_rows, &b.logprob_rows, &b.hidden_rows}) {
    rows->clear();
  }
  b.bad_layer.assign(runs.size(), -1);
  if (runs.empty()) return forward_output{};
  for (const batch_run& run : runs) {
    TINYPHI_CHECK_OK(detail::add_run(run, c, b));
  }

  // What a large pass has taken must not stand in a smaller one's way.
  const auto let_go = [&scratch](error e) {
    scratch.clear();
    return e;
  };
  layer_ops f(*w_, threads, b, stop);
  if (auto ok = f.prepare(); !ok) return let_go(std::move(ok).error());
  TINYPHI_CHECK_OK(detail::run_layers(f, scratch.trace));
  // What is not finite stays so in the residual stream, so one look at its end
  // tells. Where it began is worth computing everything again.
  if (!detail::all_finite(b.x.values())) {
    TINYPHI_CHECK_OK(
        detail::run_layers(f, [&](std::size_t layer, std::span<const float> x) {
          detail::note_bad_rows(runs, x, c.hidden,
                                static_cast<std::int32_t>(layer), b.bad_layer);
        }));
  }
  if (auto ok = f.outputs(); !ok) return let_go(std::move(ok).error());
  TINYPHI_CHECK_OK(stop.check());  // the last tasks may have been left out
  return forward_output{b.logits.values(), b.logprobs, b.hidden.f32().values(),
                        b.bad_layer};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_MODEL_IPP_
