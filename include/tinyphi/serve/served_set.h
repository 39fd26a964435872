// SPDX-License-Identifier: MIT
// All that a configuration asks to be served, loaded: models with their
// threads, and pipelines on top of them. A reload makes another set beside it.
#ifndef TINYPHI_SERVE_SERVED_SET_H_
#define TINYPHI_SERVE_SERVED_SET_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/serve/daemon_config.h"
#include "tinyphi/serve/daemon_program.h"
#include "tinyphi/serve/served_model.h"
#include "tinyphi/serve/served_pipeline.h"

TINYPHI_NAMESPACE_BEGIN

class metrics;  // metrics.h

// What the models will take, by model as in the configuration.
struct memory_shares {
  std::size_t budget = 0;             // of everything, in bytes
  std::vector<std::size_t> kv_bytes;  // that each may have for its cache
  std::vector<std::size_t> least;     // bytes of each with one context
  std::vector<std::size_t> spare;     // of kv_bytes, beyond one context
};

// Plans all models into `available` bytes, or what the configuration allows if
// that is less, but a tenth: limit, with the numbers of each model, if they do
// not fit with one context each. Opens the models' files and reads no weights.
[[nodiscard]] result<memory_shares> share_memory(const daemon_config& c,
                                                 const daemon_program& program,
                                                 std::size_t available);

// Changes whenever somebody writes or replaces the file, or a file directly in
// that folder; empty for the built-in model.
[[nodiscard]] std::string state_of_files(const std::filesystem::path& path);

struct loaded_model {
  model_entry entry;  // what it was made of,
  std::string state;  // and of which state of its files
  std::shared_ptr<served_model> model;
};

// What all prompts of a pipeline's stage begin with.
struct prompt_beginning {
  std::shared_ptr<served_model> model;
  std::vector<token_id> ids;
};

struct served_set {
  std::vector<loaded_model> models;  // as in the configuration
  std::vector<std::shared_ptr<const served_pipeline>> pipelines;
  std::size_t n_kept = 0;  // models that the set before had already
  std::vector<prompt_beginning> beginnings;
  std::vector<std::shared_ptr<generation>> pinning;  // computes those
};

// What loading needs beside a configuration; all of it outlives the set.
struct loading {
  const daemon_program* program;
  memory_budget budget;  // of everything
  metrics* counts;
  stop_condition stop;
  // Destroys a model that nobody holds any more, which waits for a step and for
  // a file of cached pages. Called on any thread.
  std::function<void(served_model*)> destroy;
};

// Loads models and compiles pipelines, on the calling thread. A model that
// `before` has, made of the same entry and files, is taken over. A new one is
// loaded beside those of `before`: limit, with the numbers, if the budget does
// not hold both, and before it takes anybody's place it must have given 16
// tokens. Pipelines are always compiled anew.
//
// What all prompts of pipelines begin with stays in the cache for everybody, as
// far as [serve.cache] pin allows (a quarter of the cache where it says
// nothing) and a whole context has room beside it. That is computed after this
// has returned, when nobody else asks for anything.
[[nodiscard]] result<served_set> load_served(const daemon_config& c,
                                             const memory_shares& shares,
                                             const loading& with,
                                             const served_set& before = {});

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/serve/served_set.ipp"
#endif

#endif  // TINYPHI_SERVE_SERVED_SET_H_
