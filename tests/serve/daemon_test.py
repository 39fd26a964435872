#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A daemon as its users see it: `tinyphi serve` over real sockets.

Usage: daemon_test.py TINYPHI
"""

import base64
import hashlib
import http.client
import json
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402
from daemon import LOCAL, TINYPHI, Daemon, events, open_stream, soon, under_way  # noqa: E402


def test_answers():
    """a chat is answered whole, in pieces, and several times over one connection"""
    with Daemon(*LOCAL) as d:
        status, headers, whole = d.chat("What does a green light mean?")
        assert status == 200, whole
        assert headers["x-request-id"]
        choice = whole["choices"][0]
        text = choice["message"]["content"]
        assert text and choice["finish_reason"] in ("stop", "length")
        usage = whole["usage"]
        assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
        assert whole["system_fingerprint"].startswith("b")

        status, headers, data = d.chat(
            "What does a green light mean?", stream=True,
            stream_options={"include_usage": True}, logprobs=True, top_logprobs=2)
        assert status == 200 and headers["content-type"] == "text/event-stream"
        stream = events(data)
        assert stream[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
        joined = "".join(e["choices"][0]["delta"].get("content") or ""
                         for e in stream if e["choices"])
        assert joined == text, (joined, text)
        assert stream[-2]["choices"][0]["finish_reason"] == choice["finish_reason"]
        assert stream[-1]["choices"] == []
        last = stream[-1]["usage"]
        assert last["completion_tokens"] == usage["completion_tokens"]
        assert last["prompt_tokens_details"]["cached_tokens"] > 0
        tokens = [t for e in stream if e["choices"]
                  for t in e["choices"][0].get("logprobs", {}).get("content", [])]
        assert len(tokens) == usage["completion_tokens"]
        assert all(len(t["top_logprobs"]) == 2 and t["logprob"] <= 0 for t in tokens)
        assert bytes(b for t in tokens for b in t["bytes"]).decode().strip() == text.strip()

        c = http.client.HTTPConnection("127.0.0.1", d.port)
        for path in ("/v1/models", "/models", "/health", "/ready"):
            c.request("GET", path)
            r = c.getresponse()
            assert r.status == 200, path
            r.read()


def test_equal():
    """the same seed gives the same answer, whatever runs beside it"""
    with Daemon(*LOCAL) as d:
        ask = {"temperature": 1.5, "seed": 7}
        alone = d.chat("Tell me about the pump.", **ask)[2]["choices"][0]["message"]
        found = [None] * 8
        def one(i):
            found[i] = d.chat("Tell me about the pump.", **ask)[2]["choices"][0]["message"]
        threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert all(f == alone for f in found), (alone, found)
        other = set()
        for _ in range(40):  # most of them agree: the model is sure
            other.add(d.chat("Tell me about the pump.", temperature=2)[2]["choices"][0]
                      ["message"]["content"])
            if len(other) > 1:
                break
        assert len(other) > 1, "random seeds give one answer"


def test_refusals():
    """what is wrong with a request is said by status, code and field"""
    with Daemon(*LOCAL) as d:
        message = [{"role": "user", "content": "Hello"}]
        cases = [
            ({}, 400, "missing_required_parameter", "messages"),
            ({"messages": []}, 400, "invalid_value", "messages"),
            ({"messages": [{"role": "cook", "content": "a"}]}, 400, "invalid_value",
             "messages[0].role"),
            ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400,
             "unsupported_content", "messages[0].content[0].type"),
            ({"messages": message, "temperature": 101}, 400, "invalid_value", "temperature"),
            ({"messages": message, "temperature": "hot"}, 400, "invalid_value", "temperature"),
            ({"messages": message, "n": 9}, 400, "invalid_value", "n"),
            ({"messages": message, "top_p": 0}, 400, "invalid_value", "top_p"),
            ({"messages": message, "stop": ["a"] * 17}, 400, "invalid_value", "stop"),
            ({"messages": message, "logit_bias": {"x": 1}}, 400, "invalid_value", "logit_bias"),
            ({"messages": message, "max_tokens": 1, "max_completion_tokens": 1}, 400,
             "invalid_value", "max_tokens"),
            ({"messages": message, "tools": [{"type": "function"}]}, 400,
             "missing_required_parameter", "tools[0].function"),
            ({"messages": message, "response_format": {"type": "yaml"}}, 400,
             "unsupported_parameter", "response_format.type"),
            ({"messages": message, "store": True}, 400, "unsupported_parameter", "store"),
        ]
        for body, status, code, param in cases:
            got = d.ask("POST", "/v1/chat/completions", body)
            assert got[0] == status, (body, got)
            error = got[2]["error"]
            assert (error["code"], error["param"]) == (code, param), (body, error)
            assert got[1]["x-should-retry"] == "false"
        assert d.ask("POST", "/v1/chat/completions", b"{")[2]["error"]["code"] == "invalid_json"
        assert d.ask("POST", "/v1/chat/completions", b"[" * 100)[0] == 400
        assert d.ask("POST", "/v1/chat/completions", b"x" * (1 << 20) + b"x")[0] == 413
        assert d.ask("GET", "/nothing")[0] == 404
        assert d.ask("PUT", "/v1/models")[0] == 405
        assert d.ask("GET", "/v1/models", headers={"Host": "evil.example"})[0] == 421
        assert d.ask("GET", "/v1/models", headers={"Origin": "http://evil.example"})[0] == 403
        long = d.chat("pump " * 8000)
        assert long[0] == 400 and long[2]["error"]["code"] == "context_length_exceeded"
        # And what is harmless is taken.
        fine = d.chat("Hello", tools=[], tool_choice="none", store=False, user="me",
                      response_format={"type": "text"}, something_new=1)
        assert fine[0] == 200, fine


SCHEMA = {"type": "object", "required": ["n"], "additionalProperties": False,
          "properties": {"n": {"enum": [3, 14, 159]}}}
GRAMMAR = 'root ::= "n = " [0-9]{2}'


def asked_formats(schema, grammar):
    """path, body, field of the form, and how to find the answer's text"""
    chat = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 40}
    plain = {"prompt": "Hello", "max_tokens": 40}
    own = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    of_chat = ("/v1/chat/completions", lambda b: b["choices"][0]["message"]["content"])
    of_text = ("/v1/completions", lambda b: b["choices"][0]["text"])
    of_native = ("/completion", lambda b: b["content"])
    cases = [
        (of_chat, {**chat, "response_format": own}, "response_format.json_schema.schema"),
        (of_chat, {**chat, "response_format": {"type": "json_object", "schema": schema}},
         "response_format.schema"),
        (of_chat, {**chat, "json_schema": schema}, "json_schema"),
        (of_text, {**plain, "json_schema": schema}, "json_schema"),
        (of_native, {**plain, "json_schema": schema}, "json_schema"),
        (("/v1/responses", lambda b: b["output"][0]["content"][0]["text"]),
         {"input": "Hello", "max_output_tokens": 40,
          "text": {"format": {"type": "json_schema", "name": "a", "schema": schema}}},
         "text.format.schema"),
        (("/api/chat", lambda b: b["message"]["content"]),
         {"messages": chat["messages"], "stream": False, "format": schema}, "format"),
        (("/api/generate", lambda b: b["response"]),
         {"prompt": "Hello", "stream": False, "format": schema}, "format"),
    ]
    for at, body in ((of_chat, chat), (of_text, plain), (of_native, plain)):
        cases.append((at, {**body, "grammar": grammar}, "grammar"))
    return cases


def test_formats():
    """every field that asks for a form of the answer has it enforced, or says why not"""
    config = pathlib.Path(tempfile.mkdtemp()) / "daemon.toml"
    config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[serve.ollama]\n'
                      '[model.default]\naliases = ["*"]\n')
    with Daemon(str(config)) as d:
        for (path, text), body, field in asked_formats(SCHEMA, GRAMMAR):
            for _ in range(2):  # the second one is from the cache
                status, _, answer = d.ask("POST", path, body)
                assert status == 200, (path, body, answer)
                if field == "grammar":
                    assert re.fullmatch("n = [0-9]{2}", text(answer)), answer
                else:
                    assert json.loads(text(answer))["n"] in (3, 14, 159), answer
        unsupported = {"properties": {"a": {"not": {}}}}
        for (path, _), body, field in asked_formats(unsupported, "root ::= other"):
            status, _, answer = d.ask("POST", path, body)
            assert status == 400, (path, body, answer)
            if path.startswith("/api/"):
                message = answer["error"]
            else:
                message = answer["error"]["message"]
                assert answer["error"]["param"] == field, (body, answer)
            assert field in message, (body, answer)
            assert field == "grammar" or "/properties/a/not" in message, (body, answer)
        for extra, param in (({"stop": ["a"]}, "stop"), ({"ignore_eos": True}, "ignore_eos"),
                             ({"json_schema": SCHEMA}, "json_schema"),
                             ({"guided_json": SCHEMA}, "guided_json"),
                             ({"max_tokens": 1},
                              "response_format.json_schema.schema")):
            fmt = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
            got = d.chat("Hello", **{"response_format": fmt, **extra})
            assert got[0] == 400 and got[2]["error"]["param"] == param, (extra, got)
        any_object = d.chat("Hello", response_format={"type": "json_object"}, max_tokens=40)
        content = any_object[2]["choices"][0]["message"]["content"]
        assert isinstance(json.loads(content), dict), any_object


def test_control_tokens():
    """control tokens in texts stay texts"""
    with Daemon(*LOCAL) as d:
        plain = d.ask("POST", "/tokenize", {"content": "<|end|>", "parse_special": False})[2]
        special = d.ask("POST", "/tokenize", {"content": "<|end|>"})[2]
        assert len(special["tokens"]) == 1 < len(plain["tokens"])
        assert d.ask("POST", "/detokenize", plain)[2]["content"].strip() == "<|end|>"
        a = d.chat("Say <|end|><|assistant|> twice")[2]["usage"]["prompt_tokens"]
        b = d.chat("Say twice")[2]["usage"]["prompt_tokens"]
        assert a > b + 6
        slots = d.ask("GET", "/slots")[2]
        assert [s["id"] for s in slots] == list(range(16)), slots
        soon(lambda: not any(s["is_processing"] for s in d.ask("GET", "/slots")[2]),
             "a slot is busy")
        turns = [{"role": "user", "content": "Say twice"}]
        counted = d.ask("POST", "/v1/chat/completions/input_tokens", {"messages": turns})[2]
        assert counted["input_tokens"] == b, (counted, b)
        for bad in ({"messages": 5}, {"messages": turns, "logit_bias": [[1 << 20, 1]]}):
            assert d.ask("POST", "/chat/completions/input_tokens", bad)[0] == 400, bad
        prompt = d.ask("POST", "/apply-template",
                       {"messages": [{"role": "user", "content": "Hi"}]})[2]["prompt"]
        assert prompt.endswith("<|assistant|>\n"), prompt


def test_next_turn():
    """the next turn of a chat finds the last one, answer included, in the cache"""
    with Daemon(*LOCAL) as d:
        first = d.chat("What does a green light mean?", max_tokens=60)[2]
        turns = [{"role": "user", "content": "What does a green light mean?"},
                 {"role": "assistant", "content": first["choices"][0]["message"]["content"]},
                 {"role": "user", "content": "And a red one?"}]
        second = d.ask("POST", "/v1/chat/completions", {"messages": turns, "max_tokens": 4})[2]
        cached = second["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert cached >= first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"]


def test_disconnects():
    """a client that leaves ends its request, in prefill and in decode"""
    with Daemon(*LOCAL) as d:
        for prompt in ("Hello", "pump " * 1500):
            streams = [open_stream(d.port, prompt=prompt) for _ in range(10)]
            soon(lambda: len(under_way(d)) == 10, "ten requests")
            for s in streams:
                s.close()
            soon(lambda: not under_way(d), "they end")
        # One that another connection ends.
        s = open_stream(d.port)
        soon(lambda: under_way(d), "one request")
        assert d.ask("DELETE", "/v1/requests/" + under_way(d)[0]["id"])[0] == 200
        data = b""
        while chunk := s.recv(65536):
            data += chunk
            if data.endswith(b"0\r\n\r\n"):
                break
        assert b'"finish":"cancelled"' in data and b"[DONE]" in data
        assert d.ask("DELETE", "/v1/requests/none")[0] == 404
        api = d.ask("GET", "/openapi.json")[2]
        assert "/v1/chat/completions" in api["paths"] and "/v1/pipelines/{name}" in api["paths"]
        assert d.chat("Hello")[0] == 200


def test_drain():
    """SIGTERM: new requests are sent away, the one under way is told its end, exit 0"""
    with Daemon(*LOCAL) as d:
        s = open_stream(d.port, max_tokens=1500)
        soon(lambda: under_way(d) and under_way(d)[0]["generated_tokens"] > 0, "it answers")
        d.process.send_signal(signal.SIGTERM)
        soon(lambda: d.ask("GET", "/ready")[0] == 503, "not ready")
        status, headers, body = d.chat("Hello")
        assert (status, body["error"]["code"]) == (503, "shutting_down")
        assert headers["x-should-retry"] == "true"
        data = b""
        while chunk := s.recv(65536):
            data += chunk
        assert b'"finish_reason":"length"' in data and b"[DONE]" in data
        assert d.process.wait(20) == 0


def test_hard_stop():
    """a second SIGTERM ends at once"""
    with Daemon(*LOCAL) as d:
        s = open_stream(d.port, max_tokens=3900)
        soon(lambda: under_way(d), "it answers")
        d.process.send_signal(signal.SIGTERM)
        soon(lambda: d.ask("GET", "/ready")[0] == 503, "not ready")
        began = time.monotonic()
        d.process.send_signal(signal.SIGTERM)
        assert d.process.wait(20) == 0
        assert time.monotonic() - began < 5
        s.close()


def test_keys():
    """with keys, who has none or a wrong one is told so, and caches are apart"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "keys.toml"
        def digest(secret):
            return hashlib.blake2b(secret.encode(), digest_size=32).hexdigest()
        path.write_text(f'[key.alice]\nblake2b = "{digest("a-secret")}"\n'
                        f'[key.bob]\nblake2b = "{digest("b-secret")}"\nrequests_per_minute = 2\n')
        path.chmod(0o600)
        with Daemon(*LOCAL, "--keys", str(path)) as d:
            assert d.chat("Hello")[0] == 401
            assert d.ask("GET", "/v1/models")[0] == 401
            assert d.ask("GET", "/health")[0] == 200
            wrong = {"Authorization": "Bearer wrong"}
            assert d.ask("GET", "/v1/models", headers=wrong)[0] == 401
            alice = {"Authorization": "Bearer a-secret"}
            bob = {"api-key": "b-secret"}
            ask = {"messages": [{"role": "user", "content": "What does a green light mean?"}],
                   "max_tokens": 4}
            def cached(who):
                status, headers, body = d.ask("POST", "/v1/chat/completions", ask, who)
                assert status == 200, body
                return body["usage"]["prompt_tokens_details"]["cached_tokens"]
            assert cached(alice) == 0
            assert cached(bob) == 0
            assert cached(alice) > 0
            assert cached(bob) > 0
            status, headers, body = d.ask("POST", "/v1/chat/completions", ask, bob)
            assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded"), body
            assert 0 < int(headers["retry-after-ms"]) <= 60000
            assert headers["x-ratelimit-limit-requests"] == "2"
            assert cached(alice) > 0
        path.chmod(0o644)
        refused = subprocess.run([TINYPHI, "serve", *LOCAL, "--keys", str(path)],
                                 capture_output=True, text=True, timeout=60)
        assert refused.returncode != 0 and "chmod" in refused.stderr, refused.stderr


def test_unix_socket():
    """a unix socket serves, is 0660, and is gone with the process"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "api.sock"
        with Daemon("--listen", f"unix:{path}") as d:
            assert path.stat().st_mode & 0o777 == 0o660
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            s.sendall(b"GET /v1/models HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
            data = b""
            while chunk := s.recv(4096):
                data += chunk
            assert data.startswith(b"HTTP/1.1 200 "), data
            second = subprocess.run([TINYPHI, "serve", "--listen", f"unix:{path}"],
                                    capture_output=True, text=True, timeout=60)
            assert second.returncode == 69 and "another program" in second.stderr
            assert path.exists()
            d.process.send_signal(signal.SIGTERM)
            assert d.process.wait(20) == 0
            assert not path.exists()
        # Left behind by one that was killed: replaced.
        with Daemon("--listen", f"unix:{path}") as d:
            d.process.kill()
            d.process.wait()
        assert path.exists()
        with Daemon("--listen", f"unix:{path}"):
            pass


def test_start():
    """what cannot be is said at the start, with an exit status of its own"""
    def run(*options):
        return subprocess.run([TINYPHI, "serve", *options], capture_output=True,
                              text=True, timeout=60)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\nmemry = "1GiB"\n'
                          '[model.demo]\npath = "no.gguf"\n')
        r = run(str(config))
        assert r.returncode == 78 and "daemon.toml:4:" in r.stderr and "memory" in r.stderr, r
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\nmemory = "64MiB"\n'
                          '[model.demo]\nkv_memory = "100MiB"\n')
        r = run(str(config))
        if r.returncode != 78:
            raise AssertionError(r)
        assert "MiB for weights" in r.stderr and "there are 64 MiB" in r.stderr, r.stderr
    assert run("--listen", "0.0.0.0:0").returncode != 0
    assert run("-m", "/nonexistent.gguf", *LOCAL).returncode == 66
    with Daemon(*LOCAL) as d:
        r = run("--listen", f"127.0.0.1:{d.port}")
        assert r.returncode == 69 and "another program" in r.stderr


def test_completions():
    """plain prompts are answered in OpenAI's and in llama-server's form"""
    with Daemon(*LOCAL) as d:
        ask = {"prompt": "A green light means", "max_tokens": 8, "temperature": 0}
        status, _, one = d.ask("POST", "/v1/completions", ask)
        assert status == 200, one
        text = one["choices"][0]["text"]
        assert text.startswith(" ") and one["object"] == "text_completion"
        several = d.ask("POST", "/v1/completions",
                        {**ask, "prompt": ["A green light means", "The pump"], "n": 2,
                         "echo": True, "logprobs": 1})[2]
        assert [c["index"] for c in several["choices"]] == [0, 1, 2, 3]
        assert several["choices"][0]["text"] == "A green light means" + text
        assert several["choices"][2]["text"].startswith("The pump")
        assert several["choices"][3]["logprobs"]["text_offset"][0] == len("The pump")
        _, _, data = d.ask("POST", "/v1/completions", {**ask, "stream": True})
        assert "".join(e["choices"][0]["text"] for e in events(data)) == text
        ids = d.ask("POST", "/tokenize", {"content": "A green light means",
                                          "add_special": True})[2]["tokens"]
        by_ids = d.ask("POST", "/v1/completions", {**ask, "prompt": ids})[2]
        assert by_ids["choices"][0]["text"] == text
        native = d.ask("POST", "/completion", {"prompt": "A green light means", "n_predict": 8,
                                               "temperature": 0, "n_probs": 2,
                                               "return_tokens": True})[2]
        assert native["content"] == text and native["stop"] is True
        assert len(native["completion_probabilities"]) == len(native["tokens"])
        assert native["tokens_predicted"] == len(native["tokens"]) > 3
        assert native["timings"]["cache_n"] > 0
        stopped = d.ask("POST", "/completion",
                        {"prompt": "A green light means", "n_predict": 60, "temperature": 0,
                         "stop": [text.split()[1]]})[2]
        assert stopped["stop_type"] == "word", stopped
        assert stopped["stopping_word"] == text.split()[1]
        progress = d.ask("POST", "/completion",
                         {"prompt": "pump " * 900, "n_predict": 2, "stream": True,
                          "return_progress": True})[2]
        read = [json.loads(line[6:])["prompt_progress"]["processed"]
                for line in progress.decode().split("\n\n") if "prompt_progress" in line]
        # What other prompts begin with, too, is there from the start.
        assert read == sorted(read) and read[0] < 4 and read[-1] > 900, read
        both = d.ask("POST", "/completion", {
            "prompt": ["A green light means", ids], "n_predict": 8, "temperature": 0,
            "response_fields": ["content", "prompt", "generation_settings/n_predict"]})[2]
        assert [a["content"] for a in both] == [text, text], both
        assert both[0]["prompt"] == both[1]["prompt"] == "<s> A green light means", both
        objects = d.ask("POST", "/completion", {
            "prompt": {"prompt_string": "A green light means"}, "n_predict": 8,
            "temperature": 0})[2]
        assert objects["content"] == text, objects
        assert both[0]["generation_settings/n_predict"] == 8 and len(both[0]) == 3, both


def test_told_with_answers():
    """pieces tell times if asked, and a chat that lost its oldest turns says so"""
    with Daemon(*LOCAL) as d:
        ask = {"stream": True, "timings_per_token": True, "temperature": 0}
        data = d.ask("POST", "/completion", {**ask, "prompt": "A green light", "n_predict": 12})[2]
        *pieces, last = [json.loads(e.removeprefix("data: "))
                         for e in data.decode().split("\n\n") if e]
        told = [p["timings"]["predicted_n"] for p in pieces]
        assert told and told == sorted(told), told
        assert told[-1] == last["timings"]["predicted_n"] == last["tokens_predicted"]
        assert all(p["timings"]["prompt_ms"] > 0 for p in pieces)
        data = d.chat("What does a green light mean?", **ask)[2]
        first, *pieces, last = events(data)
        assert "timings" not in first and "timings" not in last
        told = [p["timings"]["predicted_n"] for p in pieces]
        assert told and told == sorted(told) and told[0] > 0, told

        long = [{"role": "user", "content": "pump " * 6000},
                {"role": "assistant", "content": "Yes."},
                {"role": "user", "content": "What does a green light mean?"}]
        refused = d.ask("POST", "/v1/chat/completions", {"messages": long})
        assert refused[0] == 400 and refused[2]["error"]["code"] == "context_length_exceeded"
        cut = {"messages": long, "max_tokens": 8, "tinyphi": {"overflow": "drop_oldest_turns"}}
        whole = d.ask("POST", "/v1/chat/completions", cut)[2]
        assert whole["choices"][0]["tinyphi"] == {"truncated": 2}, whole
        last = events(d.ask("POST", "/v1/chat/completions", {**cut, "stream": True})[2])[-1]
        assert last["choices"][0]["tinyphi"] == {"truncated": 2}, last
        cut["messages"] = long[2:]
        assert "tinyphi" not in d.ask("POST", "/v1/chat/completions", cut)[2]["choices"][0]
        # Prompts of one request are counted each.
        texts = [w + " is ready, and the valve may be open" * 12 for w in ("The pump", "A fan")]
        both = {"prompt": texts, "max_tokens": 2}
        d.ask("POST", "/v1/completions", both)
        used = d.ask("POST", "/v1/completions", both)[2]["usage"]
        alone = d.ask("POST", "/v1/completions", {**both, "prompt": texts[0]})[2]["usage"]
        cached = used["prompt_tokens_details"]["cached_tokens"]
        assert cached > alone["prompt_tokens"], (used, alone)


def test_props():
    """/props tells of the first model what llama-server does, but no path and no prompt"""
    with Daemon(*LOCAL) as d:
        status, _, told = d.ask("GET", "/props")
        # Whatever comes anew is to be looked at for what it gives away.
        assert status == 200 and set(told) == {
            "default_generation_settings", "total_slots", "model_alias", "modalities",
            "endpoint_slots", "endpoint_props", "endpoint_metrics", "bos_token", "eos_token",
            "build_info", "is_sleeping"}, told
        (one,) = d.ask("GET", "/v1/models")[2]["data"]
        defaults = told["default_generation_settings"]
        assert told["model_alias"] == one["id"] and told["total_slots"] == 16
        assert defaults["n_ctx"] == one["meta"]["n_ctx"]
        assert not any(told["modalities"].values())
        # They are what a request that says nothing has.
        made = d.ask("POST", "/completion", {"prompt": "A green light", "n_predict": 1})[2]
        used = made["generation_settings"]
        assert used.pop("seed") >= 0 and defaults["params"].pop("seed") == -1
        for name in ("n_predict", "max_tokens"):
            assert used.pop(name) == 1 and defaults["params"].pop(name) == -1
        assert used == defaults["params"] and used["top_k"] == 40, (used, defaults)
        assert told["build_info"] == d.chat("Hi", max_tokens=1)[2]["system_fingerprint"]
        assert d.ask("POST", "/props", {"a": 1})[0] == 405
        document = d.ask("GET", "/openapi.json")[2]
        answer = document["paths"]["/props"]["get"]["responses"]["200"]["content"]
        name = answer["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        assert set(document["components"]["schemas"][name]["required"]) <= set(told)


def test_responses():
    """a response is a text with numbered events, and nothing of it is kept"""
    with Daemon(*LOCAL) as d:
        question = "What does a green light mean?"
        ask = {"input": question, "temperature": 0, "max_output_tokens": 24}
        status, _, whole = d.ask("POST", "/v1/responses", ask)
        assert status == 200 and whole["object"] == "response", whole
        text = whole["output"][0]["content"][0]["text"]
        chat = d.chat(question)[2]
        assert text == chat["choices"][0]["message"]["content"]
        assert whole["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"]
        assert whole["status"] == "completed", whole
        data = d.ask("POST", "/v1/responses",
                     {**ask, "stream": True, "top_logprobs": 1})[2].decode()
        stream = []
        for event in data.removesuffix("\n\n").split("\n\n"):
            name, body = event.split("\n")
            stream.append(json.loads(body.removeprefix("data: ")))
            assert name == "event: " + stream[-1]["type"], event
        assert [e["sequence_number"] for e in stream] == list(range(len(stream)))
        deltas = [e for e in stream if e["type"] == "response.output_text.delta"]
        assert deltas and "".join(e["delta"] for e in deltas) == text
        last = stream[-1]["response"]
        assert stream[-1]["type"] == "response.completed"
        assert last["output"][0]["content"][0]["text"] == text
        logprobs = last["output"][0]["content"][0]["logprobs"]
        assert len(logprobs) == last["usage"]["output_tokens"]
        assert logprobs == [t for e in deltas for t in e["logprobs"]]
        # The next turn finds this one.
        turns = [{"role": "user", "content": question}, *last["output"],
                 {"role": "user", "content": "And a red one?"}]
        second = d.ask("POST", "/responses", {"input": turns, "max_output_tokens": 2})[2]
        cached = second["usage"]["input_tokens_details"]["cached_tokens"]
        assert cached >= last["usage"]["total_tokens"], second
        assert second["status"] == "incomplete"
        assert second["incomplete_details"] == {"reason": "max_output_tokens"}
        refused = d.ask("POST", "/v1/responses", {**ask, "previous_response_id": "resp_1"})
        assert refused[0] == 400 and refused[2]["error"]["param"] == "previous_response_id"


def test_ollama():
    """Ollama's clients chat, read and embed, if the file says so"""
    with Daemon(*LOCAL) as d:
        assert d.ask("GET", "/api/tags")[0] == 404
        assert not [p for p in d.ask("GET", "/openapi.json")[2]["paths"] if "/api/" in p]
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[serve.ollama]\n'
                          '[model.any]\naliases = ["*"]\n[model.phi]\n')
        with Daemon(str(config)) as d:
            assert d.ask("GET", "/")[2] == b"Ollama is running"
            status, headers, data = d.ask("HEAD", "/")
            assert (status, headers["content-length"], data) == (200, "17", b"")
            browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
            status, _, page = d.ask("GET", "/", headers=browser)
            assert status == 404 and "page" in page["error"], page
            paths = d.ask("GET", "/openapi.json")[2]["paths"]
            assert {"/", "/api/chat", "/api/generate", "/api/embed", "/api/show", "/api/tags",
                    "/api/ps", "/api/version"} <= set(paths) and "/api/pull" not in paths
            assert d.ask("GET", "/api/version")[2]["version"].endswith("-tinyphi")
            tags = d.ask("GET", "/api/tags")[2]["models"]
            assert [m["name"] for m in tags] == ["any:latest", "phi:latest"], tags
            assert len(tags[1]["digest"]) == 64 and tags[1]["size"] > 1e6
            assert d.ask("GET", "/api/ps")[2]["models"][1]["context_length"] == 4096
            shown = d.ask("POST", "/api/show", {"model": "phi"})[2]
            assert shown["model_info"]["phi3.context_length"] == 4096, shown
            assert 1e6 < shown["model_info"]["general.parameter_count"] < 1e7

            question = "What does a green light mean?"
            message = {"role": "user", "content": question}
            ask = {"model": "phi:latest", "messages": [message], "keep_alive": "5m",
                   "options": {"temperature": 0, "num_predict": 24, "num_ctx": 8192,
                               "repeat_penalty": 1}}
            status, headers, data = d.ask("POST", "/api/chat", ask)
            assert status == 200 and headers["content-type"] == "application/x-ndjson"
            lines = [json.loads(line) for line in data.decode().splitlines()]
            assert all(not line["done"] for line in lines[:-1]) and len(lines) >= 2
            text = "".join(line["message"]["content"] for line in lines)
            assert text == d.chat(question, model="phi")[2]["choices"][0]["message"]["content"]
            last = lines[-1]
            assert last["model"] == "phi:latest" and last["done_reason"] == "stop", last
            assert last["eval_count"] > 3 and last["prompt_eval_count"] > 5
            assert 1e3 < last["total_duration"] < 6e10
            whole = d.ask("POST", "/api/chat", {**ask, "stream": False})[2]
            assert whole["message"]["content"] == text and whole["done"] is True
            made = d.ask("POST", "/api/generate",
                         {"model": "phi", "prompt": question, "stream": False,
                          "options": ask["options"]})[2]
            assert made["response"] == text, made
            raw = d.ask("POST", "/api/generate",
                        {"model": "phi", "prompt": "A green light means", "raw": True,
                         "stream": False, "options": ask["options"]})[2]["response"]
            assert raw.startswith(" "), raw
            loaded = d.ask("POST", "/api/chat", {"model": "phi"})[2]
            assert loaded["done_reason"] == "load" and loaded["message"]["content"] == ""
            vectors = d.ask("POST", "/api/embed", {"model": "phi", "input": ["a pump", "b"]})[2]
            openai = d.ask("POST", "/v1/embeddings", {"model": "phi", "input": "a pump"})[2]
            assert vectors["embeddings"][0] == openai["data"][0]["embedding"]
            assert len(vectors["embeddings"]) == 2 and vectors["prompt_eval_count"] > 2

            # Errors are texts, before the answer and without cutting the prompt.
            for path, body, status, word in (
                    ("/api/chat", {**ask, "options": {"num_ctx": 4}}, 400, "4 tokens"),
                    ("/api/chat", {**ask, "think": True}, 400, "think"),
                    ("/api/chat", {**ask, "format": "xml"}, 400, "format"),
                    ("/api/chat", {**ask, "options": {"top_p": 2}}, 400, "options.top_p"),
                    ("/api/generate", {"prompt": "a", "images": ["x"]}, 400, "see"),
                    ("/api/embed", {"input": "pump " * 8000}, 400, "context"),
                    ("/api/chat", b"{", 400, ""),
                    ("/api/generate", {"options": {"logit_bias": {"99999999": 1}}}, 400, "bias"),
                    ("/api/embeddings", {"prompt": "a"}, 501, "/api/embed"),
                    ("/api/pull", {"model": "llama"}, 501, "daemon's file")):
                got = d.ask("POST", path, body)
                assert got[0] == status and word in got[2]["error"], (path, body, got)
            # A name that is a model's own comes before one that any name means.
            assert d.chat("Hello", model="phi")[2]["model"] == "phi"
            assert d.chat("Hello", model="else")[2]["model"] == "any"
        config.write_text(config.read_text().replace('aliases = ["*"]\n', ""))
        with Daemon(str(config)) as d:
            for path in ("/api/chat", "/api/generate", "/api/show", "/api/embed"):
                got = d.ask("POST", path, {"model": "none:latest", "input": "a"} if "embed" in path
                            else {"model": "none:latest"})
                assert got[0] == 404 and isinstance(got[2]["error"], str), got
                # Every route knows what /api/tags calls it.
                body = {"model": "phi:latest", "input": "a"} if "embed" in path \
                    else {"model": "phi:latest"}
                assert d.ask("POST", path, body)[0] == 200, path


def test_patience():
    """an answer is on its way before its client's own time is over"""
    with Daemon(*LOCAL) as d:
        body = {"messages": [{"role": "user", "content": "Hello"}], "ignore_eos": True,
                "max_tokens": 100000}
        for stream in (False, True):
            headers = {"x-stainless-read-timeout": "0.5"}
            begin = time.monotonic()
            s = d.ask("POST", "/v1/chat/completions",
                      {**body, "stream": stream, "max_tokens": 1500}, headers)
            took = time.monotonic() - begin
            assert s[0] == 200
            if stream:  # its pieces come in time: it goes on to its end
                assert events(s[2])[-1]["choices"][0]["finish_reason"] == "length"
                assert "deadline" not in s[2].decode()
            else:
                choice = s[2]["choices"][0]
                if choice.get("tinyphi", {}).get("finish") == "deadline":
                    assert 0.4 < took < 0.5 + 0.2, took
                else:  # a machine that is fast enough
                    assert took < 0.5, took
        for header in ("", "soon", "-1", "0", "nan", "inf"):
            assert d.ask("POST", "/v1/chat/completions", {**body, "max_tokens": 2},
                         {"x-stainless-read-timeout": header})[0] == 200, header


def test_admin():
    """an admin reloads and drains over the unix socket, others may not"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "api.sock"
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0", '
                          f'"unix:{path}"]\n[model.demo]\n')

        def post(what):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(path))
                s.sendall(f"POST /admin/{what} HTTP/1.1\r\nHost: a\r\n"
                          "Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
                data = b""
                while more := s.recv(4096):
                    data += more
            return data.decode()

        with Daemon(str(config)) as d:
            for what in ("reload", "drain"):
                address = next(line for line in d.lines if "http://" in line)
                d.address = address.split("listening on ")[1].strip()
                status, _, e = d.ask("POST", f"/admin/{what}")
                assert status == 403 and e["error"]["code"] == "not_an_admin", (status, e)
            assert '"reloading"' in post("reload")
            d.wait_for_line("reloaded: ")
            assert '"draining"' in post("drain")
            assert d.process.wait(10) == 0
        with Daemon("--listen", f"unix:{path}") as d:
            answer = post("reload")
            assert answer.startswith("HTTP/1.1 404 ") and "nothing_to_reload" in answer, answer


def test_embeddings():
    """embeddings come as numbers and as bytes, of length 1, one for each text"""
    with Daemon(*LOCAL) as d:
        ask = {"input": ["The pump is ready.", "A red light"]}
        status, _, numbers = d.ask("POST", "/v1/embeddings", ask)
        assert status == 200, numbers
        coded = d.ask("POST", "/v1/embeddings", {**ask, "encoding_format": "base64"})[2]
        for n, c in zip(numbers["data"], coded["data"]):
            raw = base64.b64decode(c["embedding"])
            values = struct.unpack(f"<{len(raw) // 4}f", raw)
            assert max(abs(a - b) for a, b in zip(values, n["embedding"])) < 1e-6
            assert abs(sum(v * v for v in values) - 1) < 1e-4
        assert numbers["usage"]["prompt_tokens"] > 5
        size = len(numbers["data"][0]["embedding"])
        assert d.ask("POST", "/v1/embeddings", {**ask, "dimensions": size})[0] == 200
        counted = [line for line in d.ask("GET", "/metrics")[2].decode().splitlines()
                   if line.startswith("tinyphi_prompt_tokens_total")]
        tokens = 3 * numbers["usage"]["prompt_tokens"]
        assert len(counted) == 1 and float(counted[0].split()[1]) == tokens, counted
        for bad, param in (({"input": ""}, "input"), ({"input": []}, "input"),
                           ({"input": [[10**6]]}, "input[0]"),
                           ({"input": "a", "dimensions": 3}, "dimensions"),
                           ({"input": ["a"] * 257}, "input")):
            status, _, body = d.ask("POST", "/v1/embeddings", bad)
            assert status == 400 and body["error"]["param"] == param, (bad, body)
        status, _, body = d.ask("POST", "/v1/embeddings", {"input": ["a", "pump " * 8000]})
        error = body["error"]
        assert (status, error["code"], error["param"]) == (
            400, "context_length_exceeded", "input[1]"), body
        assert f"input[1] is too large: it has {error['n_prompt_tokens']} tokens" in \
            error["message"] and "messages" not in error["message"], body


def test_watched():
    """metrics and the access log tell what happened, and no text of it"""
    with tempfile.NamedTemporaryFile() as log:
        with Daemon(*LOCAL, "--access-log", stdout=log) as d:
            d.chat("My secret question")
            d.ask("POST", "/v1/chat/completions", {"messages": []})
            d.ask("GET", "/nothing")
            text = d.ask("GET", "/metrics")[2].decode()
            assert "tinyphi_generated_tokens_total" in text
            for line in text.splitlines():
                if line.startswith("tinyphi_requests_received_total") and "normal" in line:
                    assert float(line.split()[-1]) >= 1, line
            d.process.send_signal(signal.SIGTERM)
            assert d.process.wait(20) == 0
        lines = [json.loads(line) for line in open(log.name)]
        assert "secret" not in open(log.name).read()
        assert [r["status"] for r in lines] == [200, 400, 404, 200]
        assert lines[0]["generated"] > 0 and lines[0]["route"] == "/v1/chat/completions"
        assert lines[1]["code"] == "invalid_value"


def status_of_threads(pid, key):
    """What /proc says of each thread of a process, as a set."""
    found = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            text = (task / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # that of the loader ends at about this time
        for line in text.splitlines():
            if line.startswith(key + ":"):
                found.add(line.split()[1])
    return found


def test_sandbox():
    """a ready daemon has given up calls and files, unless it was told not to"""
    with tempfile.TemporaryDirectory() as folder:
        docs = pathlib.Path(folder) / "docs"
        shutil.copytree(pathlib.Path(__file__).resolve().parent.parent.parent / "pipelines/docs-qa",
                        docs)
        shutil.copytree(docs / "docs", pathlib.Path(folder) / "elsewhere")
        config = pathlib.Path(folder) / "conf/daemon.toml"
        config.parent.mkdir()

        def start(table, *options, wait=True):
            config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n' + table +
                              '[model.demo]\n[pipeline.docs]\npath = "../docs/docs-qa.toml"\n')
            return Daemon(str(config), *options, wait=wait)

        with start("") as d:
            assert d.chat("What does a green light mean?")[0] == 200
            assert status_of_threads(d.process.pid, "NoNewPrivs") == {"1"}
            restricted = status_of_threads(d.process.pid, "Seccomp")
            said = "calls are not restricted" in "".join(d.lines)
            assert restricted == ({"0"} if said else {"2"}), (restricted, d.lines)
        with start("[serve.sandbox]\nenabled = false\n") as d:
            assert status_of_threads(d.process.pid, "NoNewPrivs") == {"0"}
        with start("", "--no-sandbox") as d:
            assert status_of_threads(d.process.pid, "Seccomp") == {"0"}

        # A pipeline that reads a folder which nobody named.
        if "files are not restricted" in "".join(d.lines):
            print("skipped: this kernel has no Landlock")
            return
        pipeline = docs / "docs-qa.toml"
        text = pipeline.read_text()
        assert '"docs"' in text, text
        pipeline.write_text(text.replace('"docs"', '"../elsewhere"'))
        ask = ("POST", "/v1/pipelines/docs",
               {"inputs": {"question": "What does a green light mean?"}})
        with start("") as d:
            status, _, body = d.ask(*ask)
            assert status == 500, (status, body)
            # The client is told an id, the log what happened.
            logged = d.wait_for_line("request ")
            assert "elsewhere" in logged, d.lines
            metrics = d.ask("GET", "/metrics")[2].decode()
            assert re.search(r'requests_total\{[^}]*model="pipeline:docs"[^}]*code="500"', metrics), \
                metrics
        with start('[serve.sandbox]\nread = ["../elsewhere"]\n') as d:
            status, _, body = d.ask(*ask)
            assert status == 200 and body["outputs"]["citations"], (status, body)


def test_programs():
    """a pipeline that starts a program is refused at load, unless there is no sandbox"""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "tool").write_text("""#!/bin/sh\necho '{"id":1,"out":{"reply":"done"}}'\n""")
        (folder / "tool").chmod(0o755)
        (folder / "p.toml").write_text('''tinyphi = 1
allow.exec = ["tool"]
output.reply = "run.reply"
[stage.run]
use = "process"
with.command = ["tool"]
with.out = { reply = "text" }
''')
        config = folder / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n'
                          '[model.demo]\n[pipeline.p]\npath = "p.toml"\n')
        r = subprocess.run([TINYPHI, "serve", str(config)], capture_output=True, text=True,
                           timeout=60)
        assert r.returncode != 0, r
        assert "p.toml:6:16: error[TP1008]: stage run: with.command: the daemon's sandbox " \
            "lets no program be started; serve with --no-sandbox" in r.stderr, r
        with Daemon(str(config), "--no-sandbox", wait=False) as d:
            d.ready.wait(60)
            if "no Landlock" in "".join(d.lines):
                print("skipped: this kernel has no Landlock")
                return
            status, _, body = d.ask("POST", "/v1/pipelines/p", {"inputs": {}})
            assert status == 200 and body["outputs"] == {"reply": "done"}, (status, body)


def test_inputs_that_may_be_left_out():
    """an input of a type with '?' may be left out of a request, and is told so"""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "p.toml").write_text("""tinyphi = 1
input.greeting = "text"
input.name = "text?"
output.text = "say.text?"
[stage.say]
use = "text.const"
with.text = "{{ greeting }}{% if has(name) %} {{ name }}{% endif %}"
""")
        config = folder / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n'
                          '[model.demo]\n[pipeline.p]\npath = "p.toml"\n')
        with Daemon(str(config)) as d:
            inputs = d.ask("GET", "/v1/pipelines")[2]["data"][0]["inputs"]
            assert [i["required"] for i in inputs] == [True, False], inputs
            for given, said in (({"greeting": "Hi"}, "Hi"),
                                ({"greeting": "Hi", "name": "Ada"}, "Hi Ada")):
                status, _, body = d.ask("POST", "/v1/pipelines/p", {"inputs": given})
                assert status == 200 and body["outputs"] == {"text": said}, (status, body)
            status, _, error = d.ask("POST", "/v1/pipelines/p", {"inputs": {"name": "Ada"}})
            assert status == 400 and error["error"]["param"] == "inputs.greeting", error


def test_pipelines():
    """a pipeline is a route and a model of the chat, with its citations as annotations"""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    with tempfile.TemporaryDirectory() as folder:
        for sample in ("docs-qa", "order-check"):
            shutil.copytree(root / "pipelines" / sample, pathlib.Path(folder) / sample)
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[model.demo]\n'
                          '[pipeline.docs]\npath = "docs-qa/docs-qa.toml"\n'
                          '[pipeline.orders]\npath = "order-check/order-check.toml"\n')
        with Daemon(str(config)) as d:
            known = d.ask("GET", "/v1/pipelines")[2]["data"]
            assert known[0]["name"] == "docs" and known[0]["inputs"][0]["name"] == "question"
            assert "pipeline:docs" in [m["id"] for m in d.ask("GET", "/v1/models")[2]["data"]]
            question = "What does a green light mean?"
            status, _, whole = d.ask("POST", "/v1/pipelines/docs",
                                     {"inputs": {"question": question}})
            assert status == 200, whole
            answer = whole["outputs"]["answer"]
            assert whole["outputs"]["citations"] and whole["outputs"]["grounded"] is True
            assert {s["id"] for s in whole["stages"]} >= {"find", "generate", "cite"}
            data = d.ask("POST", "/v1/pipelines/docs",
                         {"inputs": {"question": question}, "stream": True})[2].decode()
            assert "event: done\n" in data

            ask = {"model": "pipeline:docs", "messages": [{"role": "user", "content": question}]}
            chat = d.ask("POST", "/v1/chat/completions", ask)[2]
            message = chat["choices"][0]["message"]
            assert message["content"] == answer, (message, answer)
            cited = message["annotations"][0]["url_citation"]
            assert cited["url"].startswith("tinyphi:doc/") and cited["title"]
            sentence = answer[cited["start_index"]:cited["end_index"]]
            assert sentence == whole["outputs"]["citations"][0]["sentence"]
            stream = events(d.ask("POST", "/v1/chat/completions", {**ask, "stream": True})[2])
            joined = "".join(e["choices"][0]["delta"].get("content") or "" for e in stream)
            assert joined == answer
            assert any("annotations" in e["choices"][0]["delta"] for e in stream)

            for body, param in (({"inputs": {}}, "inputs.question"),
                                ({"inputs": {"question": 5}}, "inputs.question"),
                                ({"inputs": {"qestion": "a"}}, "inputs"),
                                ({"inputs": {"question": "a" * 4001}}, "inputs.question")):
                status, _, error = d.ask("POST", "/v1/pipelines/docs", body)
                assert status == 400 and error["error"]["param"] == param, (body, error)
            order = {"customer": "Ada", "shipping": "post", "total": 10,
                     "lines": [{"article": "AB-1234", "pieces": 5, "price": 10}]}
            whole = d.ask("POST", "/v1/pipelines/orders", {"inputs": {"order": order}})[2]
            assert whole["outputs"]["answer"].startswith("Thank you, Ada"), whole
            order["lines"][0]["article"] = "AB"
            status, _, error = d.ask("POST", "/v1/pipelines/orders", {"inputs": {"order": order}})
            assert status == 400 and error["error"]["param"] == "inputs.order", error
            assert "/lines/0/article: " in error["error"]["message"], error
            assert d.ask("POST", "/v1/pipelines/none", {"inputs": {}})[0] == 404
            refused = d.ask("POST", "/v1/chat/completions", {**ask, "n": 2})
            assert refused[0] == 400 and refused[2]["error"]["param"] == "n"
            # Many at once: each has its answer.
            found = [None] * 12
            def one(i):
                found[i] = d.ask("POST", "/v1/chat/completions", ask)[2]["choices"][0]["message"]["content"]
            threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
            for t in threads: t.start()
            for t in threads: t.join()
            assert found == [answer] * 12
        config.write_text(config.read_text().replace("docs-qa.toml", "none.toml"))
        r = subprocess.run([TINYPHI, "serve", str(config)], capture_output=True, text=True,
                           timeout=60)
        assert r.returncode != 0 and "none.toml" in r.stderr, r


def test_pipeline_queue():
    """a pipeline runs as many requests as its file says, and tells the others when to come"""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(root / "pipelines/docs-qa", pathlib.Path(folder) / "docs-qa")
        file = pathlib.Path(folder) / "docs-qa/docs-qa.toml"
        file.write_text(file.read_text().replace("[limits]\n", "[limits]\nconcurrency = 1\nqueue = 1\n"))
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[model.demo]\n'
                          '[pipeline.docs]\npath = "docs-qa/docs-qa.toml"\n')
        with Daemon(str(config)) as d:
            found = [None] * 16
            def one(i):
                body = {"inputs": {"question": "What does a green light mean?"}, "stream": i % 2 == 1}
                found[i] = d.ask("POST", "/v1/pipelines/docs", body)
            threads = [threading.Thread(target=one, args=(i,)) for i in range(16)]
            for t in threads: t.start()
            for t in threads: t.join()
            assert {f[0] for f in found} == {200, 503}, [f[0] for f in found]
            for status, headers, body in found:
                if status != 503: continue
                assert body["error"]["code"] == "overloaded", body
                assert "[limits].concurrency" in body["error"]["message"], body
                assert int(headers["retry-after"]) >= 1 and int(headers["retry-after-ms"]) > 0
            assert d.ask("POST", "/v1/pipelines/docs", {"inputs": {"question": "Why?"}})[0] == 200


def test_idle():
    """an idle daemon takes no CPU time: at most two wake-ups a second"""
    with Daemon(*LOCAL) as d:
        d.chat("Hello")
        time.sleep(8)  # the engine measures its steps for a while
        def used():
            ticks = wakes = 0
            for task in pathlib.Path(f"/proc/{d.process.pid}/task").iterdir():
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
                for line in (task / "status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches"):
                        wakes += int(line.split()[1])
            return ticks, wakes
        before = used()
        time.sleep(5)
        after = used()
        assert after[0] - before[0] <= 1, (before, after)
        assert after[1] - before[1] <= 12, (before, after)


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
