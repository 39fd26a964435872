// SPDX-License-Identifier: MIT
// The operations of layers that work on rows: norms, products, gates, outputs.
#ifndef TINYPHI_MODEL_LAYERS_IPP_
#define TINYPHI_MODEL_LAYERS_IPP_

#include <algorithm>
#include <cmath>
#include <limits>

#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/layers.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// Fast prefill rounds weights each time it multiplies by them, which pays from
// this many tokens on. One thread of Zen 4, GMAC/s with 36 and with 96 tokens:
// Q4_0 139 -> 132 and 161 -> 172, Q4_K 116 -> 127 and 132 -> 169.
inline constexpr std::size_t fast_tokens = 64;

// ln of the softmax of `logits` at `id`. The sum is taken in double, since a
// vocabulary has up to 2^20 terms.
inline float log_probability_of(std::span<const float> logits, token_id id) {
  float highest = -std::numeric_limits<float>::infinity();
  for (const float x : logits) highest = std::max(highest, x);
  double sum = 0;
  for (const float x : logits)
    sum += static_cast<double>(std::exp(x - highest));
  return logits[static_cast<std::size_t>(id)] - highest -
         static_cast<float>(std::log(sum));
}

// Products are gated while they are in L2: gates and ups of so many columns for
// so many tokens, or of more columns for fewer tokens. Ups may begin inside a
// strip, which makes one strip more.
inline constexpr std::size_t gate_tokens = 16 * tile_tokens;
inline constexpr std::size_t gate_columns = 64;  // or those of a wide scale
[[nodiscard]] constexpr std::size_t gate_floats(std::size_t columns) {
  return gate_tokens * (2 * columns + strip_rows);
}
// Of each member of a team.
[[nodiscard]] inline std::size_t scratch_floats(const model_config& c,
                                                std::size_t columns) {
  return std::max(gate_floats(columns),
                  round_up(std::size_t{c.hidden}, cache_line));
}

}  // namespace detail

TINYPHI_FUNC result<void> matrix_buffer::resize(std::size_t rows,
                                                std::size_t cols) {
  TINYPHI_CHECK_OK(data_.grow(rows * cols));
  rows_ = rows;
  cols_ = cols;
  return {};
}

TINYPHI_FUNC result<void> activations::resize(std::size_t rows,
                                              std::size_t cols, bool f32,
                                              bool rounded, bool fast) {
  rows_ = rows;
  has_f32_ = f32;
  has_rounded_ = rounded && cols % group_size == 0;
  if (has_f32_) TINYPHI_CHECK_OK(f32_.resize(rows, cols));
  if (!has_rounded_) return {};
  const std::size_t n_groups = rows * (cols / group_size);
  TINYPHI_CHECK_OK(q_.grow(rows * cols));
  TINYPHI_CHECK_OK(scale_.grow(n_groups));
  TINYPHI_CHECK_OK(sum_.grow(n_groups));
  TINYPHI_CHECK_OK(half_sum_.grow(n_groups));
  const bool wide = fast && rows >= detail::fast_tokens;
  rounded_ = {rows,
              cols,
              q_.data(),
              scale_.data(),
              sum_.data(),
              half_sum_.data(),
              wide ? wide_scale_cols : group_size};
  return {};
}

TINYPHI_FUNC activation_row activations::at(std::size_t t, std::size_t column) {
  return {has_f32_ ? f32_.row(t) + column : nullptr,
          has_rounded_ ? &rounded_ : nullptr, t, column};
}

TINYPHI_FUNC void activations::round(std::size_t t, std::size_t column,
                                     std::size_t n) {
  if (!has_rounded_) return;
  quantize_q8(f32_.row(t) + column, n, rounded_, t, column);
}

TINYPHI_FUNC result<void> layer_ops::prepare() {
  const std::size_t n = b_.tokens.size();
  const std::size_t q_cols = std::size_t{c_.n_heads} * c_.head_dim;
  const std::size_t kv_cols = std::size_t{c_.n_kv_heads} * c_.head_dim;
  const bool f32 = w_.has_f32_products, rounded = w_.has_integer_products;
  const bool fast = w_.fast_prefill;
  TINYPHI_CHECK_OK(b_.x.resize(n, c_.hidden));
  TINYPHI_CHECK_OK(b_.normed.resize(n, c_.hidden, f32, rounded, fast));
  TINYPHI_CHECK_OK(b_.qkv.resize(n, q_cols + 2 * kv_cols));
  TINYPHI_CHECK_OK(b_.heads.resize(n, q_cols, true, rounded, fast));
  TINYPHI_CHECK_OK(b_.gated.resize(n, c_.intermediate, f32, rounded, fast));
  TINYPHI_CHECK_OK(b_.cos.resize(n, c_.rope.rotary_dim / 2));
  TINYPHI_CHECK_OK(b_.sin.resize(n, c_.rope.rotary_dim / 2));
  TINYPHI_CHECK_OK(
      b_.scratch.resize(threads_.n_members(),
                        detail::scratch_floats(c_, gate_columns_at_once())));
  return plan_attention();
}

// The sizes that prepare() and head() ask for.
TINYPHI_FUNC std::size_t scratch_bytes(const model_config& c, bool f32,
                                       bool rounded,
                                       const scratch_shape& shape) {
  const auto matrix = [](std::size_t rows, std::size_t cols) {
    return rows * cols * sizeof(float);
  };
  const auto rows_to_multiply = [&](std::size_t rows, std::size_t cols,
                                    bool as_f32) {
    const bool as_int8 = rounded && cols % group_size == 0;
    return (as_f32 ? matrix(rows, cols) : 0) +
           (as_int8 ? rows * cols + 3 * matrix(rows, cols / group_size) : 0);
  };
  const std::size_t n = shape.rows;
  const std::size_t q_cols = std::size_t{c.n_heads} * c.head_dim;
  const std::size_t kv_cols = std::size_t{c.n_kv_heads} * c.head_dim;
  std::size_t bytes =
      matrix(n, c.hidden) +
      rows_to_multiply(std::max(n, shape.logit_rows), c.hidden, f32) +
      matrix(n, q_cols + 2 * kv_cols) + rows_to_multiply(n, q_cols, true) +
      rows_to_multiply(n, c.intermediate, f32) +
      2 * matrix(n, c.rope.rotary_dim / 2) +
      matrix(shape.logit_rows, c.vocab_size);
  const bool wide = shape.fast_prefill && n >= detail::fast_tokens && rounded &&
                    c.intermediate % group_size == 0;
  const std::size_t columns =
      std::max(detail::gate_columns, wide ? wide_scale_cols : group_size);
  bytes += matrix(shape.n_members, detail::scratch_floats(c, columns));
  // Spans, in the largest pass that has fewer tasks than threads.
  const std::size_t ranges = (shape.n_threads - 1) / c.n_kv_heads;
  const std::size_t in_ranges =
      ranges *
      std::max<std::size_t>(1, detail::queries_per_task / c.n_groups());
  const std::size_t spans = shape.longest / span_tokens + 1;
  return bytes + matrix(std::min(n, in_ranges) * c.n_heads * spans, c.head_dim);
}

TINYPHI_FUNC void layer_ops::embed() {
  const std::size_t grain = detail::pieces_per_task(c_.hidden);
  threads_.run(b_.x.rows(), grain,
               [&](std::size_t first, std::size_t last, std::size_t member) {
                 for (std::size_t t = first; t < last; ++t) {
                   const batch_token& token = b_.tokens[t];
                   float* x = b_.x.row(t);
                   w_.embed(token.id, {x, c_.hidden},
                            {b_.scratch.row(member), c_.hidden});
                   if (c_.embedding_multiplier != 1.0f) {
                     for (std::size_t i = 0; i < c_.hidden; ++i) {
                       x[i] *= c_.embedding_multiplier;
                     }
                   }
                   const rope_table& rope =
                       token.long_factors ? w_.long_rope : w_.short_rope;
                   rope.angles(token.position, b_.cos.row(t), b_.sin.row(t));
                 }
               });
}

TINYPHI_FUNC void layer_ops::norm(const norm_weights& n,
                                  const matrix_buffer& in, activations& out,
                                  std::span<const std::size_t> rows) {
  const std::size_t cols = in.cols(), m = out.rows();
  const auto norm_tokens = [&](std::size_t first, std::size_t last,
                               column_range columns) {
    for (std::size_t t = first; t < last; ++t) {
      const float* x = in.row(rows.empty() ? t : rows[t]);
      const activation_row to = out.at(t, columns.begin);
      if (n.bias.empty()) {
        rms_norm(x, n.weight.data(), c_.norm_eps, cols, columns, to);
      } else {
        layer_norm(x, n.weight.data(), n.bias.data(), c_.norm_eps, cols,
                   columns, to);
      }
    }
  };
  // In whole tiles, because the rounded tokens of a tile share cache lines.
  if (m > tile_tokens) {
    const std::size_t grain =
        round_up(detail::pieces_per_task(32 * cols), tile_tokens);
    return threads_.run(m, grain, [&](std::size_t first, std::size_t last) {
      norm_tokens(first, last, {0, cols});
    });
  }
  // One tile is split by columns, at the boundaries of scales. Every task sums
  // up the whole row again, so there are only as many as pay for themselves.
  const auto n_threads = static_cast<std::size_t>(threads_.n_threads());
  const std::size_t n_scales = (cols + wide_scale_cols - 1) / wide_scale_cols;
  const std::size_t grain =
      std::max((n_scales + n_threads - 1) / n_threads,
               detail::pieces_per_task(32 * m * wide_scale_cols));
  threads_.run(n_scales, grain, [&](std::size_t begin, std::size_t end) {
    norm_tokens(
        0, m, {begin * wide_scale_cols, std::min(cols, end * wide_scale_cols)});
  });
}

// How many of n pieces of `work` multiply-adds each a task takes. Tasks are
// large enough to be worth waking a thread and small enough that every thread
// gets many: then all threads end at the same time, and a preempted one delays
// nobody. 8 tokens of a full-size model take 2 to 3 % less time with 96 tasks a
// thread than with 48; 128, or tasks of two strips, gain nothing more.
TINYPHI_FUNC std::size_t layer_ops::grain(std::size_t n, std::size_t work,
                                          std::size_t multiple) const {
  constexpr std::size_t tasks_per_thread = 96;
  const std::size_t share =
      n / (static_cast<std::size_t>(threads_.n_threads()) * tasks_per_thread);
  return round_up(std::max(share, detail::pieces_per_task(work)), multiple);
}

// The products of strips [strip_begin, strip_end) with some tokens, bias
// included.
TINYPHI_FUNC void layer_ops::multiply(const linear& l, const activations& in,
                                      std::size_t strip_begin,
                                      std::size_t strip_end, token_range tokens,
                                      product_rows out) const {
  if (!l.bias.empty()) out.bias = l.bias.data() + strip_begin * strip_rows;
  if (w_.in_integers(l)) {
    matmul_q8(l.w, strip_begin, strip_end,
              in.rounded().tokens(tokens.begin, tokens.end), out);
  } else {
    matmul_f32(l.w, strip_begin, strip_end, in.f32().row(tokens.begin),
               in.f32().cols(), tokens.size(), out);
  }
}

TINYPHI_FUNC void layer_ops::matmul_or_add(const linear& l,
                                           const activations& in,
                                           matrix_buffer& out, bool add) {
  const std::size_t m = in.rows();
  // Multiples of four strips, because the kernels walk four at a time.
  threads_.run(
      l.w.n_strips(), grain(l.w.n_strips(), strip_rows * l.w.cols * m, 4),
      [&](std::size_t begin, std::size_t end) {
        if (stop_.reason()) return;
        multiply(l, in, begin, end, {0, m},
                 {out.row(0) + begin * strip_rows, out.cols(), nullptr, add});
      });
}

TINYPHI_FUNC void layer_ops::matmul(const linear& l, const activations& in,
                                    matrix_buffer& out) {
  matmul_or_add(l, in, out, false);
}

TINYPHI_FUNC void layer_ops::add_matmul(const linear& l, const activations& in,
                                        matrix_buffer& out) {
  matmul_or_add(l, in, out, true);
}

TINYPHI_FUNC std::size_t layer_ops::gate_columns_at_once() const {
  return std::max(detail::gate_columns, b_.gated.rounded().scale_cols);
}

TINYPHI_FUNC void layer_ops::gate(const linear& gate_up, const activations& in,
                                  activations& out) {
  const std::size_t n = c_.intermediate, m = in.rows();
  const std::size_t columns = gate_columns_at_once();
  threads_.run(
      n, grain(n, 2 * gate_up.w.cols * m, columns),
      [&](std::size_t begin, std::size_t end, std::size_t member) {
        float* products = b_.scratch.row(member);
        for (std::size_t t = 0; t < m; t += detail::gate_tokens) {
          const token_range tokens{t, std::min(m, t + detail::gate_tokens)};
          const std::size_t most =
              (detail::gate_floats(columns) / tokens.size() - strip_rows) / 2 /
              columns * columns;
          for (std::size_t c = begin; c < end; c += most) {
            if (stop_.reason()) return;
            gate_columns(gate_up, in, tokens, c, std::min(end, c + most),
                         products, out);
          }
        }
      });
}

TINYPHI_FUNC void layer_ops::gate_columns(const linear& gate_up,
                                          const activations& in,
                                          token_range tokens, std::size_t begin,
                                          std::size_t end, float* products,
                                          activations& out) const {
  const auto strips = [](std::size_t rows) {
    return (rows + strip_rows - 1) / strip_rows;
  };
  const std::size_t n = end - begin;
  if (c_.arch == architecture::phi3_small) {
    const std::size_t stride = 2 * round_up(n, strip_rows);
    multiply(gate_up, in, 2 * begin / strip_rows, strips(2 * end), tokens,
             {products, stride});
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      gegelu(products + t * stride, c_.gegelu_limit, n,
             out.at(tokens.begin + t, begin));
    }
    return;
  }
  const std::size_t ups = begin + c_.intermediate;
  const std::size_t up_strip = ups / strip_rows;
  const std::size_t up_at = round_up(n, strip_rows);
  const std::size_t stride = 2 * up_at + strip_rows;
  multiply(gate_up, in, begin / strip_rows, strips(end), tokens,
           {products, stride});
  multiply(gate_up, in, up_strip, strips(ups + n), tokens,
           {products + up_at, stride});
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const float* row = products + t * stride;
    swiglu(row, row + up_at + ups % strip_rows, n,
           out.at(tokens.begin + t, begin));
  }
}

// Logits of the named rows of x (ascending indices).
TINYPHI_FUNC result<void> layer_ops::head(std::span<const std::size_t> rows,
                                          matrix_buffer& out) {
  TINYPHI_CHECK_OK(out.resize(rows.size(), c_.vocab_size));
  if (rows.empty()) return {};
  TINYPHI_CHECK_OK(b_.normed.resize(rows.size(), c_.hidden, w_.has_f32_products,
                                    w_.has_integer_products, w_.fast_prefill));
  norm(w_.final_norm, b_.x, b_.normed, rows);
  matmul(w_.lm_head, b_.normed, out);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float* row = out.row(i);
    if (c_.logits_divisor != 1.0f) {
      for (std::size_t id = 0; id < c_.vocab_size; ++id) {
        row[id] /= c_.logits_divisor;
      }
    }
    for (token_id id : w_.absent_ids) {
      row[static_cast<std::size_t>(id)] =
          -std::numeric_limits<float>::infinity();
    }
  }
  return {};
}

TINYPHI_FUNC result<void> layer_ops::outputs() {
  TINYPHI_CHECK_OK(head(b_.logit_rows, b_.logits));
  // Some rows at a time: a row of logits is 128 to 800 KB, and a prompt to be
  // scored may have thousands.
  constexpr std::size_t at_once = 32;
  const std::span<const std::size_t> rows = b_.logprob_rows;
  b_.logprobs.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); i += at_once) {
    const std::size_t n = std::min(at_once, rows.size() - i);
    TINYPHI_CHECK_OK(head(rows.subspan(i, n), b_.head));
    TINYPHI_CHECK_OK(check_stop());
    threads_.run(n, 1, [&](std::size_t begin, std::size_t end) {
      for (; begin < end; ++begin) {
        b_.logprobs[i + begin] = detail::log_probability_of(
            {b_.head.row(begin), c_.vocab_size}, b_.targets[i + begin]);
      }
    });
  }
  TINYPHI_CHECK_OK(
      b_.hidden.resize(b_.hidden_rows.size(), c_.hidden, true, false));
  if (!b_.hidden_rows.empty()) {
    norm(w_.final_norm, b_.x, b_.hidden, b_.hidden_rows);
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_LAYERS_IPP_
