#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Inputs from files, batches and evaluation, from outside: `run -i`, `run --each`
and `eval`.

Usage: batch_test.py TINYPHI SOURCE_ROOT [NAME_PART]

Every function called test_* is one case. The last line is "N passed, M failed".
"""

import fcntl
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402

DEMO = ROOT / "pipelines/models/tinyphi-demo-7m-q8_0.gguf"
SMALLEST = ROOT / "pipelines/smallest.toml"
SLOW = bool(os.environ.get("TINYPHI_SLOW_BUILD"))

DONE, FAILED, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, TRY_AGAIN = (
    0, 1, 64, 65, 66, 69, 75)

# Needs no model; fails where inbox/ has no such file.
GREET = """tinyphi = 1
env.SIGN = { type = "text", default = "Me" }
allow.read = ["inbox"]
input.name = { type = "text", max_bytes = 100 }
input.n = { type = "int", default = 1 }
input.file = { type = "file", default = "inbox/a.txt" }
output.text = "say.text"
output.twice = "tail.text"
[stage.read]
use = "file.read"
[stage.say]
use = "text.const"
in.body = "read.text"
in.sign = "env.SIGN"
with.text = "{{ n }}: Hello {{ name }}. {{ body }} {{ sign }}"
[stage.tail]
use = "./tail.toml"
in.text = "say.text"
"""
TAIL = """tinyphi = 1
input.text = { type = "text", trust = "untrusted", max_bytes = "1MiB" }
output.text = "add.text"
[stage.add]
use = "text.const"
with.text = "{{ text }}{{ text }}"
"""
COPY = """tinyphi = 1
input.text = { type = "text", max_bytes = "1MiB" }
output.text = "copy.text"
[stage.copy]
use = "text.const"
with.text = "{{ text }}"
"""


def tinyphi(*args, stdin=b"", **options):
    return subprocess.run([PROGRAM, *map(str, args)], input=stdin,
                          capture_output=True, timeout=240, check=False,
                          **options)


def expect(done, code, *parts):
    """The exit code, and these parts of messages."""
    err = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {err}"
    if code == DONE:
        assert "tinyphi:" not in err.replace("tinyphi: using the built-in", ""), err
    for part in parts:
        assert str(part) in err, f"no {part!r} in: {err}"
    return done.stdout.decode()


class Folder:
    """A temporary folder with the pipelines above."""

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="tinyphi-batch-")
        self.path = pathlib.Path(self.temporary.name)
        (self.path / "inbox").mkdir()
        self.write("inbox/a.txt", "Alpha.")
        self.write("inbox/b.txt", "Beta.")
        self.write("greet.toml", GREET)
        self.write("tail.toml", TAIL)
        self.write("copy.toml", COPY)
        return self

    def __exit__(self, *thrown):
        self.temporary.cleanup()

    def write(self, name, text):
        (self.path / name).write_text(text, encoding="utf-8")

    def read(self, name):
        return (self.path / name).read_text(encoding="utf-8")

    def lines(self, name, objects):
        self.write(name, "".join(json.dumps(o) + "\n" for o in objects))

    def results(self, name="out.jsonl"):
        text = self.read(name)
        assert text == "" or text.endswith("\n"), text[-80:]
        return [json.loads(line) for line in text.splitlines()]

    def __call__(self, *args, **options):
        return tinyphi(*args, cwd=self.path, **options)

    def batch(self, *args, file="greet.toml", **options):
        return self("run", file, "--each", "in.jsonl", "--out", "out.jsonl",
                    *args, **options)


# ---- Inputs


def test_the_text_of_an_input_comes_from_a_file_or_from_standard_input():
    with Folder() as folder:
        def text(value, **options):
            out = expect(folder("run", "copy.toml", "--json", "-i",
                                f"text={value}", **options), DONE)
            return json.loads(out)["outputs"]["text"]

        folder.write("report.txt", "Ä report\nin two lines\n")
        assert text("@report.txt") == "Ä report\nin two lines\n"
        for dash in ("-", "@-"):
            assert text(dash, stdin="Größe\n".encode()) == "Größe\n"
            assert text(dash, stdin=b"-") == "-"
        assert text("@@report.txt") == "@report.txt"
        assert text("@@@x") == "@@x"
        assert text("a@b = c") == "a@b = c"
        assert text("") == ""
        folder.write("n.txt", "7\r\n")  # a number ends before its line does
        out = expect(folder("run", "greet.toml", "-i", "n=@n.txt", "-i",
                            "name=x"), DONE)
        assert "7: Hello x." in out, out


def test_what_cannot_be_the_text_of_an_input_says_what_helps():
    with Folder() as folder:
        folder.write("long.txt", "x" * 101)
        folder.write("most.txt", "x" * 100)
        folder.write("word.txt", "seven\n")
        (folder.path / "latin.txt").write_bytes(b"Gr\xf6\xdfe")
        os.mkfifo(folder.path / "fifo")

        def wrong(code, *parts, given=("name=x",), stdin=b""):
            args = [a for i in given for a in ("-i", i)]
            expect(folder("run", "greet.toml", *args, stdin=stdin), code,
                   *parts)

        wrong(NO_INPUT, "input name: no.txt", "@@", given=["name=@no.txt"])
        wrong(USAGE, "input name: inbox: a folder", "pipe the text in",
              given=["name=@inbox"])
        wrong(USAGE, "input name: fifo: not a regular file",
              "pipe the text in", given=["name=@fifo"])
        wrong(BAD_DATA, "input name: long.txt: 101 bytes, at most 100",
              "max_bytes", given=["name=@long.txt"])
        wrong(BAD_DATA, "input name: standard input: longer than 100 bytes",
              given=["name=-"], stdin=b"x" * 101)
        assert folder("run", "greet.toml", "-i",
                      "name=@most.txt").returncode == DONE
        wrong(BAD_DATA, "latin.txt: byte 2 is not UTF-8", "iconv",
              given=["name=@latin.txt"])
        wrong(BAD_DATA, "standard input: byte 0 is not UTF-8",
              given=["name=-"], stdin=b"\xff")
        wrong(USAGE, "standard input is read once, and input name has it",
              given=["name=-", "file=@-"], stdin=b"x")
        wrong(USAGE, "no file is named behind @", given=["name=@"])
        wrong(USAGE, "no input 'nam'; did you mean 'name'?",
              given=["nam=@no.txt"])
        wrong(USAGE, "input n: 'seven' is not an int",
              given=["n=@word.txt", "name=x"])
        wrong(USAGE, "NAME=@FILE", given=["name"])
        wrong(USAGE, "given twice", given=["name=x", "name=y"])


def test_a_model_stands_for_the_only_one_and_for_those_without_a_path():
    with Folder() as folder:
        text = SMALLEST.read_text()
        one = text.replace("tinyphi = 1",
                           'tinyphi = 1\nmodel.main.path = "no.gguf"', 1)
        folder.write("none.toml", text)
        folder.write("one.toml", one)
        folder.write("own.toml", one.replace(
            "tinyphi = 1", 'tinyphi = 1\nmodel.other.path = "not.gguf"', 1))
        question = ["-i", "question=Hello!"]
        for file in ("none.toml", "one.toml"):
            done = folder("run", file, *question, "-m", DEMO)
            assert expect(done, DONE).strip(), done
            assert b"built-in" not in done.stderr, done
            done = folder("run", file, *question, "-m", "missing.gguf")
            assert done.returncode != DONE, done
            assert b"missing.gguf" in done.stderr, done
        expect(folder("run", "own.toml", *question, "-m", DEMO), USAGE,
               "own.toml has models of its own (main, other)")


# ---- Batches


def requests(n):
    """Every seventh fails: there is no such file."""
    return [{"name": f"N{i}", "n": i,
             "file": f"inbox/{'no' if i % 7 == 3 else 'ab'[i % 2]}.txt"}
            for i in range(n)]


def check_results(folder, n):
    """What a batch of requests(n) gives, in whichever way it was run."""
    results = folder.results()
    assert len(results) == n, len(results)
    for i, r in enumerate(results):
        if i % 7 == 3:
            assert r is None, (i, r)
            continue
        body = "Beta." if i % 2 else "Alpha."
        assert r["text"] == f"{i}: Hello N{i}. {body} Me", (i, r)
        assert r["twice"] == r["text"] * 2, (i, r)
    failures = folder.results("out.failures.jsonl")
    assert [f["index"] for f in failures] == [
        i for i in range(n) if i % 7 == 3], failures
    for f in failures:
        assert list(f) == ["index", "code", "message"], f
        assert f["code"] == "not_found" and "no.txt" in f["message"], f


def test_results_come_in_the_order_of_the_lines_and_failures_beside_them():
    for parallel in (1, 5):
        with Folder() as folder:
            folder.lines("in.jsonl", requests(40))
            done = folder.batch("--parallel", parallel)
            out = expect(done, FAILED)
            assert out == "34 done, 6 failed; see out.failures.jsonl\n", out
            assert done.stderr == b"", done.stderr  # no bar without a terminal
            check_results(folder, 40)


def test_no_request_is_refused_by_the_queue_of_its_own_file():
    with Folder() as folder:
        folder.lines("in.jsonl", [{"name": f"N{i}", "n": i} for i in range(200)])
        out = expect(folder.batch("--parallel", 64), DONE)
        assert out == "200 done, 0 failed\n", out


def test_a_batch_without_failures_counts_as_done():
    with Folder() as folder:
        folder.lines("in.jsonl", [{}, {"n": 2}])
        out = expect(folder.batch("-i", "name=all", "--json"), DONE)
        assert json.loads(out) == {"requests": 2, "failed": 0,
                                   "done_before": 0}, out
        assert [r["text"] for r in folder.results()] == [
            "1: Hello all. Alpha. Me", "2: Hello all. Alpha. Me"]
        assert folder.read("out.failures.jsonl") == ""
        folder.write("in.jsonl", "")
        os.remove(folder.path / "out.jsonl")
        assert expect(folder.batch(), DONE) == "0 done, 0 failed\n"


def test_lines_that_cannot_be_stop_all_before_the_first_request():
    bad = ['{"name": "x"', "[1]", "", '{"nam": "x"}', '{"name": 7}', "{}",
           '{"name": "' + "x" * 101 + '"}', '{"name": "' + "x" * (1 << 20),
           '{"name": "x", "n": 1}', '{"name": "x"} {}', '"\xff"']
    parts = ["not valid JSON", "request is an object", "empty", "'name'?",
             "an integer, not a text", "input name (text) is missing",
             "101 bytes", "longer than 1 MiB", "input n: -i gives it",
             "not valid JSON", "not valid JSON"]
    with Folder() as folder:
        (folder.path / "in.jsonl").write_bytes(
            b'{"name": "x"}\n' + "\n".join(bad).encode("latin-1") + b"\n")
        done = folder.batch("-i", "n=3")
        expect(done, BAD_DATA)
        said = done.stderr.decode().splitlines()
        assert len(said) == len(bad), said
        for i, (line, part) in enumerate(zip(said, parts), 2):
            assert line.startswith(f"in.jsonl:{i}: error[TP5007]: "), line
            assert part in line, (part, line)
        assert not (folder.path / "out.jsonl").exists()
        faults = json.loads(folder.batch("-i", "n=3", "--json").stdout)
        assert [f["line"] for f in faults] == list(range(2, 13)), faults
        folder.write("in.jsonl", "[]\n" * 30)
        said = folder.batch().stderr.decode().splitlines()
        assert len(said) == 21 and "10 more lines" in said[-1], said


def test_files_of_a_batch_that_cannot_be():
    with Folder() as folder:
        expect(folder.batch(), NO_INPUT, "in.jsonl")
        os.mkfifo(folder.path / "in.jsonl")
        expect(folder.batch(), USAGE, "in.jsonl: not a regular file", "twice")
        os.remove(folder.path / "in.jsonl")
        folder.lines("in.jsonl", [{"name": "x"}])
        each = ["run", "greet.toml", "--each", "in.jsonl"]
        expect(folder(*each), USAGE, "--out")
        expect(folder("run", "greet.toml", "--out", "x"), USAGE, "--each")
        expect(folder.batch("--stream"), USAGE, "--stream")
        for n in (0, 65):
            expect(folder.batch("--parallel", n), USAGE, "--parallel")
        expect(folder(*each, "--out", "/dev/null"), USAGE, "not a regular file")
        expect(folder(*each, "--out", "no/out.jsonl"), NO_INPUT, "no/out.jsonl")
        expect(folder.batch(), DONE)
        before = folder.read("out.jsonl")
        expect(folder.batch(), USAGE, "has results already", "--resume")
        assert folder.read("out.jsonl") == before
        # One process at a time.
        with open(folder.path / "out.jsonl", "a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            expect(folder.batch("--resume"), UNAVAILABLE, "another process")


def test_resuming_goes_on_behind_the_last_complete_line():
    with Folder() as folder:
        folder.lines("in.jsonl", requests(30))
        expect(folder.batch("--resume"), FAILED)  # from the beginning
        check_results(folder, 30)
        whole = folder.read("out.jsonl").splitlines(keepends=True)
        failures = folder.read("out.failures.jsonl").splitlines(keepends=True)
        for n_lines in (0, 3, 4, 11, 29, 30):
            n_failed = sum(line == "null\n" for line in whole[:n_lines])
            # Killed in the middle of a line, or between a failure and its null.
            for half in ("", whole[(n_lines + 1) % 30][:9], "nul"):
                for extra in ("", *failures[n_failed:n_failed + 1],
                              '{"index":', '{"index":99'):
                    folder.write("out.jsonl", "".join(whole[:n_lines]) + half)
                    folder.write("out.failures.jsonl",
                                 "".join(failures[:n_failed]) + extra)
                    out = expect(folder.batch("--resume", "--json"), FAILED)
                    assert json.loads(out) == {
                        "requests": 30, "failed": 4,
                        "done_before": n_lines}, out
                    assert folder.read("out.jsonl") == "".join(whole)
                    assert folder.read("out.failures.jsonl") == "".join(failures)


def test_resuming_with_something_else_is_refused_and_says_what_differs():
    with Folder() as folder:
        first = ["-i", "n=1"]
        folder.lines("in.jsonl", [{"name": name} for name in "abc"])
        library = "tinyphi = 1\n[env]\nLIBRARY = { type = \"text\", default = \"x\" }\n"
        folder.write("lib.toml", library)
        folder.write("greet.toml", GREET.replace(
            "tinyphi = 1\n", 'tinyphi = 1\ninclude = ["lib.toml"]\n', 1))
        expect(folder.batch(*first), DONE)
        before = folder.read("out.jsonl")

        def refused(*parts, args=("--resume", *first), **options):
            expect(folder.batch(*args, **options), USAGE, "out.jsonl", *parts)
            assert folder.read("out.jsonl") == before

        expect(folder.batch("--resume", *first), DONE)
        for name, text, part in [
                ("greet.toml", GREET.replace("Hello", "Hallo"), "greet.toml"),
                ("tail.toml", TAIL + "\n# changed\n", "tail.toml"),
                ("lib.toml", library + "# changed\n", "lib.toml"),
                ("in.jsonl", folder.read("in.jsonl") + '{"name": "y"}\n',
                 "the lines of --each")]:
            good = folder.read(name)
            folder.write(name, text)
            refused("not the same since it was made: ", part)
            folder.write(name, good)
        refused("-i n", args=["--resume", "-i", "n=2"])
        refused("-m", args=["--resume", "-m", DEMO, *first])
        refused("environment SIGN", env={**os.environ, "SIGN": "You"})
        folder.write("out.jsonl", before.replace(before.splitlines()[0],
                                                 "null", 1))
        expect(folder.batch("--resume", *first), BAD_DATA, "changed them")
        folder.write("out.jsonl", before + before)
        expect(folder.batch("--resume", *first), BAD_DATA, "more lines")
        folder.write("out.jsonl", before)
        folder.write("out.resume.json", "{}")
        refused("is not known")
        os.remove(folder.path / "out.resume.json")
        refused("is not known")
        os.remove(folder.path / "out.jsonl")
        expect(folder.batch("--resume", *first), DONE)
        assert folder.read("out.jsonl") == before


def test_a_batch_survives_being_killed_at_any_moment():
    n = 600 if SLOW else 4000
    choose = random.Random(7)
    with Folder() as folder:
        folder.lines("in.jsonl", requests(n))
        began = time.monotonic()
        expect(folder.batch(), FAILED)
        whole_run = time.monotonic() - began
        check_results(folder, n)
        whole = [folder.read("out.jsonl"), folder.read("out.failures.jsonl")]
        for name in ("out.jsonl", "out.failures.jsonl", "out.resume.json"):
            os.remove(folder.path / name)
        kills, places = 0, set()
        while True:
            process = subprocess.Popen(
                [PROGRAM, "run", "greet.toml", "--each", "in.jsonl", "--out",
                 "out.jsonl", "--resume", "--parallel",
                 str(choose.randint(1, 4))],
                cwd=folder.path, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE)
            # Some at once, so that the beginning is hit, too; ever later, so
            # that it gets on where starting takes long.
            wait = choose.choice([0.02, 0.1, 0.3]) * whole_run * (
                1 + kills / 20)
            try:
                process.wait(choose.uniform(0, wait))
                err = process.stderr.read()
                assert process.returncode == FAILED, err
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
                assert kills < 1000, "it does not get on"
            out = folder.path / "out.jsonl"
            places.add(out.stat().st_size if out.exists() else -1)
        assert [folder.read("out.jsonl"),
                folder.read("out.failures.jsonl")] == whole
        assert kills >= 5 and len(places) >= 3, (kills, places)


def test_an_interrupt_stops_a_batch_between_two_lines():
    n = 3000 if SLOW else 30000
    with Folder() as folder:
        folder.lines("in.jsonl", requests(n))
        process = subprocess.Popen(
            [PROGRAM, "run", "greet.toml", "--each", "in.jsonl", "--out",
             "out.jsonl", "--parallel", "3"], cwd=folder.path,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out = folder.path / "out.jsonl"
        limit = time.monotonic() + 60
        while not (out.exists() and out.stat().st_size > 2000):
            assert time.monotonic() < limit and process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == TRY_AGAIN, (process.returncode, err)
        assert b"--resume goes on" in err, err
        done = len(folder.results())
        assert 0 < done < n and f"behind line {done};".encode() in err, err
        codes = {f["code"] for f in folder.results("out.failures.jsonl")}
        assert codes <= {"not_found"}, codes
        expect(folder.batch("--resume", "--parallel", 8), FAILED)
        check_results(folder, n)


def test_a_full_disk_leaves_complete_lines():
    with Folder() as folder:
        folder.lines("in.jsonl", requests(60))

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))

        expect(folder.batch(preexec_fn=small_files), UNAVAILABLE, "out.jsonl")
        assert 0 < len(folder.results()) < 60
        expect(folder.batch("--resume"), FAILED)
        check_results(folder, 60)


def test_memory_does_not_grow_with_the_file():
    if SLOW:
        print("skipped: sanitized memory is not worth measuring")
        return
    with Folder() as folder:
        def peak(n):
            text = "x" * 900_000
            folder.lines("in.jsonl", ({"text": text} for _ in range(n)))
            for name in folder.path.glob("out.*"):
                os.remove(name)
            code = ("import resource, subprocess, sys\n"
                    "subprocess.run(sys.argv[1:], check=True,"
                    " stdout=subprocess.DEVNULL)\n"
                    "print(resource.getrusage("
                    "resource.RUSAGE_CHILDREN).ru_maxrss)")
            done = subprocess.run(
                [sys.executable, "-c", code, PROGRAM, "run", "copy.toml",
                 "--each", "in.jsonl", "--out", "out.jsonl", "--parallel", "2"],
                cwd=folder.path, capture_output=True, check=True, timeout=240)
            return int(done.stdout) << 10

        few, many = peak(4), peak(120)
        assert many - few < 40 << 20, (few, many)  # of 108 MB


# ---- Evaluation


def evaluate(folder, *args, file="greet.toml"):
    return folder("eval", file, "cases.jsonl", *args)


CASES = [
    {"input": {"name": "Ann"}, "answer": "1 hello ann alpha me"},
    {"input": {"name": "Bob"}, "answer": "HELLO BOB!"},
    {"input": {"name": "Cy"}, "answer": "Goodbye Cy"},
    {"input": {"name": "Di", "n": 4},
     "expect": ["output.text contains 'Hello Di'", "len(read.text) == 6"]},
    {"input": {"name": "Ed"},
     "expect": ["output.text contains 'Eve'", "ran(say)"]},
    {"input": {"name": "Flo", "file": "inbox/no.txt"},
     "expect": ["error.code == 'not_found'", "error.stage == 'read'"]},
    {"input": {"name": "Gus", "file": "inbox/no.txt"}, "answer": "x"},
    {"input": {"name": "Hal", "file": "inbox/no.txt"}, "expect": ["ran(say)"]},
]


def test_cases_are_scored_by_answers_and_by_expectations():
    with Folder() as folder:
        folder.lines("cases.jsonl", CASES)
        report = json.loads(expect(evaluate(folder, "--json"), DONE))
        scores = [c["score"] for c in report["results"]]
        # "Hello Bob": 2 of 5 words in common with 2; "Cy": 1 of 5 with 2.
        wanted = [1, 4 / 7, 2 / 7, 1, 0, 1, 0, 0]
        assert all(abs(a - b) < 1e-9 for a, b in zip(scores, wanted)), scores
        assert abs(report["score"] - sum(wanted) / 8) < 1e-9, report
        assert [c.get("contains") for c in report["results"]] == [
            1, 1, 0, None, None, None, 0, None], report
        assert [c.get("exact") for c in report["results"]] == [
            1, 0, 0, None, None, None, 0, None], report
        assert (report["exact"], report["contains"]) == (1 / 4, 2 / 4), report
        assert report["failed"] == 3 and report["tokens"] == 0, report
        problems = [c["problems"] for c in report["results"]]
        assert [len(p) for p in problems] == [0, 0, 0, 0, 1, 0, 1, 1], problems
        assert 'output.text is "1: Hello Ed.' in problems[4][0], problems
        assert "the request failed: " in problems[6][0], problems
        by = json.loads(expect(evaluate(folder, "--json", "--by", "contains"),
                               DONE))
        assert [c["score"] for c in by["results"]] == [
            1, 1, 0, 1, 0, 1, 0, 0], by
        table = expect(evaluate(folder), DONE).splitlines()
        assert table[0].split() == ["line", "score", "exact", "contains", "f1",
                                    "tokens", "seconds"], table
        assert table[2].split()[:5] == ["2", "0.57", "0.00", "1.00", "0.57"]
        assert table[4].split()[:5] == ["4", "1.00", "-", "-", "-"], table
        assert table[6].startswith("cases.jsonl:5: output.text contains"), table
        assert table[-1].split()[0] == "all", table


def test_a_gate_and_a_baseline():
    with Folder() as folder:
        folder.lines("cases.jsonl", CASES[:2])
        for least, code in ((0.78, DONE), (0.79, FAILED), (0, DONE)):
            expect(evaluate(folder, "--min", least), code,
                   *([] if code == DONE else ["score 0.786 is less than --min"]))
        expect(evaluate(folder, "--min", "1.1"), USAGE, "--min")
        folder.write("old.json", expect(evaluate(folder, "--json"), DONE))
        folder.write("greet.toml", GREET.replace("Hello", "Hallo"))
        out = expect(evaluate(folder, "--baseline", "old.json"), DONE)
        assert "score 0.543, it was 0.786 (-0.243)\n" in out, out
        assert "cases.jsonl:1: 0.80, it was 1.00\n" in out, out
        report = json.loads(expect(
            evaluate(folder, "--baseline", "old.json", "--json"), DONE))
        assert [w["line"] for w in report["baseline"]["worse"]] == [1, 2]
        assert report["baseline"]["same_cases"] is True, report
        folder.lines("cases.jsonl", CASES[:1])
        out = expect(evaluate(folder, "--baseline", "old.json"), DONE)
        assert "other cases" in out and "cases.jsonl:1: 0" not in out, out
        expect(evaluate(folder, "--baseline", "old.json", "--by", "exact"),
               USAGE, "--by f1")
        for text, part in [("[]", "not an object"), ("{", "not valid JSON"),
                           ('{"cases": "1", "by": "f1"}', "has no results")]:
            folder.write("old.json", text)
            expect(evaluate(folder, "--baseline", "old.json"), BAD_DATA, part)
        expect(evaluate(folder, "--baseline", "no.json"), NO_INPUT, "no.json")


def test_cases_that_cannot_be_stop_all_before_the_first():
    given = {"input": {"name": "x"}}
    bad = [({**given, "expct": ["true"]}, "'expect'?"),
           ({**given, "colour": 1}, "a case has input, and expect or answer"),
           (given, "neither expect nor answer"),
           ({**given, "answer": "x", "expect": ["true"]}, "one of them"),
           ({"answer": "x"}, "input is missing"),
           ({"input": {"nam": "x"}, "answer": "x"}, "'name'?"),
           ({**given, "answer": "?!"}, "at least one word"),
           ({**given, "expect": []}, "1 to 100"),
           ({**given, "expect": [1]}, "an expression is a text"),
           ({**given, "expect": ["output.txt == 'x'"]}, "'output.text'"),
           ({**given, "expect": ["output.text =="]}, "expect 'output.text =='"),
           ({**given, "expect": ["output.text"]}, "expect 'output.text'"),
           ({**given, "expect": ["error.code == 'nofound'"]}, "nofound")]
    with Folder() as folder:
        folder.lines("cases.jsonl", [case for case, _ in bad])
        done = evaluate(folder)
        expect(done, BAD_DATA)
        said = done.stderr.decode().splitlines()
        assert len(said) == len(bad) and done.stdout == b"", said
        for i, (line, (_, part)) in enumerate(zip(said, bad), 1):
            assert line.startswith(f"cases.jsonl:{i}: error[TP5007]: "), line
            assert part in line, (part, line)
        folder.write("cases.jsonl", "")
        expect(evaluate(folder), BAD_DATA, "has 0 cases")
        expect(folder("eval", "greet.toml", "no.jsonl"), NO_INPUT, "no.jsonl")


def test_tokens_of_a_models_answers_are_counted():
    with Folder() as folder:
        folder.lines("cases.jsonl", [
            {"input": {"question": "What does a green light mean?"},
             "answer": "ready"}])
        report = json.loads(expect(evaluate(
            folder, "--json", "-m", DEMO, file=SMALLEST), DONE))
        assert report["results"][0]["tokens"] > 0, report
        assert report["tokens"] == report["results"][0]["tokens"], report


def test_help_says_what_each_file_holds():
    said = " ".join(expect(tinyphi("run", "--help"), DONE).split())
    for part in ("@FILE", "@@TEXT", "standard input", ".failures.jsonl",
                 "{index, code, message}", "TP5007", ".resume.json",
                 "line is null", "-m,--model"):
        assert part in said, f"no {part!r} in: {said}"
    said = " ".join(expect(tinyphi("eval", "--help"), DONE).split())
    for part in ("--baseline", "--min", "--by", '{"input": {...}, "answer"',
                 "TP5007", "precision and recall"):
        assert part in said, f"no {part!r} in: {said}"


if __name__ == "__main__":
    sys.exit(cases.run(globals(), sys.argv[3] if len(sys.argv) > 3 else ""))
