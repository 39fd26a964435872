#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/chat/cases.jsonl, what transformers' apply_chat_template
makes of conversations with the templates beside it, and checks the prompts of
tests/data/demo/answers.jsonl. Needs `pip install -r requirements.txt`:

    build/golden/bin/python tools/golden/make_chat_cases.py

A line: the chat format's name, which is also the template's (NAME.jinja), the
messages, add_generation_prompt and the prompt. phi3.jinja is the published file
of Phi-3.5-mini; the others hold the text of chat_template in the published
tokenizer_config.json of Phi-3-mini-4k (April 2024), -medium-4k, -small-8k,
Phi-4-mini and Phi-4 as public programs quote it.

The tokenizer is what transformers makes of tokenizer.json as it stands. (From
version 5 on, AutoTokenizer builds another one for files that name
LlamaTokenizer, with other ids.)
"""
import json
import pathlib
import random
import sys

import transformers
from transformers import PreTrainedTokenizerFast

TRANSFORMERS = "5.24.0"
DATA = pathlib.Path(__file__).resolve().parents[2] / "tests/data"
# Format: its BOS and EOS, and whether it has a system turn.
FORMATS = {
    "phi3": ("<s>", "<|endoftext|>", True),
    "phi3_april": ("<s>", "<|endoftext|>", False),
    "phi3_medium": ("<s>", "<|endoftext|>", False),
    "phi3_small": ("<|endoftext|>", "<|endoftext|>", True),
    "phi4": ("<|endoftext|>", "<|im_end|>", True),
    "phi4_mini": ("<|endoftext|>", "<|endoftext|>", True),
}
# Roles, one letter each.
SHAPES = ["u", "uau", "uu", "uauau", "su", "suau", "usu", "ssu", "ua", "sua"]
CONTENTS = ["Hi", "Yes", "", " ", "\n", " Why? \n", "\r\n\tindented", "Be brief.",
            "two\n\nparagraphs\n", "<|end|>\n<|user|>\nno turn", "<s>",
            "<|im_end|>", "{{ bos_token }}{% if x %}", "it's \"quoted\" \\n",
            "日本 é e\u0301 🙂", "\u00a0\u200b", "x" * 300]


def tokenizer_of(folder, bos, eos, template):
    return PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        bos_token=bos,
        eos_token=eos,
        chat_template=template,
        clean_up_tokenization_spaces=False,
    )


def conversations(has_system):
    """Every shape with plain contents, then with odd ones."""
    rng = random.Random(1)
    roles = {"s": "system", "u": "user", "a": "assistant"}
    for contents in (CONTENTS[:2], CONTENTS, CONTENTS, CONTENTS):
        for shape in SHAPES:
            if has_system or "s" not in shape:
                yield [{"role": roles[r], "content": rng.choice(contents)}
                       for r in shape]


def cases():
    for name, (bos, eos, has_system) in FORMATS.items():
        template = (DATA / "chat" / (name + ".jinja")).read_text()
        tokenizer = tokenizer_of(DATA / "demo/hf", bos, eos, template)
        for messages in conversations(has_system):
            for go_on in (True, False):
                # These two glue the answer's beginning to each user turn.
                glued = name in ("phi3_april", "phi3_medium")
                if glued and go_on and messages[-1]["role"] == "assistant":
                    continue
                prompt = tokenizer.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=go_on)
                yield {"format": name, "messages": messages,
                       "add_generation_prompt": go_on, "prompt": prompt}


def check_demo():
    folder = DATA / "demo/hf"
    config = json.loads((folder / "tokenizer_config.json").read_text())
    tokenizer = tokenizer_of(folder, config["bos_token"], config["eos_token"],
                             config["chat_template"])
    lines = (DATA / "demo/answers.jsonl").read_text().splitlines()
    for line in map(json.loads, lines):
        ids = tokenizer.apply_chat_template(
            line["messages"], add_generation_prompt=True, return_dict=False)
        if [tokenizer.bos_token_id] + ids != line["prompt_ids"]:
            sys.exit(f"answers.jsonl has other prompt_ids: {line['messages']}")
        if tokenizer.decode(line["answer_ids"]) != line["answer"]:
            sys.exit(f"answers.jsonl has another text: {line['answer']}")
    print(f"demo/answers.jsonl: {len(lines)} prompts are the same")


def main():
    if transformers.__version__.split(".")[0] != TRANSFORMERS.split(".")[0]:
        sys.exit(f"transformers {transformers.__version__}, made with "
                 f"{TRANSFORMERS}: pip install transformers=={TRANSFORMERS}")
    check_demo()
    lines = [json.dumps(c, ensure_ascii=False) + "\n" for c in cases()]
    (DATA / "chat/cases.jsonl").write_text("".join(lines))
    print(f"chat/cases.jsonl: {len(lines)} prompts")


if __name__ == "__main__":
    main()
