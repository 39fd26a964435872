#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Sends a daemon, byte for byte, what real clients sent (clients_test.py
recorded it), and looks at the status and form of each answer.

Usage: replay_test.py TINYPHI DATA_FOLDER

Every file NAME.http is one case. The last line is "N passed, M failed".
"""

import http.client
import json
import pathlib
import re
import socket
import sys
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from clients_test import daemon  # noqa: E402

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def requests(data):
    """The requests in a file: each knows its own length."""
    found = []
    while data:
        end = data.index(b"\r\n\r\n") + 4
        length = LENGTH.search(data[:end])
        end += int(length[1]) if length else 0
        assert end <= len(data), "the recording is cut"
        found.append(data[:end])
        data = data[end:]
    return found


class Connection:
    def __init__(self, port):
        self.port, self.socket = port, None

    def ask(self, request):
        """(status, headers, body); over one connection while both keep it."""
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port),
                                                   timeout=60)
        self.socket.sendall(request)
        answer = http.client.HTTPResponse(
            self.socket, method=request.split(b" ")[0].decode())
        answer.begin()
        body = answer.read()
        if answer.will_close:
            self.socket.close()
            self.socket = None
        return answer.status, answer.headers, body


def check_form(path, asked, status, headers, body):
    """What OpenAI's clients, or Ollama's, need to find in an answer."""
    kind = headers.get("content-type", "").split(";")[0]
    if status >= 400:
        error = json.loads(body)["error"]
        if not path.startswith("/api/"):
            assert {"message", "type", "param", "code"} == set(error), error
            assert headers["x-should-retry"] in ("true", "false")
        return
    if path.startswith("/api/") and asked.get("stream", True) and asked and \
            path in ("/api/chat", "/api/generate"):
        assert kind == "application/x-ndjson", kind
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[-1]["done"] is True
        assert not any(line["done"] for line in lines[:-1])
        return
    if asked.get("stream"):
        assert kind == "text/event-stream", kind
        *events, last = body.decode().removesuffix("\n\n").split("\n\n")
        assert last == "data: [DONE]", last
        events = [json.loads(e.removeprefix("data: ")) for e in events
                  if not e.startswith(":")]
        assert all(e["id"] == events[0]["id"] for e in events)
        ends = [c["finish_reason"] for e in events for c in e["choices"]
                if c["finish_reason"]]
        assert ends and set(ends) <= {"stop", "length"}, ends
        wants = (asked.get("stream_options") or {}).get("include_usage")
        assert bool(events[-1].get("usage")) == bool(wants), events[-1]
        return
    if not body:  # HEAD
        return
    found = json.loads(body)
    if path.endswith("/chat/completions"):
        assert found["object"] == "chat.completion", found
        assert len(found["choices"]) == asked.get("n", 1)
        assert all(c["message"]["role"] == "assistant"
                   for c in found["choices"])
    elif path.endswith("/v1/completions"):
        assert found["object"] == "text_completion", found
    elif path.endswith("/embeddings"):
        coded = asked.get("encoding_format") == "base64"
        assert all(isinstance(d["embedding"], str if coded else list)
                   for d in found["data"])
    elif path.endswith("/models"):
        assert found["object"] == "list" and found["data"]


def replay(port, path):
    expected = path.with_suffix(".expected").read_text().splitlines()
    sent = requests(path.read_bytes())
    assert len(sent) == len(expected) > 0, (len(sent), len(expected))
    connection = Connection(port)
    for request, line in zip(sent, expected):
        method, target, status = line.split()
        assert request.startswith(f"{method} {target} HTTP/1.1\r\n".encode())
        body = request.partition(b"\r\n\r\n")[2]
        answer = connection.ask(request)
        assert answer[0] == int(status), (line, answer[0], answer[2][:500])
        check_form(target, json.loads(body) if body else {}, *answer)


def main():
    files = sorted(pathlib.Path(sys.argv[2]).glob("*.http"))
    assert files, f"{sys.argv[2]} has no recordings"
    failed = 0
    with daemon(sys.argv[1]) as url:
        port = int(url.rsplit(":", 1)[1])
        for path in files:
            name = f"what {path.stem} sent is answered as then"
            try:
                replay(port, path)
                print(f"ok {name}")
            except Exception:  # the other recordings are tried all the same
                failed += 1
                print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"{len(files) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
