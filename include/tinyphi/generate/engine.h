// SPDX-License-Identifier: MIT
// What applications call: an engine that runs the sequences of one model
// together, and the generations it gives out.
#ifndef TINYPHI_GENERATE_ENGINE_H_
#define TINYPHI_GENERATE_ENGINE_H_

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinyphi/base/error.h"
#include "tinyphi/generate/request.h"
#include "tinyphi/generate/sampler.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

class scheduler;  // scheduler.h
struct sequence;

// One running answer. Move-only; destroying it cancels and frees its cache.
// Iterating it drives the engine for everybody if nobody else is; several
// threads may each iterate their own generation. One that nobody iterates
// hinders no other: its text waits. cancel() may be called from any thread and
// takes effect inside a prompt of its own, or after the step under way.
class generation {
 public:
  generation(generation&&) noexcept = default;
  generation& operator=(generation&& other) noexcept;
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

  // Final once next() has returned nothing; empty before the answer is done.
  [[nodiscard]] const std::optional<tinyphi::error>& error() const;
  [[nodiscard]] finish_reason finish() const;
  [[nodiscard]] tinyphi::usage usage() const;
  // The answer's tokens, without the stop token.
  [[nodiscard]] const std::vector<sampled_token>& tokens() const;

 private:
  friend class engine;
  generation(std::shared_ptr<scheduler> s, std::shared_ptr<sequence> q)
      : scheduler_(std::move(s)), sequence_(std::move(q)) {}
  void abandon() noexcept;

  std::shared_ptr<scheduler> scheduler_;
  std::shared_ptr<sequence> sequence_;  // null once moved from
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
  // invalid_argument for options out of range; limit for a budget below one
  // page of cache.
  [[nodiscard]] static result<engine> create(
      tinyphi::model m, const engine_options& options = {});

  [[nodiscard]] const tinyphi::model& model() const;
  // As given, with the cache (kv_bytes, cache_type) that was chosen.
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
  explicit engine(std::shared_ptr<scheduler> s) : scheduler_(std::move(s)) {}
  std::shared_ptr<scheduler> scheduler_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/engine.ipp"
#endif

#endif  // TINYPHI_GENERATE_ENGINE_H_
