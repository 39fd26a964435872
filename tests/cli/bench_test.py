#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives bench/make_model, bench/compare, bench/serving and tools/bench.
What measures the daemon is in serve_load_test.py.

Usage: bench_test.py TINYPHI SOURCE_ROOT SERVING [NAME_PART]

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
from xml.etree import ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2])
SERVING = pathlib.Path(sys.argv[3]).resolve()

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
# bench/serving as tools/bench calls it.
FAKE_SERVING = """#!/usr/bin/env python3
import json, sys
case = sys.argv[sys.argv.index("--case") + 1]
draft = {{"tokens_per_s": [100.0], "ratio": 1.6}}
print(json.dumps({{"case": case, **{{
    "prefix": {{"cached_tokens": 40, "new_tokens": 5, "own_ms": 8,
               "first_token_ms": [10.0], "ratio": 1.25}},
    "restart": {{"first_token_ms": [600.0], "own_ms": 200}},
    "gap": {{"prompt_tokens": 70, "p99_ms": [1.0], "p99_share": 1.1,
            "first_token_ms": [10.0], "ratio": 1.3}},
    "drafts": {{"rows_8": {rows}, "curve_allows": {allows},
               "answer_tokens": 20, "copied": draft, "free": draft,
               "misled": draft, "repeated": draft}},
    "cancel": {{"answer_max_ms": 150, "prompt_max_ms": 20}}}}[case]}}))
"""
# llama-server with a token in 5 ms, and 30 ms until an answer is complete.
FAKE_SERVER = """#!/usr/bin/env python3
import http.server, json, sys, time
if "-h" in sys.argv:
    print("--spec-type none,ngram-simple")
    sys.exit()
def log(x):
    with open("{log}", "a") as out:
        out.write(json.dumps(x) + "\\n")
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        log(body)
        self.send_response(200)
        self.end_headers()
        if body.get("stream"):
            try:
                for _ in range(body["n_predict"]):
                    self.wfile.write(b"data: {{}}\\n\\n")
                    time.sleep(0.005)
            except OSError:
                pass
        else:
            time.sleep(0.03)
            self.wfile.write(b'{{"timings": {{"predicted_per_second": 50.0}}}}')
log(sys.argv[1:])
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
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

def figures(folder, *args, text=FAKE_TINYPHI):
    """tools/bench with a tinyphi that answers at once, on files of 100 bytes;
    what it printed and its figures by name."""
    program = folder / "tinyphi"
    program.write_text(text)
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


def test_decoding_beside_a_busy_process_loses_what_bounds_it(folder):
    if len(os.sched_getaffinity(0)) < 2:
        return
    for limit, must in (("memory", "≥ 70 %: yes"), ("arithmetic", "≥ 66 %")):
        text, _ = figures(folder, "--only", "busy", text=FAKE_TINYPHI.replace(
            "memory", limit))
        assert must in line(text, "decode beside"), text


def program(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_program_is_compared_with_an_older_one(folder):
    for text, reached in ((FAKE_TINYPHI, "1.00× before | ≥ 0.98× before: yes"),
                          (FAKE_TINYPHI.replace("10.0]", "12.5]")
                           .replace("50.0]", "62.5]").replace("105", "85"),
                           "0.80× before | ≥ 0.98× before: **no**")):
        old = program(folder, "old", text)
        said, found = figures(folder, "--compare", old, "--only", "decode",
                              "--only", "8 seq", "--only", "AVX2", "--only",
                              "resident")
        assert "gaps" not in said, said
        for name in ("decode Q4_0, 1", "8 sequences", "prefill 512 Q4_0, AVX2",
                     "demo model"):
            assert reached in line(said, name), said
        resident = found["resident memory Q4_0, without KV"]["multiples"]
        expected = 1 if "1.00" in reached else 85 / 105
        assert abs(resident["before"] - expected) < 1e-6, resident
    done = run("tools/bench", "--tinyphi", PROGRAM, "--compare",
               folder / "absent")
    assert done.returncode == 1 and "absent" in done.stderr, done.stderr


def served(folder, *args, rows=1.2, allows=1):
    fake = program(folder, "serving",
                   FAKE_SERVING.format(rows=rows, allows=allows))
    return figures(folder, "--serving", fake, *args, "--only", "prefix",
                   "--only", "prompt", "--only", "drafts", "--only", "8 rows")


def test_what_is_served_is_judged(folder):
    text, found = served(folder)
    for name, must in (("first token behind a cached", "≤ 110 %: **no**"),
                       ("first token behind a prefix", "≤ 100 %: **no**"),
                       ("99th percentile", "≤ 120 %: yes"),
                       ("first token of that prompt", "≤ 135 %: yes"),
                       ("drafts, free", "≥ 98 %: yes"),
                       ("cancel an answer", "≤ 100 ms: **no**"),
                       ("cancel that prompt", "≤ 100 ms: yes")):
        assert line(text, name).endswith(f"| {must} |"), line(text, name)
    disk = found["first token behind a prefix from disk"]["share"]
    assert abs(disk - 600 / 540) < 1e-9, disk


def test_what_drafts_must_gain_depends_on_what_rows_cost(folder):
    for rows, allows, must in ((1.3, 4, "≥ 200 %: **no**"),
                               (2, 4, "≥ 150 %: yes"),
                               (6, 2, "≥ 170 %: **no**"),
                               (6, 1, "≥ 98 %: yes")):
        text, _ = served(folder, rows=rows, allows=allows)
        assert must in line(text, "drafts, copied"), (rows, text)


def test_a_llama_server_serves_the_same_cases(folder):
    server = program(folder, "llama-server",
                     FAKE_SERVER.format(log=folder / "llama-server.log"))
    text, found = served(folder, "--llama-server", f"{server} --mlock")
    starts = [call for call in calls(server) if isinstance(call, list)]
    first = starts[0]
    bodies = [call for call in calls(server) if isinstance(call, dict)]
    assert first[-1] == "--mlock", first
    assert first[first.index("-np") + 1] == "2", first
    # Drafts are of one sequence.
    drafting = [s for s in starts if "--spec-type" in s]
    assert drafting, starts
    for start in drafting:
        assert start[-3:] == ["--mlock", "--spec-type", "ngram-simple"], start
        assert start[start.index("-np") + 1] == "1", start
    assert first[first.index("--host") + 1] == "127.0.0.1", first
    known, more = [b for b in bodies if b["cache_prompt"]][-2:]
    assert len(known["prompt"]) == 40 and len(more["prompt"]) == 45, bodies
    assert more["prompt"][:40] == known["prompt"], bodies
    assert {len(b["prompt"]) for b in bodies if not b["cache_prompt"]} == {
        8, 70, 64}, bodies
    for name, least, most in (
            ("first token behind a cached prefix", 3, 60),  # 30 of 10 ms
            ("99th percentile of gaps beside a long prompt", 5, 100),
            ("first token of that prompt", 3, 60),
            ("drafts, one token repeated", 2, 2)):
        ratio = found[name]["multiples"]["llama-server"]
        assert least <= ratio <= most, (name, ratio)
    assert "× llama-server | ≥ 1× llama-server: yes" in line(
        text, "drafts, one"), text
    assert found["drafts, copied answer"]["multiples"] == {}, found


def test_a_llama_server_that_does_not_start_is_named(folder):
    server = program(folder, "bad", "#!/bin/sh\necho no such model; exit 1\n")
    done = run("tools/bench", "--tinyphi", PROGRAM, "--serving", program(
        folder, "serving", FAKE_SERVING.format(rows=1, allows=1)),
        "--serving-model", "x", "--only", "cached prefix", "--rounds", 1,
        "--llama-server", f"mine={server}")
    assert done.returncode == 0 and "125 %" in done.stdout, done.stderr
    assert "mine did not start: no such model" in done.stderr, done.stderr


# ---- serving

def serving(*args):
    return subprocess.run([SERVING, *map(str, args)], check=False,
                          capture_output=True, text=True, timeout=240)


def test_serving_measures_each_case_on_the_demo_model(folder):
    done = serving("--json", "--threads", 1, "--rounds", 2, "--prompt", 300,
                   "--prefix", 100, "--answer", 40)
    assert done.returncode == 0, done.stderr
    found = {f["case"]: f for f in map(json.loads, done.stdout.splitlines())}
    assert list(found) == ["prefix", "restart", "gap", "drafts", "cancel"]
    prefix, gap = found["prefix"], found["gap"]
    assert prefix["cached_tokens"] == 100, prefix
    assert len(prefix["first_token_ms"]) == 2 and prefix["ratio"] > 0, prefix
    assert gap["gaps"] >= 2 and gap["allowed_ms"] >= 250, gap
    assert 0 < gap["p50_ms"] <= max(gap["p99_ms"]) <= gap["max_ms"], gap
    # Read in slices, so the prompt's first token is behind a gap at least.
    assert max(gap["first_token_ms"]) >= gap["alone_ms"] / 4 > 0, gap
    assert found["drafts"]["curve_allows"] >= 1, found["drafts"]
    for part in ("free", "copied", "misled", "repeated"):
        draft = found["drafts"][part]
        assert 0 <= draft["accepted"] <= draft["drafted"], (part, draft)
        assert draft["ratio"] > 0 and len(draft["tokens_per_s"]) == 2, draft
    assert found["cancel"]["answer_ms"] <= found["cancel"]["answer_max_ms"]


def test_serving_says_what_it_cannot_do(folder):
    for args, why in ((["--case", "none"], "known are prefix"),
                      (["--rounds", "0"], "from 1 to 100000"),
                      (["--rounds"], "nothing follows"),
                      (["--shape", "no"], "known shapes"),
                      (["--prompt", "99999"], "context holds"),
                      (["--model", folder / "absent"], "absent")):
        done = serving(*args)
        assert done.returncode == 1 and why in done.stderr, (args, done)


if __name__ == "__main__":
    sys.exit(cases.run(globals(), part=sys.argv[4] if len(sys.argv) > 4 else ""))
