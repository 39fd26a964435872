// SPDX-License-Identifier: MIT
// Finding the tensors of a file, by name and shape, and planning their packing.
#ifndef TINYPHI_MODEL_WEIGHT_PLAN_IPP_
#define TINYPHI_MODEL_WEIGHT_PLAN_IPP_

#include <string>
#include <string_view>
#include <utility>

#include "tinyphi/model/weight_plan.h"
#include "tinyphi/model/weights.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What the three kinds of files call the tensors. %: the layer's number.
struct tensor_names {
  std::string_view embedding, final_norm, lm_head;
  std::string_view attention_norm, qkv, attention_out;
  std::string_view ffn_norm, gate_up, ffn_down;
};

inline constexpr tensor_names gguf_names{
    "token_embd",      "output_norm",    "output",
    "blk.%.attn_norm", "blk.%.attn_qkv", "blk.%.attn_output",
    "blk.%.ffn_norm",  "blk.%.ffn_up",   "blk.%.ffn_down"};
inline constexpr tensor_names hf_names{
    "model.embed_tokens",
    "model.norm",
    "lm_head",
    "model.layers.%.input_layernorm",
    "model.layers.%.self_attn.qkv_proj",
    "model.layers.%.self_attn.o_proj",
    "model.layers.%.post_attention_layernorm",
    "model.layers.%.mlp.gate_up_proj",
    "model.layers.%.mlp.down_proj"};
inline constexpr tensor_names hf_small_names{
    "model.embed_tokens",
    "model.final_layernorm",
    "lm_head",
    "model.layers.%.input_layernorm",
    "model.layers.%.self_attn.query_key_value",
    "model.layers.%.self_attn.dense",
    "model.layers.%.post_attention_layernorm",
    "model.layers.%.mlp.up_proj",
    "model.layers.%.mlp.down_proj"};

inline std::string tensor_name(std::string_view pattern, std::size_t layer,
                               std::string_view suffix) {
  std::string name(pattern);
  if (const std::size_t at = name.find('%'); at != std::string::npos) {
    name.replace(at, 1, std::to_string(layer));
  }
  return name.append(suffix);
}

// Finds the tensors of one file.
class weight_planner {
 public:
  weight_planner(model_weights& w, const load_options& options)
      : file_(*w.file),
        config_(w.config),
        options_(options),
        names_(w.file->gguf() != nullptr                   ? gguf_names
               : w.config.arch == architecture::phi3_small ? hf_small_names
                                                           : hf_names) {}

  [[nodiscard]] const tensor_names& names() const { return names_; }
  [[nodiscard]] weight_plan take() && { return std::move(plan_); }
  [[nodiscard]] bool has(const std::string& name) const {
    return file_.find(name) != nullptr;
  }

  // The tensor, if it has the shape that the configuration asks for.
  [[nodiscard]] result<const tensor_view*> find(
      const std::string& name, std::vector<std::size_t> shape) const {
    const tensor_view* t = file_.find(name);
    if (t == nullptr) {
      return error{error_code::bad_data,
                   file_.path().string() + ": tensor " + name + " is missing"};
    }
    if (t->shape != shape) {
      return error{error_code::bad_data,
                   file_.path().string() + ": tensor " + name + " is " +
                       to_string(t->shape) + ", its configuration asks for " +
                       to_string(shape)};
    }
    return t;
  }

  [[nodiscard]] result<norm_weights> norm(std::string_view pattern,
                                          std::size_t layer) const {
    norm_weights n;
    TINYPHI_TRY(n.weight,
                vector(tensor_name(pattern, layer, ".weight"), config_.hidden));
    if (config_.arch == architecture::phi3_small) {
      TINYPHI_TRY(n.bias,
                  vector(tensor_name(pattern, layer, ".bias"), config_.hidden));
    }
    return n;
  }

  [[nodiscard]] result<void> matrix(linear& to, std::string_view pattern,
                                    std::size_t layer, std::size_t rows,
                                    std::size_t cols) {
    matrix_plan plan;
    TINYPHI_TRY(const tensor_view* t,
                find(tensor_name(pattern, layer, ".weight"), {rows, cols}));
    plan.parts = {t};
    return add(to, std::move(plan), pattern, layer, rows, cols);
  }

  [[nodiscard]] result<void> qkv(linear& to, std::size_t layer);

 private:
  [[nodiscard]] result<std::vector<float>> vector(const std::string& name,
                                                  std::size_t n) const {
    TINYPHI_TRY(const tensor_view* t, find(name, {n}));
    std::vector<float> values(n);
    dequantize_row(t->type, t->bytes, values);
    return values;
  }
  [[nodiscard]] result<void> add(linear& to, matrix_plan plan,
                                 std::string_view pattern, std::size_t layer,
                                 std::size_t rows, std::size_t cols);

  const model_file& file_;
  const model_config& config_;
  const load_options& options_;
  tensor_names names_;
  weight_plan plan_;
};

// The type that rows of `cols` floats are quantized to: `wanted`; where its
// blocks do not divide the row, the type with blocks of 32 columns that
// llama.cpp falls back to; otherwise `stored`.
[[nodiscard]] inline dtype quantized_type(dtype wanted, dtype stored,
                                          std::size_t cols) {
  if (cols % info(wanted).block_size == 0) return wanted;
  if (cols % 32 != 0) return stored;
  return wanted == dtype::q4_k   ? dtype::q5_0
         : wanted == dtype::q5_k ? dtype::q5_1
                                 : dtype::q8_0;
}

inline result<void> weight_planner::add(linear& to, matrix_plan plan,
                                        std::string_view pattern,
                                        std::size_t layer, std::size_t rows,
                                        std::size_t cols) {
  const dtype stored = plan.stored_type();
  const dtype type = options_.quantize && !is_quantized(stored)
                         ? quantized_type(*options_.quantize, stored, cols)
                         : stored;
  to.w.type = type;
  to.w.rows = rows;
  to.w.cols = cols;
  plan.to = &to.w;
  TINYPHI_TRY(plan.bytes, packed_bytes(type, rows, cols));
  const auto bytes =
      (checked_size(plan_.bytes) + plan.bytes + cache_line).get();
  if (!bytes) {
    return error{error_code::limit,
                 file_.path().string() + ": larger than any memory"};
  }
  plan_.bytes = round_up(plan_.bytes + plan.bytes, cache_line);
  const std::string bias = tensor_name(pattern, layer, ".bias");
  if (config_.arch == architecture::phi3_small && has(bias)) {
    TINYPHI_TRY(const std::vector<float> stored_bias, vector(bias, rows));
    for (std::size_t r = 0; r < rows; ++r) {
      to.bias.push_back(stored_bias[plan.order ? plan.order(r) : r]);
    }
  }
  plan_.matrices.push_back(std::move(plan));
  return {};
}

inline result<void> weight_planner::qkv(linear& to, std::size_t layer) {
  const std::size_t head_dim = config_.head_dim, n_kv = config_.n_kv_heads;
  const std::size_t q_rows = config_.n_heads * head_dim;
  const std::size_t kv_rows = n_kv * head_dim;
  const std::size_t rows = q_rows + 2 * kv_rows, cols = config_.hidden;
  const std::string whole = tensor_name(names_.qkv, layer, ".weight");
  if (file_.gguf() != nullptr && !has(whole)) {
    // Some converters store q, k and v as tensors of their own.
    matrix_plan plan;
    const std::pair<std::string_view, std::size_t> parts[] = {
        {"q", q_rows}, {"k", kv_rows}, {"v", kv_rows}};
    for (const auto& [part, part_rows] : parts) {
      const std::string name = tensor_name("blk.%.attn_", layer, part);
      TINYPHI_TRY(const tensor_view* t,
                  find(name + ".weight", {part_rows, cols}));
      if (!plan.parts.empty() && t->type != plan.parts[0]->type) {
        return error{error_code::unsupported,
                     file_.path().string() + ": tensor " + t->name + " is " +
                         std::string(to_string(t->type)) + ", but " +
                         plan.parts[0]->name + " is " +
                         std::string(to_string(plan.parts[0]->type)) +
                         "; q, k and v must have one type"};
      }
      plan.parts.push_back(t);
    }
    return add(to, std::move(plan), names_.qkv, layer, rows, cols);
  }
  TINYPHI_TRY(const tensor_view* t, find(whole, {rows, cols}));
  matrix_plan plan;
  plan.parts = {t};
  if (config_.arch == architecture::phi3_small) {
    // Stored per key/value head: its query heads, its key, its value.
    const std::size_t groups = config_.n_groups();
    plan.order = [=](std::size_t r) {
      const std::size_t head = r / head_dim, i = r % head_dim;
      const std::size_t n_q = groups * n_kv;
      const auto at = [&](std::size_t kv, std::size_t slot) {
        return (kv * (groups + 2) + slot) * head_dim + i;
      };
      if (head < n_q) return at(head / groups, head % groups);
      if (head < n_q + n_kv) return at(head - n_q, groups);
      return at(head - n_q - n_kv, groups + 1);
    };
  }
  return add(to, std::move(plan), names_.qkv, layer, rows, cols);
}

}  // namespace detail

TINYPHI_FUNC std::size_t planned_weight_bytes(const model_weights& w,
                                              const weight_plan& plan) {
  return plan.bytes + (w.embedding_in_head ? 0 : w.embedding.bytes.size());
}

TINYPHI_FUNC result<void> limit_context(model_config& c,
                                        const load_options& options) {
  if (options.context == 0) return {};
  if (options.context > c.max_context) {
    return error{error_code::invalid_argument,
                 "a context of " + std::to_string(options.context) +
                     " tokens was asked for, the model's is " +
                     std::to_string(c.max_context)};
  }
  c.max_context = static_cast<std::uint32_t>(options.context);
  return {};
}

TINYPHI_FUNC result<weight_plan> plan_weights(model_weights& w,
                                              const load_options& options) {
  const model_config& c = w.config;
  if (w.file->tensors().empty()) {
    return error{error_code::bad_data,
                 w.path.string() + ": holds no weights, only a tokenizer"};
  }
  if (options.quantize && !can_quantize(*options.quantize)) {
    std::string known;
    for (const dtype_info& d : dtypes) {
      if (can_quantize(d.type)) known += " " + std::string(d.name);
    }
    return error{error_code::invalid_argument,
                 "weights cannot be quantized to " +
                     std::string(to_string(*options.quantize)) +
                     " while loading, only to" + known};
  }
  detail::weight_planner in(w, options);
  const detail::tensor_names& names = in.names();
  const std::string embedding = std::string(names.embedding) + ".weight";
  TINYPHI_TRY(const tensor_view* rows,
              in.find(embedding, {c.vocab_size, c.hidden}));
  w.embedding = *rows;
  w.layers.resize(c.n_layers);
  for (std::size_t i = 0; i < c.n_layers; ++i) {
    layer_weights& l = w.layers[i];
    TINYPHI_TRY(l.attention_norm, in.norm(names.attention_norm, i));
    TINYPHI_CHECK_OK(in.qkv(l.qkv, i));
    TINYPHI_CHECK_OK(in.matrix(l.attention_out, names.attention_out, i,
                               c.hidden, std::size_t{c.n_heads} * c.head_dim));
    TINYPHI_TRY(l.ffn_norm, in.norm(names.ffn_norm, i));
    TINYPHI_CHECK_OK(in.matrix(l.gate_up, names.gate_up, i,
                               std::size_t{2} * c.intermediate, c.hidden));
    TINYPHI_CHECK_OK(
        in.matrix(l.ffn_down, names.ffn_down, i, c.hidden, c.intermediate));
  }
  TINYPHI_TRY(w.final_norm, in.norm(names.final_norm, 0));
  const bool tied = c.tied_embeddings ||
                    (w.file->gguf() != nullptr && !in.has("output.weight"));
  TINYPHI_CHECK_OK(in.matrix(w.lm_head, tied ? names.embedding : names.lm_head,
                             0, c.vocab_size, c.hidden));
  w.embedding_in_head = tied && w.lm_head.w.type == rows->type;
  return std::move(in).take();
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_WEIGHT_PLAN_IPP_
