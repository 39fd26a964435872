# SPDX-License-Identifier: MIT
"""Phi-3-small's forward pass, spelled out: no cache, no batch, float64.

transformers has no class for this architecture, so this is what the golden
files of small-8k and small-128k are compared with. It spells out what the
published modeling_phi3_small.py and its block-sparse kernels compute.
"""
import json
import math

import torch
from safetensors.torch import load_file


class Phi3Small:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = {
            name: tensor.double()
            for name, tensor in load_file(folder / "model.safetensors").items()
        }
        self.n_layers = self.config["num_hidden_layers"]

    def linear(self, name, x):
        weight, bias = (self.weights[f"{name}.{part}"] for part in ("weight", "bias"))
        return x @ weight.T + bias

    def layer_norm(self, name, x):
        centered = x - x.mean(-1, keepdim=True)
        variance = (centered * centered).mean(-1, keepdim=True)
        x = centered / torch.sqrt(variance + self.config["layer_norm_epsilon"])
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def rotation(self, n):
        """cos and sin [n][head_dim / 2] of positions 0 to n - 1."""
        c = self.config
        head_dim = c["hidden_size"] // c["num_attention_heads"]
        exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
        frequencies = c["rope_embedding_base"] ** -exponents
        mscale = 1.0
        if c["rope_scaling"]:
            scaling = c["rope_scaling"]
            original = scaling["original_max_position_embeddings"]
            kind = "long" if n > original else "short"
            frequencies /= torch.tensor(scaling[kind + "_factor"], dtype=torch.float64)
            mscale = scaling.get(kind + "_mscale")
            if mscale is None:
                ratio = c["max_position_embeddings"] / original
                mscale = math.sqrt(1 + math.log(ratio) / math.log(original))
        positions = torch.arange(n, dtype=torch.float64) / c["rope_position_scale"]
        angles = torch.outer(positions, frequencies)
        return mscale * torch.cos(angles), mscale * torch.sin(angles)

    def visible(self, layer, n):
        """[heads][n][n]: may query i (a row) of a head see key j?"""
        c = self.config
        heads = c["num_attention_heads"]
        positions = torch.arange(n)
        causal = positions[None, :] <= positions[:, None]
        if (layer + 1) % c["dense_attention_every_n_layers"] == 0:
            return causal.expand(heads, n, n)
        stride = c["blocksparse_vert_stride"]
        step = 0 if c["blocksparse_homo_head_pattern"] else max(1, stride // heads)
        block = positions // c["blocksparse_block_size"]
        key_block, query_block = block[None, None, :], block[None, :, None]
        head = torch.arange(heads)[:, None, None]
        local = query_block - key_block < c["blocksparse_num_local_blocks"]
        vertical = (key_block + head * step + 1) % stride == 0
        return causal & (local | vertical)

    def attention(self, layer, x):
        c = self.config
        name = f"model.layers.{layer}.self_attn"
        n, heads = len(x), c["num_attention_heads"]
        groups = c["num_key_value_heads"]
        head_dim = c["hidden_size"] // heads
        # A group is its query heads, then its key and its value head.
        fused = self.linear(name + ".query_key_value", x)
        fused = fused.view(n, groups, heads // groups + 2, head_dim).permute(1, 2, 0, 3)
        q = fused[:, :-2].reshape(heads, n, head_dim)
        k, v = (
            fused[:, part].repeat_interleave(heads // groups, 0) for part in (-2, -1)
        )
        cos, sin = self.rotation(n)

        def rotated(t):
            a, b = t.chunk(2, -1)
            return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

        scale = head_dim**-0.5
        if c["mup_use_scaling"]:
            scale = c["mup_attn_multiplier"] / head_dim
        scores = rotated(q) @ rotated(k).transpose(1, 2) * scale
        scores = scores.masked_fill(~self.visible(layer, n), -math.inf)
        mixed = scores.softmax(-1) @ v
        return self.linear(name + ".dense", mixed.transpose(0, 1).reshape(n, -1))

    def mlp(self, layer, x):
        name = f"model.layers.{layer}.mlp"
        up = self.linear(name + ".up_proj", x)
        gelu, linear = up[:, ::2], up[:, 1::2]
        limit = self.config["gegelu_limit"]
        if limit is not None:
            gelu = gelu.clamp(max=limit)
            linear = linear.clamp(-limit, limit)
        hidden = gelu * torch.sigmoid(1.702 * gelu) * (linear + 1)
        return self.linear(name + ".down_proj", hidden)

    def __call__(self, ids):
        """Logits [n][vocab], and the hidden states [n][hidden] after the
        embedding and after each layer."""
        c = self.config
        embedding = self.weights["model.embed_tokens.weight"]
        x = embedding[torch.tensor(ids)] * c["mup_embedding_multiplier"]
        hidden = [x]
        for i in range(self.n_layers):
            name = f"model.layers.{i}"
            x = x + self.attention(i, self.layer_norm(name + ".input_layernorm", x))
            x = x + self.mlp(i, self.layer_norm(name + ".post_attention_layernorm", x))
            hidden.append(x)
        x = self.layer_norm("model.final_layernorm", x)
        return x @ embedding.T / c["mup_width_multiplier"], hidden
