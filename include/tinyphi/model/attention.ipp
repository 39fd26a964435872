// SPDX-License-Identifier: MIT
// The operations of layers around the cache: rotary embedding, storing keys and
// values, and attention, split into tasks for the threads.
#ifndef TINYPHI_MODEL_ATTENTION_IPP_
#define TINYPHI_MODEL_ATTENTION_IPP_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "tinyphi/kernels/kernels.h"
#include "tinyphi/model/layers.h"

TINYPHI_NAMESPACE_BEGIN

// One attention step: which keys are seen, and where results go.
struct layer_ops::attention_step {
  std::size_t layer;
  const visible_keys& visible;
  bool per_head;
  activations& out;
};

TINYPHI_FUNC result<void> layer_ops::plan_attention() {
  b_.query_ranges.clear();
  const std::size_t most =
      std::max<std::size_t>(1, detail::queries_per_task / c_.n_groups());
  plan_ = {};
  for (std::size_t t = 0; t < b_.tokens.size(); ++t) {
    const bool new_sequence = t == 0 || b_.tokens[t].kv != b_.tokens[t - 1].kv;
    if (new_sequence || t - b_.query_ranges.back().begin == most) {
      b_.query_ranges.push_back({t, t});
      plan_.stores_first = plan_.stores_first || !new_sequence;
    }
    b_.query_ranges.back().end = t + 1;
    plan_.last = std::max(plan_.last, b_.tokens[t].position);
  }
  // Where there are fewer key/value heads than threads, each task takes one
  // span of the positions only.
  if (b_.query_ranges.size() * c_.n_kv_heads <
      static_cast<std::size_t>(threads_.n_threads())) {
    plan_.n_spans = plan_.last / span_tokens + 1;
  }
  if (plan_.n_spans == 1) return {};
  plan_.stores_first = true;
  const std::size_t n_parts = b_.tokens.size() * c_.n_heads * plan_.n_spans;
  b_.sums.resize(n_parts);
  return b_.parts.resize(n_parts, c_.head_dim);
}

// One task stores all tokens of a range, because the keys of neighbours share
// cache lines.
TINYPHI_FUNC void layer_ops::rope_and_store(std::size_t layer,
                                            token_range tokens,
                                            std::size_t kv_head) {
  const std::size_t head_dim = c_.head_dim, half = c_.rope.rotary_dim / 2;
  const std::size_t n_kv = c_.n_kv_heads, groups = c_.n_groups();
  const kv_view kv = b_.tokens[tokens.begin].kv->view(layer, kv_head);
  for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
    const float *cos = b_.cos.row(t), *sin = b_.sin.row(t);
    float* q = b_.qkv.row(t) + kv_head * groups * head_dim;
    float* k = b_.qkv.row(t) + (c_.n_heads + kv_head) * head_dim;
    for (std::size_t i = 0; i < groups; ++i) {
      rope(q + i * head_dim, cos, sin, half);
    }
    rope(k, cos, sin, half);
    store_kv(kv, b_.tokens[t].position, k, k + n_kv * head_dim);
  }
}

// The index in `parts` of what one span gives for a head of token t.
TINYPHI_FUNC std::size_t layer_ops::part_of(std::size_t t, std::size_t head,
                                            std::size_t span) const {
  return (t * c_.n_heads + head) * plan_.n_spans + span;
}

TINYPHI_FUNC void layer_ops::attend_task(const attention_step& step,
                                         token_range tokens,
                                         std::size_t kv_head, std::size_t span,
                                         attention_lists& q) {
  const bool split = plan_.n_spans > 1;
  const std::size_t groups = c_.n_groups(), head_dim = c_.head_dim;
  const auto begin = static_cast<std::uint32_t>(span * span_tokens);
  const std::uint32_t end = split ? begin + std::uint32_t{span_tokens}
                                  : std::numeric_limits<std::uint32_t>::max();

  // The keys that each token sees, for each head where heads differ.
  q.ranges.clear();
  if (step.per_head) {
    // As long as lists get, so that they do not grow with the text: a range for
    // each strided block, one for the near ones.
    const std::size_t stride = c_.sparse.block * c_.sparse.vert_stride;
    q.ranges.reserve(groups * tokens.size() * (c_.max_context / stride + 2));
  }
  q.ends.assign(1, 0);
  for (std::size_t i = 0; i < (step.per_head ? groups : 1); ++i) {
    for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
      step.visible(kv_head * groups + i, b_.tokens[t].position, q.ranges);
      for (std::size_t r = q.ends.back(); r < q.ranges.size(); ++r) {
        q.ranges[r] = {std::clamp(q.ranges[r].begin, begin, end),
                       std::clamp(q.ranges[r].end, begin, end)};
      }
      q.ends.push_back(q.ranges.size());
    }
  }
  // Head after head, since in block-sparse layers the tokens of one head
  // mostly see the same.
  q.rows.clear();
  for (std::size_t i = 0; i < groups; ++i) {
    for (std::size_t t = tokens.begin; t < tokens.end; ++t) {
      const std::size_t head = kv_head * groups + i;
      const std::size_t list =
          (step.per_head ? i * tokens.size() : 0) + t - tokens.begin;
      q.rows.push_back({b_.qkv.row(t) + head * head_dim,
                        split ? b_.parts.row(part_of(t, head, span))
                              : step.out.f32_row(t) + head * head_dim,
                        q.ranges.data() + q.ends[list],
                        q.ends[list + 1] - q.ends[list]});
    }
  }
  q.sums.resize(q.rows.size());
  tinyphi::attend(b_.tokens[tokens.begin].kv->view(step.layer, kv_head),
                  c_.attention_scale, q.rows.data(), q.rows.size(),
                  split ? q.sums.data() : nullptr);
  for (std::size_t row = 0; split && row < q.rows.size(); ++row) {
    const std::size_t t = tokens.begin + row % tokens.size();
    const std::size_t head = kv_head * groups + row / tokens.size();
    b_.sums[part_of(t, head, span)] = q.sums[row];
  }
}

TINYPHI_FUNC void layer_ops::attend(std::size_t layer,
                                    const visible_keys& visible, bool per_head,
                                    activations& out) {
  const attention_step step{layer, visible, per_head, out};
  const std::size_t n_kv = c_.n_kv_heads, n_tokens = b_.tokens.size();
  const std::size_t n_tasks = b_.query_ranges.size() * n_kv;
  const std::size_t columns = c_.n_groups() * c_.head_dim;
  const auto rope_and_store_task = [&](std::size_t task) {
    rope_and_store(layer, b_.query_ranges[task / n_kv], task % n_kv);
  };
  const std::size_t store_work =
      16 * n_tokens * (columns + 2 * c_.head_dim) / b_.query_ranges.size();
  if (plan_.stores_first) {
    threads_.run(n_tasks, detail::pieces_per_task(store_work),
                 [&](std::size_t begin, std::size_t end) {
                   for (; begin < end; ++begin) rope_and_store_task(begin);
                 });
  }

  // A task rounds its own heads, unless they share a scale with another task's.
  const bool rounds =
      plan_.n_spans == 1 && columns % out.rounded().scale_cols == 0;
  const std::size_t keys = round_up(
      c_.window == 0 ? plan_.last + 1
                     : std::min<std::size_t>(plan_.last + 1, c_.window),
      page_tokens);
  const std::size_t work =
      2 * keys * columns * n_tokens / (b_.query_ranges.size() * plan_.n_spans) +
      (plan_.stores_first ? 0 : store_work);
  threads_.run(
      n_tasks * plan_.n_spans, detail::pieces_per_task(work),
      [&](std::size_t begin, std::size_t end) {
        attention_lists lists = b_.lists.take();
        for (std::size_t i = begin; i < end; ++i) {
          if (stop_.reason()) break;
          const std::size_t task = i / plan_.n_spans;
          const token_range tokens = b_.query_ranges[task / n_kv];
          if (!plan_.stores_first) rope_and_store_task(task);
          attend_task(step, tokens, task % n_kv, i % plan_.n_spans, lists);
          for (std::size_t t = tokens.begin; rounds && t < tokens.end; ++t) {
            out.round(t, task % n_kv * columns, columns);
          }
        }
        b_.lists.give(std::move(lists));
      });
  if (rounds) return;
  threads_.run(n_tokens, tile_tokens, [&](std::size_t first, std::size_t last) {
    for (std::size_t t = first; t < last; ++t) finish_heads(t, out);
  });
}

// Merges the spans of token t's heads, and rounds them.
TINYPHI_FUNC void layer_ops::finish_heads(std::size_t t, activations& out) {
  for (std::size_t head = 0; plan_.n_spans > 1 && head < c_.n_heads; ++head) {
    const std::size_t part = part_of(t, head, 0);
    merge_attention(b_.parts.row(part), b_.sums.data() + part, plan_.n_spans,
                    c_.head_dim, out.f32_row(t) + head * c_.head_dim);
  }
  out.round(t, 0, std::size_t{c_.n_heads} * c_.head_dim);
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_ATTENTION_IPP_
