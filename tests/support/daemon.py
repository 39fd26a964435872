# SPDX-License-Identifier: MIT
"""`tinyphi serve` for tests: started, asked over real sockets, and ended with
them. The program is the test's first argument."""

import hashlib
import http.client
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import threading
import time

TINYPHI = pathlib.Path(sys.argv[1]).resolve()
LOCAL = ("--listen", "127.0.0.1:0")


class Daemon:
    """A running `tinyphi serve` of `program`, which is the test's own unless one
    is given. `under` is a command that starts it, `limits` are its process's:
    RLIMIT_... to a number."""

    def __init__(self, *options, wait=True, env=None, stdout=None, under=(),
                 limits=None, program=TINYPHI):
        def limit():
            for what, n in limits.items():
                resource.setrlimit(what, (n, n))
        self.process = subprocess.Popen(
            [*under, program, "serve", *options], stderr=subprocess.PIPE,
            text=True, stdout=stdout, env={**os.environ, **(env or {})},
            preexec_fn=limit if limits else None)
        self.lines = []
        self.address = None
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        deadline = time.monotonic() + 60
        try:
            while wait and not self.ready.wait(0.02):
                assert time.monotonic() < deadline, "the daemon is not ready"
            assert not wait or self.process.poll() is None, "".join(self.lines)
        except AssertionError:
            self.__exit__()
            raise

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

    def end(self, signal, limit=60):
        """Sends the signal and waits for the end: the exit status. All that the
        daemon said is then in `lines`."""
        self.process.send_signal(signal)
        status = self.process.wait(limit)
        self.reader.join(limit)
        return status

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


def write_keys(path, keys):
    """A key file: of each name, which is its secret, too, what else its table says.
    Returns the line that names it in [serve]."""
    path.write_text("".join(
        f'[key.{name}]\nblake2b = "'
        f'{hashlib.blake2b(name.encode(), digest_size=32).hexdigest()}"\n{more}'
        for name, more in keys.items()))
    path.chmod(0o600)
    return f'keys = "{path}"\n'


def open_stream(port, max_tokens=3000, prompt="Hello"):
    s = socket.create_connection(("127.0.0.1", port))
    body = json.dumps({"messages": [{"role": "user", "content": prompt}], "stream": True,
                       "ignore_eos": True, "max_tokens": max_tokens}).encode()
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
              b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return s


def under_way(d):
    return d.ask("GET", "/v1/requests")[2]["data"]


def soon(f, what, limit=10):
    deadline = time.monotonic() + limit
    while not f():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)
