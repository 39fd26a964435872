#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""SIGHUP while a daemon answers: what is read again, and what stays.

Usage: reload_test.py TINYPHI

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import os
import pathlib
import shutil
import signal
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402
from daemon import Daemon, events, soon, write_keys  # noqa: E402

MINI = ROOT / "tests/data/tiny/mini-4k/model-q8_0.gguf"
MEDIUM = ROOT / "tests/data/tiny/medium-4k/model-f16.gguf"
QUESTION = {"inputs": {"question": "What does a green light mean?"}}


def write(path, text):
    """Replaces the file at once, as a tool that deploys it does."""
    other = path.with_suffix(".new")
    other.write_text(text)
    os.replace(other, path)


def config(folder, *parts, serve=""):
    path = folder / "daemon.toml"
    write(path, 'tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n' + serve + "".join(parts))
    return path


def reload(d, expect="reloaded: "):
    """Sends SIGHUP; the line that says how it went."""
    n = len(d.lines)
    d.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for line in d.lines[n:]:
            if "reloaded" in line:
                assert expect in line, (expect, d.lines[n:])
                return line
        time.sleep(0.01)
    raise AssertionError(f"nothing was reloaded: {d.lines}")


def last_reload_successful(d):
    text = d.ask("GET", "/metrics")[2].decode()
    return next(line.split()[-1] == "1" for line in text.splitlines()
                if line.startswith("tinyphi_config_last_reload_successful "))


def has_pinned(d, n):
    """Waits until n pages of the cache hold what pipelines' prompts begin with:
    the engine computes that when it has nothing else to do."""
    def pinned():
        text = d.ask("GET", "/metrics")[2].decode()
        return sum(int(line.split()[-1]) for line in text.splitlines()
                   if 'kv_pages{' in line and 'state="pinned"' in line)
    soon(lambda: pinned() == n, f"there are not {n} pinned pages", limit=30)


def complete(d, **more):
    status, _, body = d.ask("POST", "/v1/completions", {
        "prompt": [5, 6, 7], "max_tokens": 12, "temperature": 0, **more})
    assert status == 200, body
    return body


def test_a_broken_configuration_changes_nothing_and_says_where(folder):
    with Daemon(str(config(folder, "[model.demo]\n"))) as d:
        before = d.chat("What does a green light mean?")[2]
        config(folder, "[model.demo]\nthreads = -1\n")
        assert "daemon.toml:5:" in reload(d, "not reloaded") + "".join(d.lines)
        assert not last_reload_successful(d)
        after = d.chat("What does a green light mean?")[2]
        assert after["choices"] == before["choices"]
        config(folder, "[model.demo]\n")
        assert "1 models, of which 1 were there" in reload(d)
        assert last_reload_successful(d)


def test_what_needs_a_restart_is_named(folder):
    with Daemon(str(config(folder, "[model.demo]\n"))) as d:
        config(folder, "[model.demo]\n", serve='itl_target = "500ms"\nhosts = ["elsewhere"]\n')
        reload(d)
        said = "".join(d.lines)
        assert "'itl_target' is read at the start only" in said, said
        assert "'hosts' is read at the start only" in said, said
        assert d.chat("Hello")[0] == 200


def test_keys_are_read_again_and_cannot_be_given_up(folder):
    keys = folder / "keys.toml"

    def keys_of(*names):
        write_keys(keys, dict.fromkeys(names, ""))

    def status(d, name):
        return d.ask("GET", "/v1/models", headers={"authorization": f"Bearer {name}"})[0]

    keys_of("alice", "bob")
    named = f'keys = "{keys}"\n'
    with Daemon(str(config(folder, "[model.demo]\n", serve=named))) as d:
        assert status(d, "alice") == 200 and status(d, "carol") == 401
        keys_of("alice", "carol")
        reload(d)
        assert [status(d, n) for n in ("alice", "bob", "carol")] == [200, 401, 200]
        config(folder, "[model.demo]\n")
        assert "keys cannot be given up" in reload(d, "not reloaded")
        assert status(d, "nobody") == 401 and status(d, "carol") == 200


def test_a_pipeline_is_compiled_again_and_a_broken_one_takes_nobodys_place(folder):
    shutil.copytree(ROOT / "pipelines/docs-qa", folder / "docs-qa")
    pipeline = folder / "docs-qa/docs-qa.toml"
    text = pipeline.read_text()
    path = config(folder, '[model.demo]\n[pipeline.docs]\npath = "docs-qa/docs-qa.toml"\n')
    with Daemon(str(path)) as d:
        before = d.ask("POST", "/v1/pipelines/docs", QUESTION)
        assert before[0] == 200, before
        has_pinned(d, 1)
        write(pipeline, text.replace('summary = "', 'summary = "Changed. '))
        reload(d)
        has_pinned(d, 1)
        assert d.ask("GET", "/v1/pipelines")[2]["data"][0]["summary"].startswith("Changed. ")
        write(pipeline, text.replace("[stage.prompt]", "[stge.prompt]"))
        reload(d, "not reloaded")
        assert "stge" in "".join(d.lines)
        after = d.ask("POST", "/v1/pipelines/docs", QUESTION)
        assert after[2]["outputs"] == before[2]["outputs"], after
        config(folder, "[model.demo]\n")
        reload(d)
        has_pinned(d, 0)
        assert d.ask("POST", "/v1/pipelines/docs", QUESTION)[0] == 404


def test_a_library_is_read_again_with_its_pipeline(folder):
    shutil.copytree(ROOT / "pipelines/docs-qa", folder / "docs-qa")
    pipeline = folder / "docs-qa/docs-qa.toml"
    library = folder / "docs-qa/shared.toml"
    text = pipeline.read_text()
    assert text.count("tinyphi = 1\n") == 1
    write(pipeline, text.replace("tinyphi = 1\n", 'tinyphi = 1\ninclude = ["shared.toml"]\n'))
    write(library, "tinyphi = 1\n")
    path = config(folder, '[model.demo]\n[pipeline.docs]\npath = "docs-qa/docs-qa.toml"\n')
    with Daemon(str(path)) as d:
        assert d.ask("POST", "/v1/pipelines/docs", QUESTION)[0] == 200
        write(library, "tinyphi = 1\n[stage.find]\n")
        reload(d, "not reloaded")
        assert "shared.toml:2:2: error[TP1011]" in "".join(d.lines)
        write(library, "tinyphi = 1\n[prompt.unused]\nuser = 'x'\n")
        reload(d)
        assert d.ask("POST", "/v1/pipelines/docs", QUESTION)[0] == 200


def test_a_stream_ends_with_the_model_that_it_began_with(folder):
    model = folder / "model.gguf"
    shutil.copy(MINI, model)
    with Daemon(str(config(folder, '[model.m]\npath = "model.gguf"\n'))) as d:
        body = {"max_tokens": 1500, "ignore_eos": True}
        whole = complete(d, **body)
        stream = {}

        def read():
            stream["data"] = d.ask("POST", "/v1/completions", {
                "prompt": [5, 6, 7], "temperature": 0, "stream": True, **body})[2]

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.1)
        shutil.copy(MEDIUM, folder / "model.new")
        os.replace(folder / "model.new", model)
        assert "1 models, of which 0 were there" in reload(d)
        reader.join(60)
        texts = [e["choices"][0]["text"] for e in events(stream["data"]) if e["choices"]]
        assert "".join(texts) == whole["choices"][0]["text"]
        after = complete(d, **body)
        assert after["system_fingerprint"] != whole["system_fingerprint"]
        assert after["choices"][0]["text"] != whole["choices"][0]["text"]


def test_a_damaged_model_takes_nobodys_place(folder):
    model = folder / "model.gguf"
    shutil.copy(MINI, model)
    with Daemon(str(config(folder, '[model.m]\npath = "model.gguf"\n'))) as d:
        before = complete(d)
        data = MINI.read_bytes()
        (folder / "model.new").write_bytes(data[:len(data) // 2])
        os.replace(folder / "model.new", model)
        assert "model 'm'" in reload(d, "not reloaded")
        after = complete(d)
        assert after["choices"] == before["choices"]
        assert after["system_fingerprint"] == before["system_fingerprint"]


def test_two_models_that_do_not_fit_side_by_side_are_refused_with_the_numbers(folder):
    model = folder / "model.gguf"
    shutil.copy(MINI, model)
    def start(cache, **options):
        table = f'[model.m]\npath = "model.gguf"\nsequences = 1\nkv_memory = "{cache}MiB"\n'
        return Daemon(str(config(folder, table, serve='memory = "64MiB"\n')), **options)

    with start(64, wait=False) as d:
        line = d.wait_for_line("together ")
        assert d.process.wait(30) == 78
        without_cache = int(line.split("together ")[1].split(" MiB")[0]) - 64
    # Enough for one to the last megabyte, too little for two.
    with start(64 - without_cache) as d:
        before = complete(d)
        shutil.copy(MINI, folder / "model.new")
        os.replace(folder / "model.new", model)
        said = reload(d, "not reloaded")
        assert "the budget is 64 MiB" in said and "start the daemon again" in said, said
        assert complete(d)["choices"] == before["choices"]


def test_no_request_fails_over_reloads_under_load(folder):
    rounds = 100 if os.environ.get("TINYPHI_TEST_LONG") == "1" else 8
    model = folder / "model.gguf"
    shutil.copy(MINI, model)
    with Daemon(str(config(folder, '[model.m]\npath = "model.gguf"\n'))) as d:
        known = {complete(d)["choices"][0]["text"]}
        shutil.copy(MEDIUM, folder / "model.new")
        os.replace(folder / "model.new", model)
        reload(d)
        known.add(complete(d)["choices"][0]["text"])
        assert len(known) == 2
        done, ended = [], threading.Event()

        def client():
            while not ended.is_set():
                done.append(complete(d)["choices"][0]["text"])

        clients = [threading.Thread(target=client) for _ in range(4)]
        for c in clients:
            c.start()
        for i in range(rounds):
            shutil.copy(MINI if i % 2 == 0 else MEDIUM, folder / "model.new")
            os.replace(folder / "model.new", model)
            reload(d)
        ended.set()
        for c in clients:
            c.join(60)
        assert len(done) > 2 * rounds, len(done)
        assert set(done) <= known


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
