# SPDX-License-Identifier: MIT
"""What clients of a server see: rates, gaps, first tokens and losses, measured
at the client, of any OpenAI-compatible server. Used by tools/bench --serve.

Each case is a coroutine that takes a Server and Options and gives numbers by
name; ROWS says which numbers make the table, and what they must be."""

import asyncio
import contextlib
import dataclasses
import math
import random
import statistics
import time

from engines import Failed
import serve_process
from serve_client import Answer, Stream, stream

WARM = 8  # pieces of text after which a stream runs evenly


@dataclasses.dataclass
class Options:
    """How much is asked; the defaults are the figures'."""
    clients: int = 8
    tokens: int = 128  # of an answer
    prompt: int = 64
    long_prompt: int = 3000
    beside: int = 3  # streams that a long prompt meets
    cached: int = 500
    new: int = 30
    tries: int = 50
    cancels: int = 200
    probes: int = 10000
    queued: int = 20
    idle: int = 10000
    idle_seconds: float = 60
    slow: int = 5000
    storm: int = 1000
    seed: int = 1

    def smaller(self, **numbers):
        """The same with nothing greater than these."""
        return dataclasses.replace(self, **{
            k: min(getattr(self, k), v) for k, v in numbers.items()})


def percentile(values, p):
    """The smallest value that p percent of them do not exceed."""
    if not values:
        raise Failed("nothing was measured")
    return sorted(values)[max(0, math.ceil(p / 100 * len(values)) - 1)]


def jain(shares):
    """1 if all have the same, 1/n if one has all."""
    square = sum(x * x for x in shares)
    return sum(shares) ** 2 / (len(shares) * square) if square else 1.0


class Prompts:
    """Token ids that every model here has, and bodies that ask for answers of
    ordinary pieces of text: one for each token, never a repeated text that a
    draft could guess. No case begins its prompts as another does, and none as
    in another round: a cache would know them."""

    def __init__(self, case, o):
        self.random = random.Random(f"{case} {o.seed}")

    def ids(self, n):
        return [self.random.randrange(300, 1900) for _ in range(n)]

    def body(self, prompt, tokens):
        return {"model": "m", "prompt": prompt, "max_tokens": tokens,
                "temperature": 1, "seed": self.random.randrange(1 << 30),
                "ignore_eos": True,
                "logit_bias": {str(i): 100 for i in range(400, 464)}}


@contextlib.asynccontextmanager
async def running(*coroutines):
    """Tasks that end with the block, whatever they were at."""
    tasks = [asyncio.ensure_future(c) for c in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition, what, tasks=(), limit=1800, step=0.001):
    end = time.monotonic() + limit
    while not condition():
        for task in tasks:
            if task.done() and task.exception():
                raise task.exception()
        if time.monotonic() > end:
            raise Failed(f"{what} did not happen in {limit} s")
        await asyncio.sleep(step)


class Probe:
    """Asks a route again and again: how long that takes, and what was lost."""

    def __init__(self, target, path):
        self.target, self.path = target, path
        self.seconds, self.lost = [], 0

    async def once(self):
        start = time.perf_counter()
        try:
            status, _ = await asyncio.wait_for(
                self.target.ask("GET", self.path), 10)
        except (Failed, asyncio.TimeoutError):
            status = 0
        if status == 200:
            self.seconds.append(time.perf_counter() - start)
        else:
            self.lost += 1

    async def forever(self, hertz=20):
        while True:
            await self.once()
            await asyncio.sleep(1 / hertz)


def metric(text, name, **labels):
    """The sum of a family's samples with these labels, or None."""
    found = None
    for line in text.splitlines():
        family, _, rest = line.partition("{")
        if family == name and all(f'{k}="{v}"' in rest
                                  for k, v in labels.items()):
            found = (found or 0) + float(line.rsplit(" ", 1)[1])
    return found


async def used_pages(target):
    """Pages of running sequences; None where a server does not say."""
    _, text = await target.ask("GET", "/metrics")
    return metric(text.decode(errors="replace"), "tinyphi_kv_pages",
                  state="used")


async def no_pages(target, limit=60):
    """Waits until no sequence has any; False where a server does not say."""
    end = time.monotonic() + limit
    while used := await used_pages(target):
        if time.monotonic() > end:
            raise Failed(f"{used:g} pages were not free after {limit} s")
        await asyncio.sleep(0.001)
    return used is not None


# ---- the cases

async def together(server, o):
    """Rows 1, 4 and 7: clients that all get answers at once."""
    target, prompts = server.target(), Prompts("together", o)
    prompt = prompts.ids(o.prompt)
    await stream(target, prompts.body(prompt, 2))

    async def answers():
        done = await asyncio.gather(*(
            stream(target, prompts.body(prompt, o.tokens))
            for _ in range(o.clients)))
        tokens = sum(s.tokens for s in done)
        if tokens < o.clients * o.tokens:
            raise Failed(f"{tokens} tokens came, {o.clients * o.tokens} were "
                         "asked for")
        return tokens
    # Probes take time of the thread that talks to clients, and of the cores.
    proc = server.proc()
    before, begun = proc.io_seconds(), time.perf_counter()
    tokens = await answers()
    ended, spent = time.perf_counter(), proc.io_seconds() - before
    health, metrics = Probe(target, "/health"), Probe(target, "/metrics")
    async with running(health.forever(), metrics.forever()):
        await answers()
    return {"tokens_per_s": tokens / (ended - begun),
            "io_us_per_token": 1e6 * spent / tokens,
            "health_p99_ms": 1e3 * percentile(health.seconds, 99),
            "metrics_p99_ms": 1e3 * percentile(metrics.seconds, 99),
            "probes_lost": health.lost + metrics.lost}


async def probes(server, o):
    """Row 7: many probes while clients get answers."""
    target, prompts = server.target(), Prompts("probes", o)
    health = Probe(target, "/health")

    async def load():
        while True:
            await stream(target, prompts.body(prompts.ids(o.prompt), o.tokens))
    async with running(*(load() for _ in range(o.clients))) as tasks:
        for _ in range(o.probes):
            await health.once()
            for task in tasks:
                if task.done():
                    task.result()
    return {"many_probes_p99_ms": 1e3 * percentile(health.seconds, 99),
            "many_probes_lost": health.lost}


async def gap(server, o):
    """Row 2: streams that run while a long prompt arrives."""
    target, prompts = server.target(), Prompts("gap", o)
    alone = (await stream(target, prompts.body(prompts.ids(o.long_prompt),
                                               1))).first
    streams = [Stream() for _ in range(o.beside)]
    # They end with the block, but must not end before.
    tokens = 4000 - o.prompt if o.long_prompt >= 1000 else 2000
    async with running(*(stream(target, prompts.body(prompts.ids(8), tokens),
                                s) for s in streams)) as tasks:
        await until(lambda: all(len(s.times) >= WARM for s in streams),
                    "the streams' beginning", tasks)
        begun = time.perf_counter()
        beside = await stream(target,
                              prompts.body(prompts.ids(o.long_prompt), 1))
        ended = beside.times[0]
        before = [len(s.times) for s in streams]
        # The gaps that the first token ends belong to it.
        await until(lambda: all(len(s.times) > n or t.done()
                                for s, n, t in zip(streams, before, tasks)),
                    "the streams' going on")
    gaps = [g for s in streams for g in s.gaps(begun, ended)]
    return {"gap_p99_ms": 1e3 * percentile(gaps, 99),
            "gap_longest_ms": 1e3 * max(gaps, default=0),
            "long_prompt_s": beside.first, "long_prompt_ratio":
            beside.first / alone}


async def cancel(server, o):
    """Row 3: from the end of a connection whose prompt is being read until the
    pages are free; where a server does not tell of pages, until a stream beside
    it goes on."""
    target, prompts = server.target(), Prompts("cancel", o)
    by_pages = await no_pages(target)
    found = []
    beside = Stream()
    tries = o.cancels if by_pages else min(o.cancels, 5)  # those take minutes
    async with contextlib.AsyncExitStack() as stack:
        tasks = ()
        if not by_pages:
            tasks = await stack.enter_async_context(running(stream(
                target, prompts.body(prompts.ids(8), 2000), beside)))
            await until(lambda: len(beside.times) >= WARM,
                        "the stream's beginning", tasks)
        for _ in range(tries):
            # An answer of some length, lest a small model is done before.
            body = {**prompts.body(prompts.ids(o.long_prompt), o.tokens),
                    "stream": True}
            _, writer = await target.connect()
            writer.write(target.request("POST", "/v1/completions", body))
            await writer.drain()
            if by_pages:
                end = time.monotonic() + 60
                while not await used_pages(target):
                    if time.monotonic() > end:
                        raise Failed("a prompt took no pages")
            else:
                await asyncio.sleep(prompts.random.uniform(0.01, 0.2))
            writer.transport.abort()
            left = time.perf_counter()
            if by_pages:
                await no_pages(target)
                found.append(time.perf_counter() - left)
            else:
                n = len(beside.times)
                await until(lambda: len(beside.times) > n, "a token", tasks)
                found.append(beside.times[n] - left)
    return {"cancel_p99_ms": 1e3 * percentile(found, 99)}


async def prefix(server, o):
    """Row 5: a prompt whose beginning is cached, beside its new part alone."""
    target, prompts = server.target(), Prompts("prefix", o)
    warm, fresh, exact = [], [], 0
    for _ in range(o.tries):
        known = prompts.ids(o.cached)
        await stream(target, prompts.body(known, 1))
        fresh.append((await stream(target, prompts.body(prompts.ids(o.new),
                                                        1))).first)
        behind = await stream(target,
                              prompts.body(known + prompts.ids(o.new), 1))
        warm.append(behind.first)
        # One more or less is the token that begins a text.
        exact += abs(behind.cached - o.cached) <= 1
    return {"prefix_ms": 1e3 * statistics.median(warm),
            "prefix_ratio": statistics.median(warm) / statistics.median(fresh),
            "prefix_exact": exact / o.tries}


async def warm_and_kept(server, o, start_again):
    """Row 6: the first request of a server that was restarted."""
    prompts = Prompts("warm_and_kept", o)
    known, tail = prompts.ids(o.cached), prompts.ids(o.new)
    with server:
        await stream(server.target(), prompts.body(known, 1))
        warm = await stream(server.target(), prompts.body(known + tail, 1))
        server.stop()
        await until(lambda: server.process.poll() is not None,
                    "the end behind SIGTERM", limit=120)
    with start_again() as again:
        kept = await stream(again.target(),
                            prompts.body(known + prompts.ids(o.new), 1))
    return {"restart_ms": 1e3 * kept.first, "restart_cached": kept.cached,
            "restart_share": kept.first / (1.2 * warm.first + 0.3)}


async def fairness(server, o):
    """Row 8: one short request of key b behind many long ones of key a; then
    both with as much to do."""
    a, b = (server.target(k) for k in serve_process.KEYS)
    prompts = Prompts("fairness", o)
    short = o.prompt

    async def one():
        return (await stream(b, prompts.body(prompts.ids(short), 2))).first
    alone = statistics.median([await one() for _ in range(3)])
    streams = [Stream() for _ in range(o.queued)]
    async with running(*(stream(a, prompts.body(prompts.ids(o.prompt),
                                                o.tokens * 8), s)
                         for s in streams)) as tasks:
        await until(lambda: any(len(s.times) > 2 for s in streams),
                    "the first long answer", tasks)
        behind = await one()
    equal = {key: [Stream() for _ in range(o.queued // 2)]
             for key in serve_process.KEYS}
    async with running(*(
            stream(server.target(key), prompts.body(prompts.ids(o.prompt),
                                                    o.tokens * 8), s)
            for key, several in equal.items() for s in several)) as tasks:
        await until(lambda: sum(len(s.times) for several in equal.values()
                                for s in several) >= o.tokens * o.queued or
                    any(t.done() for t in tasks),
                    "the answers of both", tasks)
        shares = [sum(len(s.times) for s in several)
                  for several in equal.values()]
    return {"behind_ms": 1e3 * behind, "behind_alone_ms": 1e3 * alone,
            # A slice is what the target between two tokens allows.
            "behind_share": behind / (2 * alone + 0.25),
            "jain": jain(shares)}


async def idle(server, o):
    """Rows 9 and 10: a server that has nothing to do, alone and with many
    connections."""
    target, proc = server.target(), server.proc()
    await stream(target, Prompts("idle", o).body([300] * 8, 2))
    await asyncio.sleep(10)  # what was begun is done, costs are measured

    async def rest():
        ticks, wakes = proc.ticks(), proc.wake_ups()
        await asyncio.sleep(o.idle_seconds)
        return (proc.ticks() - ticks) * 60 / o.idle_seconds, (
            proc.wake_ups() - wakes) / o.idle_seconds
    ticks, wakes = await rest()
    before, threads = proc.private_dirty(), len(proc.tasks())
    writers = []
    try:
        for _ in range(o.idle):
            writers.append((await target.connect())[1])
        await asyncio.sleep(2)
        held_ticks, _ = await rest()
        grown = proc.private_dirty() - before
        threads = len(proc.tasks()) - threads
        probe = Probe(target, "/health")
        await probe.once()
    finally:
        for writer in writers:
            writer.transport.abort()
    return {"idle_ticks": ticks, "idle_wake_ups": wakes,
            "held_mib": grown / (1 << 20), "held_ticks": held_ticks,
            "held_threads": threads, "held_lost": probe.lost}


async def drain(server, o):
    """Row 14: SIGTERM while answers are under way."""
    target, prompts = server.target(), Prompts("drain", o)
    streams = [Stream() for _ in range(o.clients)]
    async with running(*(stream(target, prompts.body(prompts.ids(o.prompt),
                                                     o.tokens), s)
                         for s in streams)) as tasks:
        await until(lambda: all(s.times for s in streams),
                    "the streams' beginning", tasks)
        begun = time.perf_counter()
        server.stop()
        await asyncio.wait(tasks, timeout=300)
        await until(lambda: server.process.poll() is not None,
                    "the end behind SIGTERM", limit=300)
        took = time.perf_counter() - begun
    return {"drain_s": took, "drain_cut":
            sum(not (s.finish and s.done) for s in streams)}


async def slowly(target, n):
    """Connections that send a byte of a head every second, and never end it."""
    async def one():
        with contextlib.suppress(Failed, OSError):
            _, writer = await target.connect()
            try:
                for byte in target.request("GET", "/health")[:-4]:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            finally:
                writer.transport.abort()
    async with running(*(one() for _ in range(n))) as tasks:
        await asyncio.wait(tasks)


async def attack(server, o):
    """Row 15: streams beside slow connections and beside a storm of such that
    leave."""
    target, prompts = server.target(), Prompts("attack", o)

    async def p99():
        streams = await asyncio.gather(*(
            stream(target, prompts.body(prompts.ids(o.prompt), o.tokens))
            for _ in range(2)))
        return percentile([g for s in streams for g in s.gaps()], 99)

    async def leave():
        async with Answer(target, "POST", "/v1/completions", {
                **prompts.body(prompts.ids(o.prompt), o.tokens),
                "stream": True}) as answer:
            answer.writer.transport.abort()
    await p99()
    quiet = [await p99() for _ in range(3)]
    async with running(slowly(target, o.slow)):
        await asyncio.sleep(3)
        slow = [await p99() for _ in range(3)]
    by_pages = await no_pages(target)
    resident = server.proc().resident()
    for i in range(0, o.storm, o.clients):
        sent = [asyncio.ensure_future(leave())
                for _ in range(min(o.clients, o.storm - i))]
        await asyncio.wait(sent, timeout=0.05)
        for task in sent:
            task.cancel()
        await asyncio.gather(*sent, return_exceptions=True)
    left = time.perf_counter()
    await no_pages(target)
    found = {"slow_ratio": statistics.median(slow) / statistics.median(quiet),
             "storm_mib": (server.proc().resident() - resident) / (1 << 20)}
    if by_pages:
        found["storm_pages_s"] = time.perf_counter() - left
    return found


# ---- the table

@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table: one number of a case, of each server, and what
    tinyphi's must be; `peer` is how many times the peer's it must be at
    least."""
    figure: int  # of the study's table
    case: str
    key: str
    name: str
    unit: str = ""
    must: float = None
    at_least: bool = False
    peer: float = None

    def reached(self, ours, theirs=None):
        """Whether tinyphi is what it must be; None where nothing must be, or
        nothing was measured."""
        if ours is None:
            return None
        checks = []
        if self.must is not None:
            checks.append(ours >= self.must if self.at_least
                          else ours <= self.must)
        if self.peer is not None and theirs:
            checks.append(ours >= self.peer * theirs)
        return all(checks) if checks else None


ROWS = [
    Row(1, "together", "tokens_per_s", "clients at once", "tokens/s",
        at_least=True, peer=1.5),
    Row(1, "together", "bench_share", "of bench's with as many sequences", "×",
        0.95, at_least=True),
    Row(2, "gap", "gap_p99_ms", "99th percentile of gaps beside a long prompt",
        "ms", 300),
    Row(2, "gap", "gap_longest_ms", "longest gap beside a long prompt", "ms"),
    Row(2, "gap", "long_prompt_ratio", "that prompt's first token, of alone",
        "×", 1.35),
    Row(3, "cancel", "cancel_p99_ms", "leaving within a prompt, until it ends",
        "ms", 100),
    Row(4, "together", "io_us_per_token", "CPU time beside the model", "µs "
        "a token", 50),
    Row(5, "prefix", "prefix_ms", "first token behind a cached prefix", "ms"),
    Row(5, "prefix", "prefix_ratio", "of the new part's alone", "×", 1.1),
    Row(5, "prefix", "prefix_exact", "cached_tokens that were right", "×", 1,
        at_least=True),
    Row(6, "restart", "restart_share", "first token after a restart, of 1.2 × "
        "warm + 0.3 s", "×", 1),
    Row(7, "together", "health_p99_ms", "99th percentile of /health", "ms", 10),
    Row(7, "together", "metrics_p99_ms", "99th percentile of /metrics", "ms",
        20),
    Row(7, "together", "probes_lost", "probes lost beside them", "", 0),
    Row(7, "probes", "many_probes_lost", "of 10 000 probes, lost", "", 0),
    Row(8, "fairness", "behind_ms", "first token behind another's long "
        "requests", "ms"),
    Row(8, "fairness", "behind_share", "of twice alone and a slice", "×", 1),
    Row(8, "fairness", "jain", "fairness of two keys, Jain's index", "", 0.97,
        at_least=True),
    Row(9, "idle", "held_mib", "10 000 idle connections", "MiB", 40),
    Row(9, "idle", "held_ticks", "their CPU time", "ticks a minute", 0),
    Row(9, "idle", "held_threads", "their threads"),
    Row(10, "idle", "idle_ticks", "idle CPU time", "ticks a minute", 0),
    Row(10, "idle", "idle_wake_ups", "idle wake-ups", "a second", 2),
    Row(14, "drain", "drain_cut", "answers cut by SIGTERM", "", 0),
    Row(14, "drain", "drain_s", "SIGTERM until the process ends", "s"),
    Row(15, "attack", "slow_ratio", "gaps beside slow connections, of without",
        "×", 1.1),
    Row(15, "attack", "storm_pages_s", "pages free behind a storm", "s", 1),
    Row(15, "attack", "storm_mib", "memory grown by it", "MiB", 8),
]
CASES = {f.__name__: f for f in (together, probes, gap, cancel, prefix,
                                 fairness, idle, drain, attack)}
OWN_PROCESS = {"drain", "restart", "idle"}  # need one that did nothing else
