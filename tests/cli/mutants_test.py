#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every word of every sample, misspelt or exchanged for another of its file.

Usage: mutants_test.py TINYPHI SOURCE_ROOT

A misspelt word that names something must be refused by `tinyphi check`, with a
message at its line or at a line that has the word as it was. What is exchanged
may happen to fit; but no request of the file's own tests may then fail. The
last line is "N passed, M failed".
"""

import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
SAMPLES = sorted((ROOT / "pipelines").glob("*.toml")) + sorted(
    (ROOT / "pipelines").glob("*/*.toml"))

Word = collections.namedtuple("Word", "start end text line names")

# Tables and keys whose strings say something to people, or are data.
PROSE = re.compile(r"(^|\.)(doc|name|summary|version|why|ask|message|tags|"
                   r"describe|default)$")
DATA = re.compile(r"^(test\.(input|fake|script)|env|fixtures)\b")
# Parameters whose strings are templates: only what stands in braces names
# something.
TEMPLATE = re.compile(r"\.with\.(system|user|raw|text|between)$|"
                      r"\.with\.template$|^prompt\.")


def strings_and_keys(text):
    """(kind, start, end, path) of each bare word and string of a TOML file:
    kind is "key" or "string", path the dotted keys that lead to it."""
    found = []
    table = ""
    path = []    # of the statement
    inline = []  # (keys before an inline table, depth) of those that are open
    expect_key = True
    depth = 0
    head = re.compile(r"\[\[?([^\]\n]+)\]\]?")
    token = re.compile(
        r"(?P<skip>#[^\n]*|[ \t]+)|"
        r"(?P<string>'''(?:.|\n)*?'''|\"\"\"(?:.|\n)*?\"\"\"|"
        r"\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*')|"
        r"(?P<key>[A-Za-z_][\w\-]*)|(?P<p>[={}\[\],\n])|(?P<skip2>.)")
    at = 0
    while at < len(text):
        m = None
        if depth == 0 and (at == 0 or text[at - 1] == "\n"):
            m = head.match(text, at)
        if m:
            table = m[1]
            for w in re.finditer(r"[A-Za-z_]\w*", m[1]):
                found.append(("key", m.start(1) + w.start(),
                              m.start(1) + w.end(), "[]"))
            path, expect_key, at = [], True, m.end()
            continue
        m = token.match(text, at)
        at = m.end()
        kind = m.lastgroup
        if kind.startswith("skip"):
            continue
        if kind == "p":
            c = m.group()
            if c == "=":
                expect_key = False
            elif c == "{":
                inline.append((list(path), depth))
                depth += 1
                expect_key = True
            elif c == "[":
                depth += 1
            elif c in "]}":
                depth = max(0, depth - 1)
                if c == "}" and inline:
                    path = inline.pop()[0]
            elif c == ",":
                if inline and inline[-1][1] == depth - 1:
                    path = list(inline[-1][0])
                    expect_key = True
            elif c == "\n" and depth == 0:
                path, expect_key = [], True
            continue
        full = ".".join([table, *path]).strip(".")
        if kind == "key":
            if expect_key:
                path.append(m.group())
                found.append(("key", m.start(), m.end(),
                              ".".join([table, *path]).strip(".")))
            continue
        found.append(("string", m.start(), m.end(), full))
    return found


def words_of(text):
    """The words that name something, and whether they must be caught."""
    words = []

    def add(start, end, names=True):
        word = text[start:end]
        if len(word) >= 3:
            words.append(Word(start, end, word,
                              text.count("\n", 0, start) + 1, names))
    for kind, start, end, path in strings_and_keys(text):
        if kind == "key":
            # An output, a case that is what is left, or a stage whose prompt
            # is the only one, may be called anything if nothing in the file
            # refers to it.
            named = re.match(r"(?:output|switch\.(\w+))\.(\w+)$", path)
            stage = re.match(r"stage\.(\w+)$", path)
            name = (f"{named[1] or 'output'}\\.{named[2]}" if named else
                    rf"{stage[1]}(?=[.)])" if stage else None)
            free = name and not re.search(rf"['\" (=\[]\s*({name})", text)
            add(start, end, names=not free)
            continue
        if PROSE.search(path) or DATA.search(path):
            continue
        # Of a type, other texts are the author's own words and patterns.
        if path.startswith("type.") and not re.search(
                r"\.(type|required|format)$", path):
            continue
        body = text[start:end]
        if TEMPLATE.search(path):
            for tag in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", body):
                inner = re.sub(r"'[^']*'|\"[^\"]*\"",
                               lambda m: " " * len(m.group()), tag.group())
                for w in re.finditer(r"[A-Za-z_]\w*", inner):
                    add(start + tag.start() + w.start(),
                        start + tag.start() + w.end())
            continue
        if ".with." in path or path.startswith("allow") or path.endswith("to"):
            # Values of parameters: enums and files; caught where they are
            # enums, and no file has to be there for the check.
            for w in re.finditer(r"[A-Za-z_]\w*", body):
                add(start + w.start(), start + w.end(), names=False)
            continue
        inner = body[1:-1]
        # Constants inside an expression are data.
        inner = re.sub(r"'[^']*'|\"[^\"]*\"",
                       lambda m: " " * len(m.group()), inner)
        for w in re.finditer(r"[A-Za-z_]\w*", inner):
            add(start + 1 + w.start(), start + 1 + w.end())
    return words


def misspelt(word, rng):
    """The word with two neighbours exchanged, one left out, or one doubled."""
    for _ in range(20):
        i = rng.randrange(len(word) - 1)
        other = rng.choice((word[:i] + word[i + 1] + word[i] + word[i + 2:],
                            word[:i] + word[i + 1:],
                            word[:i] + word[i] + word[i:]))
        if other != word and re.match(r"[A-Za-z_]\w*$", other):
            return other
    return word + "x"


def mutants_of(text, name):
    """(word, what stands there instead, text, whether it must be refused)"""
    rng = random.Random(name)
    words = words_of(text)
    vocabulary = sorted({w.text for w in words})
    known = set(re.findall(r"\w+", text))
    for w in words:
        for _ in range(2):
            other = misspelt(w.text, rng)
            if other in known:
                continue
            yield w, other, text[:w.start] + other + text[w.end:], w.names
        other = rng.choice(vocabulary)
        if other != w.text:
            yield w, other, text[:w.start] + other + text[w.end:], False


def run(*args, folder):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True,
                          timeout=240, check=False, text=True)


def check_sample(path):
    text = path.read_text()
    mutants = list(mutants_of(text, path.name))
    original = run("check", path.name, folder=path.parent)
    assert original.returncode == 0, original.stderr
    # Beside the sample, so that what it calls and reads is there.
    with tempfile.TemporaryDirectory(prefix="tinyphi-mutants-") as top:
        folder = pathlib.Path(top, "sample")
        shutil.copytree(path.parent, folder)
        names = []
        for i, (_, _, mutant, _) in enumerate(mutants):
            name = f"mutant-{i}.toml"
            (folder / name).write_text(mutant)
            names.append(name)
        said = collections.defaultdict(list)
        for start in range(0, len(names), 100):
            done = run("check", *names[start:start + 100], folder=folder)
            for line in (done.stdout + done.stderr).splitlines():
                m = re.match(r"(mutant-\d+\.toml):(\d+):\d+: (error|warning)\[",
                             line)
                if m:
                    said[m[1]].append((int(m[2]), m[3], line))
                elif re.match(r"mutant-\d+\.toml:? .*(error|cannot)", line):
                    said[line.split(":")[0]].append((0, "error", line))
        lines = text.split("\n")
        survivors = []
        for name, (w, other, _, must) in zip(names, mutants):
            errors = [(at, line) for at, kind, line in said[name]
                      if kind == "error"]
            if not errors:
                if must:
                    yield f"{path.name}:{w.line}: {w.text} -> {other} passes"
                survivors.append((name, w, other))
                continue
            word = re.compile(rf"\b({w.text}|{re.escape(other)})\b")
            right = {w.line} | {i + 1 for i, line in enumerate(lines)
                                if word.search(line)}
            if must and not any(at in right or word.search(line)
                                for at, line in errors):
                yield (f"{path.name}:{w.line}: {w.text} -> {other} is told "
                       f"elsewhere: {errors[0][1]}")
        for name, w, other in survivors:
            done = run("test", name, "--json", folder=folder)
            # A test that no longer gives an input says so itself.
            failed = re.search(r"the request failed: (?!input \w+ \(\w+\) is "
                               r"missing)[^\"]*", done.stdout + done.stderr)
            if failed:
                yield (f"{path.name}:{w.line}: {w.text} -> {other} passes the "
                       f"check, and then {failed[0]}")
    check_sample.n += len(mutants)


def main():
    passed = failed = 0
    check_sample.n = 0
    for path in SAMPLES:
        faults = list(check_sample(path))
        name = f"mutants of {path.relative_to(ROOT / 'pipelines')}"
        if faults:
            failed += 1
            print(f"FAILED {name}")
            print("\n".join(faults[:40]))
        else:
            passed += 1
            print(f"ok {name}")
    print(f"{check_sample.n} mutants")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
