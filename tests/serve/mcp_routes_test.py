#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Model Context Protocol over the daemon's HTTP: POST /mcp.

Usage: mcp_routes_test.py TINYPHI

With TINYPHI_TEST_LONG=1 clients of PyPI ask, too. Every function called
test_* is one case. The last line is "N passed, M failed".
"""

import http.client
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402
import pypi  # noqa: E402
from daemon import Daemon, soon, write_keys  # noqa: E402
from mcp_peers import LONG, META, NEWEST, VENV  # noqa: E402

HANDSHAKES = ["2025-03-26", "2025-06-18", "2025-11-25"]

GREET = """tinyphi = 1
pipeline.summary = "Greets somebody."
input.name = { type = "text", max_bytes = 40 }
output.text = "say.text"
[stage.say]
use = "text.const"
with.text = "Hello {{ name }}."
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


def config(folder, serve="", more=""):
    (folder / "greet.toml").write_text(GREET)
    (folder / "ask.toml").write_text(ASK)
    path = folder / "daemon.toml"
    path.write_text('tinyphi = 1\n[serve]\n' +
                    (serve if "listen" in serve else
                     'listen = ["127.0.0.1:0"]\n' + serve) +
                    '[model.default]\n'
                    '[pipeline.greet-him]\npath = "greet.toml"\nmcp = true\n'
                    '[pipeline.ask]\npath = "ask.toml"\nmcp = true\n'
                    '[pipeline.hidden]\npath = "greet.toml"\n' + more)
    return str(path)


def message(method, params=None, id=1):
    m = {"jsonrpc": "2.0", "method": method}
    if id is not None:
        m["id"] = id
    if params is not None:
        m["params"] = params
    return m


def post(d, body, **headers):
    """(status, body as JSON); names of headers with '_' for '-'."""
    status, _, data = d.ask("POST", "/mcp", body, {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **{name.replace("_", "-"): v for name, v in headers.items()}})
    return status, data


def newest(d, method, params=None, **headers):
    params = dict(params or {}, _meta=dict(META, **(params or {}).get("_meta", {})))
    named = {"Mcp_Name": params["name"]} if "name" in params else {}
    return post(d, message(method, params), **{
        "MCP_Protocol_Version": NEWEST, "Mcp_Method": method, **named, **headers})


def test_the_newest_revision_needs_no_session(folder):
    with Daemon(config(folder)) as d:
        status, told = newest(d, "server/discover")
        assert status == 200 and told["result"]["supportedVersions"] == [NEWEST]
        status, told = newest(d, "tools/list")
        tools = {t["name"]: t for t in told["result"]["tools"]}
        assert status == 200 and sorted(tools) == ["ask", "greet-him"], told
        assert tools["greet-him"]["description"] == "Greets somebody."
        assert tools["greet-him"]["annotations"]["readOnlyHint"] is True
        status, told = newest(d, "tools/call", {"name": "greet-him",
                                                "arguments": {"name": "x"}})
        assert status == 200 and told["id"] == 1, told
        assert told["result"]["structuredContent"] == {"text": "Hello x."}, told
        assert told["result"]["resultType"] == "complete", told
        status, told = newest(d, "tools/call", {"name": "greet-him"})
        assert status == 200 and told["result"]["isError"], told
        assert "input name is missing" in told["result"]["content"][0]["text"]
        # One that does not say that it is a tool is none.
        status, told = newest(d, "tools/call", {"name": "hidden"})
        assert status == 200 and "no tool" in told["result"]["content"][0]["text"]
        assert newest(d, "nothing")[0] == 404
        assert newest(d, "nothing")[1]["error"]["code"] == -32601


def test_head_and_body_must_say_the_same(folder):
    with Daemon(config(folder)) as d:
        call = {"name": "greet-him", "arguments": {"name": "x"}}
        for wrong in ({"MCP_Protocol_Version": "2025-11-25"}, {"Mcp_Method": "ping"},
                      {"Mcp_Method": ""}, {"Mcp_Name": "ask"}, {"Mcp_Name": ""},
                      {"Mcp_Name": "=?base64?eA==?="}):
            status, told = newest(d, "tools/call", call, **wrong)
            assert (status, told["error"]["code"], told["id"]) == (400, -32020, 1), (
                wrong, told)
        status, told = newest(d, "tools/call", call,
                              Mcp_Name="=?base64?Z3JlZXQtaGlt?=")
        assert status == 200 and not told["result"]["isError"], told
        status, told = post(d, message("tools/list", {"_meta": META}))
        assert (status, told["error"]["code"]) == (400, -32020), told
        # Revisions that nobody speaks, with and without saying so in the body.
        other = dict(META, **{"io.modelcontextprotocol/protocolVersion": "2030-01-01"})
        for params in ({"_meta": other}, {}):
            status, told = post(d, message("tools/list", params),
                                MCP_Protocol_Version="2030-01-01",
                                Mcp_Method="tools/list")
            assert (status, told["error"]["code"]) == (400, -32022), told
            assert told["error"]["data"]["supported"] == [NEWEST], told


def test_handshakes_name_their_revision_in_each_request(folder):
    with Daemon(config(folder)) as d:
        for revision in HANDSHAKES:
            status, told = post(d, message("initialize", {
                "protocolVersion": revision, "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"}}))
            assert status == 200, told
            assert told["result"]["protocolVersion"] == revision, told
            named = ({} if revision == HANDSHAKES[0]
                     else {"MCP_Protocol_Version": revision})
            assert post(d, message("notifications/initialized", id=None),
                        **named) == (202, b"")
            assert post(d, message("ping"), **named)[1]["result"] == {}
            status, told = post(d, message("tools/call", {
                "name": "greet-him", "arguments": {"name": "x"}}), **named)
            result = told["result"]
            assert result["content"][0]["text"] == '{"text":"Hello x."}', told
            assert ("structuredContent" in result) == (revision >= "2025-06-18")
            # 404 would mean a session that is lost.
            status, told = post(d, message("nothing"), **named)
            assert (status, told["error"]["code"]) == (200, -32601), told
        # Only the first has batches.
        batch = [message("ping", id=7),
                 message("tools/call", {"name": "greet-him",
                                        "arguments": {"name": "a"}}, id=8),
                 message("tools/call", {"name": "greet-him",
                                        "arguments": {"name": "b"}}, id=9)]
        status, told = post(d, batch)
        assert status == 200 and [m["id"] for m in told] == [7, 8, 9], told
        assert told[2]["result"]["content"][0]["text"] == '{"text":"Hello b."}'
        status, told = post(d, batch, MCP_Protocol_Version="2025-06-18")
        assert (status, told["error"]["code"]) == (400, -32600), told


def test_what_is_no_message_is_refused(folder):
    with Daemon(config(folder)) as d:
        for body, code in ((b"", None), (b"{", -32700), (b"7", -32600),
                           (b"[]", -32600), (b'{"id":1}', -32600),
                           (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
                           (b"[" * 40 + b"]" * 40, -32700)):
            status, told = post(d, body)
            if code is None:
                assert status in (202, 400, 411), (status, told)
                continue
            assert (status, told["error"]["code"]) == (400, code), (body, told)
        assert d.ask("GET", "/mcp")[0] == 405
        assert d.ask("DELETE", "/mcp")[0] == 405
        # A page of another site must not ask, whatever it sends.
        status, _ = post(d, message("ping"), Origin="https://evil.example")
        assert status == 403
        status, _ = post(d, message("ping"), Host="evil.example")
        assert status == 421
        assert post(d, message("x" * 2_000_000))[0] == 413
        assert post(d, message("ping"))[0] == 200


def test_a_key_has_the_tools_that_it_may_use(folder):
    keys = write_keys(folder / "keys.toml", {
        "a": 'models = ["pipeline:greet-him"]\n', "b": ""})
    with Daemon(config(folder, keys)) as d:
        assert newest(d, "tools/list")[0] == 401
        for key, names in (("a", ["greet-him"]), ("b", ["ask", "greet-him"])):
            _, told = newest(d, "tools/list", Authorization="Bearer " + key)
            assert [t["name"] for t in told["result"]["tools"]] == names, told
        _, told = newest(d, "tools/call", {"name": "ask", "arguments": {"text": "x"}},
                         Authorization="Bearer a")
        assert "no tool" in told["result"]["content"][0]["text"], told


def test_a_unix_socket_does_the_same(folder):
    path = folder / "api.sock"
    with Daemon(config(folder, f'listen = ["unix:{path}"]\n')):
        c = http.client.HTTPConnection("localhost")
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(str(path))
        c.request("POST", "/mcp", json.dumps(message("tools/call", {
            "name": "greet-him", "arguments": {"name": "x"}})))
        told = json.loads(c.getresponse().read())
        assert told["result"]["content"][0]["text"] == '{"text":"Hello x."}', told


def test_progress_comes_as_events_and_only_to_who_reads_them(folder):
    with Daemon(config(folder)) as d:
        call = message("tools/call", {
            "name": "greet-him", "arguments": {"name": "x"},
            "_meta": {"progressToken": "p"}})
        _, headers, data = d.ask("POST", "/mcp", call, {
            "Accept": "application/json, text/event-stream"})
        assert headers["content-type"].startswith("text/event-stream"), headers
        told = [json.loads(e.removeprefix("event: message\ndata: "))
                for e in data.decode().split("\n\n") if e]
        assert told[0]["method"] == "notifications/progress", told
        assert told[0]["params"]["progressToken"] == "p", told
        assert (told[0]["params"]["progress"], told[0]["params"]["total"]) == (1, 1)
        assert told[1]["id"] == 1 and len(told) == 2, told
        _, headers, told = d.ask("POST", "/mcp", call, {"Accept": "application/json"})
        assert headers["content-type"] == "application/json" and told["id"] == 1


def test_a_tool_that_asks_a_person_waits_for_one(folder):
    with Daemon(config(folder)) as d:
        for decision in ("approve", "deny"):
            told = []
            call = threading.Thread(target=lambda: told.append(newest(
                d, "tools/call", {"name": "ask", "arguments": {"text": "abc"}})))
            call.start()
            soon(lambda: d.ask("GET", "/v1/approvals")[2]["data"], "a question")
            asked = d.ask("GET", "/v1/approvals")[2]["data"][0]
            assert asked["pipeline"] == "ask", asked
            d.ask("POST", "/v1/approvals/" + asked["id"],
                  {"decision": decision, "digest": asked["digest"]})
            call.join(60)
            result = told[0][1]["result"]
            if decision == "approve":
                assert result["structuredContent"] == {"sent": 4}, result
                (folder / "sent.txt").unlink()
                continue
            assert result["isError"], result
            assert result["content"][0]["text"].startswith(
                "stage ask asks a person, and the answer was no: a person said no")
            assert not (folder / "sent.txt").exists()
        # Who leaves ends the call.
        s = socket.create_connection(("127.0.0.1", d.port))
        body = json.dumps(message("tools/call", {
            "name": "ask", "arguments": {"text": "abc"}})).encode()
        s.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        soon(lambda: d.ask("GET", "/v1/approvals")[2]["data"], "a question")
        s.close()
        soon(lambda: not d.ask("GET", "/v1/approvals")[2]["data"], "its end")
        assert d.end(signal.SIGTERM) == 0, d.lines


def test_a_pipeline_that_cannot_be_a_tool_ends_the_start(folder):
    (folder / "long.toml").write_text(GREET.replace("Greets", "x" * 300_000))
    path = config(folder, more='[pipeline.long]\npath = "long.toml"\nmcp = true\n')
    with Daemon(path, wait=False) as d:
        d.process.wait(60)
        d.reader.join(60)
        assert d.process.returncode not in (0, None), d.lines
        assert "its description as a tool has 300" in "".join(d.lines), d.lines


NEW_PEER = """
import asyncio, sys
from mcp_peers import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    url, mode = sys.argv[1:]
    async with Client(streamable_http_client(url), mode=mode) as client:
        print(client.protocol_version)
        tools = (await client.list_tools()).tools
        assert sorted(t.name for t in tools) == ["ask", "greet-him"], tools
        seen = []
        async def told(progress, total, message):
            seen.append((progress, total))
        result = await client.call_tool("greet-him", {"name": "x"},
                                        progress_callback=told)
        assert not result.is_error, result
        assert result.structured_content == {"text": "Hello x."}
        assert seen == [(1, 1)], seen
        result = await client.call_tool("greet-him", {})
        assert result.is_error and "missing" in result.content[0].text, result

asyncio.run(main())
"""
FAST_PEER = """
import asyncio, sys
from fastmcp import Client

async def main():
    async with Client(sys.argv[1]) as client:
        tools = await client.list_tools()
        assert sorted(t.name for t in tools) == ["ask", "greet-him"], tools
        result = await client.call_tool("greet-him", {"name": "x"})
        assert result.data.text == "Hello x.", result
        print("done")

asyncio.run(main())
"""


def test_clients_of_pypi_speak_with_it_in_both_eras(folder):
    if not LONG:
        raise cases.Skip("they come from PyPI: TINYPHI_TEST_LONG=1")
    with Daemon(config(folder)) as d:
        for venv, packages, peer, mode, said in (
                ("new", ["mcp==2.3.0"], NEW_PEER, ["auto"], NEWEST),
                ("new", ["mcp==2.3.0"], NEW_PEER, ["legacy"], HANDSHAKES[-1]),
                ("fast", ["fastmcp==4.2.3"], FAST_PEER, [], "done")):
            try:
                python = pypi.python(VENV / venv, packages)
            except pypi.Unavailable as e:
                raise cases.Skip(f"PyPI: {e}") from e
            done = subprocess.run([python, "-c", peer, d.url + "/mcp", *mode],
                                  cwd=folder, capture_output=True, text=True,
                                  timeout=120, check=False)
            assert done.returncode == 0, (packages, done.stderr)
            assert done.stdout.strip() == said, (packages, done.stdout)


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
