#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The daemon under bad input and faults: it is killed, its disk is full, its
memory and its descriptors are scarce, its clients are many, slow and leave.

Usage: faults_test.py TINYPHI [NAME_PART]

Every function called test_* is one case, and its name is what must hold. The
counts are small; with TINYPHI_TEST_LONG=1 they are those of the figures.
TINYPHI_TEST_SEED chooses other random moments and requests. The last line is
"N passed, M failed".
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "bench")]
import cases  # noqa: E402
from serve_client import Body, Events, parse_head  # noqa: E402
from daemon import LOCAL, TINYPHI, Daemon, soon, under_way  # noqa: E402
from serve_load import metric  # noqa: E402
from serve_process import Process  # noqa: E402

LONG = os.environ.get("TINYPHI_TEST_LONG", "0") not in ("", "0")
SLOW = bool(os.environ.get("TINYPHI_SLOW_BUILD"))  # memory, too, is not its own
SEED = int(os.environ.get("TINYPHI_TEST_SEED", "14"))
MIB = 1 << 20
ANSWER_LIMIT = 600 if SLOW else 60  # seconds for one answer: far more than any takes


def count(short, long):
    return long if LONG else short


def say(text):
    """A figure, for whoever reads the log."""
    print(f"  {text}", flush=True)


# ---- clients

@dataclasses.dataclass
class Got:
    """What came of an answer."""
    status: int = 0
    text: str = ""
    finish: str = None
    done: bool = False   # [DONE] came
    whole: bool = False  # the body's end came
    error: dict = None
    cached: int = 0

    def take(self, data):
        """A whole answer, or one event of a stream."""
        if data == b"[DONE]":
            self.done = True
            return
        found = json.loads(data)
        self.error = found.get("error") or self.error
        for choice in found.get("choices") or ():
            text = choice.get("text")
            if text is None:
                text = (choice.get("message") or choice.get("delta") or
                        {}).get("content")
            self.text += text or ""
            self.finish = choice.get("finish_reason") or self.finish
        details = (found.get("usage") or {}).get("prompt_tokens_details") or {}
        self.cached = details.get("cached_tokens", self.cached)

    @property
    def acknowledged(self):
        """Its client knows that it has all of it."""
        return self.status == 200 and self.whole and bool(self.finish)


def request(body, route="/v1/completions", method="POST", close=True):
    data = body if isinstance(body, bytes) else \
        b"" if body is None else json.dumps(body).encode()
    return (f"{method} {route} HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Length: {len(data)}\r\n"
            f"{'Connection: close' if close else 'X-Kept: yes'}\r\n\r\n"
            ).encode() + data


def connect(port):
    return socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT)


def leave_by_reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Left(Exception):
    """The client had enough."""


def read_answer(s, got, leave=None):
    """Reads an answer to its end. `leave`: "text" ends with the first piece of
    the body, a number after so many seconds."""
    end = None if leave in (None, "text") else time.monotonic() + leave
    head, body, events = b"", None, Events()
    while not got.whole:
        if end is not None:
            s.settimeout(max(0.0001, end - time.monotonic()))
        try:
            data = s.recv(1 << 16)
        except TimeoutError:
            if end is not None:
                raise Left() from None
            raise AssertionError(f"no answer in {ANSWER_LIMIT} s") from None
        if not data:
            return
        if body is None:
            head += data
            front, complete, data = head.partition(b"\r\n\r\n")
            if not complete:
                continue
            got.status, headers = parse_head(front)
            body, rest = Body(headers), b""
            stream = headers.get("content-type") == "text/event-stream"
        part = body.feed(data) if data else b""
        got.whole = body.ended
        if stream:
            for event in events.feed(part):
                got.take(event)
        else:
            rest += part
            if got.whole and headers.get("content-type") == "application/json":
                got.take(rest)
        if part and leave == "text":
            raise Left()


def fetch(port, body, leave=None, reset=False, **how):
    """Asks; what came, also if the daemon is gone meanwhile."""
    got = Got()
    with contextlib.suppress(ConnectionError, Left):
        with connect(port) as s:
            s.sendall(request(body, **how))
            try:
                read_answer(s, got, leave)
            finally:
                if reset:
                    leave_by_reset(s)
    return got


def completion(prompt, tokens, seed, **more):
    """A body whose answer has so many tokens, always the same."""
    return {"prompt": prompt, "max_tokens": tokens, "seed": seed,
            "temperature": 1, "ignore_eos": True, **more}


def clients(n):
    return concurrent.futures.ThreadPoolExecutor(n)


class Witness:
    """Asks one thing again and again while a block runs: every answer must
    come, and be the same."""

    def __init__(self, d, stream=True):
        self.port = d.port
        self.body = completion("The witness says", 24, 5, stream=stream)
        self.right = fetch(self.port, self.body)
        assert self.right.acknowledged and self.right.text, self.right
        self.answers, self.wrong, self.ended = 0, None, threading.Event()
        self.slowest = 0.0
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        try:
            while not self.ended.is_set() and not self.wrong:
                began = time.monotonic()
                got = fetch(self.port, self.body)
                self.slowest = max(self.slowest, time.monotonic() - began)
                if not got.acknowledged or got.text != self.right.text:
                    self.wrong = got
                self.answers += 1
        except Exception as e:  # told by the thread that waits
            self.wrong = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ended.set()
        self.thread.join()
        if kind is None:
            assert not self.wrong, (self.wrong, self.right)
            assert self.answers > 0, "the witness was never answered"


# ---- daemons

def configure(folder, serve="", tables="", model=""):
    """A file of a daemon with the demo model."""
    path = folder / "daemon.toml"
    path.write_text(f'tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n{serve}\n'
                    f'{tables}\n[model.demo]\naliases = ["*"]\n{model}\n')
    return str(path)


def kept_in(folder):
    return f'[serve.cache]\nfolder = "{folder}"\n'


def about(d, path):
    """What the daemon said of a path."""
    return [line for line in d.lines if str(path) in line]


def metrics(d):
    status, _, text = d.ask("GET", "/metrics")
    assert status == 200, text
    return text.decode()


def plain_metric(d, name):
    """One that has no labels."""
    return float(re.search(rf"^{name} (\S+)$", metrics(d), re.M)[1])


def used_pages(d):
    found = metric(metrics(d), "tinyphi_kv_pages", state="used")
    assert found is not None
    return found


def cancelled(d):
    """How many requests were, by where they were."""
    text = metrics(d)
    return {where: metric(text, "tinyphi_cancelled_total", where=where) or 0
            for where in ("queue", "prefill", "decode")}


def open_files(d):
    return len(os.listdir(f"/proc/{d.process.pid}/fd"))


def ids(rng, n):
    return [rng.randrange(300, 1900) for _ in range(n)]


# ---- SIGKILL

def known_answers(rng, n):
    """Bodies and their right answers, from a daemon to which nothing happens."""
    bodies = [completion(f"Part {i} of the pump: " + "it hums, " * rng.randrange(60),
                         rng.choice((20, 100, 400)), i) for i in range(n)]
    with Daemon(*LOCAL) as d:
        right = [fetch(d.port, body) for body in bodies]
    assert all(r.acknowledged and r.text for r in right), right
    return bodies, [r.text for r in right]


def test_killed_at_any_moment_it_is_back_in_10_s_and_what_it_said_stands(folder):
    """SIGKILL amid answers, or while the cache is written behind SIGTERM. No
    answer that its client has whole differs, a broken one is a beginning of
    it, and the next daemon says the same from what the folder holds."""
    rng = random.Random(SEED)
    cache = folder / "cache"
    cache.mkdir(0o700)
    config = configure(folder, 'drain = "300ms"', kept_in(cache))
    bodies, right = known_answers(rng, 6)
    seen = collections.Counter()
    ended_well = False

    def all_seen():
        return seen["whole"] and seen["broken"] and seen["from the folder"]
    # Each round meets an answer's middle or does not: some more may be needed.
    for turn in range(count(40, 140)):
        if turn >= count(4, 100) and all_seen():
            break
        began = time.monotonic()
        with Daemon(config) as d:
            seen["slowest start, ms"] = max(seen["slowest start, ms"], int(
                1e3 * (time.monotonic() - began)))
            assert time.monotonic() - began < 10
            cached = 0
            for body, text in zip(bodies, right):
                got = fetch(d.port, body)
                assert got.acknowledged and got.text == text, (got, text)
                cached += got.cached
            # What one saved in peace, the next one finds.
            assert not ended_well or cached > len(bodies), cached
            seen["from the folder"] += cached > len(bodies)

            def ask_until_killed(i):
                found = []
                while not found or found[-1][0].acknowledged:
                    i = (i + 1) % len(bodies)
                    found.append((fetch(d.port, {**bodies[i], "stream": i % 3 != 0}),
                                  right[i]))
                return found
            how = rng.choice(("kill", "kill", "kill while it saves", "end"))
            with clients(4) as pool:
                answers = [pool.submit(ask_until_killed, i) for i in range(4)]
                time.sleep(rng.uniform(0, 0.4))
                if how != "kill":
                    d.process.send_signal(signal.SIGTERM)
                    # Clients are told 503, or find nobody.
                if how == "kill while it saves":
                    time.sleep(rng.choice((0.01, 0.05, 0.2, 0.4)) * rng.random())
                if how != "end":
                    d.process.kill()
                status = d.process.wait(30)
                answers = [got for a in answers for got in a.result()]
            ended_well = status == 0
            assert ended_well or status == -signal.SIGKILL, status
            seen[how] += 1
            for got, text in answers:
                if got.acknowledged and got.finish == "length" and got.status == 200 \
                        and len(got.text) == len(text):
                    assert got.text == text, (got, text)
                    seen["whole"] += 1
                elif got.text:
                    # SIGTERM ends a long answer early, and says so.
                    assert how != "kill" or not got.acknowledged, got
                    assert text.startswith(got.text), (got, text)
                    seen["broken"] += 1
            d.reader.join(10)
            assert len(about(d, cache)) <= 1, d.lines
    say(dict(seen))
    assert all_seen(), seen


# ---- the cache's folder

def crowd(d, bodies, right):
    """All at once, more than the pages hold: somebody has to give way."""
    with clients(len(bodies)) as pool:
        for got, text in zip(pool.map(lambda b: fetch(d.port, b), bodies), right):
            assert got.acknowledged and got.text == text, (got, text)
    assert metric(metrics(d), "tinyphi_preemptions_total") > 0


def long_bodies():
    return [completion(f"Number {i} tells of the lamp", 300, i) for i in range(8)]


def few_pages_say_the_same(config, **how):
    """With the pages of two answers for eight, and the disk that `how` gives
    it, a daemon says what one of many pages says; it is given back, ended."""
    bodies = long_bodies()
    with Daemon(*LOCAL) as d:
        right = [fetch(d.port, body).text for body in bodies]
    with Daemon(config, **how) as d:
        crowd(d, bodies, right)
        status = d.end(signal.SIGTERM)
        assert status == 0, (status, d.lines)
    return d


FEW_PAGES = 'kv_memory = "1500KiB"\nsequences = 8'


def test_a_full_disk_costs_no_answer_and_is_told_once(folder):
    cache = folder / "cache"
    cache.mkdir(0o700)
    # A file system of its own, which is gone with the process.
    full = ["unshare", "--map-root-user", "--mount", "sh", "-c",
            'mount -t tmpfs -o size=64k,mode=700 none "$0" && '
            '{ cat /dev/zero >"$0/filler" 2>/dev/null; exec "$@"; }', str(cache)]
    try:
        tried = subprocess.run([*full, "test", "-s", f"{cache}/filler"],
                               capture_output=True, text=True, timeout=20)
    except OSError as e:
        raise cases.Skip(f"{e}") from e
    if tried.returncode != 0:
        raise cases.Skip("no file system may be mounted here: " +
                         tried.stderr.strip())
    config = configure(folder, 'drain = "1s"', kept_in(cache), FEW_PAGES)
    d = few_pages_say_the_same(config, under=full)
    assert len(about(d, cache)) == 1, d.lines


def test_a_limit_of_file_sizes_costs_no_answer_and_is_told_once(folder):
    """Behind it, a write is a signal that ends who does not expect it."""
    cache = folder / "cache"
    cache.mkdir(0o700)
    config = configure(folder, 'drain = "1s"', kept_in(cache), FEW_PAGES)
    d = few_pages_say_the_same(config,
                               limits={resource.RLIMIT_FSIZE: 64 << 10})
    assert len(about(d, cache)) == 1, d.lines
    assert not list(cache.glob("*.kv")), list(cache.iterdir())


def test_a_full_disk_under_the_log_costs_no_answer(folder):
    if not pathlib.Path("/dev/full").exists():
        raise cases.Skip("there is no /dev/full")
    config = configure(folder)
    with open("/dev/full", "w", encoding="ascii") as full:
        with Daemon(config, "--access-log", stdout=full) as d:
            with Witness(d):
                soon(lambda: plain_metric(d, "tinyphi_log_lines_dropped_total")
                     > 0, "lines that were dropped are counted")
            assert d.end(signal.SIGTERM) == 0


def fill(config, body):
    """Lets a daemon fill its cache's folder; what it said to `body`."""
    with Daemon(config) as d:
        got = fetch(d.port, body)
        assert d.end(signal.SIGTERM) == 0
    assert got.acknowledged
    return got.text


def test_a_hostile_cache_folder_is_ignored_with_one_message(folder):
    body = completion("The valve " * 80, 40, 3)
    with Daemon(*LOCAL) as d:
        right = fetch(d.port, body).text
    secret = folder / "secret"
    secret.write_text("not a cache")
    made = []

    def others_may_write(cache):
        cache.mkdir()
        cache.chmod(0o777)

    def a_file(cache):
        cache.write_text("x")

    def a_link(cache):
        (folder / "elsewhere").mkdir(0o700)
        cache.symlink_to(folder / "elsewhere")

    def anothers(cache):
        if os.geteuid() != 0:
            made.pop()
            return
        cache.mkdir(0o700)
        os.chown(cache, 12345, 12345)

    def bad_files(cache):
        cache.mkdir(0o700)
        assert fill(configure(folder, "", kept_in(cache)), body) == right
        good = next(cache.glob("*.kv"))
        data = good.read_bytes()
        good.unlink()

        def name(i):
            return cache / (f"{i:032x}" + ".kv")
        rng = random.Random(SEED)
        for i in range(8):
            hurt = bytearray(data[:rng.randrange(len(data))] if i < 4 else data)
            hurt[rng.randrange(len(hurt))] ^= 1 << rng.randrange(8)
            name(i).write_bytes(hurt)
        name(10).symlink_to(secret)
        os.mkfifo(name(11))
        name(12).mkdir()
        with name(13).open("wb") as sparse:
            sparse.truncate(1 << 40)
        name(14).write_bytes(data)
        name(14).chmod(0o666)
        name(15).write_bytes(b"TPKV" + b"\xff" * 5000)

    def other_settings(cache):
        cache.mkdir(0o700)
        fill(configure(folder, "", kept_in(cache), 'kv = "f32"'), body)
        assert list(cache.glob("*.kv"))

    def another_model(cache):
        cache.mkdir(0o700)
        path = ROOT / "tests/data/tiny/mini-4k/model-q8_0.gguf"
        config = configure(folder, "", kept_in(cache), f'path = "{path}"')
        with Daemon(config) as d:
            rng = random.Random(SEED)
            status = d.ask("POST", "/v1/completions",
                           {"prompt": [rng.randrange(60) for _ in range(50)],
                            "max_tokens": 4})[0]
            assert d.end(signal.SIGTERM) == 0
        assert status == 200 and list(cache.glob("*.kv")), status

    for make in (others_may_write, a_file, a_link, anothers, bad_files,
                 other_settings, another_model):
        made.append(make.__name__)
        cache = folder / f"cache-{make.__name__}"
        make(cache)
        if not made or made[-1] != make.__name__:
            say(f"left out: {make.__name__}, only root can")
            continue
        with Daemon(configure(folder, "", kept_in(cache))) as d:
            got = fetch(d.port, body)
            assert got.text == right, (make.__name__, got)
            assert got.cached <= 1, (make.__name__, got)
            assert d.end(signal.SIGTERM) == 0, d.lines
        assert len(about(d, cache)) == 1, (make.__name__, d.lines)
        assert secret.read_text() == "not a cache"
    assert not list((folder / "elsewhere").iterdir())


# ---- memory

LEAST_MEMORY = 64  # MiB, that a file may allow


def planned_mib(folder, kv_mib, sequences=16):
    """What a daemon of so many MiB for its cache says that it takes, all
    together; it must say so, and end, before it has a socket or weights."""
    config = configure(folder, f'memory = "{LEAST_MEMORY}MiB"', "",
                       f'kv_memory = "{kv_mib + LEAST_MEMORY}MiB"\n'
                       f"sequences = {sequences}")
    began = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run([TINYPHI, "serve", config], capture_output=True,
                          text=True, timeout=60, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - began
    assert done.returncode == 78, done
    assert "listening" not in done.stderr and "ready" not in done.stderr
    found = re.search(r"takes (\d+) MiB for weights, (\d+) MiB for its cache, "
                      r"(\d+) MiB for all else: together (\d+) MiB, and there "
                      rf"are {LEAST_MEMORY} MiB", done.stderr)
    assert found, done.stderr
    weights, cache, rest, together = map(int, found.groups())
    assert cache == kv_mib + LEAST_MEMORY
    assert abs(weights + cache + rest - together) <= 2, found.groups()
    assert used < 2 or SLOW, used
    return together - LEAST_MEMORY


def test_a_model_that_does_not_fit_is_told_in_numbers_with_status_78(folder):
    for kv in (0, 64, 3072):
        assert kv < planned_mib(folder, kv) < kv + 128


def random_request(rng):
    """(route, body, when its client leaves): good, wrong, short, long."""
    def length(most):  # of every magnitude as many
        return int(most ** rng.random())
    leave = rng.choice((None, None, None, "text", rng.uniform(0, 0.2)))
    kind = rng.randrange(12)
    if kind <= 5:
        body = completion(ids(rng, length(3000)), length(300), rng.randrange(100),
                          stream=rng.random() < 0.7)
        if rng.random() < 0.2:
            body.update(n=rng.randrange(1, 5), logprobs=rng.randrange(6))
        if rng.random() < 0.2:
            body.update(stop=[rng.choice("aeiou ")], ignore_eos=False)
        if rng.random() < 0.1:
            body["tinyphi"] = {"total_ms": rng.randrange(1, 200)}
        return "/v1/completions", body, leave
    if kind <= 8:
        turns = [{"role": ("user", "assistant")[i % 2],
                  "content": "pump " * length(200)}
                 for i in range(2 * rng.randrange(4) + 1)]
        return "/v1/chat/completions", {
            "messages": turns, "max_tokens": length(300),
            "stream": rng.random() < 0.5}, leave
    if kind == 9:
        return "/v1/embeddings", {"input": ["lamp " * length(500)
                                            for _ in range(rng.randrange(1, 5))]}, leave
    if kind == 10:
        return "/tokenize", {"content": "\u00e9<|end|>" * length(3000)}, None
    return rng.choice((
        ("/v1/completions", {"prompt": "a " * 9000}, None),
        ("/v1/completions", {"prompt": [1 << 40]}, None),
        ("/v1/completions", {"prompt": "a", "temperature": -1}, None),
        ("/v1/chat/completions", {"messages": []}, None),
        ("/v1/chat/completions", b"[" * 5000, None),
        ("/v1/chat/completions", b'{"messages": "\xff\xfe"}', None),
        ("/nowhere", {}, None)))


ENDS = {200, 400, 404, 503, 504}


def soak(d, n, seed):
    """Random requests; how many ended how. Never as an error of ours."""
    ended, lock = collections.Counter(), threading.Lock()

    def one(i):
        rng = random.Random(seed * 1_000_003 + i)
        route, body, leave = random_request(rng)
        got = fetch(d.port, body, leave, reset=rng.random() < 0.3, route=route)
        assert got.status in ENDS or (got.status == 0 and leave is not None), (
            route, body, got)
        if got.status == 503:
            assert got.error["code"] == "overloaded", got
        if leave is None:
            assert got.whole, (route, body, got)
        with lock:
            ended[got.status or "left"] += 1
    with clients(12) as pool:
        for _ in pool.map(one, range(n)):
            pass
    return ended


def all_is_given_back(d, files):
    soon(lambda: used_pages(d) == 0, "all pages are free", 5)
    soon(lambda: open_files(d) <= files, "all connections are closed", 5)


def limited_to(bytes_):
    """(how a daemon is started within so much memory, by what)."""
    scope = ["systemd-run", "--scope", "--quiet", "--no-ask-password", "-p",
             f"MemoryMax={bytes_}", "-p", "MemorySwapMax=0"]
    if pathlib.Path("/run/systemd/system").is_dir() and shutil.which(scope[0]):
        tried = subprocess.run([*scope, "true"], stdin=subprocess.DEVNULL,
                               capture_output=True, timeout=20, check=False)
        if tried.returncode == 0:
            return {"under": scope}, "a control group"
    return {"limits": {resource.RLIMIT_AS: bytes_}}, "RLIMIT_AS"


def test_in_2_GB_random_requests_take_no_more_than_the_plan_and_32_MiB(folder):
    """1,000 in the long form. None is refused for want of memory."""
    if SLOW:
        raise cases.Skip("a sanitizer's memory is not the daemon's")
    model = 'kv_memory = "256MiB"\nsequences = 24'
    plan = planned_mib(folder, 256, 24)
    how, by = limited_to(2 << 30)
    with Daemon(configure(folder, 'memory = "1900MiB"', "", model), "--no-sandbox",
                **how) as d:
        proc = Process(d.process.pid)
        files = open_files(d)
        with Witness(d):
            ended = soak(d, count(32, 1000), SEED)
        all_is_given_back(d, files)
        most = proc.field(proc.read("status"), "VmHWM") / 1024
        say(f"2 GB by {by}: {dict(ended)}, {most:.0f} MiB at most, "
            f"{plan} planned")
        assert most <= plan + 32, (most, plan)
        assert d.end(signal.SIGTERM) == 0, d.lines


def test_a_memory_limit_lowered_to_what_is_used_ends_no_process(folder):
    """Requests may fail, whatever they are; the process stays, and says the
    same as before once it has memory again."""
    if SLOW:
        raise cases.Skip("a sanitizer takes memory of its own")
    rng = random.Random(SEED)
    body = completion("The gauge", 40, 9)
    model = 'kv_memory = "64MiB"\nsequences = 8'
    with Daemon(configure(folder, "", "", model), "--no-sandbox") as d:
        proc = Process(d.process.pid)
        files = open_files(d)
        right = fetch(d.port, body)
        ended = collections.Counter()

        def one(request):
            route, body, leave = request
            got = fetch(d.port, body, leave, route=route)
            assert got.status in ENDS | {0, 500}, (route, body, got)
            return got.status
        for _ in range(count(3, 40)):
            used = proc.field(proc.read("status"), "VmSize") * 1024
            resource.prlimit(d.process.pid, resource.RLIMIT_AS, (used, -1))
            with clients(12) as pool:
                ended.update(pool.map(one, [random_request(rng) for _ in range(25)]))
            resource.prlimit(d.process.pid, resource.RLIMIT_AS, (-1, -1))
            assert d.process.poll() is None, d.lines
            got = fetch(d.port, body)
            assert got.acknowledged and got.text == right.text, (got, right)
        say(f"without memory: {dict(ended)}")
        assert ended[500] > 0, ended  # else there was memory
        all_is_given_back(d, files)


def test_a_soak_of_random_requests_leaves_nothing_behind(folder):
    """10^4 in the long form, 300 under a sanitizer: memory, threads and
    descriptors stay what they were, and a known answer stays the same."""
    model = 'kv_memory = "24MiB"\nsequences = 8'
    patient = '[serve.deadline]\nqueue = "10m"\nfirst_token = "10m"\ntotal = "10m"'
    plan = planned_mib(folder, 24, 8)
    with Daemon(configure(folder, "", patient, model), "--no-sandbox") as d:
        proc = Process(d.process.pid)
        files = open_files(d)
        with Witness(d):
            n = count(48, 300 if SLOW else 10000)
            ended = soak(d, n // 4, SEED + 1)
            threads, before = len(proc.tasks()), proc.resident()
            ended += soak(d, n - n // 4, SEED + 2)
            grown = (proc.resident() - before) / MIB
        all_is_given_back(d, files)
        assert len(proc.tasks()) == threads
        resident = proc.resident() / MIB
        say(f"soak: {dict(ended)}, {resident:.0f} MiB at the end, {plan} "
            f"planned, {grown:+.1f} MiB in the last three quarters")
        assert SLOW or resident <= plan + 32, (resident, plan)
        assert SLOW or not LONG or grown <= 8, grown
        assert d.end(signal.SIGTERM) == 0, d.lines


# ---- clients that leave

def storm(d, n, rng, leave, prompt):
    """So many clients that leave; the seconds until no page is in use."""
    bodies = [(completion(ids(rng, prompt), 800, i, stream=True), leave(),
               i % 2 == 0) for i in range(n)]
    with clients(16) as pool:
        list(pool.map(lambda b: fetch(d.port, b[0], b[1], reset=b[2]), bodies))
    return time.monotonic()


def test_pages_are_free_1_s_behind_a_storm_and_others_are_not_disturbed(folder):
    """1,000 clients leave while their prompt is read, 1,000 within their
    answers, in the long form."""
    rng = random.Random(SEED)
    n = count(40, 1000)
    with Daemon(configure(folder), "--no-sandbox") as d:
        files = open_files(d)
        for where, leave, prompt in (
                ("prefill", lambda: rng.uniform(0.01, 0.15), 3000),
                ("decode", lambda: "text", 30)):
            before = cancelled(d)
            with Witness(d) as witness:
                left = storm(d, n, rng, leave, prompt)
            soon(lambda: used_pages(d) == 0, "all pages are free", 10)
            took = time.monotonic() - left
            after = cancelled(d)
            found = {k: int(after[k] - before[k]) for k in after}
            say(f"storm in {where}: {n} left, cancelled in {found}, pages free "
                f"after {1e3 * took:.0f} ms, {witness.answers} answers beside, "
                f"the slowest {1e3 * witness.slowest:.0f} ms")
            assert took <= 1, took
            # Of some the daemon never read a request.
            early = found["queue"] + found["prefill"]
            assert (early if where == "prefill" else found["decode"]) >= n / 2, found
        all_is_given_back(d, files)


def test_half_closed_clients_are_gone_within_1_s(folder):
    """Whoever will send no more has left, as everywhere behind a proxy: before,
    within and behind a request."""
    whole = request(completion("A lamp", 3000, 1, stream=True))
    with Daemon(configure(folder), "--no-sandbox") as d:
        files = open_files(d)
        with Witness(d):
            for sent in (b"", whole[:9], whole[:whole.index(b"\r\n\r\n") + 4],
                         whole[:-3], whole, whole + whole[:5]):
                with connect(d.port) as s:
                    s.sendall(sent)
                    time.sleep(0.05)
                    s.shutdown(socket.SHUT_WR)
                    s.settimeout(1)
                    began = time.monotonic()
                    while s.recv(1 << 16):
                        assert time.monotonic() - began < 1, sent
        all_is_given_back(d, files)


# ---- clients that are many, or slow

def room_for(n):
    """Lets this process open n files more; how many it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = 300  # what tests and their daemon need beside
    if soft < min(n + free, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(n + free, hard), hard))
    n = min(n, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - free,
            # The daemon takes as many connections of what it may open.
            hard * 9 // 10 - free)
    if n < 50:
        raise cases.Skip(f"only {hard} files may be open here")
    return n


def closed_by_peer(s):
    s.setblocking(False)
    try:
        return s.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_slow_senders_are_cut_in_time_and_others_are_not_disturbed(folder):
    """As many as may be open, up to 5,000 in the long form, each a byte a
    second: of a head, which may take 10 s, or of a body."""
    n = room_for(count(200, 5000))
    head = request(None, "/health", "GET", close=False)
    body = request(completion("A lamp", 5, 1))
    behind = body.index(b"\r\n\r\n") + 4
    with Daemon(configure(folder), "--no-sandbox") as d, \
            contextlib.ExitStack() as stack:
        files = open_files(d)
        alone = Witness(d)
        with alone:
            time.sleep(count(0.3, 5))
        with Witness(d) as witness:
            slow = []
            began = time.monotonic()
            for i in range(n):
                s = stack.enter_context(connect(d.port))
                if i % 2:
                    s.sendall(body[:behind])
                slow.append((s, head if i % 2 == 0 else body[behind:]))
            opened = time.monotonic() - began
            held, sent = 0, 0
            while time.monotonic() - began < count(1, 14):
                for s, text in slow:
                    # Some are cut meanwhile.
                    with contextlib.suppress(ConnectionError):
                        s.sendall(text[sent:sent + 1])
                sent += 1
                held = max(held, open_files(d) - files)
                time.sleep(0.9)
            assert held > 0.9 * n, (held, n)
            if LONG:
                cut = [closed_by_peer(s) for s, _ in slow]
                assert all(cut[::2]), f"{cut[::2].count(False)} heads are waited for"
                assert not any(cut[1::2]), (
                    f"{sum(cut[1::2])} bodies are cut after "
                    f"{time.monotonic() - began:.0f} s, they may take longer")
        say(f"{n} slow senders, opened in {opened:.1f} s: {witness.answers} "
            f"answers beside, the slowest {1e3 * witness.slowest:.0f} ms; "
            f"alone {1e3 * alone.slowest:.0f} ms")
        stack.pop_all().close()
        all_is_given_back(d, files)


def test_idle_connections_take_4_KiB_each_and_no_time(folder):
    """10^4 of them in the long form: 40 MiB. Two wake-ups a second are those of
    a daemon without any."""
    n = room_for(count(1000, 10000))
    with Daemon(configure(folder), "--no-sandbox") as d, \
            contextlib.ExitStack() as stack:
        proc = Process(d.process.pid)
        fetch(d.port, completion("A lamp", 5, 1))
        # The engine measures its steps for a while, and gives back what it took.
        before, end = 0, time.monotonic() + 20
        while before != (before := proc.private_dirty()) and time.monotonic() < end:
            time.sleep(1)
        files = open_files(d)
        for i in range(n):
            s = stack.enter_context(connect(d.port))
            if i % 2:
                # One that has asked something is as cheap.
                s.sendall(request(None, "/health", "GET", close=False))
                assert s.recv(1 << 12).startswith(b"HTTP/1.1 200")
        soon(lambda: open_files(d) - files >= n, "all are held", 5)
        time.sleep(count(0.3, 1))
        ticks, wakes = proc.ticks(), proc.wake_ups()
        seconds = count(1, 60)
        time.sleep(seconds)
        ticks, wakes = proc.ticks() - ticks, proc.wake_ups() - wakes
        grown = proc.private_dirty() - before
        say(f"{n} idle connections: {grown / MIB:.1f} MiB, {ticks} ticks and "
            f"{wakes} wake-ups in {seconds} s")
        assert fetch(d.port, None, route="/health", method="GET").status == 200
        assert SLOW or grown <= n * (40 * MIB / 10000), grown
        assert wakes <= 2 * seconds + 2 or SLOW, wakes
        # What a daemon without any takes may be one, by chance.
        assert ticks <= (5 if SLOW else 1), ticks


def test_idle_connections_make_room_for_one_that_asks(folder):
    """Where every place is taken, the one that was idle longest gives way."""
    n = 200
    room_for(n)
    with Daemon(configure(folder), limits={resource.RLIMIT_NOFILE: n}) as d, \
            contextlib.ExitStack() as stack:
        busy = stack.enter_context(connect(d.port))
        busy.sendall(request(completion("A lamp", 1500, 1)))
        for _ in range(n):
            stack.enter_context(connect(d.port))
        with Witness(d):
            time.sleep(0.2)
        got = Got()
        read_answer(busy, got)
        assert got.acknowledged, got  # it was not idle


# ---- the end

def test_SIGTERM_ends_an_idle_daemon_in_1_s(folder):
    with Daemon(configure(folder), "--no-sandbox") as d:
        with connect(d.port) as s:
            s.sendall(request(None, "/health", "GET", close=False))
            assert s.recv(1 << 12).startswith(b"HTTP/1.1 200")
            began = time.monotonic()
            assert d.end(signal.SIGTERM) == 0
            took = time.monotonic() - began
    say(f"an idle daemon ends {1e3 * took:.0f} ms behind SIGTERM")
    assert took < 1 or SLOW, took


def test_SIGTERM_under_load_ends_every_answer_in_the_drain_time(folder):
    """By a finish_reason, or by 503 if it had not begun; then the process."""
    drain = 1.0
    n = count(12, 64)
    config = configure(folder, f'drain = "{int(drain * 1000)}ms"', "",
                       "sequences = 4")
    with Daemon(config) as d, clients(2 * n) as pool:
        ends = []

        def ask(i):
            got = fetch(d.port, completion(f"Lamp {i}", 3500, i,
                                           stream=i % 2 == 0))
            ends.append(time.monotonic())
            return got
        answers = [pool.submit(ask, i) for i in range(n)]
        soon(lambda: len(under_way(d)) == n and
             any(r["generated_tokens"] for r in under_way(d)), "all are there")
        began = time.monotonic()
        d.process.send_signal(signal.SIGTERM)
        soon(lambda: d.ask("GET", "/ready")[0] == 503, "it says so")
        late = fetch(d.port, completion("Late", 5, 1))
        assert (late.status, late.error["code"]) == (503, "shutting_down"), late
        answers = [a.result() for a in answers]
        took = max(ends) - began
        assert d.process.wait(30) == 0
        ended = time.monotonic() - began
    for got in answers:
        assert got.whole, got
        if got.status == 200:
            assert got.finish in ("length", "stop"), got
        else:
            assert (got.status, got.error["code"]) == (503, "shutting_down"), got
    found = collections.Counter(got.status for got in answers)
    say(f"SIGTERM with {n} answers: {dict(found)}, the last after {took:.2f} s, "
        f"the process after {ended:.2f} s; drain {drain:.0f} s")
    assert found[200] > 0, found
    assert took <= drain + (0.5 if not SLOW else 5), took
    assert ended <= drain + (2 if not SLOW else 10), ended


if __name__ == "__main__":
    sys.exit(cases.run(globals(), part=sys.argv[2] if len(sys.argv) > 2 else ""))
