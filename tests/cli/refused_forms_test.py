#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""From a form that was asked for to an answer without it there is no way: every
entry is asked for forms that no answer can be held to, and refuses them before
there is an answer. The library's entry is tests/generate/constrained_test.cpp's.

Usage: refused_forms_test.py TINYPHI
"""

import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402
from daemon import TINYPHI, Daemon  # noqa: E402

# What no answer can be held to, and what every refusal must say of it.
SCHEMAS = [
    ({"type": "object", "properties": {"a": {"not": {}}}}, "/properties/a/not"),
    ({"type": "object", "unevaluatedProperties": False}, "/unevaluatedProperties"),
    ({"type": "object", "properties": {"a": {"contains": {"const": 1}}}},
     "/properties/a/contains"),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "/dependentRequired"),
    ({"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}},
     "/properties/a/$ref"),
    ({"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}, "/properties/a"),
    ({"type": "object", "properties": {"a": {"type": "string", "pattern": "(a)\\1"}}},
     "/properties/a/pattern"),
    ({"type": "object", "properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
    ({"type": "object", "required": "a"}, "/required"),
]
REGEX = "(a)\\1"
GRAMMAR = 'root ::= "a" lost'
CHAT = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}
TEXT = {"model": "demo", "prompt": "Hello", "max_tokens": 20}
TALK = {"model": "demo", "input": "Hello", "max_output_tokens": 40}


def tool(schema):
    return {"type": "function", "function": {"name": "t", "parameters": schema}}


# Where a daemon's route takes a schema: by path and field, the body with it.
SCHEMA_FIELDS = {
    ("/v1/chat/completions", "response_format"): [
        lambda s: CHAT | {"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "schema": s}}},
        lambda s: CHAT | {"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "strict": False, "schema": s}}},
        lambda s: CHAT | {"response_format": {"type": "json_object", "schema": s}},
        lambda s: CHAT | {"stream": True, "response_format": {
            "type": "json_schema", "schema": s}},
    ],
    ("/v1/chat/completions", "json_schema"): [lambda s: CHAT | {"json_schema": s}],
    ("/v1/chat/completions", "tools"): [
        lambda s: CHAT | {"tools": [tool(s)]},
        lambda s: CHAT | {"tools": [tool(s)], "tool_choice": "required"},
        lambda s: CHAT | {"tools": [tool({}), tool(s) | {"function": {
            "name": "u", "parameters": s}}], "stream": True},
    ],
    ("/v1/completions", "response_format"): [
        lambda s: TEXT | {"response_format": {"type": "json_schema", "schema": s}}],
    ("/v1/completions", "json_schema"): [lambda s: TEXT | {"json_schema": s}],
    ("/completion", "response_format"): [
        lambda s: TEXT | {"response_format": {"type": "json_schema", "schema": s}}],
    ("/completion", "json_schema"): [lambda s: TEXT | {"json_schema": s}],
    ("/v1/responses", "response_format"): [
        lambda s: TALK | {"response_format": {"type": "json_schema", "schema": s}}],
    ("/v1/responses", "json_schema"): [lambda s: TALK | {"json_schema": s}],
    ("/v1/responses", "text"): [
        lambda s: TALK | {"text": {"format": {"type": "json_schema", "name": "n",
                                              "schema": s}}}],
    ("/v1/responses", "tools"): [
        lambda s: TALK | {"tools": [{"type": "function", "name": "t", "parameters": s}]}],
    # Ollama's routes are not in the document.
    ("/api/chat", "format"): [lambda s: CHAT | {"format": s}],
    ("/api/chat", "tools"): [lambda s: CHAT | {"tools": [tool(s)]}],
    ("/api/generate", "format"): [lambda s: TEXT | {"format": s}],
}
GRAMMAR_FIELDS = {(path, "grammar") for path in (
    "/v1/chat/completions", "/v1/completions", "/completion", "/v1/responses")}
BODIES = {"/v1/chat/completions": CHAT, "/v1/completions": TEXT, "/completion": TEXT,
          "/v1/responses": TALK}
# It counts tokens and answers nothing.
COUNTS = "/v1/chat/completions/input_tokens"


def form_fields(document):
    """The fields of each route that ask for a form, as the document says."""
    def of(node):
        while "$ref" in node:
            place = node["$ref"].split("/")[1:]
            node = document
            for part in place:
                node = node[part]
        return node
    for path, methods in document["paths"].items():
        if "post" not in methods or path == COUNTS:
            continue
        content = methods["post"].get("requestBody", {}).get("content", {})
        schema = of(content.get("application/json", {}).get("schema", {}))
        for name in schema.get("properties", {}):
            if name in ("response_format", "format", "json_schema", "grammar", "regex", "tools",
                        "text"):
                yield path, name


def test_daemon(folder):
    """every field of every route that asks for a form refuses what cannot be held to"""
    config = folder / "serve.toml"
    config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[serve.ollama]\n'
                      '[model.default]\naliases = ["*"]\n')
    with Daemon(config) as d:
        status, _, document = d.ask("GET", "/openapi.json")
        assert status == 200
        told = set(form_fields(document))
        known = set(SCHEMA_FIELDS) | GRAMMAR_FIELDS
        assert told <= known, f"no case is there for {told - known}"
        n = 0
        for (path, field), bodies in SCHEMA_FIELDS.items():
            for body in bodies:
                for schema, pointer in SCHEMAS:
                    status, _, answer = d.ask("POST", path, body(schema))
                    assert status == 400, (path, field, schema, status, answer)
                    error = json.dumps(answer)
                    # A field that a route has not at all says so, not where.
                    assert pointer in error or "unsupported_parameter" in error, (
                        path, field, error)
                    n += 1
        for path, field in GRAMMAR_FIELDS:
            status, _, answer = d.ask("POST", path, BODIES[path] | {field: GRAMMAR})
            error = json.dumps(answer)
            assert status == 400 and ("lost" in error or "unsupported_parameter" in error), (
                path, status, answer)
        assert n >= 9 * len(SCHEMA_FIELDS)


def run(*args, cwd=None, **more):
    return subprocess.run([TINYPHI, *args], capture_output=True, text=True, cwd=cwd, timeout=120,
                          **more)


def test_command_line(folder):
    """generate exits with 65 and writes nothing to standard output"""
    file = folder / "form"
    options = [(["--schema", file], json.dumps(s), pointer) for s, pointer in SCHEMAS]
    options += [(["--regex", REGEX], "", "\\1"), (["--grammar", file], GRAMMAR, "lost")]
    for option, text, says in options:
        file.write_text(text)
        r = run("generate", "-n", "20", *option, "-p", "Hello")
        assert r.returncode == 65 and r.stdout == "", (option, r.returncode, r.stdout)
        assert says in r.stderr, (option, r.stderr)


# Pipelines that hold a model to a type, and to other forms: `@` is the form.
EXTRACT = """tinyphi = 1
input.q = { type = "text", max_bytes = 40 }
output.v = "e.value"
[type]
t = { type = "object", properties.a = @ }
[stage.p]
use = "prompt"
with.user = "{{ q }}"
[stage.e]
use = "extract"
with.type = "t"
with.max_tokens = 60
"""
GENERATE = """tinyphi = 1
input.q = { type = "text", max_bytes = 40 }
output.v = "g.text"
[stage.p]
use = "prompt"
with.user = "{{ q }}"
[stage.g]
use = "generate"
with.constrain.@
with.max_tokens = 60
"""
FILES = [(EXTRACT, form, ":5:", says) for form, says in [
    ("{ not = {} }", "/properties/a/not"),
    ("{ contains = { const = 1 } }", "/properties/a/contains"),
    ('{ "$ref" = "lost" }', "lost"),
    ("{ type = \"string\", pattern = '(a)\\1' }", "/properties/a/pattern"),
    ('{ type = "strin" }', "/properties/a/type"),
    ('{ type = "object", unevaluatedProperties = false }', "/unevaluatedProperties")]]
FILES += [(GENERATE, "regex = '(a)\\1'", ":9:", "\\1"),
          (GENERATE, "grammar = 'root ::= \"a\" lost'", ":9:", "lost"),
          (GENERATE, "choice = [\"a\", \"a\"]", ":9:", "choice")]


def test_pipelines_and_mcp(folder):
    """check, run and mcp refuse the file with 78 and its line; nothing in it runs"""
    file = folder / "file.toml"
    for text, form in ((EXTRACT, '{ type = "integer" }'), (GENERATE, "regex = 'a+'")):
        file.write_text(text.replace("@", form))
        r = run("check", file)
        assert r.returncode == 0, r.stderr
    for text, form, line, says in FILES:
        file.write_text(text.replace("@", form))
        for command in (["check", file], ["run", file, "-i", "q=Hello"], ["mcp", file]):
            r = run(*command, stdin=subprocess.DEVNULL)
            assert r.returncode == 78 and r.stdout == "", (command, form, r.returncode, r.stderr)
            assert line in r.stderr and says in r.stderr, (command, form, r.stderr)


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
