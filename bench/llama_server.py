# SPDX-License-Identifier: MIT
"""llama-server (llama.cpp's or ik_llama.cpp's) asked over HTTP for the cases of
bench/serving that it has: a cached prefix, a long prompt beside a running answer,
drafts from n-grams. Used by tools/bench."""

import http.client
import json
import random
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

from engines import Failed

START_LIMIT = 600  # seconds to load the model
TIME_LIMIT = 1800  # for one answer
# llama-server's own draft without a second model; others may be asked for.
DRAFTS = ["--spec-type", "ngram-simple"]
ANSWER_LIMIT = 3000  # tokens of the answer that a prompt meets
SAME_TOKEN = 400  # an ordinary token in bench/make_model's files


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class LlamaServer:
    """A program with llama-server's options; spec: "[NAME=]PATH [OPTIONS]"."""

    def __init__(self, spec, under=()):
        words = shlex.split(spec)
        if not words:
            raise Failed("--llama-server names no program")
        name, equals, path = words[0].partition("=")
        self.program = path if equals else words[0]
        self.options = words[1:]
        self.under = list(under)
        try:
            self.help = subprocess.run([self.program, "-h"], check=False,
                                       capture_output=True, text=True,
                                       timeout=60).stdout
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Failed(str(e)) from e
        repacks = self.knows("-rtr")
        self.name = name if equals else (
            "ik's llama-server" if repacks else "llama-server")
        if repacks and "-rtr" not in self.options:
            self.options.append("-rtr")
        self.drafts = any(o.startswith("--spec-") or o.startswith("--lookup")
                          for o in self.options)
        # ik_llama.cpp's drafts for one sequence only, so in their case alone.
        self.draft_options = []
        if self.knows("--spec-type") and not self.drafts:
            self.draft_options = DRAFTS
            self.drafts = True

    def knows(self, option):
        return re.search(rf"(?<![\w-]){option}(?![\w-])", self.help)

    def serving(self, model, threads, longest, drafts=False):
        """The server as a context that answers cases; two at a time, of at
        most `longest` tokens each; with drafts one."""
        return Running(self, model, threads, longest, drafts)


class Running:
    """A server that has loaded its model. Each case gives numbers by the names
    that bench/serving gives them."""

    def __init__(self, server, model, threads, longest, drafts):
        self.server = server
        self.port = free_port()
        self.random = random.Random(1)
        self.log = tempfile.TemporaryFile()
        self.command = [
            *server.under, server.program, "-m", model, "-t", threads,
            "-c", (1 if drafts else 2) * longest, "-np", 1 if drafts else 2,
            "--host", "127.0.0.1", "--port", self.port, *server.options,
            *(server.draft_options if drafts else [])]
        self.process = None

    def __enter__(self):
        try:
            self.process = subprocess.Popen(
                [str(c) for c in self.command], stdin=subprocess.DEVNULL,
                stdout=self.log, stderr=subprocess.STDOUT)
        except OSError as e:
            raise Failed(str(e)) from e
        end = time.monotonic() + START_LIMIT
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                said = self.log.read().decode(errors="replace").split()
                self.__exit__()
                raise Failed(f"{self.server.name} did not start: " +
                             " ".join(said[-30:]))
            time.sleep(0.2)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def healthy(self):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/health", timeout=5) as r:
                return r.status == 200
        except OSError:
            return False

    def open(self, prompt, n, **more):
        body = {"prompt": prompt, "n_predict": n, "temperature": 0,
                "ignore_eos": True, "logit_bias": [[SAME_TOKEN, 100]],
                "cache_prompt": False, **more}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/completion",
            json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            return urllib.request.urlopen(request, timeout=TIME_LIMIT)
        except OSError as e:
            raise Failed(f"{self.server.name}: {e}") from e

    def ask(self, prompt, n, **more):
        """(milliseconds until the answer was complete, the answer)."""
        start = time.perf_counter()
        try:
            with self.open(prompt, n, **more) as response:
                answer = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as e:
            raise Failed(f"{self.server.name}: {e}") from e
        return 1e3 * (time.perf_counter() - start), answer

    def prompt(self, n):
        return [self.random.randrange(300, 1900) for _ in range(n)]

    def prefix(self, ours):
        known = self.prompt(ours["cached_tokens"])
        slot = {"cache_prompt": True, "id_slot": 0}
        self.ask(known, 1, **slot)
        ms, _ = self.ask(known + self.prompt(ours["new_tokens"]), 1, **slot)
        return {"first_token_ms": ms}

    def gap(self, ours):
        times, stop = [], threading.Event()

        def read():
            try:
                with self.open(self.prompt(8), ANSWER_LIMIT, stream=True,
                               id_slot=0) as response:
                    for line in response:
                        if line.startswith(b"data:"):
                            times.append(time.perf_counter())
                        if stop.is_set():
                            return
            except (Failed, OSError, http.client.HTTPException):
                pass  # then there are too few times

        reader = threading.Thread(target=read)
        reader.start()
        try:
            while len(times) < 9 and reader.is_alive():
                time.sleep(0.001)
            arrived = time.perf_counter()
            ms, _ = self.ask(self.prompt(ours["prompt_tokens"]), 1, id_slot=1)
            time.sleep(0.1)  # the gap that the first token ends
        finally:
            stop.set()
            reader.join()
        end = arrived + ms / 1e3
        gaps = sorted(1e3 * (b - a) for a, b in zip(times, times[1:])
                      if b > arrived and a < end)
        if not gaps:
            raise Failed(f"{self.server.name}: its answer ended too early")
        return {"p99_ms": gaps[max(0, -(-99 * len(gaps) // 100) - 1)],
                "first_token_ms": ms}

    def drafts(self, ours):
        if not self.server.drafts:
            raise Failed(f"{self.server.name} has no drafts from n-grams")
        _, answer = self.ask(self.prompt(64), ours["answer_tokens"], id_slot=0)
        try:
            return {"tokens_per_s": answer["timings"]["predicted_per_second"]}
        except (KeyError, TypeError) as e:
            raise Failed(f"{self.server.name}: no speed in its answer") from e
