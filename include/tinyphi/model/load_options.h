// SPDX-License-Identifier: MIT
// How a model is loaded.
#ifndef TINYPHI_MODEL_LOAD_OPTIONS_H_
#define TINYPHI_MODEL_LOAD_OPTIONS_H_

#include <cstddef>
#include <functional>
#include <optional>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/tensor/dtype.h"

TINYPHI_NAMESPACE_BEGIN

struct load_options {
  // Compute with f32 activations and an f32 cache instead of int8 for both: the
  // reference that is compared with Hugging Face.
  bool exact = false;
  // Compute prompts faster and less exactly: where 64 tokens or more meet
  // quantized weights, both are rounded to int8 with one scale for 128 columns
  // instead of 32 or fewer. Steps of fewer tokens, so also decoding, stay as
  // they are. Results then depend on how many tokens a step takes (prompts are
  // cut into chunks, sequences run together), still not on n_threads.
  // Phi-3-mini in Q4_0, 512 tokens, on Zen 4: 1.12 times as fast. The KL
  // divergence that it adds is 0.5 to 1.6 % of what Q4_0 weights cost on the
  // models of tests/ and on the demo model's conversations (bench/accuracy).
  // Nothing changes with `exact`.
  bool fast_prefill = false;
  // Turn float matrices into this type while loading; nothing: as stored.
  // Where rows are no multiple of 256 columns, Q4_K becomes Q5_0, Q5_K Q5_1 and
  // Q6_K Q8_0. Embeddings and norms stay as they are.
  std::optional<dtype> quantize = {};
  // Tokens that a text and its answer may have together: fewer than the model
  // allows take less memory. 0: as many as it allows; more is invalid_argument.
  std::size_t context = 0;
  // Keep the packed weights in a file beside the model, and load from it when
  // it is there and fits (repacked_file.h). If it cannot be written, loading
  // goes on without. That file stays mapped: whoever may write to it can end
  // the process by cutting it short, as with a program or a shared library.
  bool cache_repacked = false;
  // Where the weights have their bytes from, as long as the model lives; empty:
  // they are not counted.
  memory_budget budget = {};
  int n_threads = 0;  // for loading; 0: available_threads()
  stop_condition stop = {};
  // Called on the loading thread with the share done, 0 to 1.
  std::function<void(double)> progress = {};
  // Called on the loading thread with what failed without ending the load.
  std::function<void(const error&)> warn = {};
};

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_LOAD_OPTIONS_H_
