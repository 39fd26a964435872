// SPDX-License-Identifier: MIT
#ifndef TINYPHI_GENERATE_MEMORY_PLAN_IPP_
#define TINYPHI_GENERATE_MEMORY_PLAN_IPP_

#include <algorithm>
#include <bit>
#include <string>
#include <utility>

#include "tinyphi/base/parallel.h"
#include "tinyphi/generate/draft_policy.h"
#include "tinyphi/generate/memory_plan.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/layers.h"
#include "tinyphi/model/model_config.ipp"
#include "tinyphi/model/weight_plan.h"
#include "tinyphi/model/weights.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// What is not counted: the program with its libraries, and of a tokenizer the
// tables of each token. Resident on x86-64: `tinyphi list` 6 MB, with the 32064
// tokens of Phi-3 9 MB more; `generate` with the demo model 8 MB beside what
// its budget counts.
inline constexpr std::size_t program_bytes = std::size_t{7} << 20;
inline constexpr std::size_t token_bytes = 300;

// All but the weights, of a model with products of these kinds.
inline result<void> plan_engine(memory_plan& plan, const model_config& c,
                                bool f32, bool rounded,
                                const load_options& load,
                                const engine_options& engine,
                                const planned_use& use) {
  const std::size_t length = use.length == 0 ? c.max_context : use.length;
  if (length > c.max_context) {
    return error{error_code::limit, "sequences of " + std::to_string(length) +
                                        " tokens; the model's context has " +
                                        std::to_string(c.max_context)};
  }
  const std::size_t answer = std::min(use.answer, length);
  const std::size_t sequences =
      std::min(std::max<std::size_t>(1, use.sequences), engine.max_sequences);
  plan.cache_per_token = kv_bytes_per_token(
      c, engine.cache_type.value_or(default_kv_type(load.exact)));
  const std::size_t page = plan.cache_per_token * page_tokens;
  std::size_t pages =
      sequences * most_kv_pages(c, length, engine.prefill_chunk);
  if (engine.kv_bytes > 0) pages = std::min(pages, engine.kv_bytes / page);
  plan.cache_tokens = pages * page_tokens;
  plan.cache = pages * page;

  scratch_shape shape;
  shape.rows = std::min(engine.prefill_chunk, length) + sequences - 1;
  shape.logit_rows = sequences + (use.drafts ? draft_policy::max_length : 0);
  shape.rows = std::max(shape.rows, shape.logit_rows);
  shape.longest = length;
  const team threads(engine.n_threads);
  shape.n_threads = static_cast<std::size_t>(threads.n_threads());
  shape.n_members = threads.n_members();
  shape.fast_prefill = load.fast_prefill;
  plan.scratch = scratch_bytes(c, f32, rounded, shape);

  plan.per_request = request_bytes(
      length, answer, use.drafts ? std::min(length, max_draft_tokens) : 0);
  plan.requests = sequences * plan.per_request +
                  std::bit_ceil(std::size_t{c.vocab_size}) * sizeof(candidate);
  plan.overhead += program_bytes;
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<memory_plan> plan_memory(model_file file,
                                             const load_options& load,
                                             const engine_options& engine,
                                             const planned_use& use) {
  model_weights w;
  w.path = file.path();
  w.exact = load.exact;
  w.file.emplace(std::move(file));
  TINYPHI_TRY(w.config, read_model_config(*w.file));
  TINYPHI_CHECK_OK(limit_context(w.config, load));
  TINYPHI_TRY(const weight_plan weights, plan_weights(w, load));
  memory_plan plan;
  plan.weights = weights.bytes;
  plan.embedding = planned_weight_bytes(w, weights) - weights.bytes;
  bool f32 = false, rounded = false;
  for (const matrix_plan& m : weights.matrices) {
    (!w.exact && is_quantized(m.to->type) ? rounded : f32) = true;
  }
  plan.overhead = w.config.vocab_size * detail::token_bytes;
  TINYPHI_CHECK_OK(
      detail::plan_engine(plan, w.config, f32, rounded, load, engine, use));
  return plan;
}

TINYPHI_FUNC result<memory_plan> plan_memory(const model_config& config,
                                             dtype type,
                                             const load_options& load,
                                             const engine_options& engine,
                                             const planned_use& use) {
  TINYPHI_TRY(model_config c, detail::finish_config(config, "random weights"));
  TINYPHI_CHECK_OK(limit_context(c, load));
  memory_plan plan;
  const std::size_t q_rows = std::size_t{c.n_heads} * c.head_dim;
  const std::size_t kv_rows = std::size_t{c.n_kv_heads} * c.head_dim;
  const std::pair<std::size_t, std::size_t> shapes[] = {
      {q_rows + 2 * kv_rows, c.hidden},
      {c.hidden, q_rows},
      {std::size_t{2} * c.intermediate, c.hidden},
      {c.hidden, c.intermediate}};
  for (const auto& [rows, cols] : shapes) {
    TINYPHI_TRY(const std::size_t bytes, packed_bytes(type, rows, cols));
    plan.weights += c.n_layers * bytes;
  }
  TINYPHI_TRY(const std::size_t head,
              packed_bytes(type, c.vocab_size, c.hidden));
  plan.weights += head;
  plan.embedding = c.vocab_size * row_bytes(type, c.hidden);
  const bool rounded = !load.exact && is_quantized(type);
  TINYPHI_CHECK_OK(
      detail::plan_engine(plan, c, !rounded, rounded, load, engine, use));
  return plan;
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_GENERATE_MEMORY_PLAN_IPP_
