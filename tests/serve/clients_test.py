#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the programs of tests/serve/clients, which use real clients from PyPI,
against a daemon.

Usage: clients_test.py [--url URL | --tinyphi PROGRAM] [--record FOLDER]
                       [--venvs FOLDER] [NAME_PART]

Clients are installed into virtual environments outside this tree, once; where
PyPI cannot be reached, those that are not there yet are skipped. With --record,
what each sent is written to FOLDER/NAME.http, byte for byte but for the port in
Host and keys, and how it was answered to FOLDER/NAME.expected; replay_test.py
sends the same without any client. The last line is "N passed, M failed".
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import tomllib

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import cases  # noqa: E402
import pypi  # noqa: E402
from daemon import Daemon  # noqa: E402

CLIENTS = HERE / "clients"
TIME_LIMIT = 300  # seconds for a program
RECORD_LIMIT = 16 << 10  # larger requests are not kept


class Recorder:
    """A relay that writes down the requests, of all connections in the order in
    which they were sent."""

    def __init__(self, port):
        self.upstream = port
        self.requests = []  # [bytes, status or None]
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.relay, args=(client,),
                                 daemon=True).start()

    def relay(self, client):
        server = socket.create_connection(("127.0.0.1", self.upstream))
        mine = []  # of this connection
        threading.Thread(target=self.answers, args=(client, server, mine),
                         daemon=True).start()
        rest = b""
        with contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in rest:
                    data = client.recv(1 << 16)
                    if not data:
                        return server.shutdown(socket.SHUT_WR)
                    rest += data
                end = rest.index(b"\r\n\r\n") + 4
                # The end of a body is known by its length alone.
                assert b"\r\ntransfer-encoding:" not in rest[:end].lower()
                found = re.search(rb"(?i)\r\ncontent-length: *(\d+)",
                                  rest[:end])
                entry = [b"", None]
                with self.lock:
                    self.requests.append(entry)
                    mine.append(entry)
                end_of_all = end + int(found[1] if found else 0)
                server.sendall(rest[:end_of_all])
                while len(rest) < end_of_all:
                    data = client.recv(1 << 16)
                    if not data:
                        return server.shutdown(socket.SHUT_WR)
                    server.sendall(data)
                    rest += data
                entry[0], rest = rest[:end_of_all], rest[end_of_all:]

    @staticmethod
    def answers(client, server, mine):
        """Answers come in the order of their requests, so the nth head with a
        final status is the nth's."""
        seen, tail = 0, b""
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                client.sendall(data)
                tail += data
                for found in re.finditer(rb"HTTP/1\.1 ([2-5]\d\d) ", tail):
                    if seen < len(mine):
                        mine[seen][1] = int(found[1])
                        seen += 1
                # A status that was cut in two is found next time; a whole one,
                # of 13 bytes, is not found twice.
                tail = tail[-12:]
        for s in (client, server):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def save(self, folder, name):
        self.listener.close()
        with self.lock:
            kept = [(r, s) for r, s in self.requests
                    if r and s and len(r) <= RECORD_LIMIT]
        folder.mkdir(parents=True, exist_ok=True)
        clean = [re.sub(rb"(?i)(\r\nhost: *)[^\r]*", rb"\g<1>127.0.0.1:8484", r)
                 for r, _ in kept]
        clean = [re.sub(rb"(?i)(\r\n(?:authorization: *bearer|x-api-key:|"
                        rb"api-key:) *)[^\r]*", rb"\g<1>KEY", r) for r in clean]
        (folder / f"{name}.http").write_bytes(b"".join(clean))
        (folder / f"{name}.expected").write_text("".join(
            f"{r.split(b' ')[0].decode()} {r.split(b' ')[1].decode()} {s}\n"
            for r, s in zip(clean, (s for _, s in kept))), encoding="ascii")


@contextlib.contextmanager
def daemon(program):
    """The URL of a daemon with the built-in model and Ollama's routes."""
    with tempfile.TemporaryDirectory(prefix="tinyphi-clients-") as folder:
        config = pathlib.Path(folder) / "daemon.toml"
        config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n'
                          '[serve.ollama]\n[model.default]\naliases = ["*"]\n',
                          encoding="ascii")
        with Daemon(config, program=program) as d:
            yield d.url


def run(program, interpreter, url, record):
    port = int(url.rsplit(":", 1)[1].strip("/"))
    recorder = Recorder(port) if record else None
    to = f"http://127.0.0.1:{recorder.port if recorder else port}"
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith(
        ("_proxy", "_api_key", "_base_url"))}
    done = subprocess.run([interpreter, "-B", CLIENTS / program, to],
                          check=False, env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=TIME_LIMIT)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr[-3000:]
    if recorder:
        recorder.save(record, program.removesuffix(".py"))


def main():
    p = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    p.add_argument("--url")
    p.add_argument("--tinyphi", default=HERE.parent.parent /
                   "build/tools/tinyphi")
    p.add_argument("--record", type=pathlib.Path)
    p.add_argument("--venvs", type=pathlib.Path, default=pathlib.Path(
        os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
        / "tinyphi/clients")
    p.add_argument("part", nargs="?", default="")
    o = p.parse_args()
    # Within tools/test only --long may need the network.
    if os.environ.get("TINYPHI_TEST_LONG", "1") != "1":
        print("real clients come from PyPI: tools/test --long")
        return 77
    o.venvs.mkdir(parents=True, exist_ok=True)
    kinds = tomllib.loads((CLIENTS / "packages.toml").read_text())
    with (contextlib.nullcontext(o.url) if o.url else
          daemon(o.tinyphi)) as url:

        def case(program, venv, packages):
            def unchanged():
                if program.startswith("curl") and not shutil.which("curl"):
                    raise cases.Skip("there is no curl")
                try:
                    interpreter = pypi.python(o.venvs / venv, packages) \
                        if packages else sys.executable
                except pypi.Unavailable as e:
                    raise cases.Skip(f"PyPI: {e}") from e
                run(program, interpreter, url, o.record)
            return unchanged

        return cases.run(
            {f"test_{program} runs unchanged":
             case(program, venv, kind["packages"])
             for venv, kind in kinds.items() for program in kind["programs"]},
            part=o.part)


if __name__ == "__main__":
    sys.exit(main())
