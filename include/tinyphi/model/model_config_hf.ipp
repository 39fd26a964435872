// SPDX-License-Identifier: MIT
// The configuration in a Hugging Face folder: phi3 as published (rope_scaling
// beside rope_theta) and as transformers 5 writes it (all in rope_parameters),
// and phi3small.
#ifndef TINYPHI_MODEL_MODEL_CONFIG_HF_IPP_
#define TINYPHI_MODEL_MODEL_CONFIG_HF_IPP_

#include <limits>

#include "tinyphi/base/json.h"
#include "tinyphi/model/model_config.h"
#include "tinyphi/model/model_config.ipp"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The folder's JSON file as an object; empty if there is no such file.
inline result<json::object> read_json_object(const hf_folder& folder,
                                             std::string_view name) {
  TINYPHI_TRY(const auto text, folder.text(name));
  if (!text) return json::object();
  const std::string origin = (folder.path() / name).string();
  TINYPHI_TRY(json::value parsed, parse_json(*text, origin));
  if (json::object* o = parsed.if_object()) return std::move(*o);
  return config_fault(origin, "not a JSON object");
}

// One id or a list of them under `key`.
inline result<void> read_eos(const json_reader& in, std::string_view key,
                             model_config& c) {
  const json::value* v = in.find(key);
  if (v == nullptr) return {};
  const json::array one{*v};
  const json::array* all = v->if_array();
  if (all != nullptr && all->size() > 64) {
    return in.fault(key, "more than 64 token ids");
  }
  for (const json::value& id : all != nullptr ? *all : one) {
    const std::int64_t* n = id.if_int64();
    if (n == nullptr || *n < 0 || *n >= std::int64_t{c.vocab_size}) {
      return in.fault(key, "a token id, or a list of them, from 0 to " +
                               std::to_string(c.vocab_size - 1) + " is needed");
    }
    add_eos(c, *n);
  }
  return {};
}

inline result<std::vector<float>> read_factors(const json_reader& in,
                                               std::string_view key) {
  const json::value* v = in.find(key);
  const json::array* a = v != nullptr ? v->if_array() : nullptr;
  std::vector<float> factors;
  const auto max = static_cast<std::size_t>(config_limits::head_dim.max) / 2;
  if (a == nullptr || a->empty() || a->size() > max) {
    return in.fault(key, "an array of 1 to 512 numbers is needed");
  }
  for (const json::value& element : *a) {
    boost::system::error_code ec;
    const double x = element.to_number<double>(ec);
    if (ec.failed() || !(x >= config_limits::rope_factor.min &&
                         x <= config_limits::rope_factor.max)) {
      return in.fault(key, "numbers from 0.001 to 1000000 are needed");
    }
    factors.push_back(static_cast<float>(x));
  }
  return factors;
}

// Where rope's settings stand: in an object of their own, or beside all others.
struct rope_source {
  const json_reader& own;
  const json_reader& top;

  [[nodiscard]] const json_reader& holder(std::string_view key) const {
    return own.find(key) != nullptr ? own : top;
  }
};

inline result<void> read_longrope(const rope_source& in, std::string_view type,
                                  model_config& c) {
  rope_config& r = c.rope;
  TINYPHI_TRY(r.short_factors, read_factors(in.own, "short_factor"));
  TINYPHI_TRY(r.long_factors, read_factors(in.own, "long_factor"));
  TINYPHI_TRY(const auto given, read_real(in.own, "attention_factor",
                                          config_limits::attention_factor));
  const float factor = given.value_or(longrope_attention_factor(
      c.max_context, r.original_context, type == "yarn"));
  TINYPHI_TRY(
      const auto short_scale,
      read_real(in.own, "short_mscale", config_limits::attention_factor));
  TINYPHI_TRY(
      const auto long_scale,
      read_real(in.own, "long_mscale", config_limits::attention_factor));
  r.short_scale = short_scale.value_or(factor);
  r.long_scale = long_scale.value_or(factor);
  return {};
}

// Everything of rope but theta, whose name differs.
inline result<void> read_rope_scaling(const rope_source& in, model_config& c) {
  rope_config& r = c.rope;
  constexpr std::string_view partial = "partial_rotary_factor";
  const json_reader& holder = in.holder(partial);
  TINYPHI_CHECK_OK(read_real(holder, partial, {0.0, 1.0}));
  // In double, as transformers has it: a float could fall below a whole number.
  TINYPHI_TRY(const auto share, holder.number(partial));
  r.rotary_dim = static_cast<std::uint32_t>(share.value_or(1.0) * c.head_dim);

  TINYPHI_TRY(const auto new_name, in.own.string("rope_type"));
  TINYPHI_TRY(const auto old_name, in.own.string("type"));
  const std::string_view type =
      new_name ? *new_name : old_name.value_or("default");
  const bool longrope = type == "longrope" || type == "su" ||
                        (type == "yarn" && in.own.find("long_factor"));
  if (!longrope && (type != "default" || in.own.find("long_factor"))) {
    return in.own.fault(
        "rope_type", (is_plain_name(type) ? std::string(type) : "?") +
                         " where tinyphi needs default or, with short_factor "
                         "and long_factor, longrope, su or yarn");
  }
  constexpr std::string_view original = "original_max_position_embeddings";
  // 4096 is what transformers' Phi3Config assumes.
  TINYPHI_TRY(
      r.original_context,
      read_natural(in.holder(original), original, config_limits::context,
                   longrope ? 4096 : c.max_context));
  if (longrope) return read_longrope(in, type, c);
  return {};
}

inline result<void> read_rope(const json_reader& top,
                              std::string_view theta_key, model_config& c) {
  const std::string_view key = top.find("rope_parameters") != nullptr
                                   ? "rope_parameters"
                                   : "rope_scaling";
  const json::value* v = top.find(key);
  if (v != nullptr && !v->is_object()) {
    return top.fault(key, "an object or null is needed");
  }
  const json::object none;
  const json_reader own(v != nullptr ? v->get_object() : none,
                        top.origin() + ": " + std::string(key));
  const rope_source in{own, top};
  TINYPHI_TRY(const auto theta, read_real(in.holder(theta_key), theta_key,
                                          config_limits::rope_theta));
  c.rope.theta = theta.value_or(10000.0f);
  return read_rope_scaling(in, c);
}

// The sizes that both architectures name alike.
inline result<void> read_sizes(const json_reader& in, model_config& c) {
  TINYPHI_TRY(c.vocab_size,
              read_natural(in, "vocab_size", config_limits::vocab_size));
  TINYPHI_TRY(c.hidden, read_natural(in, "hidden_size", config_limits::hidden));
  TINYPHI_TRY(c.n_layers,
              read_natural(in, "num_hidden_layers", config_limits::n_layers));
  TINYPHI_TRY(c.n_heads,
              read_natural(in, "num_attention_heads", config_limits::n_heads));
  TINYPHI_TRY(c.n_kv_heads, read_natural(in, "num_key_value_heads",
                                         config_limits::n_heads, c.n_heads));
  TINYPHI_TRY(c.max_context, read_natural(in, "max_position_embeddings",
                                          config_limits::context));
  if (in.find("head_dim") != nullptr) {
    TINYPHI_TRY(c.head_dim,
                read_natural(in, "head_dim", config_limits::head_dim));
  } else {
    TINYPHI_TRY(c.head_dim, default_head_dim(c, in.origin()));
  }
  return {};
}

inline result<void> need_activation(const json_reader& in,
                                    std::string_view needed) {
  TINYPHI_TRY(const auto found, in.string("hidden_act"));
  if (!found || *found == needed) return {};
  return in.fault("hidden_act",
                  (is_plain_name(*found) ? std::string(*found) : "?") +
                      " where tinyphi needs " + std::string(needed));
}

inline result<void> read_phi3(const json_reader& in, model_config& c) {
  TINYPHI_CHECK_OK(read_sizes(in, c));
  TINYPHI_CHECK_OK(need_activation(in, "silu"));
  TINYPHI_TRY(const auto bias, in.boolean("attention_bias"));
  if (bias.value_or(false)) {
    return in.fault("attention_bias",
                    "true; models with biases in attention are not supported");
  }
  TINYPHI_TRY(c.intermediate, read_natural(in, "intermediate_size",
                                           config_limits::intermediate));
  TINYPHI_TRY(c.window,
              read_natural(in, "sliding_window", config_limits::window, 0));
  TINYPHI_TRY(const auto eps,
              read_real(in, "rms_norm_eps", config_limits::norm_eps));
  c.norm_eps = eps.value_or(1e-5f);
  TINYPHI_TRY(const auto tied, in.boolean("tie_word_embeddings"));
  c.tied_embeddings = tied.value_or(false);
  return read_rope(in, "rope_theta", c);
}

inline result<std::uint32_t> read_small_intermediate(const json_reader& in,
                                                     const model_config& c) {
  if (in.find("ff_intermediate_size") != nullptr) {
    return read_natural(in, "ff_intermediate_size",
                        config_limits::intermediate);
  }
  TINYPHI_TRY(const auto multiplier,
              read_natural(in, "ff_dim_multiplier", {1, 64}));
  TINYPHI_TRY(const auto padded, in.boolean("gegelu_pad_to_256"));
  const std::uint32_t size = multiplier * (c.hidden / 3) * 2;
  const std::uint32_t rounded =
      padded.value_or(true) ? (size + 255) / 256 * 256 : size;
  if (rounded < 1 || rounded > config_limits::intermediate.max) {
    return in.fault("ff_dim_multiplier",
                    "a feed-forward layer of " + std::to_string(rounded) +
                        " elements where tinyphi needs 1 to " +
                        std::to_string(config_limits::intermediate.max));
  }
  return rounded;
}

inline result<block_sparse_config> read_block_sparse(const json_reader& in,
                                                     const model_config& c) {
  block_sparse_config s;
  TINYPHI_TRY(s.block, read_natural(in, "blocksparse_block_size",
                                    config_limits::sparse_block, s.block));
  TINYPHI_TRY(s.local_blocks,
              read_natural(in, "blocksparse_num_local_blocks",
                           config_limits::sparse_block, s.local_blocks));
  TINYPHI_TRY(s.vert_stride,
              read_natural(in, "blocksparse_vert_stride",
                           config_limits::sparse_block, s.vert_stride));
  // null: no layer is dense.
  TINYPHI_TRY(s.dense_every,
              read_natural(in, "dense_attention_every_n_layers",
                           config_limits::n_layers, c.n_layers + 1));
  TINYPHI_TRY(const auto homo, in.boolean("blocksparse_homo_head_pattern"));
  s.homo_head_pattern = homo.value_or(false);
  return s;
}

// Ids without a meaning in Phi-3-small's tokenizer: its model never gives them.
inline std::vector<std::int32_t> small_masked_ids(std::uint32_t vocab_size) {
  std::vector<std::int32_t> ids;
  const auto add = [&](std::int32_t first, std::int32_t last) {
    for (std::int32_t id = first; id <= last; ++id) {
      if (static_cast<std::uint32_t>(id) < vocab_size) ids.push_back(id);
    }
  };
  add(100256, 100256);
  add(100258, 100260);
  add(100264, 100265);
  add(100267, 100351);
  return ids;
}

inline result<void> read_phi3_small(const json_reader& in, model_config& c) {
  c.arch = architecture::phi3_small;
  TINYPHI_CHECK_OK(read_sizes(in, c));
  TINYPHI_CHECK_OK(need_activation(in, "gegelu"));
  TINYPHI_TRY(c.intermediate, read_small_intermediate(in, c));
  TINYPHI_TRY(c.sparse, read_block_sparse(in, c));
  TINYPHI_TRY(const auto eps,
              read_real(in, "layer_norm_epsilon", config_limits::norm_eps));
  c.norm_eps = eps.value_or(1e-5f);
  c.tied_embeddings = true;

  TINYPHI_TRY(const auto embedding, read_real(in, "mup_embedding_multiplier",
                                              config_limits::multiplier));
  c.embedding_multiplier = embedding.value_or(1.0f);
  TINYPHI_TRY(const auto width,
              read_real(in, "mup_width_multiplier", config_limits::multiplier));
  c.logits_divisor = width.value_or(1.0f);
  TINYPHI_TRY(const auto mup, in.boolean("mup_use_scaling"));
  TINYPHI_TRY(const auto attention,
              read_real(in, "mup_attn_multiplier", config_limits::multiplier));
  if (mup.value_or(true)) {
    c.attention_scale =
        attention.value_or(1.0f) / static_cast<float>(c.head_dim);
  }
  TINYPHI_TRY(const auto limit,
              read_real(in, "gegelu_limit", config_limits::multiplier));
  c.gegelu_limit = limit.value_or(std::numeric_limits<float>::max());
  c.masked_ids = small_masked_ids(c.vocab_size);

  TINYPHI_TRY(const auto position_scale,
              read_real(in, "rope_position_scale", config_limits::multiplier));
  TINYPHI_CHECK_OK(read_rope(in, "rope_embedding_base", c));
  c.rope.position_scale = position_scale.value_or(1.0f);
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<model_config> read_model_config(const hf_folder& folder) {
  if (!folder.file("config.json")) {
    return error{error_code::not_found,
                 folder.path().string() +
                     ": no config.json in this folder; it holds a tokenizer "
                     "but no model"};
  }
  TINYPHI_TRY(const json::object object,
              detail::read_json_object(folder, "config.json"));
  const json_reader in(object, (folder.path() / "config.json").string());
  model_config c;
  c.name = folder.path().filename().string();
  TINYPHI_TRY(const auto type, in.string("model_type"));
  if (type.value_or("") == "phi3") {
    TINYPHI_CHECK_OK(detail::read_phi3(in, c));
  } else if (type.value_or("") == "phi3small") {
    TINYPHI_CHECK_OK(detail::read_phi3_small(in, c));
  } else {
    return detail::unsupported_architecture(in.origin(), "model_type",
                                            type.value_or(""));
  }

  TINYPHI_TRY(const json::object generation,
              detail::read_json_object(folder, "generation_config.json"));
  const json_reader defaults(
      generation, (folder.path() / "generation_config.json").string());
  TINYPHI_CHECK_OK(detail::read_eos(defaults, "eos_token_id", c));
  TINYPHI_CHECK_OK(detail::read_eos(in, "eos_token_id", c));
  TINYPHI_TRY(const auto bos,
              in.integer("bos_token_id", 0, std::int64_t{c.vocab_size} - 1));
  if (bos) c.bos_id = static_cast<std::int32_t>(*bos);
  return detail::finish_config(std::move(c), in.origin());
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_MODEL_CONFIG_HF_IPP_
