#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`tinyphi mcp` from outside: a client of the Model Context Protocol over pipes.

Usage: mcp_test.py TINYPHI SOURCE_ROOT [NAME_PART]

With TINYPHI_TEST_LONG=1 clients of PyPI ask, too. Every function called
test_* is one case. The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import queue
import random
import signal
import subprocess
import sys
import threading
import time

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402
import pypi  # noqa: E402
from mcp_peers import LONG, META, NEWEST, VENV  # noqa: E402

DONE, USAGE, NO_INPUT, TRY_AGAIN, CONFIG = 0, 64, 66, 75, 78
LIMIT = 120  # seconds that a test waits for what must happen
MAX_LINE = 4 << 20

HANDSHAKES = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

GREET = """tinyphi = 1
pipeline.summary = "Greets somebody."
input.name = { type = "text", max_bytes = 40 }
input.n = { type = "int", default = 1 }
output.text = "say.text"
output.n = "input.n"
[stage.say]
use = "text.const"
with.text = "{{ n }}: Hello {{ name }}."
"""
# Checks a value of a type; what is wrong is told.
ORDER = """tinyphi = 1
input.order = "json"
output.ok = "judge.ok"
output.errors = "judge.errors"
output.order = "judge.value?"
[type.line]
properties.qty = { type = "integer", minimum = 1 }
[type.order]
properties.lines = { type = "array", items = { "$ref" = "line" } }
[stage.judge]
use = "json.check"
in.value = "input.order"
with.type = "order"
"""
# Ends once the file is there; a stage before it ends at once.
WAIT = """tinyphi = 1
limits.concurrency = 1
limits.queue = 1
allow.read = ["inbox"]
input.file = "file"
output.said = "say.text"
output.text = "read.text"
[stage.say]
use = "text.const"
with.text = "I wait."
[stage.read]
use = "file.read"
in.file = "input.file"
after = ["say"]
retry = { max = 10, wait = "100ms", on = ["not_found"] }
"""
ASK = """tinyphi = 1
input.text = "text"
output.sent = { from = "send.bytes", default = 0 }
[stage.ask]
use = "approve"
in.text = "input.text"
with.ask = "Send it?"
[stage.send]
use = "file.write"
in.text = "ask.text"
with.path = "sent.txt"
"""


class Client:
    """A running `tinyphi mcp FILES` in `folder`, and what it says."""

    def __init__(self, folder, *files):
        self.process = subprocess.Popen(
            [PROGRAM, "mcp", *map(str, files)], cwd=folder, bufsize=0,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.lines = queue.Queue()
        self.kept = []
        self.last_id = 0
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stderr):
            pipe.close()
        self.reader.join(LIMIT)

    def read(self):
        with self.process.stdout as out:
            for line in iter(lambda: out.readline(2 * MAX_LINE), b""):
                self.lines.put(line)
        self.lines.put(None)

    def write(self, data):
        while data:
            data = data[self.process.stdin.write(data):]

    def send(self, message):
        self.write(json.dumps(message).encode() + b"\n")

    def next(self):
        """The next message, which is one of JSON-RPC; None at the end."""
        line = self.lines.get(timeout=LIMIT)
        if line is None:
            return None
        assert line.endswith(b"\n") and len(line) <= MAX_LINE + 1, line[-80:]
        message = json.loads(line)
        assert isinstance(message, list) or message["jsonrpc"] == "2.0", message
        return message

    def wait_for(self, wanted):
        """The first message that is wanted; the others are kept."""
        for i, message in enumerate(self.kept):
            if wanted(message):
                return self.kept.pop(i)
        while True:
            message = self.next()
            assert message is not None, self.process.stderr.read()
            if wanted(message):
                return message
            self.kept.append(message)

    def begin(self, method, meta=META, **params):
        """Sends a request of 2026-07-28, or with meta=None of a handshake's."""
        self.last_id += 1
        if meta is not None:
            params["_meta"] = meta
        self.send({"jsonrpc": "2.0", "id": self.last_id, "method": method,
                   "params": params})
        return self.last_id

    def answer(self, number):
        return self.wait_for(lambda m: m.get("id") == number)

    def ask(self, method, meta=META, **params):
        return self.answer(self.begin(method, meta, **params))

    def error(self, method, meta=META, **params):
        return self.ask(method, meta, **params)["error"]["code"]

    def begin_call(self, tool, meta=META, **arguments):
        return self.begin("tools/call", meta, name=tool, arguments=arguments)

    def call(self, tool, meta=META, **arguments):
        return self.answer(self.begin_call(tool, meta, **arguments))["result"]

    def begin_waiting(self, file, token):
        """A call of WAIT that is under way: its first stage has ended."""
        number = self.begin_call("wait", {**META, "progressToken": token},
                                 file=f"inbox/{file}")
        told = self.wait_for(lambda m: m.get("method") == "notifications/progress"
                             and m["params"]["progressToken"] == token)
        assert told["params"]["progress"] == 1, told
        return number

    def cancel(self, number):
        self.send({"jsonrpc": "2.0", "method": "notifications/cancelled",
                   "params": {"requestId": number, "reason": "test"}})

    def agree(self, revision):
        return self.ask("initialize", None, protocolVersion=revision,
                        capabilities={},
                        clientInfo={"name": "t", "version": "1"})["result"]

    def end(self, code=DONE):
        """Closes its input, unless it is; all messages until its end."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        rest = self.kept + list(iter(self.next, None))
        assert self.process.wait(LIMIT) == code, self.process.stderr.read()
        return rest


def write_all(folder):
    (folder / "inbox").mkdir()
    for name, text in (("greet", GREET), ("order", ORDER), ("wait", WAIT),
                       ("ask", ASK)):
        (folder / f"{name}.toml").write_text(text)
    return ["wait.toml", "greet.toml", "order.toml", "ask.toml"]


def is_error(result, *parts):
    assert result["isError"] is True, result
    assert "structuredContent" not in result, result
    said = "\n".join(c["text"] for c in result["content"])
    for part in parts:
        assert part in said, f"no {part!r} in: {said}"


def test_pipelines_are_tools_by_name_with_schemas_of_inputs_and_outputs(folder):
    with Client(folder, *write_all(folder)) as c:
        found = c.ask("server/discover")["result"]
        assert found["supportedVersions"] == [NEWEST], found
        assert found["resultType"] == "complete", found
        tools = c.ask("tools/list")["result"]["tools"]
        assert [t["name"] for t in tools] == ["ask", "greet", "order", "wait"]
        by_name = {t["name"]: t for t in tools}
        assert by_name["greet"] == {
            "name": "greet", "description": "Greets somebody.",
            "inputSchema": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": 40},
                               "n": {"type": "integer", "default": 1}},
                "required": ["name"], "additionalProperties": False},
            "outputSchema": {
                "type": "object",
                "properties": {"text": {"type": "string"},
                               "n": {"type": "integer"}},
                "required": ["text", "n"], "additionalProperties": False},
            "annotations": {"readOnlyHint": True, "openWorldHint": False}}
        order = by_name["order"]["outputSchema"]
        assert order["required"] == ["ok", "errors"], order
        assert order["properties"]["order"] == {"$ref": "#/$defs/order"}, order
        assert order["$defs"]["line"]["properties"]["qty"]["minimum"] == 1
        assert not by_name["ask"]["annotations"]["readOnlyHint"]
        assert by_name["wait"]["annotations"]["readOnlyHint"]
        assert c.end() == []


def test_a_call_gives_its_outputs_as_text_and_structured(folder):
    with Client(folder, *write_all(folder)) as c:
        result = c.call("greet", name="Zoë")
        outputs = {"text": "1: Hello Zoë.", "n": 1}
        assert result["structuredContent"] == outputs, result
        assert [x["type"] for x in result["content"]] == ["text"]
        assert json.loads(result["content"][0]["text"]) == outputs
        assert result["isError"] is False and result["resultType"] == "complete"
        good = {"lines": [{"qty": 2}]}
        assert c.call("order", order=good)["structuredContent"] == {
            "ok": True, "errors": [], "order": good}
        bad = c.call("order", order={"lines": [{"qty": 0}]})["structuredContent"]
        assert not bad["ok"] and len(bad["errors"]) == 1 and "order" not in bad
        assert c.end() == []


def test_handshakes_get_what_their_revision_has(folder):
    files = write_all(folder)
    for revision in HANDSHAKES:
        with Client(folder, *files) as c:
            assert c.ask("ping", None)["result"] == {}
            agreed = c.agree(revision)
            assert agreed["protocolVersion"] == revision, agreed
            assert agreed["serverInfo"]["name"] == "tinyphi", agreed
            c.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            greet = c.ask("tools/list", None)["result"]["tools"][1]
            assert ("outputSchema" in greet) == (revision >= "2025-06-18")
            result = c.call("greet", None, name="x")
            assert ("structuredContent" in result) == (revision >= "2025-06-18")
            assert json.loads(result["content"][0]["text"])["n"] == 1, result
            assert "resultType" not in result, result
            assert c.error("server/discover", None) == -32601
            if revision == "2025-03-26":
                c.send([{"jsonrpc": "2.0", "id": "a", "method": "ping"},
                        {"jsonrpc": "2.0", "id": "b", "method": "tools/call",
                         "params": {"name": "greet",
                                    "arguments": {"name": "y"}}}])
                batch = c.wait_for(lambda m: isinstance(m, list))
                assert [m["id"] for m in batch] == ["a", "b"], batch
            assert c.end() == []


def test_what_cannot_be_called_says_why(folder):
    with Client(folder, *write_all(folder)) as c:
        is_error(c.call("gret", name="x"), "no tool 'gret'", "'greet'")
        is_error(c.call("greet"), "input name (text) is missing")
        is_error(c.call("greet", name=7), "name", "not a text")
        is_error(c.call("greet", name="x", nam="y"), "no input 'nam'")
        is_error(c.call("greet", name="x" * 41), "41 bytes")
        is_error(c.call("greet", name="x", n=1.5), "input n")
        is_error(c.call("wait", file="../ask.toml"), "read")
        assert c.error("tools/call") == -32602
        assert c.error("tools/call", name="greet", arguments=[]) == -32602
        assert c.error("tools/list", cursor="x") == -32602
        assert c.error("prompts/list") == -32601
        assert c.error("ping") == -32601
        assert c.error("tools/list", None) == -32602
        old = c.ask("tools/list", {**META, "io.modelcontextprotocol/"
                                   "protocolVersion": "1900-01-01"})["error"]
        assert old["code"] == -32022, old
        assert old["data"] == {"supported": [NEWEST], "requested": "1900-01-01"}
        assert c.end() == []


def test_garbage_and_giant_lines_are_answered_and_passed_over(folder):
    with Client(folder, *write_all(folder)) as c:
        for line, code in ((b"x", -32700), (b"\xff\xfe", -32700),
                           (b"[" * 100000, -32700), (b"{}", -32600),
                           (b"[]", -32600), (b'"' + b"x" * (5 << 20) + b'"',
                                             -32600)):
            c.write(line + b"\n\n\r\n")
            answer = c.next()
            assert answer["error"]["code"] == code, (line[:9], answer)
            assert answer["id"] is None, answer
        noise = random.Random(1).randbytes(100000).replace(b"\n", b" ")
        c.write(noise + b"\n")
        assert c.next()["error"]["code"] == -32700
        # A line as long as is allowed.
        c.send({"jsonrpc": "2.0", "id": "x", "method": "tools/call",
                "params": {"name": "greet", "_meta": META,
                           "arguments": {"name": "x" * (MAX_LINE - 400)}}})
        is_error(c.answer("x")["result"], "bytes")
        assert c.call("greet", name="x")["isError"] is False
        # Many answers for whoever reads late.
        n = 20000
        writer = threading.Thread(target=c.write, args=(b"7\n" * n,))
        writer.start()
        for _ in range(n):
            assert c.next()["error"]["code"] == -32600
        writer.join(LIMIT)
        assert c.end() == []


def test_a_second_call_does_not_wait_for_the_first(folder):
    with Client(folder, *write_all(folder)) as c:
        first = c.begin_waiting("late.txt", "p")
        assert c.call("greet", name="x")["isError"] is False
        (folder / "inbox/late.txt").write_text("Here.")
        result = c.answer(first)["result"]
        assert result["structuredContent"] == {"said": "I wait.",
                                               "text": "Here."}, result
        told = c.kept.pop()["params"]
        assert (told["progress"], told["total"]) == (2, 2), told
        assert "read" in told["message"], told
        assert c.end() == []


def test_a_cancelled_call_ends_without_an_answer(folder):
    with Client(folder, *write_all(folder)) as c:
        first = c.begin_waiting("never.txt", 1)
        # One runs, one waits, the next is one too many.
        second = c.begin_call("wait", file="inbox/never.txt")
        third = c.begin_call("wait", file="inbox/never.txt")
        is_error(c.answer(third)["result"], "[limits].concurrency")
        c.cancel(second)
        c.cancel(77)
        c.cancel(first)
        # Their place is free again.
        (folder / "inbox/now.txt").write_text("Now.")
        while True:
            result = c.call("wait", file="inbox/now.txt")
            if not result["isError"]:
                break
            is_error(result, "[limits].concurrency")
        assert result["structuredContent"]["text"] == "Now.", result
        assert c.end() == []


def test_nobody_can_say_yes(folder):
    with Client(folder, *write_all(folder)) as c:
        result = c.call("ask", text="secret")
        is_error(result, "stage ask asks a person", "nobody", '"sent":0')
        assert not (folder / "sent.txt").exists()
        assert c.end() == []


def test_at_the_end_of_input_calls_end_within_a_bound(folder):
    files = write_all(folder)
    with Client(folder, *files) as c:
        number = c.begin_waiting("late.txt", "p")
        c.process.stdin.close()
        (folder / "inbox/late.txt").write_text("Here.")
        assert c.answer(number)["result"]["isError"] is False
        c.end()
    with Client(folder, *files) as c:
        number = c.begin_waiting("never.txt", "p")
        began = time.monotonic()
        c.process.stdin.close()
        is_error(c.answer(number)["result"], "cancelled")
        c.end()
        assert time.monotonic() - began >= 4
    # A last line without its end is one, and a file is an input as pipes are.
    request = folder / "request"
    request.write_text(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}))
    with open(request, "rb") as file:
        done = subprocess.run([PROGRAM, "mcp", "greet.toml"], cwd=folder,
                              stdin=file, capture_output=True, timeout=LIMIT,
                              check=True)
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert done.stderr == b"", done.stderr


def test_an_input_that_is_closed_or_never_written_to_ends_it(folder):
    write_all(folder)
    command = [PROGRAM, "mcp", "greet.toml", "--first-within", "1"]
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", *command],
                          cwd=folder, capture_output=True, text=True,
                          timeout=LIMIT, check=False)
    assert (done.returncode, done.stdout) == (DONE, ""), done
    silent, writer = os.pipe()
    done = subprocess.run(command, cwd=folder, stdin=silent, capture_output=True,
                          text=True, timeout=LIMIT, check=False)
    os.close(writer)
    os.close(silent)
    assert done.returncode == TRY_AGAIN and done.stdout == "", done
    assert "no client has said anything on standard input for 1 s" in done.stderr
    # Who has begun may be silent for longer.
    with Client(folder, "greet.toml", "--first-within", "1") as c:
        c.ask("tools/list")
        time.sleep(1.5)
        assert c.call("greet", name="x")["isError"] is False
        assert c.end() == []


def test_signals_and_a_client_that_has_gone_end_it(folder):
    files = write_all(folder)
    for number in (signal.SIGTERM, signal.SIGINT):
        with Client(folder, *files) as c:
            waiting = c.begin_waiting("never.txt", "p")
            c.process.send_signal(number)
            is_error(c.answer(waiting)["result"], "cancelled")
            assert c.end() == []
    with Client(folder, *files) as c:
        c.begin_waiting("never.txt", "p")
        # What nobody reads is given up.
        process = subprocess.Popen([PROGRAM, "mcp", *files], cwd=folder,
                                   stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        process.stdout.close()
        assert process.wait(LIMIT) == DONE
        process.stdin.close()


def test_files_that_are_no_tools_are_refused_before_anything_is_said(folder):
    write_all(folder)
    (folder / "wrong.toml").write_text(GREET.replace("{{ name }}", "{{ nam }}"))
    (folder / "a b.toml").write_text(GREET)
    (folder / "sub").mkdir()
    (folder / "sub/greet.toml").write_text(GREET)
    for files, code, part in (
            ([], USAGE, "files"),
            (["no.toml"], NO_INPUT, "no.toml"),
            (["greet.toml", "wrong.toml"], CONFIG, "wrong.toml:"),
            (["a b.toml"], CONFIG, "[pipeline].name is 'a b'"),
            (["greet.toml", "sub/greet.toml"], USAGE,
             "tool greet is greet.toml already")):
        done = subprocess.run([PROGRAM, "mcp", *files], cwd=folder,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=LIMIT, check=False)
        assert done.returncode == code, (files, done)
        assert part in done.stderr, done.stderr
        assert done.stdout == "", done.stdout


def test_a_pipeline_that_cannot_be_opened_ends_it_and_answers_who_waits(folder):
    write_all(folder)
    # Proved without the file, which a stage opens when it is made.
    (folder / "rules.toml").write_text("""tinyphi = 1
input.text = "text"
output.verdict = "judge.verdict"
rules.mine.file = "no-rules.toml"
[stage.judge]
use = "guard.rules"
with.rules = ["mine"]
""")
    with Client(folder, "rules.toml") as c:
        try:
            number = c.begin_call("rules", text="x")
            rest = c.end(NO_INPUT)
        except BrokenPipeError:  # it was quicker
            c.process.stdin.close()
            rest = c.end(NO_INPUT)
        for message in rest:
            assert message["id"] == number, message
            is_error(message["result"], "no-rules.toml")
        assert b"no-rules.toml" in c.process.stderr.read()


def test_a_pipeline_with_a_model_answers_too(folder):
    with Client(folder, ROOT / "pipelines/smallest.toml") as c:
        # The list is told while the model is loaded.
        tools = c.ask("tools/list")["result"]["tools"]
        assert [t["name"] for t in tools] == ["smallest"], tools
        result = c.call("smallest", question="What does a green light mean?")
        assert result["isError"] is False, result
        assert result["structuredContent"]["answer"], result
        assert c.end() == []


# The newest client in both eras; its validation holds what is structured to the
# schema. The old one knows the first revision only.
NEW_PEER = """
import asyncio, sys
from mcp_peers import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

async def main():
    program, mode = sys.argv[1:]
    server = StdioServerParameters(command=program,
                                   args=["mcp", "greet.toml", "order.toml"])
    async with Client(stdio_client(server), mode=mode) as client:
        print(client.protocol_version)
        tools = (await client.list_tools()).tools
        assert [t.name for t in tools] == ["greet", "order"], tools
        seen = []
        async def told(progress, total, message):
            seen.append((progress, total))
        result = await client.call_tool("greet", {"name": "x"},
                                        progress_callback=told)
        assert not result.is_error, result
        assert result.structured_content == {"text": "1: Hello x.", "n": 1}
        assert seen == [(1, 1)], seen
        result = await client.call_tool("order", {"order": {"lines": []}})
        assert result.structured_content["ok"], result
        result = await client.call_tool("greet", {})
        assert result.is_error and "missing" in result.content[0].text, result

asyncio.run(main())
"""
OLD_PEER = """
import asyncio, sys
from mcp_peers import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    server = StdioServerParameters(command=sys.argv[1],
                                   args=["mcp", "greet.toml", "order.toml"])
    async with stdio_client(server) as ends, ClientSession(*ends) as session:
        print((await session.initialize()).protocolVersion)
        tools = (await session.list_tools()).tools
        assert [t.name for t in tools] == ["greet", "order"], tools
        result = await session.call_tool("greet", {"name": "x"})
        assert "Hello x." in result.content[0].text, result
        assert not result.isError, result
        assert (await session.call_tool("greet", {})).isError
        await session.send_ping()

asyncio.run(main())
"""
FAST_PEER = """
import asyncio, sys
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

async def main():
    async with Client(StdioTransport(
            sys.argv[1], ["mcp", "greet.toml", "order.toml"])) as client:
        tools = await client.list_tools()
        assert [t.name for t in tools] == ["greet", "order"], tools
        result = await client.call_tool("greet", {"name": "x"})
        assert (result.data.text, result.data.n) == ("1: Hello x.", 1), result
        result = await client.call_tool("greet", {}, raise_on_error=False)
        assert result.is_error, result
        print("done")

asyncio.run(main())
"""


def test_clients_of_pypi_speak_with_it_in_both_eras(folder):
    if not LONG:
        raise cases.Skip("they come from PyPI: TINYPHI_TEST_LONG=1")
    write_all(folder)
    for venv, packages, peer, mode, said in (
            ("new", ["mcp==2.3.0"], NEW_PEER, ["auto"], NEWEST),
            ("new", ["mcp==2.3.0"], NEW_PEER, ["legacy"], HANDSHAKES[-1]),
            ("old", ["mcp==1.2.0", "pydantic==2.10.6"], OLD_PEER, [],
             HANDSHAKES[0]),
            ("fast", ["fastmcp==4.2.3"], FAST_PEER, [], "done")):
        try:
            python = pypi.python(VENV / venv, packages)
        except pypi.Unavailable as e:
            raise cases.Skip(f"PyPI: {e}") from e
        done = subprocess.run([python, "-c", peer, PROGRAM, *mode], cwd=folder,
                              capture_output=True, text=True, timeout=LIMIT,
                              check=False)
        assert done.returncode == 0, (packages, done.stderr)
        assert done.stdout.strip() == said, (packages, done.stdout)


if __name__ == "__main__":
    sys.exit(cases.run(globals(), sys.argv[3] if len(sys.argv) > 3 else ""))
