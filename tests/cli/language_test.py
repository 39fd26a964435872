#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One cause, one message: files with a slip, and all that `tinyphi check` says of them.

Usage: language_test.py TINYPHI

Also handles, tables with rows of other columns, and what inspect and plan say of files
that call others. The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])
HEAD = 'tinyphi = 1\ninput.text = "text"\n'
ECHO = 'output.text = "a.text"\n[stage.a]\nuse = "text.const"\nwith.text = "{{ text }}"\n'


def tinyphi(folder, *args):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True, timeout=240,
                          check=False, text=True)


def switch(*cases):
    return (HEAD + 'input.v = "json"\noutput.x = "s.x"\noutput.ok = "g.ok"\n'
            '[stage.g]\nuse = "json.check"\nin.value = "input.v"\n'
            'with.rules = [{ expr = "true", message = "m" }]\n[switch.s]\n' + "\n".join(cases) + "\n")


def never(line, name, why):
    return (f"t.toml:{line + 1}:1: error[TP2012]: switch s: case {name} can never be chosen: {why}",)


BEFORE = "whenever it holds, x does, which is tried before it"
NOTHING = "the cases before it leave nothing to it"
ALLOW = HEAD + "allow.%s\n" + ECHO
TYPE = ('tinyphi = 1\ninput.o = "order"\noutput.ok = "c.ok"\n[stage.c]\nuse = "json.check"\n'
        'with.rules = [{ expr = "true", message = "m" }]\nin.value = "input.o"\n'
        '[type.order]\nrequired = ["number", "nmber"]\n%s[type.order.properties]\n'
        'number = { type = "string" }\n')
DOCS = HEAD + """output.n = "find.count"
env.INDEX = { type = "path", default = "i.db" }
[stage.ingest]
use = "ingest"
with.folder = "docs"
with.index = "i.db"
[stage.find]
use = "retrieve.fts"
in.query = "input.text"
%s
"""
UNORDERED = ("error[TP2017]: stage find reads 'i.db', which stage ingest writes; take "
             "ingest.index, so that the order is certain")
PROMPT = HEAD + """output.text = "g.text"
[stage.p]
use = "prompt"
with.user = "%s"
with.fit = { text = 100 }
[stage.g]
use = "generate"
with.max_tokens = 10
"""

# Name, the file, all lines of `check`.
SLIPS = [
    ("a case like one before it",
     switch('x = "g.ok"', 'y = "g.ok"', 'z = "else"'), never(11, "y", BEFORE)),
    ("a narrower number",
     switch('x = "len(input.text) < 9"', 'y = "len(input.text) <= 8"', 'z = "else"'),
     never(11, "y", BEFORE)),
    ("a wider number", switch('x = "len(input.text) < 9"', 'y = "len(input.text) <= 9"',
                              'z = "else"'), ()),
    ("another number", switch('x = "len(input.text) < 9"', 'y = "len(lower(input.text)) < 8"',
                              'z = "else"'), ()),
    ("what is left over",
     switch('x = "g.ok"', 'y = "not g.ok"', 'z = "else"'), never(12, "z", NOTHING)),
    ("false", switch('x = "g.ok"', 'y = "false"', 'z = "else"'),
     never(11, "y", "its condition never holds")),
    ("a contradiction", switch('x = "g.ok and not g.ok"', 'z = "else"'),
     never(10, "x", "its condition never holds")),
    ("a case that something else decides", switch(
        'x = "g.ok and len(input.text) > 3"', 'y = "g.ok"', 'z = "else"'), ()),
    ("a folder", ALLOW % 'read = ["docs"]',
     ("t.toml:3:15: error[TP4008]: [allow].read: nothing needs it: no stage reads files that "
      "data names",)),
    ("a folder to write", ALLOW % 'write = ["out"]',
     ("t.toml:3:16: error[TP4008]: [allow].write: nothing needs it: no stage writes files that "
      "data names",)),
    ("a host", ALLOW % 'net = ["a.example"]',
     ("t.toml:3:14: error[TP4008]: [allow].net: nothing needs it: no stage asks this host",)),
    ("a program", ALLOW % 'exec = ["/bin/true"]',
     ("t.toml:3:15: error[TP4008]: [allow].exec: nothing needs it: no stage starts this "
      "program",)),
    ("one host of two",
     HEAD + 'allow.net = ["a.example", "b.example"]\noutput.text = "f.text"\n[stage.f]\n'
     'use = "http.fetch"\nwith.url = "https://b.example/x"\n',
     ("t.toml:3:14: error[TP4008]: [allow].net: nothing needs it: no stage asks this host",
      "t.toml:2:7: error[TP2015]: input text is never used")),
    ("a folder whose files an input names",
     'tinyphi = 1\nallow.read = ["docs"]\ninput.file = "file"\noutput.text = "r.text"\n'
     '[stage.r]\nuse = "file.read"\n', ()),
    ("a property that there is not", TYPE % "",
     ("t.toml:9:23: error[TP6102]: type order: required: no property 'nmber'; did you mean "
      "'number'?",)),
    ("a property that others may add", TYPE % "additionalProperties = true\n", ()),
    ("a misspelt variable with a cap", PROMPT % "{{ txt }}",
     ("t.toml:6:17: error[TP3002]: stage p: the template uses 'txt', which is neither bound as "
      "in.txt nor an input; did you mean 'text'?",)),
    ("a retrieval beside its ingestion", DOCS % 'with.index = "i.db"',
     (f"t.toml:12:15: {UNORDERED}",)),
    ("the same by way of the environment", DOCS % 'in.index = "env.INDEX"',
     (f"t.toml:12:12: {UNORDERED}",)),
    ("two indexes", DOCS % 'in.index = "env.INDEX"\nwith.index = "j.db"',
     ("t.toml:13:15: error[TP1013]: stage find: with.index and in.index exclude each other",)),
    ("an order by hand", (DOCS % 'in.index = "env.INDEX"\nafter = ["ingest"]'), ()),
    ("a tool whose model would say the path",
     HEAD + 'output.text = "g.text"\ntool.look = { use = "retrieve.fts", describe = "d" }\n'
     '[stage.p]\nuse = "prompt"\nwith.user = "{{ text }}"\n[stage.g]\nuse = "agent"\n'
     'with.tools = ["look"]\n',
     ("t.toml:4:6: error[TP2003]: tool look: a model cannot give in.index, which is a path that "
      "the file must say; bind it",)),
    ("a trigger of no kind", HEAD + 'output.text = "input.text"\n[trigger.t]\noverlap = "skip"\n',
     ("t.toml:4:10: error[TP1003]: trigger t: one of every, cron, watch and http says when it "
      "runs",
      "t.toml:4:10: error[TP1003]: trigger t: input text has no default; give it in with.text")),
    ("a watched folder without a name",
     HEAD + 'output.text = "input.text"\n[trigger.t]\nwatch = "*.txt"\n',
     ("t.toml:4:10: error[TP1003]: trigger t: input is missing, it names the input that gets the "
      "watched file",)),
]


def test_slips():
    wrong = []
    for name, text, lines in SLIPS:
        with tempfile.TemporaryDirectory(prefix="tinyphi-slip-") as folder:
            pathlib.Path(folder, "t.toml").write_text(text)
            done = tinyphi(folder, "check", "t.toml")
        said = [line for line in done.stderr.splitlines() if "[TP" in line]
        if sorted(said) != sorted(lines) or done.returncode != (78 if lines else 0):
            wrong.append((name, said, lines, done.returncode))
    assert not wrong, "\n".join(map(str, wrong))


def test_libraries():
    """A misspelt `include` is one message, and the library is read all the same."""
    with tempfile.TemporaryDirectory(prefix="tinyphi-slip-") as folder:
        pathlib.Path(folder, "lib.toml").write_text(
            'tinyphi = 1\nenv.X = { type = "text", default = "x" }\n')
        pathlib.Path(folder, "t.toml").write_text(
            'tinyphi = 1\ninclde = ["lib.toml"]\ninput.text = "text"\n'
            + ECHO.replace("{{ text }}", "${env.X} {{ text }}"))
        done = tinyphi(folder, "check", "t.toml")
        assert done.stderr == ("t.toml:2:1: error[TP1002]: unknown key 'inclde'; did you mean "
                               "'include'?\n"), done


def test_handles():
    """What ingest has made is found by whoever takes it, wherever the file lies."""
    with tempfile.TemporaryDirectory(prefix="tinyphi-handle-") as folder:
        pathlib.Path(folder, "sub/docs").mkdir(parents=True)
        pathlib.Path(folder, "sub/docs/a.md").write_text("# Pump\n\nThe pump needs oil.\n")
        for how in ('in.index = "ingest.index"', 'in.index = "env.INDEX"\nafter = ["ingest"]'):
            text = DOCS % how
            if "env" not in how:
                text = text.replace('env.INDEX = { type = "path", default = "i.db" }\n', "")
            pathlib.Path(folder, "sub/t.toml").write_text(text)
            done = tinyphi(folder, "run", "sub/t.toml", "-i", "text=pump oil", "--json")
            assert done.returncode == 0, done
            assert json.loads(done.stdout.splitlines()[-1])["outputs"]["n"] == 1, done.stdout
        assert pathlib.Path(folder, "sub/i.db").exists()


def test_tables():
    with tempfile.TemporaryDirectory(prefix="tinyphi-table-") as folder:
        # Rows of other columns, the first of them without one; then into the same file.
        pathlib.Path(folder, "w.toml").write_text(
            'tinyphi = 1\ninput.rows = "list<json>"\noutput.n = "w.rows"\n'
            '[stage.w]\nuse = "table.write"\nwith.path = "t.csv"\n')
        for rows in ([{"b": 2}, {"a": "x", "b": 1}], [{"a": "y"}]):
            done = tinyphi(folder, "run", "w.toml", "-i", f"rows={json.dumps(rows)}")
            assert done.returncode == 0, done
        assert pathlib.Path(folder, "t.csv").read_text().splitlines() == [
            "b,a", "2,", "1,x", ",y"]
        # A type for what is read.
        pathlib.Path(folder, "r.toml").write_text(
            'tinyphi = 1\nallow.read = ["."]\ninput.file = "file"\noutput.rows = "r.rows"\n'
            '[stage.r]\nuse = "table.read"\nwith.type = "line"\n'
            '[type.line]\nrequired = ["b"]\n[type.line.properties]\n'
            'a = { type = "string" }\nb = { type = "integer", minimum = 1 }\n')
        pathlib.Path(folder, "in.csv").write_text("b,a\n2,\n1,x\n")
        done = tinyphi(folder, "run", "r.toml", "-i", "file=in.csv", "--json")
        assert done.returncode == 0, done
        rows = json.loads(done.stdout.splitlines()[-1])["outputs"]["rows"]
        assert rows == [{"b": 2}, {"b": 1, "a": "x"}], rows
        for wrong in ("b,a\n2,x\nmany,y\n", "b,a\n2,x\n0,y\n", "b,a\n2,x\n,y\n", "b\n1\n1,x\n"):
            pathlib.Path(folder, "in.csv").write_text(wrong)
            done = tinyphi(folder, "run", "r.toml", "-i", "file=in.csv")
            assert done.returncode == 65 and "in.csv" in done.stderr, (wrong, done)
        assert tinyphi(folder, "check", "r.toml").returncode == 0
        text = pathlib.Path(folder, "r.toml").read_text()
        pathlib.Path(folder, "r.toml").write_text(text.replace('"line"', '"text"'))
        assert "TP2003" in tinyphi(folder, "check", "r.toml").stderr


def test_signatures():
    with tempfile.TemporaryDirectory(prefix="tinyphi-signature-") as folder:
        pathlib.Path(folder, "inner.toml").write_text(PROMPT % "{{ text }}")
        pathlib.Path(folder, "outer.toml").write_text(
            '#:schema ./tinyphi.schema.json\n' + HEAD.replace('"text"', '"text?"')
            + 'limits.deadline = "2s"\noutput.text = "call.text?"\n[stage.call]\n'
            'use = "./inner.toml"\n')
        done = tinyphi(folder, "inspect", "./outer.toml")
        assert done.returncode == 0 and done.stdout.splitlines() == [
            "outer", "effects  none", "in       text: text, user, may be left out",
            "out      text: stream of text, user, may be absent", "calls    ./inner.toml",
            "limits   deadline 2000 ms, texts of 1.00 MiB, lists of 10000, memory 256.0 MiB",
        ], done
        told = json.loads(tinyphi(folder, "inspect", "outer.toml", "--json").stdout)
        assert told["in"][0]["required"] is False and told["calls"] == ["./inner.toml"], told
        plan = tinyphi(folder, "plan", "outer.toml").stdout
        assert "\ncall.p (prompt): prompt of at most " in plan, plan
        assert "\ncall.g (generate): at most 10 tokens" in plan, plan
        names = [s["id"] for s in json.loads(tinyphi(folder, "plan", "outer.toml",
                                                     "--json").stdout)]
        assert names == ["call", "call.p", "call.g"], names
        assert tinyphi(folder, "inspect", "gone.toml").returncode == 66


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
