# SPDX-License-Identifier: MIT
"""`tinyphi serve` for tests: started, asked over HTTP, and ended with them. The
program is the test's first argument."""

import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

TINYPHI = pathlib.Path(sys.argv[1]).resolve()
LOCAL = ("--listen", "127.0.0.1:0")


class Daemon:
    """A running `tinyphi serve`."""

    def __init__(self, *options, wait=True, env=None, stdout=None):
        self.process = subprocess.Popen(
            [TINYPHI, "serve", *options], stderr=subprocess.PIPE, text=True,
            stdout=stdout, env={**os.environ, **(env or {})})
        self.lines = []
        self.address = None
        self.ready = threading.Event()
        threading.Thread(target=self.read, daemon=True).start()
        deadline = time.monotonic() + 60
        while wait and not self.ready.wait(0.02):
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "the daemon is not ready"

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if "listening on " in line:
                self.address = line.split("listening on ")[1].strip()
            if line.strip() == "tinyphi: ready":
                self.ready.set()
        self.ready.set()

    @property
    def url(self):
        return self.address

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ask(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, body as JSON or bytes)."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        c.request(method, path, body, headers or {})
        r = c.getresponse()
        data = r.read()
        c.close()
        if r.headers.get("content-type", "").startswith("application/json"):
            data = json.loads(data)
        return r.status, r.headers, data

    def wait_for_line(self, part, timeout=30):
        """The first line that it has written with `part` in it."""
        deadline = time.monotonic() + timeout
        while True:
            for line in list(self.lines):
                if part in line:
                    return line
            assert time.monotonic() < deadline, (part, self.lines)
            time.sleep(0.01)

    def chat(self, text, **more):
        return self.ask("POST", "/v1/chat/completions", {
            "messages": [{"role": "user", "content": text}],
            "temperature": 0, "max_tokens": 24, **more})


def events(data):
    """The events of a stream, without the last, which must be [DONE]."""
    all_events = [e.removeprefix("data: ")
                  for e in data.decode().split("\n\n") if e]
    assert all_events[-1] == "[DONE]", all_events
    return [json.loads(e) for e in all_events[:-1]]
