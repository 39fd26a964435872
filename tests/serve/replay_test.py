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

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from clients_test import cases, daemon  # noqa: E402

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


def check_form(method, path, asked, status, headers, body):
    """What OpenAI's clients, or Ollama's, need to find in an answer."""
    kind = headers.get("content-type", "").split(";")[0]
    if status >= 400:
        error = json.loads(body)["error"]
        if not path.startswith("/api/"):
            assert {"message", "type", "param", "code"} == set(error), error
            assert headers["x-should-retry"] in ("true", "false")
        return
    if path in ("/api/chat", "/api/generate") and asked.get("stream", True):
        assert kind == "application/x-ndjson", kind
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[-1]["done"] is True
        assert not any(line["done"] for line in lines[:-1])
        return
    if asked.get("stream"):
        assert kind == "text/event-stream", kind
    if asked.get("stream") and path.endswith("/responses"):
        found = [e.split("\ndata: ") for e in body.decode().split("\n\n")
                 if e.startswith("event: ")]
        events = [json.loads(data) for _, data in found]
        assert [f"event: {e['type']}" for e in events] == [n for n, _ in found]
        assert [e["sequence_number"] for e in events] == [*range(len(events))]
        assert events[0]["type"] == "response.created", events[0]
        assert events[-1]["type"] in ("response.completed",
                                      "response.incomplete"), events[-1]
        return
    if asked.get("stream"):
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
    if method == "HEAD":
        assert not body
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
    elif path.endswith("/responses"):
        assert found["object"] == "response" and found["output"], found
    elif path.endswith("/models"):
        assert found["object"] == "list" and found["data"]
    elif "/models/" in path:
        assert found["object"] == "model", found
    elif path == "/health":
        assert found["status"] == "ok", found
    elif path in ("/api/chat", "/api/generate"):
        assert found["done"] is True and found["model"], found
    elif path == "/api/tags":
        assert found["models"], found
    elif path == "/api/show":
        assert found["capabilities"], found
    elif path == "/api/embed":
        assert all(v and isinstance(v, list) for v in found["embeddings"])
    else:
        raise AssertionError(f"nothing is known of answers of {path}")


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
        check_form(method, target, json.loads(body) if body else {}, *answer)


def main():
    files = sorted(pathlib.Path(sys.argv[2]).glob("*.http"))
    assert files, f"{sys.argv[2]} has no recordings"
    with daemon(sys.argv[1]) as url:
        port = int(url.rsplit(":", 1)[1])

        def case(path):
            return lambda: replay(port, path)

        return cases.run({f"test_{f.stem}: what it sent is answered as then":
                          case(f) for f in files})


if __name__ == "__main__":
    sys.exit(main())
