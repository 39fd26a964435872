// SPDX-License-Identifier: MIT
// What a model and its engine will take of memory, told before anything is
// loaded.
#ifndef TINYPHI_GENERATE_MEMORY_PLAN_H_
#define TINYPHI_GENERATE_MEMORY_PLAN_H_

#include <cstddef>
#include <cstdint>

#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/generate/draft_source.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/model/load_options.h"
#include "tinyphi/model/model_config.h"

TINYPHI_NAMESPACE_BEGIN

// What a request of `n_tokens` tokens takes, of which `n_answer` are to come,
// if its drafts are of `n_draft` tokens; samplers may add tables of their own.
[[nodiscard]] inline std::size_t request_bytes(std::size_t n_tokens,
                                               std::size_t n_answer,
                                               std::size_t n_draft) {
  return n_tokens * sizeof(token_id) + n_answer * sizeof(sampled_token) +
         (n_draft == 0 ? 0 : draft_source::memory_bytes(n_draft));
}

// Token ids of one request are remembered for drafts up to here: 2.5 MB.
inline constexpr std::size_t max_draft_tokens = std::size_t{1} << 15;

// What the engine is to do at most.
struct planned_use {
  std::size_t sequences = 1;  // at the same time
  std::size_t length = 0;     // of each, in tokens; 0: the model's context
  std::size_t answer = 256;   // of these, not of the prompt
  bool drafts = true;
};

// Bytes. All but the overhead is what a memory_budget of the model and its
// engine counts once the use has come to its full size, within 5 %
// (memory_plan_test.cpp): the cache is full, and a prompt was read in slices of
// prefill_chunk tokens.
struct memory_plan {
  std::size_t weights = 0;    // packed matrices
  std::size_t embedding = 0;  // as stored
  std::size_t cache_per_token = 0;
  std::size_t cache_tokens = 0;  // that there is room for, in whole pages
  std::size_t cache = 0;         // all sequences' pages
  std::size_t scratch = 0;       // of a step with the largest slice
  std::size_t per_request = 0;
  std::size_t requests = 0;  // all, and a table for their sampler
  std::size_t overhead = 0;  // tokenizer and program, estimated

  // What the budget's uses come to.
  [[nodiscard]] memory_usage usage() const {
    memory_usage u;
    u.bytes = {weights + embedding, cache, scratch, requests};
    return u;
  }
  [[nodiscard]] std::size_t total() const { return usage().total() + overhead; }
};

// Errors are those of model::load for what the file's metadata and tensors show
// without being read, and limit for a use longer than the context.
// engine.kv_bytes bounds the cache unless it is 0. With a window, pages are
// those that the sequences see; what the prefix cache keeps beside them, up to
// kv_bytes, makes room when somebody needs it.
[[nodiscard]] result<memory_plan> plan_memory(model_file file,
                                              const load_options& load = {},
                                              const engine_options& engine = {},
                                              const planned_use& use = {});

// The same of model::random.
[[nodiscard]] result<memory_plan> plan_memory(const model_config& config,
                                              dtype type,
                                              const load_options& load = {},
                                              const engine_options& engine = {},
                                              const planned_use& use = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/memory_plan.ipp"
#endif

#endif  // TINYPHI_GENERATE_MEMORY_PLAN_H_
