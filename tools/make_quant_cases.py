#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what PyPI's gguf makes of rows of 256 columns to tests/data. Needs
`pip install gguf==0.19.0 numpy==2.4.6`. Little-endian:

quant_cases.bin, per case: f32 x[256], then its bytes as each of
QUANTIZED.

dequant_cases.bin, per type of DEQUANTIZED and per row: the row's bytes, u64
FNV-1a hash of the bytes of its 256 f32 values, every NaN as 0x7FC00000.
"""
import pathlib
import struct

import gguf
import numpy as np

COLS = 256
DATA = pathlib.Path(__file__).parent.parent / "tests/data"
QUANTIZED = "Q8_0 Q4_0 Q4_1 Q5_0 Q5_1".split()
DEQUANTIZED = ("Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL "
               "IQ4_XS").split()
ROWS = 16
# Where a block of each type has its f16 fields.
HALVES = {"Q4_1": (0, 2), "Q5_1": (0, 2), "Q2_K": (80, 82), "Q3_K": (108,),
          "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
# Zeros, the subnormal and finite ends, one, infinities, NaN.
SPECIAL = (0x0000, 0x8000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF, 0x3C00, 0x7C00,
           0xFC00, 0x7E00)


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


def random_blocks(rng, kind):
    """ROWS rows of random bytes, half of them with special f16 fields."""
    columns, size = gguf.GGML_QUANT_SIZES[kind]
    rows = rng.integers(0, 256, (ROWS, COLS // columns, size), dtype=np.uint8)
    for row in rows[::2]:
        for block in row:
            for at in HALVES.get(kind.name, (0,)):
                block[at:at + 2].view("<u2")[0] = rng.choice(SPECIAL)
    return rows.reshape(ROWS, -1)


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def write_dequantized(f, rng):
    for name in DEQUANTIZED:
        kind = gguf.GGMLQuantizationType[name]
        for row in random_blocks(rng, kind):
            with np.errstate(all="ignore"):
                x = gguf.quants.dequantize(row[None], kind).astype("<f4")
            bits = np.where(np.isnan(x), 0x7FC00000, x.view("<u4"))
            f.write(row.tobytes())
            f.write(struct.pack("<Q", fnv1a(bits.astype("<u4").tobytes())))


def write_quantized(f, rng):
    for x in cases(rng):
        x = x.astype("<f4")
        f.write(x.tobytes())
        for kind in QUANTIZED:
            kind = gguf.GGMLQuantizationType[kind]
            f.write(gguf.quants.quantize(x, kind).tobytes())


def main():
    with (DATA / "quant_cases.bin").open("wb") as f:
        write_quantized(f, np.random.default_rng(7))
    with (DATA / "dequant_cases.bin").open("wb") as f:
        write_dequantized(f, np.random.default_rng(8))


main()
