#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pipelines that a daemon runs by itself: by the clock, for files of a folder,
for what is sent to a path; and what a restart leaves of it.

Usage: triggers_test.py TINYPHI

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import hashlib
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402
from daemon import Daemon, soon  # noqa: E402

LINE = """
[stage.line]
use = "text.const"
with.text = "{{ TEXT }}"
[stage.log]
use = "file.write"
in.text = "line.text"
with.path = "log.txt"
with.mode = "append"
"""
CLOCK = """tinyphi = 1
input.word = "text"
output.bytes = "log.bytes"
trigger.tick = { every = "1s", with = { word = "tick" } }
""" + LINE.replace("TEXT", "word")
WATCH = """tinyphi = 1
allow.read = ["inbox"]
input.file = "file"
output.bytes = "log.bytes"
trigger.inbox = { watch = "inbox/*.txt", input = "file" }
[stage.load]
use = "file.read"
in.file = "input.file"
[stage.log]
use = "file.write"
in.text = "load.text"
with.path = "log.txt"
with.mode = "append"
"""
PUSH = """tinyphi = 1
input.word = { type = "text", trust = "untrusted", max_bytes = 40 }
input.kind = { type = "text", trust = "untrusted" }
output.bytes = "log.bytes"
trigger.push = { http = "/readings", with = { kind = "push" } }
""" + LINE.replace("TEXT", "kind }} {{ word")


def config(folder, text, serve=""):
    (folder / "p.toml").write_text(text)
    path = folder / "daemon.toml"
    path.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n' + serve +
                    '[model.default]\n[pipeline.p]\npath = "p.toml"\n')
    return str(path)


def log(folder):
    path = folder / "log.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_the_clock_runs_a_pipeline_every_second_and_no_longer_than_it_says(
        folder):
    with Daemon(config(folder, CLOCK)) as d:
        soon(lambda: len(log(folder)) >= 3, "three ticks", limit=20)
        # A reload without the trigger ends it.
        (folder / "p.toml").write_text(
            CLOCK.replace('trigger.tick = { every = "1s", with = '
                          '{ word = "tick" } }', ""))
        d.process.send_signal(signal.SIGHUP)
        soon(lambda: any("reloaded:" in line for line in d.lines), "a reload")
        time.sleep(0.5)
        n = len(log(folder))
        time.sleep(2.5)
        assert len(log(folder)) == n, log(folder)
        assert set(log(folder)) == {"tick"}, log(folder)
        assert d.end(signal.SIGTERM) == 0, d.lines


def test_a_file_that_comes_is_run_once_also_over_a_restart(folder):
    inbox = folder / "inbox"
    inbox.mkdir()
    (inbox / "one.txt").write_text("one")
    with Daemon(config(folder, WATCH)) as d:
        soon(lambda: log(folder) == ["one"], "the file that was there", limit=20)
        (inbox / "two.part").write_text("two")
        (inbox / "two.part").rename(inbox / "two.txt")
        soon(lambda: log(folder) == ["one", "two"], "the file that came",
             limit=20)
        # One that cannot be read is told once, and others go on.
        (inbox / "bad.txt").write_bytes(b"\xff\xfe")
        soon(lambda: any("trigger p.inbox: failed: " in line
                         for line in d.lines), "a failure", limit=20)
        time.sleep(0.3)
        assert d.end(signal.SIGKILL) != 0
    with Daemon(config(folder, WATCH)) as d:
        (inbox / "three.txt").write_text("three")
        soon(lambda: "three" in log(folder), "a file after the restart",
             limit=20)
        time.sleep(2.5)
        assert log(folder).count("one") == 1, log(folder)
        assert log(folder).count("two") == 1, log(folder)
        assert d.end(signal.SIGTERM) == 0, d.lines


def test_what_is_sent_to_a_path_is_a_run_with_its_inputs(folder):
    with Daemon(config(folder, PUSH)) as d:
        status, _, body = d.ask("POST", "/readings", {"word": "hot"})
        assert (status, body["outputs"]) == (200, {"bytes": 9}), body
        assert log(folder) == ["push hot"], log(folder)
        for wrong, message in (
                ({}, "input word is missing"),
                ({"word": 5}, "word"),
                ({"wrod": "x"}, "did you mean 'word'?"),
                ({"word": "x" * 41}, "word"),
                ({"word": "x", "kind": "y"}, "input kind is the trigger's")):
            status, _, body = d.ask("POST", "/readings", wrong)
            assert status == 400 and message in body["error"]["message"], body
        assert d.ask("GET", "/readings")[0] == 405
        assert d.ask("POST", "/reading", {"word": "x"})[0] == 404
        assert log(folder) == ["push hot"], log(folder)


def test_a_token_of_the_trigger_is_as_good_as_a_key_for_its_path_only(folder):
    (folder / "token").write_text("a-token\n")
    (folder / "token").chmod(0o600)
    digest = hashlib.blake2b(b"a-key", digest_size=32).hexdigest()
    (folder / "keys.toml").write_text(f'[key.a]\nblake2b = "{digest}"\n')
    (folder / "keys.toml").chmod(0o600)
    text = PUSH.replace('http = "/readings"',
                        'http = "/readings", token = "${secret.push}"')
    path = config(folder, 'tinyphi = 1\nsecret.push = { file = "token" }\n' +
                  text.removeprefix("tinyphi = 1\n"),
                  f'keys = "{folder}/keys.toml"\n')
    with Daemon(path) as d:
        def post(path, token):
            return d.ask("POST", path, {"word": "hot"},
                         {"Authorization": "Bearer " + token})[0]
        assert post("/readings", "a-token") == 200
        assert post("/readings", "a-key") == 200
        for wrong in ("", "a-toke", "a-tokens", "b-token"):
            assert post("/readings", wrong) == 401, wrong
        assert post("/v1/pipelines/p", "a-token") == 401
        assert not any("a-token" in line for line in d.lines), d.lines


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
