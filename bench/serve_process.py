# SPDX-License-Identifier: MIT
"""Servers as processes, tinyphi's daemon and llama-server, started alike on one
file; and what the kernel says of a process. Used by bench/serve_load.py."""

import hashlib
import os
import pathlib
import resource
import shlex
import signal
import subprocess
import tempfile
import time
import urllib.request

from engines import Failed
import llama_server
from serve_client import Target

START_LIMIT = 600  # seconds to load the model
KEYS = ("figures-of-a", "figures-of-b")  # two clients; nothing secret
DEADLINE = "3000s"  # no figure may be cut short
TICK = os.sysconf("SC_CLK_TCK")


def more_files(n):
    """Lets this process, and those that it starts, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (-1, resource.RLIM_INFINITY) and hard < n:
        raise Failed(f"at most {hard} files may be open here, {n} are needed")
    if soft not in (-1, resource.RLIM_INFINITY) and soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (n, hard))


class Process:
    """What /proc tells of a process."""

    def __init__(self, pid):
        self.proc = pathlib.Path(f"/proc/{pid}")

    def read(self, *names):
        try:
            return self.proc.joinpath(*names).read_text(encoding="latin-1")
        except OSError as e:
            raise Failed(f"the server is gone: {e}") from e

    @staticmethod
    def field(text, name):
        """Of lines like "Private_Dirty:  12 kB" the number of one."""
        for line in text.splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise Failed(f"/proc does not say {name} here")

    def private_dirty(self):
        """Bytes that are this process's own."""
        return 1024 * self.field(self.read("smaps_rollup"), "Private_Dirty")

    def resident(self):
        return 1024 * self.field(self.read("status"), "VmRSS")

    def tasks(self):
        try:
            return sorted(int(p.name) for p in (self.proc / "task").iterdir())
        except OSError as e:
            raise Failed(f"the server is gone: {e}") from e

    def ticks(self):
        """CPU time so far, of all threads, in the kernel's ticks."""
        fields = self.read("stat").rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def wake_ups(self):
        """How often its threads went to sleep so far."""
        return sum(self.field(self.read("task", str(t), "status"),
                              "voluntary_ctxt_switches")
                   for t in self.tasks())

    def io_seconds(self):
        """CPU time of the thread that talks to clients: the one of that name,
        else the first."""
        tasks = self.tasks()
        task = next((t for t in tasks if
                     self.read("task", str(t), "comm").strip() == "tinyphi-io"),
                    tasks[0])
        return int(self.read("task", str(task), "schedstat").split()[0]) / 1e9


class Server:
    """A server's process while it is needed: a context."""

    def __init__(self, name, under=()):
        self.name, self.under = name, list(under)
        self.process, self.log, self.port = None, None, 0

    def command(self):
        raise NotImplementedError

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                [str(c) for c in [*self.under, *self.command()]],
                stdin=subprocess.DEVNULL, stdout=self.log,
                stderr=subprocess.STDOUT)
            end = time.monotonic() + START_LIMIT
            while not self.is_ready():
                if self.process.poll() is not None or time.monotonic() > end:
                    words = self.said().split()
                    raise Failed(f"{self.name} did not start: "
                                 f"{' '.join(words[-30:])}")
                time.sleep(0.02)
        except OSError as e:
            self.__exit__()
            raise Failed(str(e)) from e
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def said(self):
        self.log.seek(0)
        return self.log.read(1 << 20).decode(errors="replace")

    def is_ready(self):
        raise NotImplementedError

    def target(self, key=KEYS[0]):
        return Target(self.port, key)

    def proc(self):
        return Process(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)


class TinyphiServer(Server):
    """`tinyphi serve` with two keys; `folder` takes its files, and with
    `durable` its cache."""

    def __init__(self, program, model, folder, threads=0, sequences=16,
                 durable=False, under=()):
        super().__init__("tinyphi", under)
        self.program, self.folder = program, pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        keys = self.folder / "keys.toml"
        keys.write_text("".join(
            f'[key.{name}]\nblake2b = "'
            f'{hashlib.blake2b(key.encode(), digest_size=32).hexdigest()}"\n'
            for name, key in zip("ab", KEYS)), encoding="ascii")
        keys.chmod(0o600)
        cache = self.folder / "cache"
        cache.mkdir(mode=0o700, exist_ok=True)
        (self.folder / "daemon.toml").write_text("\n".join([
            "tinyphi = 1", "[serve]", 'listen = ["127.0.0.1:0"]',
            f'keys = "{keys.resolve()}"', "[serve.deadline]",
            *(f'{d} = "{DEADLINE}"' for d in ("queue", "first_token", "total")),
            "[serve.metrics]", "open = true",
            *(["[serve.cache]", f'folder = "{cache.resolve()}"']
              if durable else []),
            "[model.m]", 'aliases = ["*"]', f"threads = {threads}",
            f"sequences = {sequences}",
            *([f'path = "{pathlib.Path(model).resolve()}"'] if model else []),
            ""]), encoding="utf-8")

    def command(self):
        return [self.program, "serve", self.folder / "daemon.toml"]

    def is_ready(self):
        lines = self.said().splitlines()
        for line in lines:
            if line.startswith("tinyphi: listening on http://"):
                self.port = int(line.rsplit(":", 1)[1].split("/")[0])
        return "tinyphi: ready" in lines


class LlamaServer(Server):
    """llama-server; spec: "[NAME=]PATH [OPTIONS]"."""

    def __init__(self, spec, model, threads, context, sequences=8, under=()):
        words = shlex.split(spec)
        if not words:
            raise Failed("--peer names no program")
        name, equals, path = words[0].partition("=")
        super().__init__(name if equals else "llama-server", under)
        self.program = path if equals else words[0]
        self.options = ["-m", model, "-t", threads, "-c", context, "-np",
                        sequences, "-b", 2048, "--metrics", "--api-key",
                        ",".join(KEYS), *words[1:]]

    def command(self):
        self.port = llama_server.free_port()
        return [self.program, *self.options, "--host", "127.0.0.1", "--port",
                self.port]

    def is_ready(self):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/health", timeout=5) as r:
                return r.status == 200
        except OSError:
            return False
