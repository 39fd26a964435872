#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the C++ file that carries the pages of `tinyphi explain`.

Usage: embed_pages.py FOLDER OUT.cpp OUT.d
"""

import pathlib
import sys

folder, out, depfile = map(pathlib.Path, sys.argv[1:])
pages = sorted(folder.glob("TP*.md"))
rows = "".join(f'    {{"{page.stem}", R"PAGE({page.read_text("utf-8")})PAGE"}},\n'
               for page in pages)
out.write_text(f"""// Written by tools/embed_pages.py.
#include "cli/explain_pages.h"

static constexpr cli::explain_page pages[] = {{
{rows}}};

std::span<const cli::explain_page> cli::explain_pages() {{ return pages; }}
""", encoding="utf-8")
# The folder itself changes when a page comes or goes.
sources = " ".join(str(path).replace(" ", "\\ ") for path in [folder, *pages])
depfile.write_text(f"{out}: {sources}\n", encoding="utf-8")
