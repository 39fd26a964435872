// SPDX-License-Identifier: MIT
#include "cli/shapes.h"

#include <cmath>

namespace cli {

namespace {

using tinyphi::model_config;

// What the published configurations say (config.json of each model).
struct shape {
  std::string_view name;
  std::uint32_t vocab_size, hidden, intermediate, n_layers, n_heads, n_kv_heads;
  std::uint32_t rotary_dim, max_context, window;
  float rope_theta;
  bool tied_embeddings;
};

constexpr shape shapes[] = {
    {"phi-3-mini", 32064, 3072, 8192, 32, 32, 32, 96, 4096, 2047, 1e4f, false},
    {"phi-3-mini-128k", 32064, 3072, 8192, 32, 32, 32, 96, 131072, 0, 1e4f,
     false},
    {"phi-3-medium", 32064, 5120, 17920, 40, 40, 10, 128, 4096, 2047, 1e4f,
     false},
    {"phi-3-small", 100352, 4096, 14336, 32, 32, 8, 128, 8192, 0, 1e6f, true},
    {"phi-4", 100352, 5120, 17920, 40, 40, 10, 128, 16384, 0, 2.5e5f, false},
    {"phi-4-mini", 200064, 3072, 8192, 32, 24, 8, 96, 4096, 0, 1e4f, true},
    {"demo", 2048, 256, 768, 8, 4, 2, 64, 4096, 0, 1e4f, false},
};

model_config to_config(const shape& s) {
  model_config c;
  c.name = s.name;
  c.vocab_size = s.vocab_size;
  c.hidden = s.hidden;
  c.intermediate = s.intermediate;
  c.n_layers = s.n_layers;
  c.n_heads = s.n_heads;
  c.n_kv_heads = s.n_kv_heads;
  c.head_dim = s.hidden / s.n_heads;
  c.max_context = s.max_context;
  c.window = s.window;
  c.attention_scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  c.tied_embeddings = s.tied_embeddings;
  c.rope.theta = s.rope_theta;
  c.rope.rotary_dim = s.rotary_dim;
  c.rope.original_context = s.max_context;
  if (s.name == "phi-3-small") {
    c.arch = tinyphi::architecture::phi3_small;
    c.attention_scale = 1.0f / static_cast<float>(c.head_dim);
    c.embedding_multiplier = 10.0f;
    c.logits_divisor = 8.0f;
  }
  return c;
}

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const shape& s : shapes) names.emplace_back(s.name);
  return names;
}

tinyphi::result<model_config> find_shape(std::string_view name) {
  std::string known;
  for (const shape& s : shapes) {
    if (s.name == name) return to_config(s);
    known += (known.empty() ? "" : ", ") + std::string(s.name);
  }
  return tinyphi::error{
      tinyphi::error_code::invalid_argument,
      "--shape " + std::string(name) + ": known shapes are " + known};
}

}  // namespace cli
