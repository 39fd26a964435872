#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/data/tiny/*/golden.safetensors again, or compares with them.

    python3 -m venv build/golden
    build/golden/bin/pip install -r tools/golden/requirements.txt
    build/golden/bin/python tools/golden/make_golden.py --check
    build/golden/bin/python tools/golden/make_golden.py --write mini-4k

Phi-3 and Phi-4 are what transformers computes in float32 with eager attention
on one thread, Phi-3-small is what phi3_small_reference.py computes. The prompts
(ids.K) are those of the file that is there, and with --add-prompt 5,6,7 another
one of these ids; a folder that has no file gets one. --check prints the largest
difference of each key and fails when one is over 5e-5, when a greedy token
differs, or when a key is missing or unknown. --write leaves a file alone that
passes the check.

The bound is float32's own: logits of up to 8.6 are 3.3e-5 from those of the same
model in float64, and 1.4e-5 from those of another CPU or version.

ids.K     int64 [n]            prompt K
logits.K  float32 [n][vocab]   of one forward pass over it
hidden.0.L float32 [n][hidden] prompt 0 after the embedding (L = 0) and after
                               layer L; transformers has no last one of these
greedy.K  int64 [m]            greedy continuation, each token a forward pass
                               over all before it, so that longrope's switch of
                               factors applies to all positions at once
"""
import argparse
import pathlib
import sys

import torch
import transformers
from phi3_small_reference import Phi3Small
from safetensors.torch import load_file, save

TRANSFORMERS = "5.24.0"
TINY = pathlib.Path(__file__).resolve().parents[2] / "tests/data/tiny"
BOUND = 5e-5
N_GREEDY = 12  # of a new prompt


class HuggingFace:
    def __init__(self, folder):
        self.model = transformers.AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="eager",
            local_files_only=True,
        ).eval()
        self.n_layers = self.model.config.num_hidden_layers

    def __call__(self, ids):
        """Logits [n][vocab] and the hidden states that it gives unnormed."""
        out = self.model(
            torch.tensor([ids]), use_cache=False, output_hidden_states=True
        )
        return out.logits[0], [h[0] for h in out.hidden_states[: self.n_layers]]


def prompts_of(golden):
    n = sum(name.startswith("ids.") for name in golden)
    return [golden[f"ids.{k}"].tolist() for k in range(n)]


def greedy_of(model, ids, n):
    ids = list(ids)
    for _ in range(n):
        ids.append(int(model(ids)[0][-1].argmax()))
    return ids[-n:]


@torch.no_grad()
def made_again(folder, golden, new_prompts):
    small = folder.name.startswith("small-")
    model = Phi3Small(folder) if small else HuggingFace(folder)
    made = {}
    for k, ids in enumerate(prompts_of(golden) + new_prompts):
        logits, hidden = model(ids)
        made[f"ids.{k}"] = torch.tensor(ids)
        made[f"logits.{k}"] = logits.float().contiguous()
        n_greedy = len(golden.get(f"greedy.{k}", range(N_GREEDY)))
        made[f"greedy.{k}"] = torch.tensor(greedy_of(model, ids, n_greedy))
        if k == 0:
            for layer, x in enumerate(hidden):
                made[f"hidden.0.{layer}"] = x.float().contiguous()
    return made


def difference(a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return float("inf")
    gap = (a.double() - b.double()).abs()
    gap[a == b] = 0  # infinities
    return gap.nan_to_num(nan=float("inf")).max().item()


def worst_difference(name, golden, made):
    """The largest of all keys, each printed; missing ones are infinite."""
    worst = 0.0
    for key in sorted(golden.keys() | made.keys()):
        gap = float("inf")
        if key in golden and key in made:
            gap = difference(golden[key], made[key])
        print(f"{name:12} {key:10} {gap:.1e}")
        worst = max(worst, gap)
    return worst


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    parser.add_argument("--add-prompt", help="ids with commas between, for --write")
    parser.add_argument("models", nargs="*", help="folders of tests/data/tiny; all")
    args = parser.parse_args()
    if args.add_prompt and (args.check or len(args.models) != 1):
        parser.error("--add-prompt goes with --write and one model")
    new = [[int(i) for i in args.add_prompt.split(",")]] if args.add_prompt else []
    if transformers.__version__.split(".")[0] != TRANSFORMERS.split(".")[0]:
        sys.exit(
            f"transformers {transformers.__version__}, but the golden files are "
            f"checked with {TRANSFORMERS}: pip install transformers=={TRANSFORMERS}"
        )
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    unequal = []
    for name in args.models or sorted(p.name for p in TINY.iterdir()):
        path = TINY / name / "golden.safetensors"
        golden = load_file(path) if path.exists() else {}
        made = made_again(path.parent, golden, new)
        worst = worst_difference(name, golden, made)
        if worst <= BOUND:
            continue
        unequal.append(name)
        if args.write:
            path.write_bytes(save(made))
    if unequal and args.write:
        print(f"written: {', '.join(unequal)}")
    elif unequal:
        sys.exit(f"not equal within {BOUND}: {', '.join(unequal)}")


if __name__ == "__main__":
    main()
