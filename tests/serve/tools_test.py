#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tools of a chat as clients ask for them, over real sockets.

Usage: tools_test.py TINYPHI
"""

import json
import pathlib
import re
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402
from daemon import LOCAL, Daemon, events  # noqa: E402

CITY = {"type": "object", "required": ["city", "unit"], "additionalProperties": False,
        "properties": {"city": {"type": "string", "maxLength": 12},
                       "unit": {"enum": ["C", "F"]}}}
# What no answer can be held to, and where.
UNSUPPORTED = {"type": "object", "properties": {"a": {"not": {}}}}
POINTER = "/properties/a/not"


def tool(name, description="", parameters=None, **more):
    function = {"name": name, "description": description, **more}
    if parameters is not None:
        function["parameters"] = parameters
    return {"type": "function", "function": function}


TOOLS = [tool("weather", "Says how warm it is in a city", CITY), tool("clock", "Tells the time")]


def named(name):
    return {"type": "function", "function": {"name": name}}


def fits(name, arguments):
    value = json.loads(arguments)
    if name == "clock":
        return value == {}
    return (list(value) == ["city", "unit"] and isinstance(value["city"], str)
            and len(value["city"]) <= 12 and value["unit"] in ("C", "F"))


def the_call(choice):
    """Of a choice that is a call: its name and arguments."""
    message = choice["message"]
    assert choice["finish_reason"] == "tool_calls" and message["content"] is None, choice
    assert len(message["tool_calls"]) == 1, choice
    call = message["tool_calls"][0]
    assert call["type"] == "function" and set(call) == {"id", "type", "function"}, call
    assert re.fullmatch("call_[A-Za-z0-9]{24}", call["id"]), call
    function = call["function"]
    assert fits(function["name"], function["arguments"]), call
    return function["name"], function["arguments"]


def test_choices():
    """a call is of the tool that is chosen, its arguments fit; none and auto may answer"""
    with Daemon(*LOCAL) as d:
        def ask(text="Is it warm in Graz?", **more):
            status, _, whole = d.chat(text, tools=TOOLS, max_tokens=60, **more)
            assert status == 200, whole
            return whole
        for name in ("weather", "clock"):
            for temperature in (0, 2):
                whole = ask(tool_choice=named(name), temperature=temperature)
                assert the_call(whole["choices"][0])[0] == name
        usage = whole["usage"]
        assert usage["prompt_tokens"] > usage["completion_tokens"] > 0
        assert the_call(ask(tool_choice="required")["choices"][0])[0] in ("weather", "clock")
        choice = ask(tool_choice="none")["choices"][0]
        assert choice["finish_reason"] in ("stop", "length") and choice["message"]["content"]
        assert "tool_calls" not in choice["message"], choice
        seen = set()
        for text in ("Is it warm in Graz?", "What time is it?", "Hello", "Tell me about the pump."):
            choice = ask(text, parallel_tool_calls=False)["choices"][0]
            seen.add(choice["finish_reason"])
            if choice["finish_reason"] == "tool_calls":
                the_call(choice)
            else:
                assert choice["message"]["content"], choice
        # Stop texts and the end that is ignored are about answers, not calls.
        the_call(ask(tool_choice="required", stop=["{", "c"], ignore_eos=True)["choices"][0])
        two = ask(tool_choice=named("weather"), n=2, temperature=2, seed=3, logprobs=True)
        for choice in two["choices"]:
            the_call(choice)
            assert choice["logprobs"] is None
        ids = [c["message"]["tool_calls"][0]["id"] for c in two["choices"]]
        assert len(set(ids)) == 2, ids
        # Without a temperature, arguments are the likeliest ones.
        body = {"messages": [{"role": "user", "content": "Is it warm in Graz?"}],
                "tools": TOOLS, "tool_choice": named("weather"), "max_tokens": 60}
        path = "/v1/chat/completions"
        asked = [the_call(d.ask("POST", path, body)[2]["choices"][0]) for _ in range(3)]
        cold = the_call(ask(tool_choice=named("weather"), temperature=0)["choices"][0])
        assert asked == [cold] * 3, (asked, cold)
        # What a prompt is with tools is counted with them.
        count = "/v1/chat/completions/input_tokens"
        longer, plain = (d.ask("POST", count, {"messages": body["messages"], "tools": TOOLS,
                                               "tool_choice": how})[2]["input_tokens"]
                         for how in ("auto", "none"))
        assert longer > plain + 40, (longer, plain)


def test_stream():
    """a streamed call has its name once, fragments that concatenate, and nothing else"""
    with Daemon(*LOCAL) as d:
        more = {"tools": TOOLS, "tool_choice": named("weather"), "max_tokens": 60}
        whole = d.chat("Is it warm in Graz?", **more)[2]
        name, arguments = the_call(whole["choices"][0])
        status, headers, data = d.chat("Is it warm in Graz?", stream=True, **more)
        assert status == 200 and headers["content-type"] == "text/event-stream"
        all_events = events(data)
        deltas = [e["choices"][0]["delta"] for e in all_events]
        assert deltas[0]["role"] == "assistant" and deltas[0]["content"] is None, deltas
        first = deltas[0]["tool_calls"][0]
        assert first["index"] == 0 and first["type"] == "function", first
        assert first["function"] == {"name": name, "arguments": ""}, first
        assert re.fullmatch("call_[A-Za-z0-9]{24}", first["id"]), first
        got = ""
        for delta in deltas[1:-1]:
            assert list(delta) == ["tool_calls"] and len(delta["tool_calls"]) == 1, delta
            call = delta["tool_calls"][0]
            assert call["index"] == 0 and set(call) == {"index", "function"}, call
            assert list(call["function"]) == ["arguments"], call
            got += call["function"]["arguments"]
        assert len(deltas) > 4 and got == arguments, (got, arguments)
        assert deltas[-1] == {}
        assert all_events[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_results():
    """a result answers its call, and the chat goes on with it"""
    with Daemon(*LOCAL) as d:
        turns = [{"role": "user", "content": "Is it warm in Graz?"}]
        more = {"tools": TOOLS, "temperature": 0, "max_tokens": 60}
        path = "/v1/chat/completions"
        first = d.ask("POST", path, {"messages": turns, "tool_choice": "required", **more})[2]
        message = first["choices"][0]["message"]
        # As clients send it back, whole.
        turns += [message, {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"],
                            "content": [{"type": "text", "text": "<|end|> 31 degrees"}]}]
        for choice in ("auto", "none", "required"):
            got = d.ask("POST", path, {"messages": turns, "tool_choice": choice, **more})
            assert got[0] == 200, got
        # An unchanged beginning is in the cache.
        assert got[2]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0, got
        # Results are read by models that have no tools any more, too.
        got = d.ask("POST", path, {"messages": turns, "max_tokens": 8})
        assert got[0] == 200 and got[2]["choices"][0]["message"]["content"], got
        turns[-1]["tool_call_id"] = "call_other"
        got = d.ask("POST", path, {"messages": turns, **more})
        assert got[0] == 400 and got[2]["error"]["param"] == "messages[2].tool_call_id", got


def test_length():
    """arguments are whole whatever max_tokens is, from the shortest ones on"""
    with Daemon(*LOCAL) as d:
        ends = set()
        for n in range(4, 24, 3):
            status, _, got = d.chat("Is it warm in Graz?", tools=TOOLS, temperature=2, seed=n,
                                    tool_choice=named("weather"), max_tokens=n)
            if status == 400:
                assert got["error"]["param"] == "tools[0].function.parameters", got
                assert not ends, (n, got)
                continue
            choice = got["choices"][0]
            ends.add(choice["finish_reason"])
            call = choice["message"]["tool_calls"][0]["function"]
            assert fits(call["name"], call["arguments"]), (n, call)
            assert got["usage"]["completion_tokens"] <= n
        assert ends <= {"tool_calls", "length"} and ends, ends


def test_deadline():
    """arguments that a deadline cuts are an error, never a call"""
    with Daemon(*LOCAL) as d:
        def ask(**more):
            return d.chat("Is it warm in Graz?", tools=TOOLS, tool_choice=named("weather"),
                          max_tokens=60, **more)
        ask()
        began = time.monotonic()
        ask()
        whole_ms = 1000 * (time.monotonic() - began)
        seen = set()
        for part in range(1, 20, 2):
            limit = {"total_ms": max(1, whole_ms * part / 10)}
            for stream in (False, True):
                status, headers, got = ask(tinyphi=limit, stream=stream)
                seen.add(status)
                if status != 200:
                    assert status == 504 and got["error"]["code"] == "deadline", got
                elif not stream:
                    the_call(got["choices"][0])
                elif b"[DONE]" in got:
                    deltas = [e["choices"][0]["delta"] for e in events(got)]
                    assert fits("weather", "".join(
                        delta["tool_calls"][0]["function"]["arguments"]
                        for delta in deltas if "tool_calls" in delta)), got
                else:
                    last = json.loads(got.decode().strip().split("data: ")[-1])
                    assert last["error"]["code"] == "deadline", got
        assert 504 in seen, seen


def test_form_beside():
    """beside tools, the form is that of an answer which calls none"""
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "required": ["n"], "additionalProperties": False,
        "properties": {"n": {"enum": [3, 14, 159]}}}}}
    with Daemon(*LOCAL) as d:
        for how in ("none", "auto", "required"):
            status, _, got = d.chat("How many?", tools=TOOLS, tool_choice=how, max_tokens=60,
                                    response_format=form)
            assert status == 200, got
            choice = got["choices"][0]
            if choice["finish_reason"] == "tool_calls":
                assert how != "none"
                the_call(choice)
            else:
                assert how != "required"
                assert json.loads(choice["message"]["content"])["n"] in (3, 14, 159), choice


def test_responses():
    """a response calls functions, too, and goes on with their results"""
    flat = [{"type": "function", **t["function"]} for t in TOOLS]
    more = {"tools": flat, "tool_choice": {"type": "function", "name": "weather"},
            "temperature": 0, "max_output_tokens": 60}
    with Daemon(*LOCAL) as d:
        path = "/v1/responses"
        status, _, whole = d.ask("POST", path, {"input": "Is it warm in Graz?", **more})
        assert status == 200, whole
        call = whole["output"][0]
        assert whole["status"] == "completed" and len(whole["output"]) == 1, whole
        assert call["type"] == "function_call" and call["name"] == "weather", call
        assert fits("weather", call["arguments"]), call
        assert whole["tools"] == flat and whole["tool_choice"] == more["tool_choice"], whole
        _, _, data = d.ask("POST", path, {"input": "Is it warm in Graz?", "stream": True, **more})
        got = [json.loads(e.split("data: ")[1]) for e in data.decode().split("\n\n") if e]
        pieces = [e["delta"] for e in got if e["type"].endswith("arguments.delta")]
        assert len(pieces) > 4 and "".join(pieces) == call["arguments"], pieces
        assert not any("output_text" in e["type"] for e in got), got
        assert [e["sequence_number"] for e in got] == list(range(len(got)))
        done = got[-1]["response"]["output"][0]
        assert done["arguments"] == call["arguments"] and re.fullmatch(
            "call_[A-Za-z0-9]{24}", done["call_id"]), done
        turns = [{"role": "user", "content": "Is it warm in Graz?"}, call,
                 {"type": "function_call_output", "call_id": call["call_id"], "output": "31"}]
        status, _, next_one = d.ask("POST", path, {"input": turns, **more, "tool_choice": "none"})
        assert status == 200 and next_one["output"][0]["type"] == "message", next_one
        bad = [{**flat[0], "parameters": UNSUPPORTED}]
        got = d.ask("POST", path, {"input": "Hello", "tools": bad})
        assert got[0] == 400 and got[2]["error"]["param"] == "tools[0].parameters", got
        assert POINTER in got[2]["error"]["message"], got


def test_ollama(folder):
    """Ollama's clients get calls whole, with arguments as an object, and send results back"""
    config = folder / "daemon.toml"
    config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[serve.ollama]\n'
                      '[model.default]\naliases = ["*"]\n')
    with Daemon(str(config)) as d:
        turns = [{"role": "user", "content": "What time is it?"}]
        path = "/api/chat"
        for stream in (False, True):
            status, _, got = d.ask("POST", path, {"messages": turns, "tools": TOOLS,
                                                  "stream": stream})
            assert status == 200, got
            if stream:
                got = [json.loads(line) for line in got.decode().splitlines()]
                assert all(not m["message"]["content"] for m in got) or len(got) > 1, got
                got = got[-1]
            assert got["done"] and got["done_reason"] in ("stop", "length"), got
            for call in got["message"].get("tool_calls", []):
                function = call["function"]
                assert fits(function["name"], json.dumps(function["arguments"])), call
        turns += [{"role": "assistant", "content": "",
                   "tool_calls": [{"function": {"name": "clock", "arguments": {}}}]},
                  {"role": "tool", "tool_name": "clock", "content": "noon"}]
        status, _, got = d.ask("POST", path, {"messages": turns, "stream": False,
                                              "options": {"num_predict": 8}})
        assert status == 200 and got["message"]["content"], got
        bad = [tool("look", "", UNSUPPORTED)]
        status, _, got = d.ask("POST", path, {"messages": turns[:1], "tools": bad})
        assert status == 400 and POINTER in got["error"], got


def test_refusals(folder):
    """what cannot be used is refused with its field and, of a schema, the pointer"""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    shutil.copytree(root / "pipelines/docs-qa", folder / "docs-qa")
    config = folder / "daemon.toml"
    config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[model.demo]\n'
                      '[pipeline.docs]\npath = "docs-qa/docs-qa.toml"\n')
    good = tool("clock")
    function = "tools[1].function"
    refused = [
        ([good, tool("look", "", UNSUPPORTED)], f"{function}.parameters", POINTER),
        ([good, tool("look", "", {"type": "object", "requierd": []})],
         f"{function}.parameters", "/requierd"),
        ([good, tool("look", "", {"type": "string"})], f"{function}.parameters", "/type"),
        ([good, tool("look", "", {"type": "object", "properties": {"a": {"$ref": "http://x"}}})],
         f"{function}.parameters", "/properties/a/$ref"),
        ([good, tool("look", "", {"type": "object", "properties": {"a": {}}}, strict=True)],
         f"{function}.parameters", "/additionalProperties"),
        ([good, tool("a b")], f"{function}.name", "tool 2"),
        ([good, tool("clock")], f"{function}.name", "twice"),
        ([good, {"type": "web_search"}], "tools[1].type", "web_search"),
        ([good, {"type": "function"}], function, "missing"),
        ([tool(f"t{i}") for i in range(129)], "tools", "129"),
        ([tool(f"t{i}", "x" * 3000) for i in range(100)], "tools", "262144"),
    ]
    with Daemon(str(config)) as d:
        for tools, param, part in refused:
            # Whether one of them is called or not.
            for how in ("auto", "none", "required"):
                for stream in (False, True):
                    got = d.chat("Hello", tools=tools, tool_choice=how, stream=stream)
                    assert got[0] == 400, (tools, got)
                    assert got[2]["error"]["param"] == param, (param, got)
                    if part != "web_search":
                        assert part in got[2]["error"]["message"], (part, got)
        for extra, param in (({"tool_choice": named("other")}, "tool_choice.function.name"),
                             ({"tool_choice": "any"}, "tool_choice"),
                             ({"tool_choice": "required", "tools": []}, "tool_choice"),
                             ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.type"),
                             ({"functions": [{"name": "a"}]}, "functions"),
                             ({"model": "pipeline:docs"}, "tools"),
                             ({"response_format": {"type": "json_schema", "json_schema": {
                                 "name": "a", "schema": UNSUPPORTED}}, "tool_choice": "none"},
                              "response_format.json_schema.schema")):
            got = d.chat("Hello", **{"tools": [good], **extra})
            assert got[0] == 400 and got[2]["error"]["param"] == param, (extra, got)
        # A form is no more a pipeline's than tools are.
        got = d.chat("Hello", model="pipeline:docs", response_format={"type": "json_object"})
        assert got[0] == 400 and got[2]["error"]["param"] == "response_format.type", got
        # So many have labels of two characters.
        many = {"tools": [tool(f"t{i}") for i in range(26)], "tool_choice": "required",
                "messages": [{"role": "user", "content": "Hello"}]}
        got = d.ask("POST", "/v1/chat/completions", many, timeout=200)
        call = got[2]["choices"][0]["message"]["tool_calls"][0]["function"]
        assert re.fullmatch("t[0-9]+", call["name"]) and json.loads(call["arguments"]) == {}, got


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
