// SPDX-License-Identifier: MIT
// The forward pass of Phi-3 mini and medium, Phi-3.5-mini, Phi-4 and
// Phi-4-mini (arXiv 2404.14219; transformers: modeling_phi3.py).
#ifndef TINYPHI_MODEL_PHI3_IPP_
#define TINYPHI_MODEL_PHI3_IPP_

#include "tinyphi/model/layers.h"

TINYPHI_NAMESPACE_BEGIN

TINYPHI_FUNC result<void> phi3_layers(layer_ops& f, const layer_trace& trace) {
  layer_buffers& b = f.buffers();

  // A query sees itself and the window - 1 keys before it, in every layer
  // (transformers: masking_utils.py, sliding_window_overlay).
  const visible_keys visible = [window = f.config().window](
                                   std::size_t, std::size_t position,
                                   std::vector<key_range>& ranges) {
    const std::size_t end = position + 1;
    const std::size_t begin = window != 0 && end > window ? end - window : 0;
    ranges.push_back(
        {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
  };

  f.embed();
  if (trace) trace(0, b.x.values());
  for (std::size_t i = 0; i < f.config().n_layers; ++i) {
    const layer_weights& layer = f.weights().layers[i];

    f.norm(layer.attention_norm, b.x, b.normed);
    f.matmul(layer.qkv, b.normed, b.qkv);
    f.attend(i, visible, false, b.heads);
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

#endif  // TINYPHI_MODEL_PHI3_IPP_
