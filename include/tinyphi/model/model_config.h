// SPDX-License-Identifier: MIT
// The dimensions and switches of one model, checked once against limits; all
// differences inside the family are data here.
#ifndef TINYPHI_MODEL_MODEL_CONFIG_H_
#define TINYPHI_MODEL_MODEL_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/files/model_file.h"

TINYPHI_NAMESPACE_BEGIN

enum class architecture : std::uint8_t { phi3, phi3_small };
[[nodiscard]] std::string_view to_string(architecture a);

// Rotary embedding; longrope when the factors are there.
struct rope_config {
  float theta = 10000.0f;
  std::uint32_t rotary_dim = 0;        // rotated elements of a head, even
  std::uint32_t original_context = 0;  // trained length; the switch is past it
  std::vector<float> short_factors;    // rotary_dim / 2 each, or both empty
  std::vector<float> long_factors;
  float short_scale = 1.0f;  // multiplies cos and sin with short factors
  float long_scale = 1.0f;
  float position_scale = 1.0f;  // Phi-3-small: positions are divided by it

  [[nodiscard]] bool is_longrope() const { return !long_factors.empty(); }
};

// Phi-3-small's block-sparse attention (its modeling_phi3_small.py).
struct block_sparse_config {
  std::uint32_t block = 64;
  std::uint32_t local_blocks = 16;
  std::uint32_t vert_stride = 8;
  std::uint32_t dense_every = 2;  // layer i is dense if (i + 1) % this == 0
  bool homo_head_pattern = false;
};

struct model_config {
  architecture arch = architecture::phi3;
  std::string name;              // for people only: nothing depends on it
  std::uint32_t vocab_size = 0;  // rows of the embedding, padding included
  std::uint32_t hidden = 0;
  std::uint32_t intermediate = 0;
  std::uint32_t n_layers = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t max_context = 0;
  // Keys a query sees, itself included (2047 for mini-4k); 0: all of them.
  std::uint32_t window = 0;
  float norm_eps = 1e-5f;
  float attention_scale = 0;  // multiplies q.k
  bool tied_embeddings = false;
  rope_config rope;

  // Phi-3-small only.
  block_sparse_config sparse;
  float embedding_multiplier = 1.0f;
  float logits_divisor = 1.0f;
  float gegelu_limit = 20.0f;
  // Ids that Phi-3-small's model sets to -inf, from config and source.
  std::vector<std::int32_t> masked_ids;

  std::optional<std::int32_t> bos_id;
  std::vector<std::int32_t> eos_ids;  // every id that ends an answer

  [[nodiscard]] std::uint32_t n_groups() const { return n_heads / n_kv_heads; }
};

// Reads and checks the configuration of a GGUF file or a Hugging Face folder.
// Every number is range-checked before any arithmetic (CVE-2024-8063). Other
// architectures are refused by name.
[[nodiscard]] result<model_config> read_model_config(const model_file& file);
[[nodiscard]] result<model_config> read_model_config(const gguf_file& file);
[[nodiscard]] result<model_config> read_model_config(const hf_folder& folder);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/model_config.ipp"
#include "tinyphi/model/model_config_gguf.ipp"
#include "tinyphi/model/model_config_hf.ipp"
#endif

#endif  // TINYPHI_MODEL_MODEL_CONFIG_H_
