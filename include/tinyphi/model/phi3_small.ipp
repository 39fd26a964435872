// SPDX-License-Identifier: MIT
// The forward pass of Phi-3-small: LayerNorm, biases, gegelu, muP scales, and
// block-sparse attention in every other layer (the published
// modeling_phi3_small.py and triton_flash_blocksparse_attn.py).
#ifndef TINYPHI_MODEL_PHI3_SMALL_IPP_
#define TINYPHI_MODEL_PHI3_SMALL_IPP_

#include <algorithm>

#include "tinyphi/model/layers.h"

TINYPHI_NAMESPACE_BEGIN

namespace detail {

// The keys of block-sparse attention: blocks close behind the query's own, and
// every vert_stride-th block, shifted from head to head; causal inside.
inline void block_sparse_keys(const block_sparse_config& s, std::size_t n_heads,
                              std::size_t head, std::size_t position,
                              std::vector<key_range>& ranges) {
  const std::size_t step =
      s.homo_head_pattern ? 0
                          : std::max<std::size_t>(1, s.vert_stride / n_heads);
  const std::size_t own = position / s.block, first = ranges.size();
  for (std::size_t k = 0; k <= own; ++k) {
    const bool local = own - k < s.local_blocks;
    const bool strided = (k + head * step + 1) % s.vert_stride == 0;
    if (!local && !strided) continue;
    const auto begin = static_cast<std::uint32_t>(k * s.block);
    const auto end =
        static_cast<std::uint32_t>(std::min((k + 1) * s.block, position + 1));
    if (ranges.size() > first && ranges.back().end == begin) {
      ranges.back().end = end;
    } else {
      ranges.push_back({begin, end});
    }
  }
}

}  // namespace detail

TINYPHI_FUNC result<void> phi3_small_layers(layer_ops& f,
                                            const layer_trace& trace) {
  layer_buffers& b = f.buffers();
  const visible_keys dense = [](std::size_t, std::size_t position,
                                std::vector<key_range>& ranges) {
    ranges.push_back({0, static_cast<std::uint32_t>(position + 1)});
  };
  const visible_keys sparse = [&c = f.config()](
                                  std::size_t head, std::size_t position,
                                  std::vector<key_range>& ranges) {
    detail::block_sparse_keys(c.sparse, c.n_heads, head, position, ranges);
  };

  f.embed();
  if (trace) trace(0, b.x.values());
  for (std::size_t i = 0; i < f.config().n_layers; ++i) {
    const layer_weights& layer = f.weights().layers[i];
    const bool is_dense = (i + 1) % f.config().sparse.dense_every == 0;

    f.norm(layer.attention_norm, b.x, b.normed);
    f.matmul(layer.qkv, b.normed, b.qkv);
    f.attend(i, is_dense ? dense : sparse, !is_dense, b.heads);
    f.add_matmul(layer.attention_out, b.heads, b.x);

    f.norm(layer.ffn_norm, b.x, b.normed);
    f.gate(layer.gate_up, b.normed, b.gated);
    f.add_matmul(layer.ffn_down, b.gated, b.x);

    TINYPHI_CHECK_OK(f.check_stop());
    if (trace) trace(i + 1, b.x.values());
  }
  return {};
}

TINYPHI_NAMESPACE_END

#endif  // TINYPHI_MODEL_PHI3_SMALL_IPP_
