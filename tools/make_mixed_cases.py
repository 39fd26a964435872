#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/mixed: a random model of two layers, quantized by
llama.cpp's llama-quantize as it mixes types, and the logits that numpy finds
with the weights as PyPI's gguf dequantizes them. Needs `pip install
gguf==0.19.0 numpy==2.4.6` and the path of llama-quantize.

<name>.gguf; <name>.bin: u32 n, u32 ids[n], f32 logits[n][vocab].
"""
import pathlib
import struct
import subprocess
import sys
import tempfile

import gguf
import numpy as np

HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, VOCAB = 256, 256, 2, 4, 1, 48
HEAD = HIDDEN // HEADS
EPS, THETA = 1e-5, 10000.0
IDS = [1, 7, 40, 3, 3, 22, 47, 0, 15]
DATA = pathlib.Path(__file__).parent.parent / "tests/data/mixed"


def write_model(path, rng):
    w = gguf.GGUFWriter(path, "phi3")
    w.add_context_length(64)
    w.add_rope_scaling_orig_ctx_len(64)
    w.add_embedding_length(HIDDEN)
    w.add_feed_forward_length(FFN)
    w.add_block_count(LAYERS)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_rope_dimension_count(HEAD)
    w.add_rope_freq_base(THETA)
    w.add_layer_norm_rms_eps(EPS)
    w.add_sliding_window(0)

    def matrix(name, rows, cols):
        x = rng.standard_normal((rows, cols)) / np.sqrt(cols)
        w.add_tensor(name + ".weight", x.astype(np.float32))

    def norm(name):
        x = 1 + 0.1 * rng.standard_normal(HIDDEN)
        w.add_tensor(name + ".weight", x.astype(np.float32))

    matrix("token_embd", VOCAB, HIDDEN)
    for i in range(LAYERS):
        norm(f"blk.{i}.attn_norm")
        matrix(f"blk.{i}.attn_qkv", (HEADS + 2 * KV_HEADS) * HEAD, HIDDEN)
        matrix(f"blk.{i}.attn_output", HIDDEN, HIDDEN)
        norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.ffn_up", 2 * FFN, HIDDEN)
        matrix(f"blk.{i}.ffn_down", HIDDEN, FFN)
    norm("output_norm")
    matrix("output", VOCAB, HIDDEN)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def forward(path):
    tensors = {t.name.removesuffix(".weight"):
               gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)
               for t in gguf.GGUFReader(path).tensors}
    types = sorted({t.tensor_type.name for t in gguf.GGUFReader(path).tensors})
    n = len(IDS)
    angle = np.outer(np.arange(n),
                     THETA ** (-np.arange(HEAD // 2) * 2.0 / HEAD))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * tensors[name]

    def rope(x):
        a, b = np.split(x, 2, -1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    x = tensors["token_embd"][IDS]
    for i in range(LAYERS):
        qkv = norm(x, f"blk.{i}.attn_norm") @ tensors[f"blk.{i}.attn_qkv"].T
        qkv = qkv.reshape(n, HEADS + 2 * KV_HEADS, HEAD)
        q = rope(qkv[:, :HEADS])
        k, v = rope(qkv[:, HEADS:-KV_HEADS]), qkv[:, -KV_HEADS:]
        k, v = (np.repeat(t, HEADS // KV_HEADS, 1) for t in (k, v))
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(HEAD)
        scores += np.triu(np.full((n, n), -np.inf), 1)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", p, v).reshape(n, HIDDEN)
        x = x + mixed @ tensors[f"blk.{i}.attn_output"].T
        up = norm(x, f"blk.{i}.ffn_norm") @ tensors[f"blk.{i}.ffn_up"].T
        gate, up = np.split(up, 2, -1)
        x = x + (up * gate / (1 + np.exp(-gate))) @ tensors[f"blk.{i}.ffn_down"].T
    return norm(x, "output_norm") @ tensors["output"].T, types


def main():
    DATA.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        floats = pathlib.Path(folder) / "f32.gguf"
        write_model(floats, np.random.default_rng(3))
        for mix in ("Q4_K_M", "Q2_K", "IQ4_XS"):
            path = DATA / f"{mix.lower()}.gguf"
            subprocess.run([sys.argv[1], floats, path, mix], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            logits, types = forward(path)
            print(path.name, path.stat().st_size, *types)
            path.with_suffix(".bin").write_bytes(
                struct.pack(f"<I{len(IDS)}I", len(IDS), *IDS)
                + logits.astype("<f4").tobytes())


main()
