#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages of `tinyphi explain` say what the program says.

Usage: explain_test.py TINYPHI SOURCE_ROOT [CODE]

Each page is one case: its wrong files give exactly their messages, its right files
none. The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
FOLDER = ROOT / "tools/explain"
# A second file is called, or a trace is read; the daemon's file is not a pipeline.
WITHOUT_FILES = {"TP4004", "TP5009"}


def tinyphi(*args, folder=None):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True,
                          timeout=240, check=False, text=True)


def blocks_of(page):
    """The fenced blocks: (what stands behind the fence, text)."""
    return re.findall(r"^```(\S.*)\n((?:.*\n)*?)```$", page, re.M)


def faults_of(command, name, text, pipeline=""):
    with tempfile.TemporaryDirectory(prefix="tinyphi-explain-") as folder:
        pathlib.Path(folder, name).write_text(text)
        pathlib.Path(folder, "file.toml").write_text(pipeline)
        done = tinyphi(*command, name, folder=folder)
    said = done.stdout + done.stderr
    return done.returncode, re.findall(r"^.*\[TP\d+\]: .*$", said, re.M)


def check_codes():
    header = (ROOT / "include/tinyphi/pipeline/diagnostic.h").read_text()
    enum = header[header.index("enum class fault"):]
    declared = [("TP" + code, name) for name, code in
                re.findall(r"^  (\w+) = (\d{4}),", enum[:enum.index("};")],
                           re.M)]
    assert len(declared) > 50, declared
    told = json.loads(tinyphi("explain", "--json").stdout)
    assert [(f["code"], f["name"]) for f in told] == declared, told
    assert tinyphi("explain").stdout.splitlines() == [
        f"{code}  {name}" for code, name in declared]
    pages = sorted(path.name for path in FOLDER.iterdir())
    assert pages == sorted(code + ".md" for code, _ in declared), pages
    return told


def check_page(fault):
    code = fault["code"]
    page = (FOLDER / f"{code}.md").read_text()
    title = f"{code} {fault['name']} ({fault['severity']})\n\n"
    assert tinyphi("explain", code).stdout == title + page
    assert "\n\nWhat to do: " in page, page
    blocks = blocks_of(page)
    if code in WITHOUT_FILES or "TP6000" <= code < "TP6100":
        assert all(kind == "toml example" for kind, _ in blocks), blocks
        return
    # What stands in the lines of another file needs a pipeline beside it.
    pipeline = blocks.pop(0)[1] if blocks[0][0] == "toml file" else ""
    kind = "jsonl" if pipeline else "toml"
    # Each way to make the fault has its wrong file, its message and its right file.
    assert blocks and len(blocks) % 3 == 0, blocks
    for i in range(0, len(blocks), 3):
        (first, wrong), (second, message), (third, right) = blocks[i:i + 3]
        assert (first, third) == (f"{kind} wrong", f"{kind} right"), blocks
        command = second.removeprefix("text").split() or ["check"]
        _, said = faults_of(command, f"wrong.{kind}", wrong, pipeline)
        assert said == message.splitlines() and len(said) == 1, (said, message)
        assert f": {fault['severity']}[{code}]: " in said[0], said
        status, said = faults_of(command, f"right.{kind}", right, pipeline)
        assert (status, said) == (0, []), (status, said)


def main():
    failed = 0
    faults = []
    try:
        faults = check_codes()
        passed = 1
        print("ok the codes")
    except AssertionError as e:
        failed, passed = 1, 0
        print(f"FAILED the codes\n{e}")
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    for fault in faults:
        if part not in fault["code"]:
            continue
        try:
            check_page(fault)
            passed += 1
            print(f"ok {fault['code']}")
        except Exception as e:  # a failing page must not hide the others
            failed += 1
            print(f"FAILED {fault['code']}\n{type(e).__name__}: {e}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
