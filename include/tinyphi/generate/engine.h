// SPDX-License-Identifier: MIT
// What applications call: an engine that runs the sequences of one model
// together, and the generations it gives out.
#ifndef TINYPHI_GENERATE_ENGINE_H_
#define TINYPHI_GENERATE_ENGINE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

struct engine_options {
  int n_threads = 0;               // 0: available_threads()
  std::size_t kv_bytes = 0;        // cache budget; 0: one full context, at most
                                   // a quarter of the machine's free memory
  std::size_t max_sequences = 16;  // running at once; more wait their turn
  std::size_t prefill_chunk = 256;  // prompt tokens per step, so that others'
                                    // decoding goes on meanwhile
};

struct generation_params {
  std::size_t max_tokens = 256;  // 0: as far as the context allows
  sampling_params sampling;
  std::vector<std::string> stop;  // stop strings, not part of the text
  bool ignore_stop_ids = false;   // go on past the model's end-of-turn
  stop_condition stop_when;       // cancel token and deadline
  // longrope: run with the long factors from the first token on, instead of
  // Hugging Face's way (short, and everything again when the text crosses the
  // original context; never short if prompt + max_tokens cannot fit... chosen
  // by the declared limit). engine.md §5.3.
  bool long_from_start = false;
};

enum class finish_reason : std::uint8_t {
  none,
  stop,
  length,
  cancelled,
  deadline,
  error
};
[[nodiscard]] std::string_view to_string(finish_reason r);

struct usage {
  std::size_t prompt_tokens = 0;
  std::size_t completion_tokens = 0;  // stop token not counted
  double queue_seconds = 0;           // waiting for admission
  double prefill_seconds = 0;         // admission to first token
  double decode_seconds = 0;          // first token to the end
};

// One running answer. Move-only; destroying it cancels. Iterating it drives
// the engine for everybody if nobody else is; several threads may each iterate
// their own generation. cancel() may be called from any thread.
class generation {
 public:
  generation(generation&&) noexcept;
  generation& operator=(generation&&) noexcept;
  ~generation();

  // The next piece of text (whole UTF-8 characters, never empty), or nothing
  // when the answer is complete. Blocks.
  [[nodiscard]] std::optional<std::string> next();
  // All that is left, joined.
  [[nodiscard]] std::string text();

  // `for (std::string_view piece : answer)`: a single pass.
  class iterator;
  [[nodiscard]] iterator begin();
  [[nodiscard]] std::default_sentinel_t end() const { return {}; }

  void cancel();

  // Complete once next() has returned nothing.
  [[nodiscard]] const std::optional<tinyphi::error>& error() const;
  [[nodiscard]] finish_reason finish() const;
  [[nodiscard]] tinyphi::usage usage() const;
  [[nodiscard]] const std::vector<sampled_token>& tokens() const;

 private:
  friend class engine;
  struct state;
  explicit generation(std::shared_ptr<state> s) : state_(std::move(s)) {}
  std::shared_ptr<state> state_;
};

class generation::iterator {
 public:
  using value_type = std::string_view;
  using difference_type = std::ptrdiff_t;
  iterator() = default;
  explicit iterator(generation* g) : generation_(g) { ++*this; }
  std::string_view operator*() const { return *piece_; }
  iterator& operator++() {
    piece_ = generation_->next();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const iterator& i, std::default_sentinel_t) {
    return !i.piece_;
  }

 private:
  generation* generation_ = nullptr;
  std::optional<std::string> piece_;
};

// A shared handle: copies are the same engine. All members may be called from
// any thread. No thread of its own: whoever iterates a generation drives.
// The same request gives the same tokens whatever runs beside it.
class engine {
 public:
  [[nodiscard]] static result<engine> create(
      model m, const engine_options& options = {});

  [[nodiscard]] const tinyphi::model& model() const;
  [[nodiscard]] const engine_options& options() const;

  // One assistant turn. Errors that are known at once (no chat format, prompt
  // longer than the context, bad parameters) come back in the generation.
  [[nodiscard]] generation chat(std::span<const message> messages,
                                const generation_params& params = {});
  [[nodiscard]] generation chat(std::initializer_list<message> messages,
                                const generation_params& params = {}) {
    return chat(std::span(messages.begin(), messages.size()), params);
  }
  // Goes on from segments (BOS as the vocabulary asks) or from exact ids.
  [[nodiscard]] generation complete(std::span<const segment> prompt,
                                    const generation_params& params = {});
  [[nodiscard]] generation complete(std::vector<token_id> prompt,
                                    const generation_params& params = {});

 private:
  struct core;
  friend class generation;
  explicit engine(std::shared_ptr<core> c) : core_(std::move(c)) {}
  std::shared_ptr<core> core_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/engine.ipp"
#endif

#endif  // TINYPHI_GENERATE_ENGINE_H_
