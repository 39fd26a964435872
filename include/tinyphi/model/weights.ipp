// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_WEIGHTS_IPP_
#define TINYPHI_MODEL_WEIGHTS_IPP_

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <utility>

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

// Where row r of a matrix lies among stored rows.
struct stored_rows {
  std::vector<const tensor_view*> parts;          // same type and cols, stacked
  std::function<std::size_t(std::size_t)> order;  // empty: as stored

  [[nodiscard]] std::span<const std::byte> row(std::size_t r) const {
    if (order) r = order(r);
    std::size_t part = 0;
    while (r >= parts[part]->rows()) r -= parts[part++]->rows();
    return parts[part]->row(r);
  }
};

// Reads the tensors of one file, in order, reporting progress by bytes.
class weight_reader {
 public:
  weight_reader(const model_weights& w, const load_options& options)
      : file_(*w.file),
        config_(w.config),
        options_(options),
        team_(options.n_threads),
        names_(w.file->gguf() != nullptr                   ? gguf_names
               : w.config.arch == architecture::phi3_small ? hf_small_names
                                                           : hf_names) {
    for (const tensor_view& t : file_.tensors()) total_ += t.bytes.size();
  }

  [[nodiscard]] const tensor_names& names() const { return names_; }
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

  [[nodiscard]] result<std::vector<float>> vector(const std::string& name,
                                                  std::size_t n) {
    TINYPHI_TRY(const tensor_view* t, find(name, {n}));
    std::vector<float> values(n);
    dequantize_row(t->type, t->bytes, values);
    done(*t);
    return values;
  }

  [[nodiscard]] result<norm_weights> norm(std::string_view pattern,
                                          std::size_t layer) {
    norm_weights n;
    TINYPHI_TRY(n.weight,
                vector(tensor_name(pattern, layer, ".weight"), config_.hidden));
    if (config_.arch == architecture::phi3_small) {
      TINYPHI_TRY(n.bias,
                  vector(tensor_name(pattern, layer, ".bias"), config_.hidden));
    }
    return n;
  }

  [[nodiscard]] result<linear> matrix(std::string_view pattern,
                                      std::size_t layer, std::size_t rows,
                                      std::size_t cols) {
    TINYPHI_TRY(const tensor_view* t,
                find(tensor_name(pattern, layer, ".weight"), {rows, cols}));
    return packed({{t}, {}}, pattern, layer, rows, cols);
  }

  [[nodiscard]] result<linear> qkv(std::size_t layer);

  // Nothing more is to be done with `t`.
  void done(const tensor_view& t) {
    read_ += t.bytes.size();
    if (options_.progress) {
      options_.progress(static_cast<double>(read_) /
                        static_cast<double>(total_));
    }
  }

 private:
  [[nodiscard]] result<linear> packed(const stored_rows& from,
                                      std::string_view pattern,
                                      std::size_t layer, std::size_t rows,
                                      std::size_t cols);

  const model_file& file_;
  const model_config& config_;
  const load_options& options_;
  team team_;
  tensor_names names_;
  std::size_t read_ = 0, total_ = 0;
};

// Packs rows of one type in parallel, quantizing floats first if asked to.
inline result<packed_matrix> pack_rows(
    dtype stored, dtype type, std::size_t rows, std::size_t cols, team& threads,
    const std::function<std::span<const std::byte>(std::size_t)>& row) {
  TINYPHI_TRY(packed_matrix to, make_packed(type, rows, cols));
  threads.run(to.n_strips(), 4, [&](std::size_t begin, std::size_t end) {
    std::vector<float> floats(stored == type ? 0 : cols);
    std::vector<std::byte> quantized(
        stored == type ? 0 : strip_rows * row_bytes(type, cols));
    for (std::size_t s = begin; s < end; ++s) {
      std::array<const std::byte*, strip_rows> strip{};
      const std::size_t n = std::min(strip_rows, rows - s * strip_rows);
      for (std::size_t i = 0; i < n; ++i) {
        const auto bytes = row(s * strip_rows + i);
        strip[i] = bytes.data();
        if (stored == type) continue;
        dequantize_row(stored, bytes, floats);
        const auto out = std::span(quantized).subspan(i * row_bytes(type, cols),
                                                      row_bytes(type, cols));
        quantize_row(type, floats, out);
        strip[i] = out.data();
      }
      pack_strip(to, s, strip.data(), n);
    }
  });
  return to;
}

inline result<linear> weight_reader::packed(const stored_rows& from,
                                            std::string_view pattern,
                                            std::size_t layer, std::size_t rows,
                                            std::size_t cols) {
  TINYPHI_CHECK_OK(options_.stop.check());
  const dtype stored = from.parts[0]->type;
  const dtype type = options_.quantize && !is_quantized(stored) &&
                             cols % info(*options_.quantize).block_size == 0
                         ? *options_.quantize
                         : stored;
  linear l;
  TINYPHI_TRY(l.w, pack_rows(stored, type, rows, cols, team_,
                             [&](std::size_t r) { return from.row(r); }));
  const std::string bias = tensor_name(pattern, layer, ".bias");
  if (config_.arch == architecture::phi3_small && has(bias)) {
    TINYPHI_TRY(const std::vector<float> stored_bias, vector(bias, rows));
    for (std::size_t r = 0; r < rows; ++r) {
      l.bias.push_back(stored_bias[from.order ? from.order(r) : r]);
    }
  }
  for (const tensor_view* t : from.parts) {
    done(*t);
    // A tied embedding goes on to be read row by row.
    if (pattern != names_.embedding) file_.release(*t);
  }
  return l;
}

inline result<linear> weight_reader::qkv(std::size_t layer) {
  const std::size_t head_dim = config_.head_dim, n_kv = config_.n_kv_heads;
  const std::size_t q_rows = config_.n_heads * head_dim;
  const std::size_t kv_rows = n_kv * head_dim;
  const std::size_t rows = q_rows + 2 * kv_rows, cols = config_.hidden;
  const std::string whole = tensor_name(names_.qkv, layer, ".weight");
  if (file_.gguf() != nullptr && !has(whole)) {
    // Some converters store the three parts apart.
    stored_rows from;
    const std::pair<std::string_view, std::size_t> parts[] = {
        {"q", q_rows}, {"k", kv_rows}, {"v", kv_rows}};
    for (const auto& [part, part_rows] : parts) {
      const std::string name = tensor_name("blk.%.attn_", layer, part);
      TINYPHI_TRY(const tensor_view* t,
                  find(name + ".weight", {part_rows, cols}));
      if (!from.parts.empty() && t->type != from.parts[0]->type) {
        return error{error_code::unsupported,
                     file_.path().string() + ": tensor " + t->name + " is " +
                         std::string(to_string(t->type)) + ", but " +
                         from.parts[0]->name + " is " +
                         std::string(to_string(from.parts[0]->type)) +
                         "; q, k and v must have one type"};
      }
      from.parts.push_back(t);
    }
    return packed(from, names_.qkv, layer, rows, cols);
  }
  TINYPHI_TRY(const tensor_view* t, find(whole, {rows, cols}));
  stored_rows from{{t}, {}};
  if (config_.arch == architecture::phi3_small) {
    // Stored per key/value head: its query heads, its key, its value.
    const std::size_t groups = config_.n_groups();
    from.order = [=](std::size_t r) {
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
  return packed(from, names_.qkv, layer, rows, cols);
}

inline std::size_t linear_bytes(const linear& l) { return l.w.data.size(); }

}  // namespace detail

TINYPHI_FUNC std::size_t model_weights::bytes() const {
  std::size_t n = embedding.bytes.size() + detail::linear_bytes(lm_head);
  for (const layer_weights& l : layers) {
    n += detail::linear_bytes(l.qkv) + detail::linear_bytes(l.attention_out) +
         detail::linear_bytes(l.gate_up) + detail::linear_bytes(l.ffn_down);
  }
  return n;
}

TINYPHI_FUNC result<void> load_weights(model_weights& w,
                                       const load_options& options) {
  const model_config& c = w.config;
  if (w.file->tensors().empty()) {
    return error{error_code::bad_data,
                 w.path.string() + ": holds no weights, only a tokenizer"};
  }
  detail::weight_reader in(w, options);
  const detail::tensor_names& names = in.names();
  const std::string embedding = std::string(names.embedding) + ".weight";
  TINYPHI_TRY(const tensor_view* rows,
              in.find(embedding, {c.vocab_size, c.hidden}));
  w.embedding = *rows;
  for (std::size_t i = 0; i < c.n_layers; ++i) {
    layer_weights l;
    TINYPHI_TRY(l.attention_norm, in.norm(names.attention_norm, i));
    TINYPHI_TRY(l.qkv, in.qkv(i));
    TINYPHI_TRY(l.attention_out,
                in.matrix(names.attention_out, i, c.hidden,
                          std::size_t{c.n_heads} * c.head_dim));
    TINYPHI_TRY(l.ffn_norm, in.norm(names.ffn_norm, i));
    TINYPHI_TRY(
        l.gate_up,
        in.matrix(names.gate_up, i, std::size_t{2} * c.intermediate, c.hidden));
    TINYPHI_TRY(l.ffn_down,
                in.matrix(names.ffn_down, i, c.hidden, c.intermediate));
    w.layers.push_back(std::move(l));
  }
  TINYPHI_TRY(w.final_norm, in.norm(names.final_norm, 0));
  const bool tied = c.tied_embeddings ||
                    (w.file->gguf() != nullptr && !in.has("output.weight"));
  if (!tied) in.done(w.embedding);  // read row by row, later
  TINYPHI_TRY(w.lm_head, in.matrix(tied ? names.embedding : names.lm_head, 0,
                                   c.vocab_size, c.hidden));
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_WEIGHTS_IPP_
