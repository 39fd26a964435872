// SPDX-License-Identifier: MIT
// The pieces that forward passes are made of: a batch with its buffers, matrix
// products that choose their arithmetic, attention over the cache. They spread
// work over threads and call kernels; a forward page only names them.
#ifndef TINYPHI_MODEL_LAYERS_H_
#define TINYPHI_MODEL_LAYERS_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "tinyphi/base/aligned.h"
#include "tinyphi/base/cancel.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/weights.h"

TINYPHI_NAMESPACE_BEGIN

// An f32 matrix [rows][cols] that keeps its memory from pass to pass.
class matrix_buffer {
 public:
  // Contents are undefined afterwards.
  [[nodiscard]] result<void> resize(std::size_t rows, std::size_t cols);
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] std::size_t cols() const { return cols_; }
  [[nodiscard]] float* row(std::size_t r) { return data_.data() + r * cols_; }
  [[nodiscard]] const float* row(std::size_t r) const {
    return data_.data() + r * cols_;
  }
  [[nodiscard]] std::span<const float> values() const {
    return data_.span().first(rows_ * cols_);
  }

 private:
  aligned_array<float> data_;
  std::size_t rows_ = 0, cols_ = 0;
};

// One token of the batch: where it stands and where its keys go.
struct batch_token {
  token_id id;
  std::size_t position;
  const kv_sequence* kv;
  bool long_factors;
};

// Tokens [begin, end) of the batch, neighbours of one sequence.
struct token_tile {
  std::size_t begin, end;
  [[nodiscard]] std::size_t size() const { return end - begin; }
};

struct forward_buffers {
  std::vector<batch_token> tokens;
  std::vector<token_tile> tiles;  // all tokens, as attention takes them
  matrix_buffer x;                // [tokens][hidden]: the residual stream
  matrix_buffer h;         // [tokens][hidden]: normed, or a branch's result
  matrix_buffer qkv;       // [tokens][(n_heads + 2 n_kv_heads) head_dim]
  matrix_buffer heads;     // [tokens][n_heads head_dim]
  matrix_buffer gate_up;   // [tokens][2 intermediate]
  matrix_buffer act;       // [tokens][intermediate]
  matrix_buffer cos, sin;  // [tokens][rotary_dim / 2]
  matrix_buffer parts;     // [tokens n_heads spans][head_dim], see attend
  std::vector<softmax_sums> sums;  // of each part
  matrix_buffer last;              // [logit rows][hidden]
  matrix_buffer logits;            // [logit rows][vocab_size]
  aligned_array<std::int8_t> q;
  aligned_array<float> q_scale;
  aligned_array<std::int32_t> q_sum, q_half_sum;
};

// Key positions that query head `head` at `position` sees, appended to
// `ranges` in ascending order.
using visible_keys = std::function<void(std::size_t head, std::size_t position,
                                        std::vector<key_range>& ranges)>;

namespace detail {
// A task should cost at least this many multiply-adds (about 5 us of f32 work
// on one core), or waking a thread for it costs more than it brings.
inline constexpr std::size_t min_task_work = std::size_t{1} << 17;

// How many pieces of so much work a task takes.
[[nodiscard]] inline std::size_t pieces_per_task(std::size_t work) {
  return std::max<std::size_t>(1,
                               min_task_work / std::max<std::size_t>(1, work));
}
}  // namespace detail

// What one forward pass works with. Methods follow the order of the paper.
// Once `stop` says so, tasks that have not begun are left out, and the next
// matmul returns why: milliseconds, also in a long prompt on a large model.
class forward_context {
 public:
  forward_context(const model_weights& w, team& threads, forward_buffers& b,
                  const stop_condition& stop)
      : w_(w), c_(w.config), b_(b), threads_(threads), stop_(stop) {}

  // Sizes the buffers for their tokens; fails only for want of memory.
  [[nodiscard]] result<void> prepare(std::size_t n_logits);

  // x = embedding rows times the multiplier; cos and sin of every position.
  void embed();
  // out = norm(in), row by row; RMSNorm or LayerNorm as the weights say.
  void norm(const norm_weights& n, const matrix_buffer& in, matrix_buffer& out);
  // out = in . w^T + bias. Quantized weights meet int8 activations, unless the
  // model is exact; float weights meet f32. Errors: memory, or the stop.
  [[nodiscard]] result<void> matmul(const linear& l, const matrix_buffer& in,
                                    matrix_buffer& out);
  // Rotates qkv's queries and keys and stores keys and values in the cache.
  void rope_and_store(std::size_t layer);
  // heads = attention of qkv's queries over the cache. With per_head the
  // visible keys differ between heads, otherwise head 0's serve all.
  [[nodiscard]] result<void> attend(std::size_t layer,
                                    const visible_keys& visible, bool per_head);
  // act from gate_up, by the architecture's own gate.
  void activate();
  // x += h
  void add_residual();
  // logits of the wanted rows of x (ascending indices).
  [[nodiscard]] result<void> logits(std::span<const std::size_t> rows);

  [[nodiscard]] const model_weights& weights() const { return w_; }
  [[nodiscard]] const model_config& config() const { return c_; }
  [[nodiscard]] forward_buffers& buffers() { return b_; }

 private:
  // f(first, last) over tokens, in parallel when each costs enough.
  void for_tokens(std::size_t cost_per_token,
                  const std::function<void(std::size_t, std::size_t)>& f) const;
  struct attention_step;
  struct attention_queries;
  void make_tiles();
  void attend_task(const attention_step& step, std::size_t task,
                   attention_queries& queries);
  [[nodiscard]] std::size_t part_of(std::size_t t, std::size_t head,
                                    std::size_t span,
                                    std::size_t n_spans) const;

  const model_weights& w_;
  const model_config& c_;
  forward_buffers& b_;
  team& threads_;
  const stop_condition& stop_;
};

// The forward passes: the tokens through all layers, the residual stream left
// in buffers().x. They call `trace` after each layer (may be empty).
using layer_trace =
    std::function<void(std::size_t layer, std::span<const float>)>;
[[nodiscard]] result<void> forward_phi3(forward_context& f,
                                        const layer_trace& trace);
[[nodiscard]] result<void> forward_phi3_small(forward_context& f,
                                              const layer_trace& trace);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/attention.ipp"
#include "tinyphi/model/layers.ipp"
#include "tinyphi/model/phi3.ipp"
#include "tinyphi/model/phi3_small.ipp"
#endif

#endif  // TINYPHI_MODEL_LAYERS_H_
