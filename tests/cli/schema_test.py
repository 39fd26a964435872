#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The one table of keys: `tinyphi schema`, `tinyphi explain keys` and the reader agree.

Usage: schema_test.py TINYPHI SOURCE_ROOT

The schema is read by our own reader of JSON Schema: its parts become [type.x] tables
of a pipeline that checks other files as data. With TINYPHI_TEST_LONG=1, PyPI's jsonschema
must say the same. The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "support"))
import cases  # noqa: E402
import pypi  # noqa: E402  pylint: disable=wrong-import-position

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
FILES = sorted(p for p in (ROOT / "pipelines").rglob("*.toml")
               if re.search(r"^tinyphi = 1", p.read_text(), re.M)
               and "rules" not in p.name and "serve" not in p.name)


VENV = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / (
    "tinyphi/jsonschema")
JSONSCHEMA = """
import json, jsonschema, sys
schema, documents = json.load(sys.stdin)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
print(json.dumps([validator.is_valid(d) for d in documents]))
"""


def tinyphi(*args, folder=None, text=None):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True, input=text,
                          timeout=240, check=False, text=True)


SCHEMA = json.loads(tinyphi("schema").stdout)


def toml(value):
    """A value as TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def depth(node):
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return 1 + max(map(depth, inner), default=0)


def as_types(name, node, types):
    """The schema as [type.x] tables: references name them, and what nests deeper than a
    file may becomes one, too."""
    if isinstance(node, list):
        return [as_types(name, n, types) for n in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "$ref":
            out[key] = value.removeprefix("#/definitions/")
            continue
        out[key] = as_types(name, value, types)
        if isinstance(value, dict) and key not in ("properties", "enum") and depth(out[key]) > 4:
            part = f"part_{len(types)}"
            types[part] = out[key]
            out[key] = {"$ref": part}
    return out


def own_verdicts(documents):
    """Whether each document fits, by our own reader of schemas."""
    whole = {k: v for k, v in SCHEMA.items() if k not in ("$schema", "definitions", "title")}
    types = {}
    for name, part in {**SCHEMA["definitions"], "whole": whole}.items():
        types[name] = as_types(name, part, types)
    lines = ["tinyphi = 1", "limits.text = '8MiB'", "input.file = 'json'",
             "output.ok = 'fits.ok'",
             "stage.fits = { use = 'json.check', in.value = 'input.file', with.type = 'whole' }",
             "[type]"]
    lines += [f"{name} = {toml(one)}" for name, one in types.items()]
    with tempfile.TemporaryDirectory(prefix="tinyphi-schema-") as folder:
        pathlib.Path(folder, "fits.toml").write_text("\n".join(lines) + "\n")
        pathlib.Path(folder, "in.jsonl").write_text(
            "".join(json.dumps({"file": d}) + "\n" for d in documents))
        done = tinyphi("run", "fits.toml", "--each", "in.jsonl", "--out", "out.jsonl",
                       folder=folder)
        assert done.returncode == 0, (done.stderr[-2000:], done.stdout[-2000:])
        return [json.loads(line)["ok"] for line in
                pathlib.Path(folder, "out.jsonl").read_text().splitlines()]


def verdicts(documents):
    own = own_verdicts(documents)
    assert len(own) == len(documents), (len(own), len(documents))
    if os.environ.get("TINYPHI_TEST_LONG") == "1":
        try:
            interpreter = pypi.python(VENV, ["jsonschema==4.25.1"])
        except pypi.Unavailable as e:
            print(f"without jsonschema: {e}")
            return own
        done = subprocess.run([interpreter, "-c", JSONSCHEMA], check=True, timeout=240,
                              input=json.dumps([SCHEMA, documents]), capture_output=True,
                              text=True)
        for ours, theirs, document in zip(own, json.loads(done.stdout), documents, strict=True):
            assert ours == theirs, (ours, document)
    return own


def test_samples():
    """Every sample fits."""
    assert len(FILES) > 10, FILES
    documents = [tomllib.loads(p.read_text()) for p in FILES]
    assert verdicts(documents) == [True] * len(FILES), [
        str(p) for p, fits in zip(FILES, verdicts(documents)) if not fits]


# What stands in the file besides the key that is looked at: everything that is required.
WHOLE = {
    "tinyphi": 1, "input": {"text": "text"}, "output": {"text": "input.text"},
    "limits": {"items": 1000000},
}
# By the table's title: where it stands, and what else it needs.
PLACES = {
    "the file": ([], {}),
    "[pipeline]": (["pipeline"], {}),
    "[env.NAME]": (["env", "A"], {"type": "int", "default": 1}),
    "[secret.NAME]": (["secret", "a"], {}),
    "[allow]": (["allow"], {}),
    "[allow].flow": (["allow", "flow", 0], {"to": "a.b", "why": "so"}),
    "[limits]": (["limits"], {}),
    "[input.NAME]": (["input", "a"], {"type": "text"}),
    "[output.NAME]": (["output", "a"], {}),
    "[model.NAME]": (["model", "a"], {}),
    "[rules.NAME]": (["rules", "a"], {}),
    "[prompt.NAME]": (["prompt", "a"], {}),
    "[mcp.NAME]": (["mcp", "a"], {}),
    "[tool.NAME]": (["tool", "a"], {"use": "time.now", "describe": "the time"}),
    "[stage.NAME]": (["stage", "a"], {"use": "time.now"}),
    "[stage.NAME].in.PORT": (["stage", "a", "in", "x"], {"first": ["a.b"]}),
    "[stage.NAME].repeat": (["stage", "a", "repeat"], {"until": "true", "max": 2}),
    "[stage.NAME].retry": (["stage", "a", "retry"], {"max": 1}),
    "[trigger.NAME]": (["trigger", "a"], {}),
    "[[test]]": (["test", 0], {"name": "a"}),
    "[[test]].runs": (["test", 0, "runs"], {"times": 100}),
}
OUTER = {"stage": {"use": "time.now"}, "test": {"name": "a", "mode": "model"}}


def with_key(title, key, value):
    """A file that has `key` in the table, and what the table needs."""
    path, needed = PLACES[title]
    document = json.loads(json.dumps(WHOLE))
    node = document
    for i, step in enumerate(path):
        last = i + 1 == len(path)
        if isinstance(step, int):
            continue
        if i + 1 < len(path) and isinstance(path[i + 1], int):
            node[step] = [{}]
            node = node[step][0]
            last = i + 2 == len(path)
        else:
            node = node.setdefault(step, {})
        if not last and path[0] in OUTER and i == 1:
            node.update(OUTER[path[0]])
        if not last and path[0] == "test":
            node.update(OUTER["test"])
    node.update(needed)
    node[key] = value
    return document


def value_for(described):
    """A value of the kind that `explain keys` tells."""
    first = described.split(", required")[0]
    if first.startswith("one of "):
        return re.split(r", | or ", first.removeprefix("one of "))[0]
    if m := re.match(r"int from (\d+) to", first):
        return int(m[1])
    kind = re.split(r" or ", first)[0]
    return {"text": "a", "int": 1, "number": 1, "duration": "1s", "size": "64KiB",
            "reference": "a.b", "list of text": ["a"], "list of references": ["a.b"],
            "table": {}, "list of tables": [], "any value": 1, "bool": True}[kind]


def faults(documents):
    """What `check` says of each: pairs of code and message."""
    with tempfile.TemporaryDirectory(prefix="tinyphi-keys-") as folder:
        for i, document in enumerate(documents):
            pathlib.Path(folder, f"{i}.toml").write_text(
                "".join(f"{k} = {toml(v)}\n" for k, v in document.items()))
        done = tinyphi("check", "--json", *(f"{i}.toml" for i in range(len(documents))),
                       folder=folder)
    told = {str(i): [] for i in range(len(documents))}
    for line in done.stdout.splitlines():
        for f in json.loads(line):
            told[f["file"].removesuffix(".toml")].append((f["code"], f["message"]))
    return list(told.values())


def test_keys():
    """Each key is one to the reader and the schema; misspelt, it is none to either."""
    rows = json.loads(tinyphi("explain", "keys", "--json").stdout)
    rows = [r for r in rows if r["key"] != "NAME"]
    assert len(rows) > 100 and {r["table"] for r in rows} == set(PLACES), rows
    right, wrong, inside, outside = [], [], [], []
    for row in rows:
        title, key = row["table"], row["key"]
        value = value_for(row["value"])
        if title == "the file" and key in WHOLE:
            value = WHOLE[key]
        value = {"on": ["unavailable"], "use": "time.now",
                 "repeat": {"until": "true", "max": 2}}.get(key, value)
        if title == "[[test]].runs":
            value = 1
        right.append(with_key(title, key, value))
        wrong.append(with_key(title, key + "x", value))
        if title != "the file" and "one of" in row["value"]:
            inside.append(right[-1])
            outside.append(with_key(title, key, "no such word"))
        elif title != "the file" and (m := re.search(r"int from (\d+) to (\d+)", row["value"])):
            inside.extend([with_key(title, key, int(m[1])), with_key(title, key, int(m[2]))])
            outside.append(with_key(title, key, int(m[1]) - 1))
            outside.append(with_key(title, key, int(m[2]) + 1))
    assert len(outside) > 20, outside
    for document, told in zip(right, faults(right)):
        assert "TP1002" not in {code for code, _ in told}, (document, told)
    for document, told in zip(inside, faults(inside)):
        assert "TP1005" not in {code for code, _ in told}, (document, told)
    for row, document, told in zip(rows, wrong, faults(wrong)):
        unknown = [message for code, message in told if code == "TP1002"]
        assert len(unknown) == 1, (document, told)
        assert re.search(rf"unknown key '{row['key']}x'; did you mean '{row['key']}'\?",
                         unknown[0]), told
    for document, told in zip(outside, faults(outside)):
        assert {"TP1004", "TP1005", "TP1016"} & {code for code, _ in told}, (document, told)
    right += inside
    wrong += outside
    told = verdicts(right + wrong)
    for document, fits in zip(right, told):
        assert fits, document
    for document, fits in zip(wrong, told[len(right):]):
        assert not fits, document


def test_parameters():
    """Each parameter of each plugin is one to the reader and the schema."""
    plugins = json.loads(tinyphi("list", "--json").stdout)
    wrong = []
    for plugin in plugins:
        names = [p["name"] for p in plugin["params"]]
        # Misspelt, and a kind that no parameter has.
        if names:
            wrong.append(with_key("[stage.NAME]", "with", {names[0] + "x": "a"}))
            wrong[-1]["stage"]["a"]["use"] = plugin["id"]
        wrong.append(with_key("[stage.NAME]", "with", 1))
        wrong[-1]["stage"]["a"]["use"] = plugin["id"]
    assert len(wrong) > 40, wrong
    for document, fits in zip(wrong, verdicts(wrong)):
        assert not fits, document


def test_explained():
    whole = tinyphi("explain", "keys").stdout
    assert "\n[stage.NAME].repeat\n  until " in whole, whole
    one = tinyphi("explain", "stage.repeat")
    assert one.stdout.startswith("[stage.NAME].repeat\n"), one
    assert one.stdout.strip() in whole, one
    for name in ("stage", "[stage]", "test", "allow.flow"):
        done = tinyphi("explain", name)
        assert done.returncode == 0 and done.stdout.startswith("["), (name, done)
    assert tinyphi("explain", "stages").returncode == 66


# Bash's own completion, called as bash calls it.
BASH = r"""
source <("$1" completion bash)
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_tinyphi
printf '%s\n' "${COMPREPLY[@]}"
"""


def completed(*words, folder=None):
    done = subprocess.run(["bash", "--norc", "-c", BASH, "bash", PROGRAM, *words], cwd=folder,
                          capture_output=True, text=True, timeout=60, check=True)
    assert not done.stderr, done.stderr
    return done.stdout.split("\n")[:-1]


def test_completion():
    commands = re.findall(r"^  (\w+) ", tinyphi("--help").stdout.split("Subcommands:")[1], re.M)
    assert len(commands) > 20, commands
    assert sorted(completed("tinyphi", "")) == sorted([*commands, "--help", "--version"])
    assert completed("tinyphi", "gra") == ["graph"]
    assert completed("tinyphi", "graph", "--form") == ["--format"]
    assert completed("tinyphi", "graph", "--format", "") == ["text", "dot", "mermaid", "svg"]
    assert completed("tinyphi", "graph", "--format", "=", "m") == ["mermaid"]
    assert completed("tinyphi", "graph", "--format", "=") == ["text", "dot", "mermaid", "svg"]
    assert completed("tinyphi", "completion", "z") == ["zsh"]
    with tempfile.TemporaryDirectory(prefix="tinyphi-completion-") as folder:
        for name in ("note one.toml", "note.toml", "other"):
            pathlib.Path(folder, name).write_text("")
        files = completed("tinyphi", "run", "no", folder=folder)
        assert sorted(files) == ["note one.toml", "note.toml"], files
        assert completed("tinyphi", "run", "-m", "o", folder=folder) == ["other"]
    # Each option of each command, in each shell.
    scripts = {shell: tinyphi("completion", shell).stdout for shell in ("bash", "zsh", "fish")}
    for command in commands:
        options = re.findall(r"(?:^  |,)(--?[\w-]+)", tinyphi(command, "--help").stdout, re.M)
        assert "--help" in options, (command, options)
        assert set(options) <= set(completed("tinyphi", command, "-")), (command, options)
        for option in options:
            name = option.lstrip("-")
            assert f"'*{option}[" in scripts["zsh"], option
            assert re.search(rf"from {command}'.* -[ls] {re.escape(name)}( |$)",
                             scripts["fish"], re.M), option
    done = subprocess.run(["bash", "-n"], input=scripts["bash"], text=True, check=False,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done
    assert tinyphi("completion", "tcsh").returncode == 64


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
