#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Trains the demo model from scratch on CPU.

    pip install torch transformers sentencepiece
    ./train.py --minutes 120 --out build/demo

Architecture: Phi3ForCausalLM as published, only smaller. Data: make_corpus.py
beside this file, seeded. All that the model knows is learned from that
generator; nothing is downloaded.
"""

import argparse
import os
import random
import time

import sentencepiece as spm
import torch
from make_corpus import conversation, words
from transformers import Phi3Config, Phi3ForCausalLM

SPECIAL = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
ROLE = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}


def train_tokenizer(out, n_pieces, seed):
    """Writes OUT/tokenizer.model: SentencePiece BPE with byte fallback."""
    path = os.path.join(out, "corpus.txt")
    rng = random.Random(seed)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(20000):
            for _, text in conversation(rng):
                file.write(text.replace("\n", " ") + "\n")
        file.write("\n".join(words()[::3]))
    spm.SentencePieceTrainer.train(
        input=path,
        model_prefix=os.path.join(out, "tokenizer"),
        vocab_size=n_pieces,
        model_type="bpe",
        byte_fallback=True,
        split_digits=True,
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        max_sentence_length=20000,
    )
    os.remove(path)


class Tokenizer:
    """The pieces, then Phi-3's control tokens, padded to a multiple of 64."""

    def __init__(self, out):
        self.sp = spm.SentencePieceProcessor(os.path.join(out, "tokenizer.model"))
        base = self.sp.vocab_size()
        self.special = {name: base + i for i, name in enumerate(SPECIAL)}
        self.size = -(-(base + len(SPECIAL)) // 64) * 64

    def dialog(self, turns):
        """The ids of a conversation, and how much each counts in the loss.

        Each turn has its dummy prefix: what follows a control token is encoded
        as a text of its own. Answers count most, and in them what is decided
        and not copied: how they start and which passage they cite.
        """
        ids, weights = [self.sp.bos_id()], [0.0]
        for role, text in turns:
            body = self.sp.encode(text) + [self.special["<|end|>"]]
            says = role == "assistant"
            counts = [1.0 if says else 0.15] * len(body)
            if says:
                counts[:3] = [3.0] * len(counts[:3])
                if text.endswith("]"):
                    counts[-4:-1] = [6.0] * len(counts[-4:-1])
            ids += [self.special[ROLE[role]]] + body
            weights += [0.0] + counts
        return ids, weights


def pad(group):
    """Conversations of about one length as tensors of ids and weights."""
    longest = max(len(ids) for ids, _ in group)
    ids = torch.zeros(len(group), longest, dtype=torch.long)
    weights = torch.zeros(len(group), longest)
    for row, (row_ids, row_weights) in enumerate(group):
        ids[row, : len(row_ids)] = torch.tensor(row_ids)
        weights[row, : len(row_weights)] = torch.tensor(row_weights)
    return ids, weights


def batches(tokenizer, seed, n_tokens, longest, level):
    """Endless batches of about n_tokens; level() says how hard they are."""
    rng = random.Random(seed)
    while True:
        pool = []
        while len(pool) < 512:
            ids, weights = tokenizer.dialog(conversation(rng, level()))
            if len(ids) <= longest:
                pool.append((ids, weights))
        pool.sort(key=lambda example: len(example[0]))
        groups, group = [], []
        for example in pool:
            if group and (len(group) + 1) * len(example[0]) > n_tokens:
                groups.append(group)
                group = []
            group.append(example)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            yield pad(group)


def make_model(args, tokenizer):
    """A fresh model, or the one in the folder to go on from."""
    if args.start:
        return Phi3ForCausalLM.from_pretrained(
            args.start, dtype=torch.float32, attn_implementation="eager"
        )
    end_of_text = tokenizer.special["<|endoftext|>"]
    return Phi3ForCausalLM(
        Phi3Config(
            vocab_size=tokenizer.size,
            hidden_size=args.hidden,
            intermediate_size=args.ffn,
            num_hidden_layers=args.layers,
            num_attention_heads=args.heads,
            num_key_value_heads=args.kv_heads,
            max_position_embeddings=4096,
            original_max_position_embeddings=4096,
            rms_norm_eps=1e-5,
            sliding_window=None,
            bos_token_id=1,
            eos_token_id=end_of_text,
            pad_token_id=end_of_text,
            tie_word_embeddings=False,
            attention_dropout=0.0,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_implementation="eager",
        )
    )


def make_optimizers(model, args):
    """Muon for the matrices of the layers, AdamW for the rest."""
    matrices, rest = [], []
    for name, x in model.named_parameters():
        (matrices if x.ndim == 2 and "layers" in name else rest).append(x)
    return [
        torch.optim.Muon(matrices, lr=args.muon_lr, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(rest, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.01),
    ]


def rate_factor(step, progress, goes_on):
    """Warm-up, then full rate, then down; only down when going on."""
    warm_up = min(1, (step + 1) / 100)
    if goes_on:
        return warm_up * max(0.02, 1 - progress)
    return warm_up * (1 if progress < 0.5 else max(0.02, 2 * (1 - progress)))


def losses(model, ids, weights):
    """The weighted loss to learn from, and the plain loss of the answers."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(input_ids=ids).logits[:, :-1].float()
    loss = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.size(-1)), ids[:, 1:].reshape(-1), reduction="none"
    )
    weights = weights[:, 1:].reshape(-1)
    answers = loss[weights >= 1.0].mean().item()
    return (loss * weights).sum() / weights.sum(), answers


def train(model, tokenizer, args):
    """Trains until the time is up; saves every ten minutes and at the end."""
    optimizers = make_optimizers(model, args)
    full_rates = [args.muon_lr, args.lr]
    start = saved = time.time()
    n_seen = step = 0
    average = None

    def progress():
        return (time.time() - start) / 60 / args.minutes

    def level():  # the passages grow over the first 30 % of the time
        return min(1.0, (0.8 if args.start else 0) + progress() / 0.3)

    for ids, weights in batches(tokenizer, args.seed, args.tokens, args.longest, level):
        now = progress()
        if now >= 1:
            break
        factor = rate_factor(step, now, bool(args.start))
        for optimizer, rate in zip(optimizers, full_rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss, answers = losses(model, ids, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        n_seen += ids.numel()
        average = answers if average is None else 0.98 * average + 0.02 * answers
        if step % 50 == 0:
            seconds = time.time() - start
            print(
                f"{seconds / 60:6.1f} min  step {step}  {n_seen / 1e6:.2f} M tokens  "
                f"{n_seen / seconds:.0f} tok/s  answer loss {average:.4f}",
                flush=True,
            )
        if time.time() - saved > 600:
            model.save_pretrained(args.out)
            saved = time.time()
    model.save_pretrained(args.out)
    print(f"done: {step} steps, {n_seen / 1e6:.2f} M tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--pieces", type=int, default=1984)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--ffn", type=int, default=768)
    parser.add_argument("--tokens", type=int, default=6144, help="in a batch")
    parser.add_argument("--longest", type=int, default=768)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="start", help="go on from this folder")
    args = parser.parse_args()

    os.makedirs(args.out, exist_ok=True)
    torch.manual_seed(args.seed)
    if not os.path.exists(os.path.join(args.out, "tokenizer.model")):
        train_tokenizer(args.out, args.pieces, args.seed)
    tokenizer = Tokenizer(args.out)
    model = make_model(args, tokenizer)
    n_parameters = sum(x.numel() for x in model.parameters())
    print(f"{n_parameters / 1e6:.2f} M parameters, vocabulary {tokenizer.size}")
    train(model, tokenizer, args)


if __name__ == "__main__":
    main()
