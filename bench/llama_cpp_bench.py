#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""llama-cpp-python with the options of llama-bench that bench/compare uses, and
its JSON. Runs in the environment that bench/compare --llama-cpp makes.

options: -m, -p, -n, -d, -t, -r, -fa, -o json
"""

import argparse
import json
import sys
import time


def measure(llm, o):
    """Tokens per second of one repeat."""
    llm.reset()
    vocabulary = llm.n_vocab()
    ids = [(i * 7919 + 1) % vocabulary for i in range(o.d + o.p + o.n)]
    if o.d:
        llm.eval(ids[:o.d])
    start = time.perf_counter()
    if o.p:
        llm.eval(ids[o.d:o.d + o.p])
    for token in ids[o.d + o.p:]:
        llm.eval([token])
    return (o.p + o.n) / (time.perf_counter() - start)


def main():
    if "-h" in sys.argv:
        print(__doc__)
        return
    arguments = argparse.ArgumentParser(add_help=False)
    arguments.add_argument("-m", required=True)
    arguments.add_argument("-o", choices=["json"])
    for name, value in (("-p", 512), ("-n", 0), ("-d", 0), ("-t", 1),
                        ("-r", 5), ("-fa", 1)):
        arguments.add_argument(name, type=int, default=value)
    o = arguments.parse_args()
    import llama_cpp  # only in that environment
    llm = llama_cpp.Llama(
        model_path=o.m, n_ctx=o.d + o.p + o.n + 8, n_batch=2048, n_ubatch=512,
        n_threads=o.t, n_threads_batch=o.t, flash_attn=bool(o.fa),
        verbose=False)
    llm.eval([1])  # warm
    print(json.dumps([{"n_prompt": o.p, "n_gen": o.n, "n_depth": o.d,
                       "samples_ts": [measure(llm, o) for _ in range(o.r)]}]))


if __name__ == "__main__":
    main()
