# SPDX-License-Identifier: MIT
"""The table of `tools/bench --serve`: tinyphi's daemon beside llama-server, on
the same file and machine, taking turns case by case."""

import asyncio
import contextlib
import dataclasses
import json
import pathlib
import shutil
import statistics
import tempfile

import engines
from engines import Case, Failed
import serve_load
from serve_load import CASES, OWN_PROCESS, ROWS
from serve_process import LlamaServer, TinyphiServer, more_files

CASE_LIMIT = 7200  # seconds
ROOM = 4096  # tokens that a sequence of the peer may have


class Both:
    """The servers, and the cases that each answers."""

    def __init__(self, o, model, load):
        self.o, self.model, self.load = o, model, load
        self.stack = contextlib.ExitStack()
        self.found = {}  # by server's name, by number's name: a list
        self.failed = {}  # by server's name, by case: why
        self.shared = {}  # running ones by name

    def __enter__(self):
        self.folder = pathlib.Path(self.stack.enter_context(
            tempfile.TemporaryDirectory(prefix="tinyphi-serve-")))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def makers(self):
        """By name a function that makes a server that does not run yet."""
        o = self.o

        def ours():
            return TinyphiServer(o.tinyphi, self.model, self.folder / "ours",
                                 o.threads, under=o.under)

        def peer(spec):
            # All its sequences are given room; more wait, as it does.
            return LlamaServer(spec, self.model, o.threads, 8 * ROOM,
                               under=o.under)
        made = {"tinyphi": ours}
        for spec in o.peer:
            made[peer(spec).name] = lambda spec=spec: peer(spec)
        return made

    def server(self, name, make):
        if name not in self.shared:
            self.shared[name] = self.stack.enter_context(make())
        return self.shared[name]

    def one(self, case, name, make, seed):
        """The numbers of a case, of one server."""
        load = dataclasses.replace(self.load, seed=seed)

        def within(coroutine):
            return asyncio.run(asyncio.wait_for(coroutine, CASE_LIMIT))
        if case == "restart":
            if name != "tinyphi":
                raise Failed("forgets its cache when it ends")
            home = self.folder / "kept"
            shutil.rmtree(home, ignore_errors=True)

            def again():
                return TinyphiServer(self.o.tinyphi, self.model, home,
                                     self.o.threads, durable=True,
                                     under=self.o.under)
            return within(serve_load.warm_and_kept(again(), load, again))
        if case in OWN_PROCESS:
            with make() as own:
                return within(CASES[case](own, load))
        return within(CASES[case](self.server(name, make), load))

    def measure(self, cases, say):
        for case in cases:
            for i in range(1 if case in OWN_PROCESS or case == "probes"
                           else self.o.rounds):
                for name, make in self.makers().items():
                    if case in self.failed.get(name, {}):
                        continue
                    say(f"{case}: {name}, round {i + 1}")
                    try:
                        numbers = self.one(case, name, make,
                                           self.load.seed + i)
                    except (Failed, OSError, asyncio.TimeoutError) as e:
                        self.failed.setdefault(name, {})[case] = (
                            str(e) or "took too long")
                        self.drop(name)
                        continue
                    for key, number in numbers.items():
                        self.found.setdefault(name, {}).setdefault(
                            key, []).append(number)

    def drop(self, name):
        """A server that failed may have ended; the next case has a new one."""
        if server := self.shared.pop(name, None):
            server.__exit__()

    def bench_share(self):
        """Row 1's other must: the daemon's rate as share of what `tinyphi
        bench` reaches with as many sequences on this machine."""
        rates = self.found.get("tinyphi", {}).get("tokens_per_s")
        if not rates:
            return
        try:
            rows = engines.Tinyphi(self.o.tinyphi, under=self.o.under).rows(
                Case(self.model, self.o.threads, decode=self.load.tokens)
                if self.model else
                DemoCase(self.o.threads, self.load.tokens), 2, "--sequences",
                self.load.clients)
        except Failed as e:
            self.failed.setdefault("tinyphi", {})["bench"] = str(e)
            return
        best = max(s for row in rows for s in row["samples"])
        self.found["tinyphi"]["bench_share"] = [max(rates) / best]

    def value(self, name, key):
        """A number's median over the rounds, or None."""
        numbers = self.found.get(name, {}).get(key)
        return statistics.median(numbers) if numbers else None


@dataclasses.dataclass(frozen=True)
class DemoCase:
    """A case of the model that is built in."""
    threads: int
    decode: int
    prompt: int = 0
    depth: int = 0
    model: str = ""


def number(x):
    if x is None:
        return ""
    return f"{x:.3g}" if abs(x) < 100 else f"{x:.0f}"


def must(row):
    sign = "≥" if row.at_least else "≤"
    parts = [f"{sign} {row.must:g}"] if row.must is not None else []
    if row.peer is not None:
        parts.append(f"≥ {row.peer:g}× the peer's")
    return ", ".join(parts)


def lines(both, cases):
    """The table, as rows of texts."""
    names = [n for n in both.makers()]
    peers = names[1:]
    yield ["", "figure", "tinyphi", *peers, "must", "reached"]
    for row in ROWS:
        if row.case not in cases:
            continue
        ours = both.value("tinyphi", row.key)
        theirs = [both.value(p, row.key) for p in peers]
        reached = {True: "yes", False: "**no**", None: ""}[row.reached(
            ours, max((t for t in theirs if t is not None), default=None))]
        cells = []
        for name, x in zip(names, [ours, *theirs]):
            if x is None:
                cells.append("failed" if row.case in both.failed.get(
                    name, {}) else "–")
            else:
                cells.append(f"{number(x)} {row.unit}".strip())
        yield [str(row.figure), row.name, *cells, must(row), reached]


def run(o, model, title, say):
    """Measures and prints; returns whether all that must be is."""
    load = serve_load.Options()
    if o.serve_at_most:
        load = load.smaller(**o.serve_at_most)
    cases = [c for c in dict.fromkeys(r.case for r in ROWS)
             if not o.only or any(part == c for part in o.only)]
    more_files(2 * max(load.idle, load.slow) + 200
               if {"idle", "attack"} & set(cases) else 256)
    with Both(o, model, load) as both:
        both.measure(cases, say)
        if "together" in cases:
            both.bench_share()
        say("")
        print(f"{title}; medians of {o.rounds} rounds, at the client\n")
        table = list(lines(both, cases))
        table.insert(1, ["---"] * len(table[0]))
        for cells in table:
            print("| " + " | ".join(cells) + " |")
        for name, failed in both.failed.items():
            for case, why in failed.items():
                print(f"\n{name}, {case}: {why}")
        reached = {row.key: row.reached(both.value("tinyphi", row.key))
                   for row in ROWS if row.case in cases}
        if o.json:
            o.json.write_text(json.dumps({
                "machine": title, "options": dataclasses.asdict(load),
                "figures": [dataclasses.asdict(r) for r in ROWS
                            if r.case in cases],
                "found": both.found, "failed": both.failed}, indent=1,
                ensure_ascii=False) + "\n", encoding="utf-8")
    return all(r is not False for r in reached.values())
