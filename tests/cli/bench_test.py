#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives bench/make_model, bench/compare and tools/bench.

Usage: bench_test.py TINYPHI SOURCE_ROOT [NAME_PART]

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import array
import json
import math
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import traceback
from xml.etree import ElementTree

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2])

# Answers like llama-bench and writes down how it was called.
FAKE_PEER = """#!/usr/bin/env python3
import json, sys
if "-h" in sys.argv:
    print("  -m, -p, -n, -r, {options}")
    sys.exit(1)
with open("{log}", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
print("loading")
{answer}
"""
# tinyphi as tools/bench calls it: 8 sequences are five times as fast as one.
FAKE_TINYPHI = """#!/usr/bin/env python3
import json, sys
if sys.argv[1] == "generate":
    print("--prompt")
elif sys.argv[1] == "plan":
    print(json.dumps({"kv_bytes": 1000}))
else:
    together = "--sequences" in sys.argv
    samples = [40.0, 50.0] if together else [8.0, 10.0]
    print(json.dumps({"resident_bytes": 1000 + 105, "results": [
        {"samples": samples, "share_of_limit": 0.84, "limit": "memory"}]}))
"""
SPEEDS = "print(json.dumps([{'samples_ts': [2.0, 4.0]}]))"


def run(script, *args, **environment):
    return subprocess.run(
        [sys.executable, ROOT / script, *map(str, args)], check=False,
        capture_output=True, text=True, timeout=240,
        env={**os.environ, **environment})


def make_model(path, *args):
    done = run("bench/make_model", path, "--shape", "demo", "--layers", 2,
               *args)
    assert done.returncode == 0, done.stderr
    return path


def fake_peer(folder, options="-d", answer=SPEEDS, name="peer"):
    path = folder / name
    path.write_text(FAKE_PEER.format(log=folder / (name + ".log"),
                                     options=options, answer=answer))
    path.chmod(0o755)
    return path


def calls(peer):
    log = peer.with_name(peer.name + ".log")
    return [json.loads(line) for line in log.read_text().splitlines()]


def compare(folder, *args, rounds=1):
    model = make_model(folder / "model.gguf", "--type", "q8_0")
    report = folder / "report.json"
    done = run("bench/compare", model, "--tinyphi", PROGRAM, "-t", 1, "-p", 4,
               "-n", 2, "--rounds", rounds, "--json", report, *args)
    return done, json.loads(report.read_text()) if report.exists() else None


def tinyphi(*args):
    return subprocess.run([PROGRAM, *map(str, args)], check=False,
                          capture_output=True, text=True, timeout=240,
                          stdin=subprocess.DEVNULL)


# ---- make_model

def test_made_models_load_and_generate(folder):
    for kind in ("f32", "f16", "bf16", "q8_0"):
        model = make_model(folder / f"{kind}.gguf", "--type", kind)
        said = tinyphi("generate", "-m", model, "--raw", "-p", "no", "-n", 4,
                       "--json")
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["prompt_tokens"] == 3, said.stdout


def test_made_models_depend_on_the_seed_alone(folder):
    files = [make_model(folder / f"{i}.gguf", "--type", "q4_k_m", "--seed", s)
             .read_bytes() for i, s in enumerate((1, 1, 2))]
    assert files[0] == files[1] != files[2]
    assert not list(folder.glob("*.part"))


def logits_of(model, *args):
    """A list for each of 20 tokens."""
    out = model.with_suffix(".safetensors")
    said = tinyphi("logits", "-m", model, "--ids",
                   ",".join(str(100 * i) for i in range(1, 21)), "--out", out,
                   *args)
    assert said.returncode == 0, said.stderr
    data = out.read_bytes()
    (header,) = struct.unpack("<Q", data[:8])
    values = array.array("f", data[8 + header:])
    vocab = len(values) // 20
    return [values[i:i + vocab] for i in range(0, len(values), vocab)]


def test_made_models_forgive_rounding_as_trained_ones_do(folder):
    model = make_model(folder / "model.gguf", "--type", "q8_0", "--layers", 8)
    exact = logits_of(model, "--exact")
    integer = logits_of(model, "--kv-type", "int8")
    kl = 0
    for p, q in zip(exact, integer):
        assert 0.9 < statistics.pstdev(p) < 1.4  # not flat
        sum_p, sum_q = (sum(map(math.exp, row)) for row in (p, q))
        kl += sum(math.exp(a) / sum_p * (a - b) for a, b in zip(p, q))
        kl += math.log(sum_q / sum_p)
    assert 0 < kl / len(exact) < 3e-4, kl / len(exact)


# ---- compare

def test_compare_divides_the_best_of_each_round(folder):
    peer = fake_peer(folder)
    done, report = compare(folder, "--peer", f"other={peer}", rounds=2)
    assert done.returncode == 0, done.stderr
    assert [row["case"] for row in report["rows"]] == [
        "prefill 4, 1 thread", "decode 2, 1 thread"], report
    for row in report["rows"]:
        assert row["samples"]["other"] == [2.0, 4.0] * 2, row
        ours = row["samples"]["tinyphi"]
        assert len(ours) == 4, row
        rounds = max(ours[:2]), max(ours[2:])
        assert row["ratio"]["other"] == statistics.median(
            best / 4.0 for best in rounds), row
    assert "other 4.00" in done.stdout, done.stdout


def test_compare_asks_peers_in_their_own_words(folder):
    plain = fake_peer(folder, "-d, --no-warmup", name="plain")
    repacks = fake_peer(folder, "-rtr, -gp, -fa", name="repacks")
    done, _ = compare(folder, "--peer", f"{plain} -ctk q8_0", "--peer",
                      repacks, "-d", "1030")
    assert done.returncode == 0, done.stderr
    prefill, decode = calls(plain)
    assert prefill[prefill.index("-p") + 1] == "4", prefill
    assert decode[-6:] == ["2", "-d", "1030", "--no-warmup", "-ctk", "q8_0"]
    _, decode = calls(repacks)
    assert decode[-6:] == ["-gp", "1030,2", "-rtr", "1", "-fa", "1"], decode
    assert "ik_llama.cpp" in done.stdout, done.stdout


def test_compare_says_which_peer_failed_and_why(folder):
    good = fake_peer(folder, name="good")
    for answer, why in (("sys.exit('no such format')", "no such format"),
                        ("print('[{')", "no JSON"),
                        ("print('[]')", "no speeds"),
                        ("print('[{\"samples_ts\": [0]}]')", "no speeds")):
        bad = fake_peer(folder, answer=answer, name="bad")
        done, report = compare(folder, "--peer", f"bad={bad}", "--peer",
                               f"good={good}")
        assert done.returncode == 0, done.stderr
        assert f"bad failed: " in done.stdout and why in done.stdout, why
        assert set(report["rows"][0]["ratio"]) == {"good"}, report
    done, _ = compare(folder, "--peer", bad)
    assert done.returncode == 1 and "no peer" in done.stderr, done.stderr
    done, _ = compare(folder, "--peer", folder / "absent")
    assert done.returncode == 1 and "absent" in done.stderr, done.stderr
    done, _ = compare(folder)
    assert done.returncode == 2 and "--peer" in done.stderr, done.stderr


def test_compare_says_when_llama_cpp_cannot_be_had(folder):
    done = run("bench/compare", folder / "x.gguf", "--llama-cpp",
               "--llama-cpp-folder", folder / "venv", "--tinyphi", PROGRAM,
               PIP_NO_INDEX="1", PIP_FIND_LINKS="")
    assert done.returncode == 1, done.stdout
    assert "could not be installed" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


# ---- tools/bench

def figures(folder, *args):
    """tools/bench with a tinyphi that answers at once, on files of 100 bytes;
    what it printed and its figures by name."""
    program = folder / "tinyphi"
    program.write_text(FAKE_TINYPHI)
    program.chmod(0o755)
    for kind in ("q4_0", "q4_k_m", "q8_0"):
        (folder / f"phi-3-mini-{kind}.gguf").write_bytes(bytes(100))
    done = run("tools/bench", "--tinyphi", program, "--models", folder,
               "--rounds", 1, "--json", folder / "figures.json", *args)
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "figures.json").read_text())
    return done.stdout, {f["name"]: f for f in report["figures"]}


def line(text, name):
    (found,) = [row for row in text.splitlines() if row.startswith(f"| {name}")]
    return found


def test_figures_are_judged_by_share_and_peers(folder):
    slow = fake_peer(folder, name="slow")  # best of 4
    fast = fake_peer(folder, "-rtr", "print('[{\"samples_ts\": [9.0]}]')",
                     name="fast")
    text, found = figures(folder, "--peer", f"llama.cpp={slow}", "--peer", fast,
                          "--only", "decode Q4_0, 1", "--only", "8 sequences",
                          "--only", "resident")
    decode = found["decode Q4_0, 1 thread"]
    assert decode["samples"] == [8.0, 10.0] and decode["share"] == 0.84, decode
    assert decode["multiples"] == {
        "llama.cpp": 10 / 4, "ik_llama.cpp": 10 / 9}, decode
    # 84 % is enough, 1.11 times the faster peer is not.
    assert "2.50× llama.cpp, 1.11× ik_llama.cpp" in text, text
    assert "**no**" in line(text, "decode Q4_0, 1"), text
    together = found["8 sequences decoded together"]
    assert together["share"] == 50 / 10 / 8, together
    assert "**no**" in line(text, "8 sequences"), text
    assert abs(found["resident memory Q4_0, without KV"]["share"] - 0.05
               ) < 1e-9, found
    assert ": yes" in line(text, "resident"), text


def test_figures_that_cannot_be_had_say_why(folder):
    text, found = figures(folder, "--only", "cache file")
    why = found["warm load to first token, cache file"]["skipped"]
    assert "--cache-repacked" in why and why in text, text
    done = run("tools/bench", "--tinyphi", PROGRAM, "--models", "/proc/none",
               "--only", "decode Q8_0, 1")
    assert done.returncode == 0, done.stderr
    assert "not here" in done.stdout, done.stdout
    done = run("tools/bench", "--tinyphi", folder / "absent")
    assert done.returncode == 1 and "tools/build" in done.stderr, done.stderr


def test_figures_of_an_earlier_run_stay(folder):
    figures(folder, "--only", "resident")
    text, found = figures(folder, "--only", "decode Q8_0")
    assert {"resident memory Q4_0, without KV", "decode Q8_0, 1 thread"
            } <= set(found), found
    assert "resident" in text, text


def test_the_size_of_the_program_and_compile_times_are_figures(folder):
    compiler = folder / "c++"  # takes 0.2 s, and wants the right unit
    compiler.write_text("""#!/bin/sh
for word; do case $word in *.cpp) grep -q tinyphi/tinyphi.h "$word" || exit 1
esac; done
case "$*" in *-I*include*) sleep 0.2;; *) exit 1;; esac
""")
    compiler.chmod(0o755)
    program = folder / "real"
    subprocess.run(["strip", "-o", program, PROGRAM], check=True)
    report = folder / "figures.json"
    done = run("tools/bench", "--tinyphi", PROGRAM, "--rounds", 2, "--only",
               "compile", "--only", "the program", "--json", report,
               CXX=str(compiler))
    assert done.returncode == 0, done.stderr
    found = {f["name"]: f for f in json.loads(report.read_text())["figures"]}
    assert found["the program, stripped"]["samples"] == [
        program.stat().st_size / 1e6], found
    for mode in ("header-only", "compiled-mode"):
        seconds = found[f"compile a {mode} unit"]["samples"]
        assert len(seconds) == 2 and min(seconds) >= 0.2, found
    assert " MB" in line(done.stdout, "the program"), done.stdout


def test_figures_of_the_real_program_are_drawn(folder):
    picture = folder / "figures.svg"
    done = run("tools/bench", "--tinyphi", PROGRAM, "--only", "demo",
               "--rounds", 1, "--svg", picture)
    assert done.returncode == 0, done.stderr
    assert "tokens/s" in line(done.stdout, "demo model"), done.stdout
    texts = [e.text for e in ElementTree.parse(picture).iter()
             if e.tag.endswith("text")]
    assert "demo model decode, 1 thread" in texts, texts


def main():
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    cases = [(name, f) for name, f in globals().items()
             if name.startswith("test_") and part in name]
    failed = 0
    for name, case in cases:
        try:
            with tempfile.TemporaryDirectory(prefix="tinyphi-bench-") as d:
                case(pathlib.Path(d))
            print(f"ok {name}")
        except Exception:  # one failing case must not hide the others
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
        sys.stdout.flush()
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
