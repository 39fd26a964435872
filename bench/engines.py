# SPDX-License-Identifier: MIT
"""Engines that measure a model file: tinyphi and its peers, asked for the same
cases in the same way. Used by bench/compare and tools/bench."""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIME_LIMIT = 1800  # seconds for one run of an engine


class Failed(Exception):
    """An engine did not measure; the message says why."""


@dataclasses.dataclass(frozen=True)
class Case:
    """`prompt` tokens at once, or `decode` tokens one by one behind `depth`
    tokens that are there already; either of prompt and decode is 0."""
    model: pathlib.Path
    threads: int
    prompt: int = 0
    decode: int = 0
    depth: int = 0

    def __str__(self):
        what = f"prefill {self.prompt}" if self.prompt else \
            f"decode {self.decode}"
        at = f" at {self.depth}" if self.depth else ""
        return f"{what}{at}, {self.threads} thread" + "s" * (self.threads > 1)


def run(command, **options):
    """What a command prints; Failed with the last line of its complaint."""
    try:
        done = subprocess.run([str(c) for c in command], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=TIME_LIMIT, **options)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(str(e)) from e
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise Failed(f"{command[0]}: exit status {done.returncode}: {said[-1]}")
    return done.stdout


def parse_json(text, command):
    # Some engines write other lines before their results.
    start = min((i for i in (text.find("["), text.find("{")) if i >= 0),
                default=0)
    try:
        return json.loads(text[start:])
    except ValueError as e:
        raise Failed(f"{command}: its output is no JSON: {e}") from e


class Tinyphi:
    """The program of this repository; `arguments` go to its bench command.
    `under` is a command that runs the engine, like taskset."""

    name = "tinyphi"

    def __init__(self, program, arguments=(), under=()):
        self.program = program
        self.arguments = list(arguments)
        self.under = list(under)
        self.seen = []  # the results behind all samples so far

    def report(self, *arguments):
        command = [*self.under, self.program, "bench", "--json", *arguments,
                   *self.arguments]
        return parse_json(run(command), "tinyphi bench")

    def samples(self, case, repeats):
        """Tokens per second, one number per repeat."""
        rows = self.rows(case, repeats)
        self.seen += rows
        return [speed for row in rows for speed in row["samples"]]

    def rows(self, case, repeats, *arguments):
        """tinyphi's own results of one case."""
        return self.report("-m", case.model, "-t", case.threads, "-p",
                           case.prompt, "-n", case.decode, "-d", case.depth,
                           "-r", repeats, *arguments)["results"]


class LlamaBench:
    """A program with llama-bench's options and JSON. Spec: "[NAME=]PATH
    [OPTIONS]"; options that make it faster and that it knows are added."""

    def __init__(self, spec, under=()):
        words = shlex.split(spec)
        if not words:
            raise Failed("--peer names no program")
        name, equals, path = words[0].partition("=")
        self.command = [path if equals else words[0]]
        if words[0].endswith(".py"):
            self.command.insert(0, sys.executable)
        self.options = words[1:]
        self.under = list(under)
        # Prints its options and, in some versions, fails.
        try:
            self.help = subprocess.run([*self.command, "-h"], check=False,
                                       capture_output=True, text=True,
                                       timeout=60).stdout
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Failed(str(e)) from e
        repacks = self.knows("-rtr")
        self.name = name if equals else (
            "ik_llama.cpp" if repacks else "llama.cpp")
        if repacks and "-rtr" not in self.options:
            self.options += ["-rtr", "1"]
        if self.knows("-fa") and "-fa" not in self.options:
            self.options += ["-fa", "1"]

    def knows(self, option):
        return re.search(rf"(?<![\w-]){option}(?![\w-])", self.help)

    def samples(self, case, repeats):
        arguments = ["-m", case.model, "-t", case.threads, "-r", repeats,
                     "-o", "json"]
        if case.prompt:
            arguments += ["-p", case.prompt, "-n", 0]
        elif not case.depth:
            arguments += ["-p", 0, "-n", case.decode]
        elif self.knows("-gp"):
            arguments += ["-p", 0, "-n", 0, "-gp",
                          f"{case.depth},{case.decode}"]
        else:
            arguments += ["-p", 0, "-n", case.decode, "-d", case.depth]
        if self.knows("--no-warmup") and case.prompt + case.depth > 1024:
            arguments.append("--no-warmup")  # it would be a whole prompt
        text = run([*self.under, *self.command, *arguments, *self.options])
        (result, *_) = parse_json(text, self.name) or [{}]
        samples = result.get("samples_ts") or [result.get("avg_ts")]
        if not all(isinstance(s, (int, float)) and s > 0 for s in samples):
            raise Failed(f"{self.name}: no speeds in its results")
        return samples


def alternate(engines, case, rounds, say=lambda text: None):
    """Of each engine by its name a list of samples for each round, or the
    Failed of it; the engines take turns, so that what disturbs the machine
    disturbs all."""
    # The first of two may meet cold memory; long ones hardly notice.
    repeats = 2 if case.prompt + case.depth <= 1024 else 1
    found = {engine.name: [] for engine in engines}
    for i in range(rounds):
        for engine in engines:
            if isinstance(found[engine.name], Failed):
                continue
            say(f"{case}: {engine.name}, round {i + 1} of {rounds}")
            try:
                found[engine.name].append(engine.samples(case, repeats))
            except Failed as e:
                found[engine.name] = e
    return found


def flat(rounds):
    return [sample for samples in rounds for sample in samples]


def multiple(ours, theirs):
    """How many times as fast as theirs ours is: of the best in each round,
    because shared memory gives one half of its speed or all of it a minute
    later; of rounds the median."""
    return statistics.median(max(a) / max(b) for a, b in zip(ours, theirs))


def install_llama_cpp(folder, under=()):
    """PyPI's llama-cpp-python, compiled for this machine into a virtual
    environment in `folder` (once); returns it as a peer."""
    python = folder / "bin/python"
    marker = folder / "installed"
    if not marker.exists():
        try:
            run([sys.executable, "-m", "venv", "--clear", folder])
            run([python, "-m", "pip", "install", "--quiet",
                 "--no-binary", "llama-cpp-python", "llama-cpp-python"],
                env={**os.environ, "CMAKE_ARGS": "-DGGML_NATIVE=ON"})
        except Failed as e:
            raise Failed("llama-cpp-python could not be installed; that needs "
                         f"PyPI, cmake and a compiler, and takes minutes: {e}"
                         ) from e
        marker.touch()
    peer = LlamaBench(str(ROOT / "bench/llama_cpp_bench.py"), under)
    peer.command[0] = str(python)
    peer.name = "llama-cpp-python"
    return peer


def cpu():
    """(name, Intel's or AMD's number of the model) of the first CPU."""
    fields = {}
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    return fields.get("model name", "unknown"), (
        fields.get("vendor_id"), fields.get("cpu family"), fields.get("model"))
