#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Traces from outside: recorded, replayed, looked at, and made into tests.

Usage: trace_test.py TINYPHI SOURCE_ROOT [NAME_PART]
"""

import json
import os
import pathlib
import re
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2]).resolve()
DONE, FAILED, USAGE, BAD_DATA, NO_INPUT = 0, 1, 64, 65, 66

FILE = """tinyphi = 1
input.question = "text"
output.answer = "generate.text"
output.parts = "split.parts"
[stage]
split = { use = "text.split", in.text = "input.question", with.by = "line" }
join = { use = "text.join", in.parts = "split.parts", with.by = " / " }
prompt = { use = "prompt", in.text = "join.text", with.user = "Say: {{ text }}" }
generate = { use = "generate", with.max_tokens = 8 }
"""


def tinyphi(*args, folder=None):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True,
                          timeout=240, check=False, text=True, cwd=folder)


def done(*args, folder=None):
    r = tinyphi(*args, folder=folder)
    assert r.returncode == DONE, r
    return r.stdout


def fails(code, args, *parts, folder=None):
    r = tinyphi(*args, folder=folder)
    lines = [line for line in r.stderr.splitlines()
             if "built-in demo" not in line]
    assert r.returncode == code and len(lines) == 1, r
    for part in parts:
        assert part in lines[0], (part, lines)


def record(folder, text=FILE, question="One.\nTwo.", code=DONE):
    """Writes p.toml, runs it, and returns the lines of its trace."""
    (folder / "p.toml").write_text(text)
    r = tinyphi("run", "p.toml", "-i", f"question={question}", "--trace",
                "t.jsonl", folder=folder)
    assert r.returncode == code, r
    return [json.loads(line) for line in
            (folder / "t.jsonl").read_text().splitlines()]


def change(folder, old, new):
    text = (folder / "p.toml").read_text()
    assert old in text, old
    (folder / "p.toml").write_text(text.replace(old, new))


def prompt_of(out):
    return "".join(s["text"] for s in out["show"]["prompt.prompt"]["segments"])


def test_a_trace_has_a_head_the_runs_and_an_end(folder):
    head, *runs, end = record(folder)
    assert head["file"] == "p.toml" and head["trace"] == 1, head
    assert head["inputs"] == {"question": "One.\nTwo."}, head
    assert [r["stage"] for r in runs] == ["split", "join", "prompt", "generate"]
    assert {r["outcome"] for r in runs} == {"done"}, runs
    assert {r["request"] for r in runs} == {head["request"]}, runs
    assert {r["hash"] for r in runs} == {head["hash"]}, runs
    assert runs[0]["out"] == {"parts": ["One.", "Two."]}, runs[0]
    assert runs[1]["in"] == {"parts": ["One.", "Two."]}, runs[1]
    answer = runs[3]
    assert answer["tokens_in"] > 0 and answer["tokens_out"] > 0, answer
    assert answer["label"] == "user", answer
    assert end["end"] == "done", end
    assert end["outputs"]["answer"] == answer["out"]["text"], end
    # It holds what people wrote: nobody else reads it.
    mode = stat.S_IMODE((folder / "t.jsonl").stat().st_mode)
    assert mode & 0o077 == 0, oct(mode)


def test_a_request_that_fails_leaves_what_there_was(folder):
    text = """tinyphi = 1
env.NAME = { type = "path", default = "no.txt" }
input.question = "text"
output.first = "first.text"
output.text = "load.text"
[stage]
first = { use = "text.clean", in.text = "input.question" }
load = { use = "file.read", in.file = "env.NAME", after = ["first"] }
"""
    _, *runs, end = record(folder, text, "x", NO_INPUT)
    assert runs[0]["out"] == {"text": "x"}, runs
    assert runs[1]["outcome"] == "failed", runs
    assert runs[1]["code"] == end["code"] == "not_found", end
    assert end["end"] == "failed" and end["stage"] == "load", end
    # What failed may have been repaired since; the rest need not run again.
    (folder / "no.txt").write_text("now there is one")
    r = json.loads(done("replay", "t.jsonl", "--from", "load", "--json",
                        folder=folder))
    assert r["outputs"] == {"first": "x", "text": "now there is one"}, r


def test_parameters_are_not_in_a_trace(folder):
    text = FILE.replace("[stage]", 'env.WORD = "text"\n[stage]').replace(
        "with.max_tokens = 8", 'with.max_tokens = 8, with.stop = ["${env.WORD}"]')
    os.environ["WORD"] = "nobody-may-see-this"
    record(folder, text)
    trace = (folder / "t.jsonl").read_text()
    assert "One." in trace and os.environ.pop("WORD") not in trace, trace


def test_stats_and_values(folder):
    (folder / "p.toml").write_text(FILE)
    args = ["run", "p.toml", "-i", "question=One.", "--stats",
            "--show", "prompt.prompt", "--show", "join.text"]
    r = tinyphi(*args, folder=folder)
    assert r.returncode == DONE, r
    rows = {line.split()[0]: line.split()[1:]
            for line in r.stderr.splitlines() if line[:1].isalpha()}
    assert rows["stage"][:2] == ["runs", "ms"], r.stderr
    assert int(rows["generate"][2]) > 0 and int(rows["generate"][4]) > 0, rows
    assert float(rows["generate"][5]) > 0, rows
    assert "join.text (user): One." in r.stdout, r.stdout
    head = re.search(r"^prompt\.prompt \(user, (\d+) tokens\)$", r.stdout, re.M)
    counts = re.findall(r"^\[(?:control|trusted|user), (\d+)\]", r.stdout, re.M)
    assert sum(map(int, counts)) == int(head[1]), r.stdout
    assert re.search(r"^\[user, \d+\] One\.$", r.stdout, re.M), r.stdout
    out = json.loads(done(*args, "--json", folder=folder))
    stats = {s["stage"]: s for s in out["stats"]}
    assert stats["generate"]["tokens_in"] == int(head[1]), stats
    assert stats["split"]["tokens_in"] == 0, stats
    assert out["show"]["join.text"] == "One.", out["show"]
    segments = out["show"]["prompt.prompt"]["segments"]
    assert sum(s["tokens"] for s in segments) == int(head[1]), segments
    fails(USAGE, ["run", "p.toml", "-i", "question=x", "--show", "join.txt"],
          "--show: no value 'join.txt'; did you mean 'join.text'?",
          folder=folder)


def test_until_runs_what_leads_to_a_stage(folder):
    (folder / "p.toml").write_text(FILE)
    args = ["run", "p.toml", "-i", "question=One.\nTwo.", "--until"]
    out = json.loads(done(*args, "join", "--json", "--show", "join.text",
                          folder=folder))
    assert out["outputs"] == {"parts": ["One.", "Two."]}, out
    assert out["show"] == {"join.text": "One. / Two."}, out
    outcomes = {s["id"]: s["outcome"] for s in out["stages"]}
    assert outcomes == {"split": "done", "join": "done", "prompt": "skipped",
                        "generate": "skipped"}, outcomes
    fails(USAGE, [*args, "jion"], "no stage 'jion'; did you mean 'join'?",
          folder=folder)


def test_a_replay_runs_from_a_stage_on(folder):
    *_, end = record(folder)
    change(folder, "Say: {{ text }}", "Tell me: {{ text }}")
    # Another run of the stages before would show: the trace has the last word.
    trace = (folder / "t.jsonl").read_text()
    (folder / "t.jsonl").write_text(trace.replace("One. / Two.", "Three."))
    args = ["replay", folder / "t.jsonl", "--json", "--show", "prompt.prompt"]
    out = json.loads(done(*args, "--from", "prompt"))
    assert "Tell me: Three." in prompt_of(out), out
    # Whole, with the same inputs and the file as it is now.
    r = tinyphi(*args)
    assert "p.toml has changed since" in r.stderr, r
    assert "Tell me: One. / Two." in prompt_of(json.loads(r.stdout)), r
    # Prompts are made again, and models before the stage do not run.
    (folder / "p.toml").write_text(FILE)
    out = json.loads(done(*args, "--from", "join", "--trace", folder / "u.jsonl"))
    assert out["outputs"]["answer"] == end["outputs"]["answer"], out
    again = [json.loads(line) for line in
             (folder / "u.jsonl").read_text().splitlines()]
    assert [r["stage"] for r in again[1:-1] if r.get("faked")] == ["split"]
    fails(USAGE, ["replay", folder / "t.jsonl", "--from", "jion"],
          "no stage 'jion'; did you mean 'join'?")


def test_a_stale_or_broken_trace_is_refused(folder):
    record(folder)
    change(folder, '" / "', '", "')
    fails(BAD_DATA, ["replay", "t.jsonl", "--from", "generate"],
          "t.jsonl: error[TP5009]: stage join has changed since; record the "
          "request again", folder=folder)
    done("replay", "t.jsonl", "--from", "join", folder=folder)
    fails(NO_INPUT, ["replay", "none.jsonl"], "none.jsonl", folder=folder)
    whole = (folder / "t.jsonl").read_text()
    (folder / "cut.jsonl").write_text(whole[:whole.rindex('{"end"')])
    fails(BAD_DATA, ["replay", "cut.jsonl"],
          "cut.jsonl:5: the trace ends before the request did", folder=folder)
    (folder / "odd.jsonl").write_bytes(b"\x7fELF\n")
    for command in (["replay", "odd.jsonl"], ["test", "--from-trace",
                                              "odd.jsonl"]):
        fails(BAD_DATA, command, "odd.jsonl:1: byte", folder=folder)
    fails(NO_INPUT, ["run", "p.toml", "-i", "question=x", "--trace",
                        "/proc/no/t.jsonl"], "/proc/no/t.jsonl", folder=folder)


def test_a_trace_becomes_a_test(folder):
    record(folder)
    test = done("test", "--from-trace", "t.jsonl", folder=folder)
    assert 'trace  = "t.jsonl"' in test and "output.answer == '" in test, test
    assert 'snapshot = ["output.parts"]' in test, test
    # From another folder, too, with the way to the trace from the file.
    (folder / "traces").mkdir()
    (folder / "t.jsonl").rename(folder / "traces/t.jsonl")
    trace = (folder / "traces/t.jsonl").read_text()
    (folder / "traces/t.jsonl").write_text(
        trace.replace('"file":"p.toml"', '"file":"../p.toml"', 1))
    test = done("test", "--from-trace", folder / "traces/t.jsonl")
    assert 'trace  = "traces/t.jsonl"' in test, test
    with open(folder / "p.toml", "a") as file:
        file.write("\n" + test)
    r = tinyphi("test", "p.toml", folder=folder)
    assert r.returncode == FAILED and "error[TP5006]" in r.stdout, r
    out = done("test", "p.toml", "--update", folder=folder)
    assert 'snapshots/p.json: output.parts is ["One.","Two."]' in out, out
    assert out.endswith("1 passed, 0 failed\n"), out
    assert done("test", "p.toml", folder=folder).endswith(
        "1 passed, 0 failed\n")
    # A stage that runs is under test, one that the trace stands for is stale.
    change(folder, 'with.by = "line"', 'with.by = "paragraph"')
    r = tinyphi("test", "p.toml", folder=folder)
    assert r.returncode == FAILED, r
    assert "TP5006" in r.stdout and "snapshots/p.json:3: it is" in r.stdout, r
    change(folder, "with.max_tokens = 8", "with.max_tokens = 9")
    r = tinyphi("test", "p.toml", folder=folder)
    assert "TP5009" in r.stdout and "stage generate has changed" in r.stdout, r
    fails(USAGE, ["test"], "--from-trace")
    fails(USAGE, ["test", "p.toml", "--from-trace", "t.jsonl"], "--from-trace")


def test_the_samples_are_traced_and_replayed(folder):
    for sample, inputs in [("smallest.toml", "question=Why?"),
                           ("summarise/summarise.toml",
                            "text=Rain fell.\n\n" + "Nobody came. " * 150)]:
        trace = folder / "t.jsonl"
        done("run", ROOT / "pipelines" / sample, "-i", inputs, "--trace", trace)
        head, *runs, end = map(json.loads, trace.read_text().splitlines())
        assert end["end"] == "done", end
        if "summarise" in sample:
            inner = [r for r in runs if r.get("callers")]
            assert {r["callers"][0]["stage"] for r in inner} == {"notes"}, inner
            assert {r["callers"][0]["item"] for r in inner} >= {0, 1}, inner
            assert {pathlib.Path(r["file"]).name for r in inner} == {"note.toml"}
        last = runs[-1]["stage"]
        out = json.loads(done("replay", trace, "--from", last, "--json"))
        assert out["outputs"] == end["outputs"], out


if __name__ == "__main__":
    sys.exit(cases.run(dict(globals()), sys.argv[3] if len(sys.argv) > 3 else ""))
