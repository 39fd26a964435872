// SPDX-License-Identifier: MIT
// The operations that a model's layers are made of: a batch with its buffers,
// matrix products that choose their arithmetic, attention over the cache. They
// spread work over threads and call kernels; phi3.ipp and phi3_small.ipp put
// them in order.
#ifndef TINYPHI_MODEL_LAYERS_H_
#define TINYPHI_MODEL_LAYERS_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "tinyphi/base/cancel.h"
#include "tinyphi/base/memory_budget.h"
#include "tinyphi/base/parallel.h"
#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/kv_cache.h"
#include "tinyphi/model/scratch_array.h"
#include "tinyphi/model/weights.h"

TINYPHI_NAMESPACE_BEGIN

// An f32 matrix [rows][cols] that keeps its memory from pass to pass.
class matrix_buffer {
 public:
  explicit matrix_buffer(const memory_budget& budget = {}) : data_(budget) {}
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
  scratch_array<float> data_;
  std::size_t rows_ = 0, cols_ = 0;
};

// The inputs of linear layers: as f32 for products in f32, rounded to int8 for
// products in integers, both where a model has both. Memory is kept from pass
// to pass.
class activations {
 public:
  explicit activations(const memory_budget& budget = {})
      : f32_(budget),
        q_(budget),
        scale_(budget),
        sum_(budget),
        half_sum_(budget) {}
  // Contents are undefined afterwards. Rows are rounded in whole groups of
  // columns; if `cols` is not a multiple of a group, only the f32 form exists.
  // With `fast`, scales are wide if there are enough rows for that to pay.
  [[nodiscard]] result<void> resize(std::size_t rows, std::size_t cols,
                                    bool f32, bool rounded, bool fast = false);
  [[nodiscard]] std::size_t rows() const { return rows_; }
  [[nodiscard]] const matrix_buffer& f32() const { return f32_; }
  [[nodiscard]] const q8_activations& rounded() const { return rounded_; }
  // Where kernels write columns of row t, from a whole group on.
  [[nodiscard]] activation_row at(std::size_t t, std::size_t column = 0);
  // The f32 form of row t, of activations that have one.
  [[nodiscard]] float* f32_row(std::size_t t) { return f32_.row(t); }
  // Rounds n columns that were written through f32_row, if there is a rounded
  // form.
  void round(std::size_t t, std::size_t column, std::size_t n);

 private:
  matrix_buffer f32_;
  q8_activations rounded_;
  std::size_t rows_ = 0;
  bool has_f32_ = false, has_rounded_ = false;
  scratch_array<std::int8_t> q_;
  scratch_array<float> scale_;
  scratch_array<std::int32_t> sum_, half_sum_;
};

// One token of the batch: where it stands and where its keys go.
struct batch_token {
  token_id id;
  std::size_t position;
  const kv_sequence* kv;
  bool long_factors;
};

// Tokens [begin, end) of the batch, neighbours of one sequence.
struct token_range {
  std::size_t begin, end;
  [[nodiscard]] std::size_t size() const { return end - begin; }
};

// The lists of an attention task: what its queries see, and where they go.
struct attention_lists {
  std::vector<key_range> ranges;
  std::vector<std::size_t> ends;  // in `ranges`: of each list, the first at 1
  std::vector<attention_row> rows;
  std::vector<softmax_sums> sums;
};

// Lists that no task uses, so that tasks ask for no memory. Any thread may take
// and give.
class attention_list_pool {
 public:
  [[nodiscard]] attention_lists take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {};
    attention_lists lists = std::move(free_.back());
    free_.pop_back();
    return lists;
  }
  void give(attention_lists&& lists) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(lists));
  }

 private:
  std::mutex mutex_;
  std::vector<attention_lists> free_;
};

// All but the lists comes from `budget`: they are some bytes per token.
struct layer_buffers {
  explicit layer_buffers(memory_budget b = {}) : budget(std::move(b)) {}

  memory_budget budget;
  std::vector<batch_token> tokens;
  std::vector<token_range> query_ranges;  // all tokens, as attention takes them
  matrix_buffer x{budget};     // [tokens][hidden]: the residual stream
  activations normed{budget};  // [tokens or logit rows][hidden]
  matrix_buffer qkv{budget};   // [tokens][(n_heads + 2 n_kv_heads) head_dim]
  activations heads{budget};   // [tokens][n_heads head_dim]
  activations gated{budget};   // [tokens][intermediate]
  matrix_buffer cos{budget}, sin{budget};  // [tokens][rotary_dim / 2]
  // [tokens n_heads spans][head_dim], see attend
  matrix_buffer parts{budget};
  std::vector<softmax_sums> sums;  // of each part
  attention_list_pool lists;
  // The wanted rows of each kind: indices into `tokens`, and what they give.
  std::vector<std::size_t> logit_rows, logprob_rows, hidden_rows;
  std::vector<token_id> targets;  // of logprob_rows
  matrix_buffer logits{budget};   // [logit_rows][vocab_size]
  matrix_buffer head{budget};     // the same of some logprob_rows at a time
  std::vector<float> logprobs;    // [logprob_rows]
  activations hidden{budget};     // [hidden_rows][hidden]
  std::vector<std::int32_t> bad_layer;  // of each run, see forward_output
  matrix_buffer scratch{budget};  // [members of the team][floats]: a task's own
};

// How large passes get.
struct scratch_shape {
  std::size_t rows = 0, logit_rows = 0;      // of a pass
  std::size_t longest = 0;                   // tokens of a sequence
  std::size_t n_threads = 1, n_members = 1;  // of the team
  bool fast_prefill = false;
};
// What the buffers then take, in a model with products of these kinds; scores
// and embeddings take more.
[[nodiscard]] std::size_t scratch_bytes(const model_config& c, bool f32,
                                        bool rounded,
                                        const scratch_shape& shape);

// Key positions that query head `head` at `position` sees, appended to
// `ranges` in ascending order.
using visible_keys = std::function<void(std::size_t head, std::size_t position,
                                        std::vector<key_range>& ranges)>;

namespace detail {
// A task should cost at least this many multiply-adds (about 5 us of f32 work
// on one core), or waking a thread for it costs more than it brings.
inline constexpr std::size_t min_task_work = std::size_t{1} << 17;

// Queries of one key/value head that an attention task takes at once: enough to
// be compute-bound rather than bound by reading the cache.
inline constexpr std::size_t queries_per_task = 32;

// How many pieces of `work` multiply-adds each make up a task.
[[nodiscard]] inline std::size_t pieces_per_task(std::size_t work) {
  return std::max<std::size_t>(1,
                               min_task_work / std::max<std::size_t>(1, work));
}
}  // namespace detail

// The operations of one forward pass, in the order of the paper; each spreads
// its work over the threads. Elementwise work is fused into the operation
// before it: whoever computes a row rounds it, whoever multiplies also adds or
// gates. Once `stop` says so, tasks that have not begun are skipped, so that a
// pass ends within milliseconds, also over a long prompt on a large model.
class layer_ops {
 public:
  layer_ops(const model_weights& w, team& threads, layer_buffers& b,
            const stop_condition& stop)
      : w_(w), c_(w.config), b_(b), threads_(threads), stop_(stop) {}

  // Sizes the buffers for their tokens; fails only for want of memory.
  [[nodiscard]] result<void> prepare();

  // x = embedding rows times the multiplier; cos and sin of every position.
  void embed();
  // out = norm(in) row by row, of all rows or of those named; RMSNorm or
  // LayerNorm as the weights say.
  void norm(const norm_weights& n, const matrix_buffer& in, activations& out,
            std::span<const std::size_t> rows = {});
  // out = in . w^T + bias. Quantized weights meet int8 activations, unless the
  // model is exact; float weights meet f32.
  void matmul(const linear& l, const activations& in, matrix_buffer& out);
  // out += in . w^T + bias
  void add_matmul(const linear& l, const activations& in, matrix_buffer& out);
  // Rotates qkv's queries and keys, stores keys and values in the cache, and
  // out = attention of the queries over it. With per_head the visible keys
  // differ between heads, otherwise head 0's serve all.
  void attend(std::size_t layer, const visible_keys& visible, bool per_head,
              activations& out);
  // out = gate(in . w^T + bias), by the architecture's own gate.
  void gate(const linear& gate_up, const activations& in, activations& out);
  // Logits, log-probabilities and hidden states of the wanted rows of x.
  [[nodiscard]] result<void> outputs();

  // Why the pass was stopped and its results are not whole, if it was.
  [[nodiscard]] result<void> check_stop() const { return stop_.check(); }

  [[nodiscard]] const model_weights& weights() const { return w_; }
  [[nodiscard]] const model_config& config() const { return c_; }
  [[nodiscard]] layer_buffers& buffers() { return b_; }

 private:
  struct attention_step;
  [[nodiscard]] std::size_t grain(std::size_t n, std::size_t work,
                                  std::size_t multiple) const;
  [[nodiscard]] std::size_t gate_columns_at_once() const;
  void matmul_or_add(const linear& l, const activations& in, matrix_buffer& out,
                     bool add);
  [[nodiscard]] result<void> head(std::span<const std::size_t> rows,
                                  matrix_buffer& out);
  void multiply(const linear& l, const activations& in, std::size_t strip_begin,
                std::size_t strip_end, token_range tokens,
                product_rows out) const;
  void gate_columns(const linear& gate_up, const activations& in,
                    token_range tokens, std::size_t begin, std::size_t end,
                    float* products, activations& out) const;
  [[nodiscard]] result<void> plan_attention();
  void rope_and_store(std::size_t layer, token_range tokens,
                      std::size_t kv_head);
  void attend_task(const attention_step& step, token_range tokens,
                   std::size_t kv_head, std::size_t span,
                   attention_lists& lists);
  void finish_heads(std::size_t t, activations& out);
  [[nodiscard]] std::size_t part_of(std::size_t t, std::size_t head,
                                    std::size_t span) const;

  const model_weights& w_;
  const model_config& c_;
  layer_buffers& b_;
  team& threads_;
  const stop_condition& stop_;
  // How attention is split into tasks, the same in all layers.
  struct {
    std::size_t last = 0;       // of the tokens' positions
    std::size_t n_spans = 1;    // of the positions; a task for each
    bool stores_first = false;  // tasks read keys that others store
  } plan_;
};

// Take the tokens through all layers of an architecture and leave the residual
// stream in buffers().x. They call `trace` after each layer (may be empty).
using layer_trace =
    std::function<void(std::size_t layer, std::span<const float>)>;
[[nodiscard]] result<void> phi3_layers(layer_ops& f, const layer_trace& trace);
[[nodiscard]] result<void> phi3_small_layers(layer_ops& f,
                                             const layer_trace& trace);

TINYPHI_NAMESPACE_END

#if TINYPHI_HEADER_ONLY
#include "tinyphi/model/attention.ipp"
#include "tinyphi/model/layers.ipp"
#include "tinyphi/model/phi3.ipp"
#include "tinyphi/model/phi3_small.ipp"
#endif

#endif  // TINYPHI_MODEL_LAYERS_H_
