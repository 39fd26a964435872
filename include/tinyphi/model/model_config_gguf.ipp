// SPDX-License-Identifier: MIT
// The configuration in a GGUF file's metadata.
#ifndef TINYPHI_MODEL_MODEL_CONFIG_GGUF_IPP_
#define TINYPHI_MODEL_MODEL_CONFIG_GGUF_IPP_

#include <cstring>

#include "tinyphi/model/model_config.h"
#include "tinyphi/model/model_config.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Files from before August 2024 do not say their window; llama.cpp#8931 gives
// the table of the models that were published by then. 0: all keys are seen.
inline result<std::uint32_t> read_gguf_window(const gguf_file& file,
                                              const model_config& c) {
  constexpr std::string_view key = "phi3.attention.sliding_window";
  std::optional<std::uint32_t> fallback;
  if (c.n_layers == 32 || c.n_layers == 40) {
    if (c.max_context == 4096) fallback = 2047;
    if (c.max_context == 131072) fallback = 0;
  }
  return read_natural(file, key, config_limits::window, fallback);
}

inline result<std::vector<float>> read_rope_factors(const gguf_file& file,
                                                    std::string_view name) {
  const tensor_view* t = file.find(name);
  if (t == nullptr) return std::vector<float>();
  const std::string key = "tensor " + std::string(name);
  if (t->type != dtype::f32 || t->shape.size() != 1 ||
      t->cols() > static_cast<std::size_t>(config_limits::head_dim.max) / 2) {
    return file.fault(key, std::string(to_string(t->type)) + " " +
                               to_string(t->shape) +
                               " where tinyphi needs at most 512 F32 in a row");
  }
  std::vector<float> factors(t->cols());
  std::memcpy(factors.data(), t->bytes.data(), t->bytes.size());
  for (const float f : factors) {
    if (!(f >= config_limits::rope_factor.min &&
          f <= config_limits::rope_factor.max)) {
      return file.fault(key, plain_number(f) +
                                 " where tinyphi needs factors from 0.001 to "
                                 "1000000");
    }
  }
  return factors;
}

inline result<rope_config> read_gguf_rope(const gguf_file& file,
                                          const model_config& c) {
  rope_config r;
  TINYPHI_TRY(const auto theta, read_real(file, "phi3.rope.freq_base",
                                          config_limits::rope_theta));
  r.theta = theta.value_or(10000.0f);
  TINYPHI_TRY(r.rotary_dim, read_natural(file, "phi3.rope.dimension_count",
                                         config_limits::head_dim, c.head_dim));
  constexpr std::string_view original =
      "phi3.rope.scaling.original_context_length";
  // Without the key: of the published models, only those of 16384 tokens and
  // less were trained for all of their context.
  TINYPHI_TRY(r.original_context,
              read_natural(file, original, config_limits::context,
                           c.max_context <= 16384 ? c.max_context : 4096));
  TINYPHI_TRY(const auto type, file.string("phi3.rope.scaling.type"));
  if (type && *type != "none" && *type != "longrope" && *type != "su") {
    return file.fault("phi3.rope.scaling.type",
                      "neither none nor longrope, which are supported");
  }
  TINYPHI_TRY(r.long_factors,
              read_rope_factors(file, "rope_factors_long.weight"));
  TINYPHI_TRY(r.short_factors,
              read_rope_factors(file, "rope_factors_short.weight"));
  if (!r.is_longrope() && c.max_context > r.original_context) {
    return file.fault(
        "phi3.context_length",
        std::to_string(c.max_context) + " tokens, trained for " +
            std::to_string(r.original_context) +
            ", but the file has no tensor rope_factors_long.weight; it comes "
            "from an early converter, convert the model again");
  }
  TINYPHI_TRY(const auto factor,
              read_real(file, "phi3.rope.scaling.attn_factor",
                        config_limits::attention_factor));
  if (r.is_longrope()) {
    r.short_scale = r.long_scale = factor.value_or(
        longrope_attention_factor(c.max_context, r.original_context, false));
  }
  return r;
}

// Most files name one id that ends an answer; the others are known by text.
inline result<void> read_gguf_ids(const gguf_file& file, model_config& c) {
  constexpr std::string_view prefix = "tokenizer.ggml.";
  const std::int64_t max_id = std::int64_t{c.vocab_size} - 1;
  for (const std::string_view name :
       {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    TINYPHI_TRY(const auto id,
                file.integer(std::string(prefix).append(name), 0, max_id));
    if (id) add_eos(c, *id);
  }
  TINYPHI_TRY(const auto bos,
              file.integer("tokenizer.ggml.bos_token_id", 0, max_id));
  if (bos) c.bos_id = static_cast<std::int32_t>(*bos);

  TINYPHI_TRY(const auto tokens,
              file.strings("tokenizer.ggml.tokens", 1, c.vocab_size));
  if (!tokens) return {};
  TINYPHI_TRY(const auto model, file.string("tokenizer.ggml.model"));
  // Phi-4-mini is a byte-level model and may not stop at <|assistant|>.
  const bool sentencepiece = model && *model == "llama";
  for (const std::string_view name :
       {"<|end|>", "<|endoftext|>", "<|im_end|>", "<|assistant|>"}) {
    const auto at = std::find(tokens->begin(), tokens->end(), name);
    if (at == tokens->end() || (name == "<|assistant|>" && !sentencepiece)) {
      continue;
    }
    add_eos(c, at - tokens->begin());
  }
  return {};
}

inline result<std::uint32_t> read_gguf_vocab_size(const gguf_file& file) {
  std::size_t rows = 0;
  if (const tensor_view* embedding = file.find("token_embd.weight")) {
    rows = embedding->rows();
  } else if (const auto at = file.metadata().find("tokenizer.ggml.tokens");
             at != file.metadata().end()) {
    rows = at->second.count;
  }
  if (rows < 1 ||
      rows > static_cast<std::size_t>(config_limits::vocab_size.max)) {
    return file.fault("token_embd.weight",
                      std::to_string(rows) +
                          " rows of vocabulary where tinyphi needs 1 to " +
                          std::to_string(config_limits::vocab_size.max));
  }
  return static_cast<std::uint32_t>(rows);
}

}  // namespace detail

TINYPHI_FUNC result<model_config> read_model_config(const gguf_file& file) {
  TINYPHI_TRY(const auto arch, file.string("general.architecture"));
  if (arch.value_or("") != "phi3") {
    return detail::unsupported_architecture(
        file.origin(), "general.architecture", arch.value_or(""));
  }
  model_config c;
  TINYPHI_TRY(const auto name, file.string("general.name"));
  c.name = name.value_or("");
  TINYPHI_TRY(c.vocab_size, detail::read_gguf_vocab_size(file));
  TINYPHI_TRY(c.hidden, detail::read_natural(file, "phi3.embedding_length",
                                             detail::config_limits::hidden));
  TINYPHI_TRY(c.intermediate,
              detail::read_natural(file, "phi3.feed_forward_length",
                                   detail::config_limits::intermediate));
  TINYPHI_TRY(c.n_layers,
              detail::read_natural(file, "phi3.block_count",
                                   detail::config_limits::n_layers));
  TINYPHI_TRY(c.n_heads, detail::read_natural(file, "phi3.attention.head_count",
                                              detail::config_limits::n_heads));
  TINYPHI_TRY(c.n_kv_heads,
              detail::read_natural(file, "phi3.attention.head_count_kv",
                                   detail::config_limits::n_heads, c.n_heads));
  TINYPHI_TRY(c.max_context,
              detail::read_natural(file, "phi3.context_length",
                                   detail::config_limits::context));
  TINYPHI_TRY(c.window, detail::read_gguf_window(file, c));
  TINYPHI_TRY(const auto eps,
              detail::read_real(file, "phi3.attention.layer_norm_rms_epsilon",
                                detail::config_limits::norm_eps));
  c.norm_eps = eps.value_or(1e-5f);
  if (file.metadata().contains("phi3.attention.key_length")) {
    TINYPHI_TRY(c.head_dim,
                detail::read_natural(file, "phi3.attention.key_length",
                                     detail::config_limits::head_dim));
  } else {
    TINYPHI_TRY(c.head_dim, detail::default_head_dim(c, file.origin()));
  }
  c.tied_embeddings = file.find("output.weight") == nullptr;
  TINYPHI_TRY(c.rope, detail::read_gguf_rope(file, c));
  TINYPHI_CHECK_OK(detail::read_gguf_ids(file, c));
  return detail::finish_config(std::move(c), file.origin());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_MODEL_CONFIG_GGUF_IPP_
