#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/tokenizer/{o200k,cl100k}-small: byte-level vocabularies of
a thousand tokens, and what Hugging Face's tokenizers and OpenAI's tiktoken make
of odd texts with them; and tests/data/tokenizer/phi-3/cases.jsonl again, what
Hugging Face's tokenizers makes of its texts with the tokenizer.json beside it.
Needs `pip install tokenizers==0.23.3 tiktoken==0.14.0`; the result is in the
repository, so nobody has to run it."""
import base64
import json
import pathlib
import random
import sys

import tiktoken
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models
from tokenizers import pre_tokenizers, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*" + SPACES)
UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PREFIX = r"[^\r\n\p{L}\p{N}]?"
O200K = (PREFIX + UPPER + "*" + LOWER + "+" + CONTRACTIONS + "?|" +
         PREFIX + UPPER + "+" + LOWER + "*" + CONTRACTIONS + "?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + SPACES)

PHI_4_MINI = ["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>",
              "<|system|>"]
PHI_3_SMALL = {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258,
               "<|fim_middle|>": 100259, "<|fim_suffix|>": 100260,
               "<|system|>": 100261, "<|user|>": 100262,
               "<|assistant|>": 100263, "<|end|>": 100266,
               "<|endofprompt|>": 100276}

# Pieces that the expressions treat differently: cases, marks, numbers,
# contractions, white space of all kinds, symbols, letters without case.
PIECES = ["a", "b", "Z", "Q", "the", "The", "HELLO", "iPhone", "'s", "'LL",
          "'Re", "'d", "'\u017f", "'x", "''", "1", "22", "4567", "\u0663",
          "\u00bd", "\u2167", " ", "  ", "\t", "\n", "\r\n", "\n\n", "\u00a0",
          "\u3000", "\u2028", "\u0085", "\u200b", "\u001c", "\u000b", ".", "!?",
          "/", "//", "_", "-", "\u2014", "\u20ac", "\u00e9", "e\u0301", "\u0301",
          "\u01c5", "\u02b0", "\u65e5\u672c", "\u05d0", "\u0639", "\u0e01\u0e34",
          "\u03a3", "\u03c3", "\u0416", "\u0436", "\U0001f600",
          "\U0001f468\u200d\U0001f469", "\U0001d400", "\u0000", "\ufeff",
          "\ue000", "<|end|>", "<|user|>", "<|endoftext|>", "<|nothing|>"]


def texts(seed, n):
    rng = random.Random(seed)
    out = ["", " ", "\n", "  \n  ", "a  b", "\u65e5ABC", "ABC\u0301d", "'S'll"]
    while len(out) < n:
        out.append("".join(rng.choice(PIECES)
                           for _ in range(rng.randint(1, 12))))
    return out


def trained(pattern):
    """A tokenizer as Phi-4 and Phi-4-mini have it, of 1000 tokens."""
    rng = random.Random(5)
    words = ["".join(rng.choice("etaoinshrdlucmfwypvbgkjqxz")
                     for _ in range(rng.randint(1, 6))) for _ in range(300)]
    corpus = [" ".join(rng.choice([w, w.upper(), w.title(), w + "'s"])
                       for w in rng.choices(words, k=20)) for _ in range(400)]
    corpus += texts(11, 3000)
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(
        vocab_size=1000, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tok


def write_jsonl(path, rows, **options):
    path.write_text("".join(json.dumps(r, **options) + "\n" for r in rows))


def case(tok, text):
    ids = tok.encode(text, add_special_tokens=False).ids
    return {"text": text, "ids": ids,
            "text_back": tok.decode(ids, skip_special_tokens=False)}


def write_phi_3(source, folder):
    """The texts are those of the file that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    tok = Tokenizer.from_file(str(source / "tokenizer.json"))
    lines = (source / "cases.jsonl").read_text().strip("\n").split("\n")
    write_jsonl(folder / "cases.jsonl",
                [case(tok, json.loads(line)["text"]) for line in lines],
                ensure_ascii=False)


def write_o200k(folder, n):
    folder.mkdir(parents=True, exist_ok=True)
    tok = trained(O200K)
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False)
                            for t in PHI_4_MINI])
    tok.save(str(folder / "tokenizer.json"), pretty=False)
    write_jsonl(folder / "cases.jsonl", [case(tok, t) for t in texts(1, n)])


def write_cl100k(folder, n):
    folder.mkdir(parents=True, exist_ok=True)
    state = json.loads(trained(CL100K).to_str())["model"]
    alphabet = {}
    extra = 256
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174:
            alphabet[chr(b)] = b
        else:
            alphabet[chr(extra)] = b
            extra += 1
    ranks = {bytes(alphabet[c] for c in piece): i
             for piece, i in state["vocab"].items()}
    lines = [base64.b64encode(piece).decode() + f" {rank}\n"
             for piece, rank in sorted(ranks.items(), key=lambda x: x[1])]
    (folder / "cl100k_base.tiktoken").write_text("".join(lines))
    enc = tiktoken.Encoding("small", pat_str=CL100K, mergeable_ranks=ranks,
                            special_tokens=PHI_3_SMALL)
    rows = []
    for text in texts(2, n):
        ids = enc.encode(text, allowed_special="all")
        rows.append({"text": text, "ids": ids, "text_back": enc.decode(ids)})
    write_jsonl(folder / "cases.jsonl", rows)


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent.parent
    data = here / "tests" / "data" / "tokenizer"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else data
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    write_o200k(out / "o200k-small", n)
    write_cl100k(out / "cl100k-small", n)
    write_phi_3(data / "phi-3", out / "phi-3")
