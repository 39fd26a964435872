#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts the masks of tinyphi's constraints beside llguidance's, on 300 schemas and
answers under them, with Phi-3's vocabulary: where they differ, by which kind of
token, and what they cost in the same run.

Usage: constrain_peers.py CONSTRAIN_MASKS [--show N] [--valid N]

CONSTRAIN_MASKS is the program of bench/constrain_masks.cpp; PyPI's llguidance must
be importable. A difference that no rule below explains makes the exit status 1. With
--xgrammar its times stand beside the others; it needs numpy, but not PyTorch.
With --valid PyPI's jsonschema looks at N answers drawn under the schemas instead,
each with a random limit from the shortest text on; one that is invalid is fatal.
"""

import argparse
import collections
import json
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
N_SCHEMAS = 300
COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}


def random_schema(d, depth=3):
    """The kinds of values that both engines hold an answer to."""
    kind = d.randrange(8 if depth else 5)
    low, high = d.randrange(4), 4 + d.randrange(9)
    if kind == 0:
        return {"type": d.choice(["boolean", "null"])}
    if kind == 1:
        return {"type": "integer"} | d.choice([{}, {"minimum": -high, "maximum": 10 * low}])
    if kind == 2:
        return {"type": "string"} | d.choice([{}, {"minLength": low, "maxLength": high}])
    if kind == 3:
        return {"enum": d.sample(["red", "green", "a \"quote\"", 12, None, True, "redder"], 3)}
    if kind == 4:
        return {"type": "string", "pattern": d.choice(["^[a-f]{1,5}-[0-9]+$", "^(yes|no)$",
                                                       "^[A-Z][a-z]*$"])}
    if kind == 5:
        return {"type": "array", "items": random_schema(d, depth - 1),
                "minItems": low, "maxItems": high}
    if kind == 6:
        return {"anyOf": [random_schema(d, depth - 1), random_schema(d, depth - 1)]}
    names = d.sample(["id", "name", "a b", "x", "tags"], d.randrange(1, 5))
    return {"type": "object", "additionalProperties": False,
            "properties": {n: random_schema(d, depth - 1) for n in names},
            "required": [n for n in names if d.random() < 0.7]}


def closed(schema):
    """The schema without undeclared properties, which tinyphi never writes."""
    if isinstance(schema, list):
        return [closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: value if name in ("enum", "const", "default") else closed(value)
           for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        out.setdefault("additionalProperties", False)
    return out


def schemas():
    """Those of the JSON Schema Test Suite that say a type, and random ones."""
    out = []
    with open(ROOT / "tests/data/schema/suite.jsonl") as file:
        for line in file:
            schema = json.loads(json.loads(line)["schema"])
            if isinstance(schema, dict) and "type" in schema:
                schema.pop("$schema", None)
                out.append(closed(schema))
    d = random.Random(16)
    while len(out) < N_SCHEMAS:
        out.append(random_schema(d))
    return out[:N_SCHEMAS]


def bits(mask):
    return {8 * i + k for i, byte in enumerate(mask) if byte for k in range(8)
            if byte >> k & 1}


def why(token, own, before):
    """The documented rule that explains why only one engine allows a token behind
    `before`; None if there is none."""
    text = token.decode("utf-8", "replace")
    if own and not before and text.startswith(" "):
        return "a leading space, which decoding strips"
    if own and "\x7f" in text:
        return "DEL, which llguidance escapes"
    if not own:
        if "\\" in text or before.endswith(b"\\") or re.search(rb"\\u[0-9a-fA-F]{0,3}$", before):
            return "another spelling of a character"
        if re.search(r"[eE.]", text) or re.search(rb"[-0-9.eE]$", before):
            return "another spelling of a number"
    return None


def share(times, of):
    times = sorted(times)
    return times[int(of * (len(times) - 1))] if times else float("nan")


class Xgrammar:
    """Times of PyPI's xgrammar, on the same answers."""

    def __init__(self, tokens, eos):
        import types

        import numpy
        import tvm_ffi  # noqa: F401  looks for PyTorch; before there is a stub
        for name in ("torch", "transformers"):
            module = types.ModuleType(name)
            module.__getattr__ = lambda _: type("Anything", (), {"__init__": lambda *_, **__: None})
            sys.modules.setdefault(name, module)
        import xgrammar
        self.xgrammar = xgrammar
        info = xgrammar.TokenizerInfo(tokens, vocab_size=len(tokens), stop_token_ids=[eos])
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.mask = numpy.zeros((1, -(-len(tokens) // 32)), dtype=numpy.int32)

    def run(self, schema, answers, times):
        start = time.perf_counter()
        try:
            compiled = self.compiler.compile_json_schema(
                json.dumps(schema), any_whitespace=False, separators=(",", ":"))
        except RuntimeError:
            return
        times["make"][2].append(1e6 * (time.perf_counter() - start))
        for answer in answers:
            for name in ("first use", "later"):
                matcher = self.xgrammar.GrammarMatcher(compiled)
                for token in [*answer["ids"], None]:
                    start = time.perf_counter()
                    matcher.fill_next_token_bitmask(self.mask)
                    times[name][2].append(1e6 * (time.perf_counter() - start))
                    if token is None or not matcher.accept_token(token):
                        break


def valid(program, n):
    import jsonschema
    wanted = schemas()
    each = -(-n // len(wanted))
    lines = subprocess.run([program, str(each)],
                           input="".join(json.dumps(s) + "\n" for s in wanted),
                           capture_output=True, text=True, check=True).stdout.strip().split("\n")
    checked = invalid = shapes = 0
    for schema, line in zip(wanted, lines[1:]):
        ours = json.loads(line)
        if re.search(r"\\\\[sSwW]", json.dumps(schema)):
            continue  # other characters in Python than in ECMAScript
        validator = jsonschema.Draft202012Validator(schema)
        shapes += "texts" in ours
        for text in ours.get("texts", []):
            checked += 1
            try:
                validator.validate(json.loads(text))
            except re.error:  # a pattern that Python does not know
                shapes -= 1
                checked -= 1
                break
            except (ValueError, jsonschema.ValidationError) as e:
                invalid += 1
                print(f"invalid: {schema}: {text}: {e}"[:300])
    print(f"{checked} answers under {shapes} schemas, {invalid} invalid")
    return 1 if invalid or checked < n * 0.9 else 0


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    options.add_argument("program")
    options.add_argument("--show", type=int, default=0)
    options.add_argument("--valid", type=int, default=0)
    options.add_argument("--xgrammar", action="store_true")
    o = options.parse_args()
    if o.valid:
        return valid(o.program, o.valid)
    import llguidance
    wanted = schemas()
    lines = subprocess.run([o.program], input="".join(json.dumps(s) + "\n" for s in wanted),
                           capture_output=True, text=True, check=True).stdout.strip().split("\n")
    tokens = [bytes.fromhex(t) for t in json.loads(lines[0])["tokens"]]
    tokenizer = llguidance.LLTokenizer(
        str(ROOT / "tests/data/tokenizer/phi-3/tokenizer.json"), n_vocab=len(tokens))
    refused = collections.Counter()
    kinds = collections.Counter()
    unexplained = []
    times = {name: ([], [], []) for name in ("make", "first use", "later")}
    xgrammar = Xgrammar(tokens, tokenizer.eos_token) if o.xgrammar else None
    positions = equal = compared = 0
    for schema, line in zip(wanted, lines[1:]):
        ours = json.loads(line)
        start = time.perf_counter()
        grammar = llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(schema), overrides=COMPACT)
        matcher = llguidance.LLMatcher(tokenizer, grammar)
        made = 1e6 * (time.perf_counter() - start)
        if "error" in ours or matcher.is_error():
            refused[("error" in ours, matcher.is_error())] += 1
            continue
        compared += 1
        if xgrammar:
            xgrammar.run(schema, ours["answers"], times)
        times["make"][0].append(ours["make"])
        times["make"][1].append(made)
        for answer in ours["answers"]:
            for again in (False, True):
                theirs = llguidance.LLMatcher(tokenizer, grammar) if not again else theirs
                theirs.reset()
                before = b""
                for i, mask in enumerate(answer["masks"]):
                    start = time.perf_counter()
                    found = theirs.compute_bitmask()
                    took = 1e6 * (time.perf_counter() - start)
                    name = "later" if again else "first use"
                    times[name][0].append(answer["warm" if again else "cold"][i])
                    times[name][1].append(took)
                    if not again:
                        positions += 1
                        a, b = bits(bytes.fromhex(mask)), bits(found)
                        # Added tokens, and bytes that have a piece of their
                        # own, never stand in an answer of tinyphi.
                        b = {t for t in b if tokens[t]}
                        forced = len(b) == 1
                        for own, ids in ((True, a - b), (False, b - a)):
                            for t in ids:
                                rule = why(tokens[t], own, before)
                                if rule is None and own and forced:
                                    rule = "forced text, of which llguidance takes one token"
                                if rule is None and own and "\\s" in json.dumps(schema) and \
                                        tokens[t].startswith(b"\xef"):
                                    rule = "U+FEFF, white space in ECMAScript"
                                kinds[("only tinyphi" if own else "only llguidance", rule)] += 1
                                if rule is None:
                                    unexplained.append((json.dumps(schema), before, own,
                                                        tokens[t]))
                        equal += a == b
                    if i < len(answer["ids"]):
                        if not theirs.consume_token(answer["ids"][i]):
                            break
                        before += tokens[answer["ids"][i]]
    print(f"{compared} schemas compared; {refused[True, True]} refused by both, "
          f"{refused[True, False]} by tinyphi only, {refused[False, True]} by llguidance only")
    print(f"{positions} masks, {equal} equal")
    for (who, rule), n in sorted(kinds.items(), key=str):
        print(f"  {who}: {n} tokens, {rule or 'NOT EXPLAINED'}")
    random.Random(1).shuffle(unexplained)
    for item in unexplained[:o.show]:
        print("   ", item)
    print(f"{'us: p50, p90, p99':20} {'tinyphi':>24} {'llguidance':>24} "
          f"{'xgrammar' if xgrammar else '':>24}")
    for name, columns in times.items():
        print(f"{name:20}" + "".join(
            " " + "".join(f"{share(c, of):8.0f}" if c is columns[2] or name == "make"
                          else f"{share(c, of):8.1f}" for of in (.5, .9, .99))
            for c in columns if c))
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
