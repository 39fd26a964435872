#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the C++ file that carries a model inside the program.

Usage: embed.py MODEL OUT.cpp
"""

import pathlib
import sys

SOURCE = """// Written by tools/embed.py.
#include "cli/demo_model.h"

asm(R"(
.section .rodata
.balign 64
.global tinyphi_demo_model
.global tinyphi_demo_model_end
tinyphi_demo_model:
.incbin "{path}"
tinyphi_demo_model_end:
.byte 0
.previous
)");

extern "C" {{
extern const std::byte tinyphi_demo_model[];
extern const std::byte tinyphi_demo_model_end[];
}}

std::span<const std::byte> cli::demo_model() {{
  return {{tinyphi_demo_model, tinyphi_demo_model_end}};
}}
"""

model, out = sys.argv[1:]
path = pathlib.Path(model).resolve()
pathlib.Path(out).write_text(SOURCE.format(path=path), encoding="utf-8")
