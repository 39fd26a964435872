// SPDX-License-Identifier: MIT
// A loaded model: weights, tokenizer, chat format, and the forward pass.
#ifndef TINYPHI_MODEL_MODEL_H_
#define TINYPHI_MODEL_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/load_options.h"
#include "tinyphi/model/model_config.h"
#include "tinyphi/text/chat_template.h"
#include "tinyphi/text/tokenizer.h"

TINYPHI_NAMESPACE_BEGIN

// What a run wants to know of its rows.
enum class row_output : std::uint8_t {
  logits,    // [vocab_size]; -inf for ids that do not exist
  logprobs,  // the log-probability of one given id
  hidden     // [hidden]: the hidden state after the final norm
};

// Some tokens of one sequence, to be computed in one go behind what its cache
// already holds.
struct batch_run {
  kv_sequence* kv = nullptr;
  std::span<const token_id> tokens = {};
  bool long_factors = false;  // longrope's long set, for the whole sequence
  std::size_t n_rows = 1;     // output wanted after each of the last n tokens
  row_output output = row_output::logits;
  // For logprobs: [n_rows], the id that each row is asked for.
  std::span<const token_id> targets = {};
};

// What a forward pass gives: the wanted rows of all runs, each kind in the
// order of the runs. Valid until the scratch is used again.
struct forward_output {
  std::span<const float> logits;    // [rows][vocab_size]
  std::span<const float> logprobs;  // [rows]
  std::span<const float> hidden;    // [rows][hidden]
  // For each run, after how many layers the residual stream of one of its
  // tokens stopped being finite; -1 where all is finite.
  std::span<const std::int32_t> bad_layer;

  // bad_data, with the layer, if a number of run `i` is not finite. The other
  // runs of the batch are right all the same.
  [[nodiscard]] result<void> check(std::size_t i) const;
};

struct model_weights;  // weights.h
struct layer_buffers;  // layers.h

// Buffers of a forward pass, grown as needed; one per driver. After a pass for
// which there was no memory they are empty, so that a smaller one may go on.
class forward_scratch {
 public:
  explicit forward_scratch(memory_budget budget = {});
  ~forward_scratch();
  forward_scratch(forward_scratch&&) noexcept;
  forward_scratch& operator=(forward_scratch&&) noexcept;

  // Lets go of the buffers; `trace` stays.
  void clear();

  // For tests: called after the embedding (layer 0) and after decoder layer L
  // with the residual stream [tokens][hidden].
  std::function<void(std::size_t layer, std::span<const float>)> trace;

 private:
  friend class model;
  std::unique_ptr<layer_buffers> buffers_;
};

// An immutable shared handle; copies are the same model. Any thread may use
// one; forward is called by one driver per (team, scratch, sequences).
class model {
 public:
  // A GGUF file or a Hugging Face folder, its tokenizer included. The files
  // must stay as they are until this returns, and not a moment longer.
  [[nodiscard]] static result<model> load(const std::filesystem::path& path,
                                          const load_options& options = {});
  // The same from files that are already open, or bytes in memory
  // (gguf_file::parse), which the model does not need afterwards.
  [[nodiscard]] static result<model> load(model_file file,
                                          const load_options& options = {});
  // Random weights of a shape, for measuring speed without a download;
  // seeded, so equal calls give equal models. It has no tokenizer. Sizes that
  // no file may have are an error.
  [[nodiscard]] static result<model> random(const model_config& config,
                                            dtype type, std::uint64_t seed,
                                            const load_options& options = {});

  [[nodiscard]] const model_config& config() const;
  [[nodiscard]] bool exact() const;
  [[nodiscard]] bool fast_prefill() const;
  [[nodiscard]] kv_type default_kv_type() const {
    return tinyphi::default_kv_type(exact());
  }
  [[nodiscard]] const std::filesystem::path& path() const;
  [[nodiscard]] std::size_t weight_bytes() const;
  // Of these, what one decode step reads: all but the embedding, of which it
  // takes a row.
  [[nodiscard]] std::size_t step_bytes() const;

  // A hash of all that the numbers of a forward pass depend on besides its
  // tokens and the machine: every weight, norm and bias, and the configuration.
  // Reads them all: about half a second for Phi-3-mini in Q4_0 on two cores.
  [[nodiscard]] std::uint64_t content_hash(team& threads) const;

  // The SIMD target that it is computed on here ("AVX2"): a part of the machine
  // that numbers depend on.
  [[nodiscard]] static std::string simd_target();

  // Null if the files hold none (random shapes, weights-only folders).
  [[nodiscard]] const tinyphi::tokenizer* tokenizer() const;
  // The chat format, or why there is none.
  [[nodiscard]] const result<tinyphi::chat_format>& chat_format() const;
  // Tokens that end an answer: the file's own set and, for a known chat
  // format, its end-of-turn markers.
  [[nodiscard]] const std::vector<token_id>& stop_ids() const;

  // True if a sequence of `length` tokens needs longrope's long factors.
  [[nodiscard]] bool needs_long_factors(std::size_t length) const;

  // Computes all runs through all layers and stores their keys and values
  // behind the sequences' length(); whoever accepts the result commits the
  // positions. Polls `stop` every few milliseconds of work.
  // Every run has at least one token, ids below vocab_size, no more rows than
  // tokens, and long factors only where the model has them (checked:
  // invalid_argument); no two runs have the same sequence.
  [[nodiscard]] result<forward_output> forward(
      std::span<const batch_run> runs, team& threads, forward_scratch& scratch,
      const stop_condition& stop = {}) const;

 private:
  explicit model(std::shared_ptr<const model_weights> w) : w_(std::move(w)) {}
  std::shared_ptr<const model_weights> w_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/model.ipp"
#endif

#endif  // TINYPHI_MODEL_MODEL_H_
