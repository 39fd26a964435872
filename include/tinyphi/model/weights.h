// SPDX-License-Identifier: MIT
// The weights of a model in memory: every matrix packed once at load, tensor
// by tensor, so that peak memory is the packed model plus one tensor.
#ifndef TINYPHI_MODEL_WEIGHTS_H_
#define TINYPHI_MODEL_WEIGHTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/files/model_file.h"
#include "tinyphi/model/load_options.h"
#include "tinyphi/model/model_config.h"
#include "tinyphi/model/repacked_file.h"
#include "tinyphi/model/rope_table.h"
#include "tinyphi/tensor/packed.h"
#include "tinyphi/text/chat_template.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// out = w x + bias; the only form in which weights are multiplied (layers.h).
struct linear {
  packed_matrix w;
  std::vector<float> bias;  // rows, or empty
};

struct norm_weights {
  std::vector<float> weight;
  std::vector<float> bias;  // empty: RMSNorm
};

// Shapes are [outputs][inputs]. qkv holds the query heads, then the key heads,
// then the value heads, whatever order the file has. gate_up holds gate rows,
// then up rows (phi3), or both alternating (phi3_small).
struct layer_weights {
  norm_weights attention_norm;
  linear qkv;            // [(n_heads + 2 n_kv_heads) head_dim][hidden]
  linear attention_out;  // [hidden][n_heads head_dim]
  norm_weights ffn_norm;
  linear gate_up;   // [2 intermediate][hidden]
  linear ffn_down;  // [hidden][intermediate]
};

struct model_weights {
  std::filesystem::path path;  // empty for random weights
  model_config config;
  bool exact = false;
  bool fast_prefill = false;

  memory_lease memory;             // of bytes()
  std::optional<model_file> file;  // while loading; nothing points into it then
  // [vocab_size][hidden], rows as stored, in memory of ours: a file that stays
  // mapped ends the process when somebody cuts it short. Without bytes if
  // lm_head packs the same rows, from which one can be read.
  tensor_view embedding;
  bool embedding_in_head = false;
  aligned_array<std::byte> embedding_storage;
  // All strips of a loaded model lie in one of these two; a random model's
  // matrices own theirs.
  aligned_array<std::byte> strips;
  std::optional<repacked_file> repacked;
  std::vector<layer_weights> layers;
  norm_weights final_norm;
  linear lm_head;  // [vocab_size][hidden]

  // Whether products with `l` are computed in integers, and whether any matrix
  // is multiplied so, or in f32.
  [[nodiscard]] bool in_integers(const linear& l) const {
    return !exact && is_quantized(l.w.type);
  }
  bool has_integer_products = false;
  bool has_f32_products = false;

  rope_table short_rope;
  rope_table long_rope;  // only with longrope

  std::optional<tinyphi::tokenizer> tokenizer;
  result<tinyphi::chat_format> chat_format = error{};
  std::vector<token_id> stop_ids;
  std::vector<token_id> absent_ids;  // ids without a token: logits -inf

  [[nodiscard]] std::size_t bytes() const;
  // Row `id` of the embedding as f32 [hidden]; `row` has room for as many.
  void embed(token_id id, std::span<float> to, std::span<float> row) const;
  // model::content_hash(): computed once, since both the cache's key and who
  // tells models apart ask for it.
  [[nodiscard]] std::uint64_t content_hash(team& threads) const;
  std::unique_ptr<std::atomic<std::uint64_t>> known_hash =
      std::make_unique<std::atomic<std::uint64_t>>(0);  // 0: not yet
};

// Reads, checks and packs all tensors of w.file into `w`, whose config is set,
// or maps what an earlier load packed. Nothing points into the
// file afterwards. A missing tensor or
// one of another shape is an error that names it, what was found and what the
// configuration asks for.
[[nodiscard]] result<void> load_weights(model_weights& w,
                                        const load_options& options);

// Fills `w`, whose config is set, with random weights of `type` that keep the
// residual stream finite.
[[nodiscard]] result<void> randomize_weights(model_weights& w, dtype type,
                                             std::uint64_t seed,
                                             const load_options& options);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/random_weights.ipp"
#include "tinyphi/model/weights.ipp"
#endif

#endif  // TINYPHI_MODEL_WEIGHTS_H_
