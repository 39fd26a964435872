#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives bench/make_model, bench/compare and tools/bench.

Usage: bench_test.py TINYPHI SOURCE_ROOT [NAME_PART]

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

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


# ---- compare

def test_compare_divides_the_best_of_both(folder):
    peer = fake_peer(folder)
    done, report = compare(folder, "--peer", f"other={peer}", rounds=2)
    assert done.returncode == 0, done.stderr
    assert [row["case"] for row in report["rows"]] == [
        "prefill 4, 1 thread", "decode 2, 1 thread"], report
    for row in report["rows"]:
        assert row["samples"]["other"] == [2.0, 4.0] * 2, row
        ours = row["samples"]["tinyphi"]
        assert len(ours) == 2, row
        assert row["ratio"]["other"] == max(ours) / 4.0, row
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
