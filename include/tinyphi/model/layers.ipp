// SPDX-License-Identifier: MIT
#ifndef TINYPHI_MODEL_LAYERS_IPP_
#define TINYPHI_MODEL_LAYERS_IPP_

#include <algorithm>
#include <cstring>
#include <limits>

#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/layers.h"
#include "tinyphi/tensor/quant.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

template <class T>
result<void> grow(aligned_array<T>& a, std::size_t n) {
  if (a.size() >= n) return {};
  a = aligned_array<T>();  // let go before asking for more
  TINYPHI_TRY(a, aligned_array<T>::create(n));
  return {};
}

}  // namespace detail

TINYPHI_FUNC result<void> matrix_buffer::resize(std::size_t rows,
                                                std::size_t cols) {
  TINYPHI_CHECK_OK(detail::grow(data_, rows * cols));
  rows_ = rows;
  cols_ = cols;
  return {};
}

TINYPHI_FUNC void forward_context::for_tokens(
    std::size_t cost_per_token,
    const std::function<void(std::size_t, std::size_t)>& f) const {
  threads_.run(b_.tokens.size(), detail::pieces_per_task(cost_per_token), f);
}

TINYPHI_FUNC result<void> forward_context::prepare(std::size_t n_logits) {
  const std::size_t n = b_.tokens.size();
  const std::size_t q_cols = std::size_t{c_.n_heads} * c_.head_dim;
  const std::size_t kv_cols = std::size_t{c_.n_kv_heads} * c_.head_dim;
  make_tiles();
  TINYPHI_CHECK_OK(b_.x.resize(n, c_.hidden));
  TINYPHI_CHECK_OK(b_.h.resize(n, c_.hidden));
  TINYPHI_CHECK_OK(b_.qkv.resize(n, q_cols + 2 * kv_cols));
  TINYPHI_CHECK_OK(b_.heads.resize(n, q_cols));
  TINYPHI_CHECK_OK(b_.gate_up.resize(n, std::size_t{2} * c_.intermediate));
  TINYPHI_CHECK_OK(b_.act.resize(n, c_.intermediate));
  TINYPHI_CHECK_OK(b_.cos.resize(n, c_.rope.rotary_dim / 2));
  TINYPHI_CHECK_OK(b_.sin.resize(n, c_.rope.rotary_dim / 2));
  TINYPHI_CHECK_OK(b_.last.resize(n_logits, c_.hidden));
  return b_.logits.resize(n_logits, c_.vocab_size);
}

TINYPHI_FUNC void forward_context::embed() {
  for_tokens(c_.hidden, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      const batch_token& token = b_.tokens[t];
      float* x = b_.x.row(t);
      dequantize_row(w_.embedding.type,
                     w_.embedding.row(static_cast<std::size_t>(token.id)),
                     {x, c_.hidden});
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

TINYPHI_FUNC void forward_context::norm(const norm_weights& n,
                                        const matrix_buffer& in,
                                        matrix_buffer& out) {
  const std::size_t grain = detail::pieces_per_task(std::size_t{4} * c_.hidden);
  threads_.run(in.rows(), grain, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      if (n.bias.empty()) {
        rms_norm(in.row(t), n.weight.data(), c_.norm_eps, c_.hidden,
                 out.row(t));
      } else {
        layer_norm(in.row(t), n.weight.data(), n.bias.data(), c_.norm_eps,
                   c_.hidden, out.row(t));
      }
    }
  });
}

TINYPHI_FUNC result<void> forward_context::matmul(const linear& l,
                                                  const matrix_buffer& in,
                                                  matrix_buffer& out) {
  const std::size_t m = in.rows(), cols = l.w.cols;
  const std::size_t work_per_strip = strip_rows * cols * m;
  // Tasks big enough to be worth a thread and small enough that several wait
  // for each: a preempted thread then delays nobody. Whole fours of strips,
  // because the kernels walk four at a time.
  const std::size_t n_strips = l.w.n_strips();
  const std::size_t share =
      n_strips / (static_cast<std::size_t>(threads_.n_threads()) * 6);
  const std::size_t grain =
      round_up(std::max(share, detail::pieces_per_task(work_per_strip)), 4);
  const auto add_bias = [&](std::size_t begin, std::size_t end) {
    if (l.bias.empty()) return;
    const std::size_t first = begin * strip_rows;
    const std::size_t n = std::min(end * strip_rows, l.w.rows) - first;
    for (std::size_t t = 0; t < m; ++t) {
      add(out.row(t) + first, l.bias.data() + first, n);
    }
  };

  if (w_.exact || !is_quantized(l.w.type)) {
    threads_.run(n_strips, grain, [&](std::size_t begin, std::size_t end) {
      if (stop_.reason()) return;
      matmul_f32(l.w, begin, end, in.row(0), in.cols(), m, out.row(0),
                 out.cols());
      add_bias(begin, end);
    });
    return stop_.check();
  }
  const std::size_t n_groups = m * cols / group_size;
  TINYPHI_CHECK_OK(detail::grow(b_.q, m * cols));
  TINYPHI_CHECK_OK(detail::grow(b_.q_scale, n_groups));
  TINYPHI_CHECK_OK(detail::grow(b_.q_sum, n_groups));
  TINYPHI_CHECK_OK(detail::grow(b_.q_half_sum, n_groups));
  const q8_activations q8{m,
                          cols,
                          b_.q.data(),
                          b_.q_scale.data(),
                          b_.q_sum.data(),
                          b_.q_half_sum.data()};
  const std::size_t tokens_per_task =
      round_up(detail::pieces_per_task(4 * cols), tile_tokens);
  threads_.run(m, tokens_per_task, [&](std::size_t first, std::size_t last) {
    quantize_q8(in.row(0), in.cols(), first, last, q8);
  });
  threads_.run(n_strips, grain, [&](std::size_t begin, std::size_t end) {
    if (stop_.reason()) return;
    matmul_q8(l.w, begin, end, q8, out.row(0), out.cols());
    add_bias(begin, end);
  });
  return stop_.check();
}

TINYPHI_FUNC void forward_context::activate() {
  const std::size_t n = c_.intermediate;
  for_tokens(8 * n, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      const float* in = b_.gate_up.row(t);
      if (c_.arch == architecture::phi3_small) {
        gegelu(in, c_.gegelu_limit, n, b_.act.row(t));
      } else {
        swiglu(in, in + n, n, b_.act.row(t));
      }
    }
  });
}

TINYPHI_FUNC void forward_context::add_residual() {
  for_tokens(c_.hidden, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) {
      add(b_.x.row(t), b_.h.row(t), c_.hidden);
    }
  });
}

TINYPHI_FUNC result<void> forward_context::logits(
    std::span<const std::size_t> rows) {
  if (rows.empty()) return {};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(b_.last.row(i), b_.x.row(rows[i]), c_.hidden * sizeof(float));
  }
  norm(w_.final_norm, b_.last, b_.last);
  TINYPHI_CHECK_OK(matmul(w_.lm_head, b_.last, b_.logits));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    float* row = b_.logits.row(i);
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

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_LAYERS_IPP_
