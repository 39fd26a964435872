#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/quant_cases.bin: rows of 256 floats and what PyPI's gguf
makes of them. Needs `pip install gguf==0.19.0 numpy`.

Format, little-endian, per case: f32 x[256], Q8_0 bytes [272], Q4_0 bytes [144].
"""
import pathlib

import gguf
import numpy as np

COLS = 256


def cases(rng):
    yield np.zeros(COLS)
    yield np.full(COLS, -0.0)
    yield np.ones(COLS)
    yield -np.ones(COLS)
    yield np.tile([3.5, -3.5], COLS // 2)  # equal magnitudes: the first counts
    yield np.arange(COLS) - 128.0
    yield (np.arange(COLS) % 32 - 16) / 2.0  # ties everywhere
    yield np.tile(np.append(np.arange(31) + 0.5, 127.0), COLS // 32)
    yield np.eye(1, COLS, 37)[0] * 1e4
    yield rng.standard_normal(COLS) * 1e-6  # subnormal f16 scales
    yield rng.standard_normal(COLS) * 1e-20  # scales that round to zero
    yield rng.standard_normal(COLS) * 1e6
    for scale in (1e-3, 0.02, 1.0, 40.0):
        for _ in range(6):
            yield rng.standard_normal(COLS) * scale
        yield rng.standard_t(3, COLS) * scale


def main():
    out = pathlib.Path(__file__).parent.parent / "tests/data/quant_cases.bin"
    with out.open("wb") as f:
        for x in cases(np.random.default_rng(7)):
            x = x.astype("<f4")
            f.write(x.tobytes())
            for kind in ("Q8_0", "Q4_0"):
                kind = gguf.GGMLQuantizationType[kind]
                f.write(gguf.quants.quantize(x, kind).tobytes())


main()
