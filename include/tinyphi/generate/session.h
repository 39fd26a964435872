// SPDX-License-Identifier: MIT
// Tokens in, logits out: one sequence run by hand, for research, tests and the
// `logits` command.
#ifndef TINYPHI_GENERATE_SESSION_H_
#define TINYPHI_GENERATE_SESSION_H_

#include <cstddef>
#include <memory>
#include <span>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/error.h"
#include "tinyphi/model/model.h"

TINYPHI_NAMESPACE_BEGIN

// Owns one sequence of a model, its cache and its threads; copies are the same
// sequence. One thread at a time.
class session {
 public:
  // length_limit: the longest the sequence will get; it fixes longrope's
  // factor set and bounds the cache. From 1 to the model's context. The cache
  // is f32 by default, so that float weights give exact logits in every mode.
  [[nodiscard]] static result<session> create(
      model m, std::size_t length_limit, int n_threads = 0,
      kv_type cache_type = kv_type::f32);

  // Runs tokens behind what is already there; returns logits [n][vocab_size]
  // after each of them, valid until the next call. After an error (limit for a
  // text that passes length_limit, invalid_argument for an id that does not
  // exist, `stop`) the sequence is as before.
  [[nodiscard]] result<std::span<const float>> run(
      std::span<const token_id> tokens, const stop_condition& stop = {});

  [[nodiscard]] std::size_t length() const;
  // See forward_scratch::trace.
  [[nodiscard]] forward_scratch& scratch();

 private:
  struct state;
  explicit session(std::shared_ptr<state> s) : state_(std::move(s)) {}
  std::shared_ptr<state> state_;
};

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/generate/session.ipp"
#endif

#endif  // TINYPHI_GENERATE_SESSION_H_
