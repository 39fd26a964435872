#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What pipelines of a daemon ask of people: over HTTP, by whom it is seen and
decided, and what becomes of questions that nobody answers.

Usage: approvals_test.py TINYPHI

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402
from daemon import TINYPHI, Daemon, soon, write_keys  # noqa: E402

ASKS = """tinyphi = 1
limits.concurrency = 100
input.mail = { type = "text", trust = "untrusted", max_bytes = 200000 }
output.reply = { from = "ask.mail?", default = "nobody said yes" }
output.bytes = "log.bytes?"
[stage.ask]
use = "approve"
in.mail = "input.mail"
with.ask = "Write it down?"
with.wait = "60s"
[stage.log]
use = "file.write"
in.text = "ask.mail"
with.path = "log.txt"
with.mode = "append"
"""
# Ends with a line of its own, so that cuts are seen.
MAIL = 'fire \u00e9 "quoted" \x1b[2J\n' + "x" * 5000 + "\nthe end"


def config(folder, text=ASKS, serve="", more=""):
    (folder / "p.toml").write_text(text)
    path = folder / "daemon.toml"
    path.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n' + serve +
                    '[model.default]\n[pipeline.p]\npath = "p.toml"\n' + more)
    return str(path)


def with_keys(folder, *names):
    """A key file; ops is an admin."""
    return write_keys(folder / "keys.toml", {
        name: "admin = true\n" if name == "ops" else "" for name in names})


def bearer(key):
    return {"Authorization": "Bearer " + key} if key else {}


class Run:
    """A request of the pipeline, under way on a thread of its own."""

    def __init__(self, d, mail=MAIL, key=None, path="/v1/pipelines/p", body=None):
        self.answer = None

        def ask():
            self.answer = d.ask("POST", path, body or {"inputs": {"mail": mail}},
                                bearer(key))
        self.thread = threading.Thread(target=ask, daemon=True)
        self.thread.start()

    def end(self):
        self.thread.join(60)
        assert self.answer is not None, "the run goes on"
        status, _, body = self.answer
        return status, body

    def denied(self):
        """Why its question was denied."""
        status, body = self.end()
        assert status == 200, body
        assert body["outputs"] == {"approved": False} or \
            body["outputs"] == {"reply": "nobody said yes"}, body
        return {s["id"]: s["reason"] for s in body["stages"]}["ask"]


def waiting(d, key=None):
    status, _, body = d.ask("GET", "/v1/approvals", headers=bearer(key))
    assert status == 200, body
    return body["data"]


def one(d, key=None):
    soon(lambda: len(waiting(d, key)) == 1, "one question")
    return waiting(d, key)[0]


def decide(d, id, decision="approve", digest=None, key=None):
    body = {"decision": decision} | ({"digest": digest} if digest else {})
    return d.ask("POST", f"/v1/approvals/{id}", body, bearer(key))


def test_what_is_approved_is_byte_for_byte_what_was_shown_and_once_only(folder):
    with open(folder / "access.log", "w+") as access:
        with Daemon(config(folder), "--access-log", stdout=access) as d:
            run = Run(d)
            asked = one(d)
            assert json.loads(asked["arguments"]) == {"mail": MAIL}, asked
            digest = hashlib.blake2b(asked["arguments"].encode(),
                                     digest_size=32).hexdigest()
            assert asked["digest"] == digest, asked
            for name, value in (("pipeline", "p"), ("stage", "ask"),
                                ("question", "Write it down?"),
                                ("label", "untrusted"), ("effects", ["write"]),
                                ("values", [{"name": "mail", "label": "untrusted",
                                             "bytes": len(MAIL.encode())}])):
                assert asked[name] == value, (name, asked)
            left = time.mktime(time.strptime(asked["until"], "%Y-%m-%dT%H:%M:%SZ")
                               ) - time.mktime(time.gmtime())
            assert 0 < left <= 61, asked
            id = asked["id"]
            assert len(id) == 32, id
            # Not what was looked at, or not looked at: nothing is decided.
            for body, param in (
                    ({"decision": "approve"}, "digest"),
                    ({"decision": "approve", "digest": "0" * 64}, "digest"),
                    ({"decision": "yes", "digest": digest}, "decision"),
                    ({"digest": digest}, "decision")):
                status, _, told = d.ask("POST", f"/v1/approvals/{id}", body)
                assert (status, told["error"]["param"]) == (400, param), told
            assert decide(d, "0" * 32, digest=digest)[0] == 404
            assert not (folder / "log.txt").exists() and len(waiting(d)) == 1
            status, _, told = decide(d, id, digest=digest)
            assert (status, told["decision"]) == (200, "approve"), told
            status, _, told = decide(d, id, digest=digest)
            assert status == 404 and "decided once" in told["error"]["message"]
            status, body = run.end()
            assert (status, body["outputs"]["reply"]) == (200, MAIL), body
            assert (folder / "log.txt").read_text().rstrip("\n") == MAIL
            assert waiting(d) == []

            run = Run(d, "no fire")
            assert decide(d, one(d)["id"], "deny")[0] == 200
            assert run.denied() == "denied: a person said no"
            assert "no fire" not in (folder / "log.txt").read_text()
            assert d.end(signal.SIGTERM) == 0, d.lines
        access.seek(0)
        logged = access.read()
    for what in ("p.ask approved", "ask: approved by local", "p.ask denied",
                 "ask: denied by local"):
        assert what in logged, (what, logged)
    told = logged + "".join(d.lines)
    assert "fire" not in told and id not in told and digest not in told, told
    assert "stage ask waits for a person, until " in told, told


def test_silence_denies_after_the_stages_time(folder):
    with Daemon(config(folder, ASKS.replace('"60s"', '"300ms"'))) as d:
        run = Run(d)
        assert run.denied() == "denied: nobody answered within 300 ms"
        assert waiting(d) == [] and not (folder / "log.txt").exists()


def test_a_run_that_is_ended_asks_no_more(folder):
    with Daemon(config(folder)) as d:
        Run(d)
        asked = one(d)
        assert d.ask("DELETE", "/v1/requests/" + asked["request"])[0] == 200
        soon(lambda: waiting(d) == [], "the end of the question")
        assert decide(d, asked["id"], digest=asked["digest"])[0] == 404
        # So does one whose client has gone.
        s = socket.create_connection(("127.0.0.1", d.port))
        body = json.dumps({"inputs": {"mail": MAIL}}).encode()
        s.sendall(b"POST /v1/pipelines/p HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Length: %d\r\n\r\n" % len(body) + body)
        one(d)
        s.close()
        soon(lambda: waiting(d) == [], "the end of the question")
        assert not (folder / "log.txt").exists()


def test_a_key_decides_for_its_own_runs_and_an_admin_for_all(folder):
    serve = with_keys(folder, "alice", "bob", "ops")
    with Daemon(config(folder, serve=serve)) as d:
        run = Run(d, key="alice")
        asked = one(d, "alice")
        assert asked["from"] == "alice", asked
        assert waiting(d, "bob") == []
        assert [a["id"] for a in waiting(d, "ops")] == [asked["id"]]
        assert d.ask("GET", "/v1/approvals")[0] == 401
        assert decide(d, asked["id"], digest=asked["digest"])[0] == 401
        for decision in ("approve", "deny"):
            status, _, told = decide(d, asked["id"], decision, asked["digest"],
                                     key="bob")
            assert status == 404, told
        assert len(waiting(d, "alice")) == 1
        assert decide(d, asked["id"], digest=asked["digest"], key="ops")[0] == 200
        assert run.end()[1]["outputs"]["reply"] == MAIL
        run = Run(d, key="bob")
        asked = one(d, "bob")
        assert decide(d, asked["id"], digest=asked["digest"], key="bob")[0] == 200
        assert run.end()[1]["outputs"]["reply"] == MAIL


def test_so_many_questions_wait_and_no_more_each_with_its_reason(folder):
    names = ["a", "b", "c", "d", "e"]
    serve = with_keys(folder, *names, "ops")
    with Daemon(config(folder, serve=serve)) as d:
        runs = []
        for name in names[:4]:
            runs += [Run(d, "m", name) for _ in range(16)]
            soon(lambda n=len(runs): len(waiting(d, "ops")) == n, "16 more", 60)
            if name == "a":
                reason = Run(d, "m", "a").denied()
                assert reason == (
                    "denied: 16 questions of this caller wait for an answer "
                    "already, as many as may"), reason
        assert Run(d, "m", "e").denied() == (
            "denied: 64 questions wait for an answer already, as many as may")
        assert Run(d, "m" * 70000, "e").denied() == (
            "denied: the values have more than 65536 bytes, and all of them must "
            "be shown")
        # Each place that is free again is one.
        decide(d, waiting(d, "ops")[0]["id"], "deny", key="ops")
        soon(lambda: len(waiting(d, "ops")) == 63, "a place")
        runs.append(Run(d, "m", "e"))
        soon(lambda: len(waiting(d, "e")) == 1, "the place is taken")
        # A reload denies what waits, and what is asked then waits again.
        d.process.send_signal(signal.SIGHUP)
        reasons = {r.denied() for r in runs}
        assert reasons == {"denied: a person said no",
                           "denied: the server was reloaded"}, reasons
        last = Run(d, "m", "e")
        one(d, "e")
        d.process.send_signal(signal.SIGTERM)
        assert last.denied() == "denied: the server is shutting down"
        assert d.process.wait(60) == 0
        assert not (folder / "log.txt").exists()


def stream_of(d, path, body):
    c = http.client.HTTPConnection("127.0.0.1", d.port, timeout=60)
    c.request("POST", path, json.dumps(body).encode())
    return c.getresponse()


def test_a_stream_tells_that_it_waits(folder):
    with Daemon(config(folder)) as d:
        r = stream_of(d, "/v1/pipelines/p", {"inputs": {"mail": "x"},
                                             "stream": True})
        assert r.readline() == b"event: approval\n"
        told = json.loads(r.readline().removeprefix(b"data: "))
        asked = one(d)
        assert told == {"id": asked["id"], "stage": "ask",
                        "until": asked["until"]}, told
        decide(d, asked["id"], digest=asked["digest"])
        rest = r.read()
        assert rest.startswith(b"\nevent: done\n") and b'"reply":"x"' in rest, rest

        r = stream_of(d, "/v1/chat/completions", {
            "model": "pipeline:p", "stream": True,
            "messages": [{"role": "user", "content": "y"}]})
        assert r.readline() == (
            b": stage ask waits for a person's approval\n")
        asked = one(d)
        decide(d, asked["id"], digest=asked["digest"])
        rest = r.read()
        assert b'"content":"y"' in rest and b"[DONE]" in rest, rest
        # One that does not stream waits, too.
        run = Run(d, path="/v1/chat/completions", body={
            "model": "pipeline:p", "messages": [{"role": "user", "content": "z"}]})
        asked = one(d)
        decide(d, asked["id"], digest=asked["digest"])
        status, body = run.end()
        assert status == 200, body
        assert body["choices"][0]["message"]["content"] == "z", body
        assert (folder / "log.txt").read_text().split() == ["x", "y", "z"]


def test_what_a_trigger_runs_asks_too(folder):
    text = ASKS.replace("[stage.ask]", 'trigger.tick = { every = "1s", with = '
                        '{ mail = "tick" } }\n[stage.ask]')
    with Daemon(config(folder, text)) as d:
        soon(lambda: waiting(d), "the trigger's question", 20)
        asked = waiting(d)[0]
        assert asked["request"] == "trigger p.tick", asked
        assert decide(d, asked["id"], digest=asked["digest"])[0] == 200
        soon(lambda: (folder / "log.txt").exists(), "what was approved")
        assert d.end(signal.SIGTERM) == 0, d.lines


def questions(folder):
    """The files that ask, by name; there whole or not at all."""
    return sorted(folder.glob("asks/*.json"))


def one_file(folder):
    soon(lambda: questions(folder), "a question's file")
    return questions(folder)[0]


def test_a_copy_of_a_file_that_asks_is_a_yes_and_nothing_else_is(folder):
    with Daemon(config(folder, serve='approvals = "asks"\n')) as d:
        run = Run(d)
        file = one_file(folder)
        assert (folder / "asks").stat().st_mode & 0o777 == 0o700
        text = file.read_bytes()
        asked = json.loads(text)
        assert asked == one(d) and file.stem == asked["id"], asked
        assert json.loads(asked["arguments"]) == {"mail": MAIL}, asked
        # A copy that is not whole yet is waited for.
        file.with_suffix(".yes").write_bytes(text[:100])
        time.sleep(1.5)
        assert one(d)["id"] == asked["id"]
        file.with_suffix(".yes").write_bytes(text)
        assert run.end()[1]["outputs"]["reply"] == MAIL
        assert list((folder / "asks").iterdir()) == []

        def other(answer):
            answer.write_bytes(text)  # of another question
        for name, make, reason in (
                (".no", lambda a: a.write_bytes(b""), "a person said no"),
                (".no", lambda a: a.symlink_to("/nowhere"), "a person said no"),
                (".yes", other, "the answer is no copy of the question"),
                (".yes", lambda a: a.symlink_to(a.with_suffix(".json")),
                 "the answer cannot be read: "),
                (".yes", lambda a: os.mkfifo(a), "the answer is no regular file"),
                (".yes", lambda a: a.mkdir(), "the answer is no regular file")):
            run = Run(d)
            answer = one_file(folder).with_suffix(name)
            make(answer)
            assert run.denied().startswith("denied: " + reason), (name, reason)
            assert questions(folder) == []
            if answer.is_dir():
                answer.rmdir()
        # Over HTTP it is the same question.
        run = Run(d, "by HTTP")
        file = one_file(folder)
        asked = one(d)
        assert asked["id"] == file.stem
        decide(d, asked["id"], digest=asked["digest"])
        assert run.end()[1]["outputs"]["reply"] == "by HTTP"
        assert questions(folder) == []
        # Who may write there says yes: not everybody.
        (folder / "asks").chmod(0o777)
        run = Run(d)
        asked = one(d)
        d.wait_for_line("everybody may write there")
        assert questions(folder) == []
        decide(d, asked["id"], "deny")
        assert run.denied() == "denied: a person said no"


def test_tinyphi_run_asks_by_file_too(folder):
    (folder / "p.toml").write_text(ASKS.replace('"60s"', '"20s"'))

    def run(mail):
        return subprocess.Popen(
            [TINYPHI, "run", "p.toml", "-i", "mail=" + mail, "--approvals", "asks",
             "--json"], cwd=folder, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    with run("a mail") as p:
        file = one_file(folder)
        asked = json.loads(file.read_bytes())
        assert (asked["pipeline"], asked["stage"], asked["effects"]) == (
            "p", "ask", ["write"]), asked
        assert json.loads(asked["arguments"]) == {"mail": "a mail"}, asked
        shutil.copy(file, file.with_suffix(".yes"))
        told = json.loads(p.communicate(timeout=60)[0])
        assert told["outputs"]["reply"] == "a mail", told
        assert list((folder / "asks").iterdir()) == []
    with run("another") as p:
        one_file(folder).with_suffix(".no").touch()
        told = p.communicate(timeout=60)[0]
        assert "nobody said yes" in told and "a person said no" in told, told
    assert (folder / "log.txt").read_text().strip() == "a mail"
    (folder / "asks").chmod(0o777)
    with run("a third") as p:
        told = p.communicate(timeout=60)[0]
        assert "everybody may write there" in told, told


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
