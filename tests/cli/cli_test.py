#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives the real program: results, messages and exit codes.

Usage: cli_test.py TINYPHI SOURCE_ROOT [NAME_PART]

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import array
import fcntl
import json
import math
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import traceback
import xml.etree.ElementTree

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2])
DATA = ROOT / "tests/data"
DEMO = ROOT / "pipelines/models/tinyphi-demo-7m-q8_0.gguf"
TINY = DATA / "tiny"
COMMANDS = ["generate", "chat", "tokenize", "logits", "inspect", "plan",
            "bench", "doctor", "run", "check", "list", "graph", "score",
            "embed", "serve", "test", "explain", "eval", "replay",
            "new", "echo", "mcp"]

DONE, FAILED, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, TRY_AGAIN, CONFIG = (
    0, 1, 64, 65, 66, 69, 75, 78)


def tinyphi(*args, stdin=b"", **options):
    return subprocess.run([PROGRAM, *map(str, args)], input=stdin,
                          capture_output=True, timeout=240, check=False,
                          **options)


def expect(done, code, *parts):
    """The exit code, and on an error one line of message with these parts."""
    err = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}, not {code}: {err}"
    lines = [line for line in err.splitlines() if "built-in demo" not in line]
    if code != DONE:
        assert len(lines) == 1, f"not one line: {err}"
        assert lines[0].startswith("tinyphi: "), err
    for part in parts:
        assert part in err, f"no {part!r} in: {err}"
    return done.stdout.decode()


def fails(code, args, *parts, stdin=b""):
    out = expect(tinyphi(*args, stdin=stdin), code, *parts)
    assert out == "", f"printed {out!r}"


class Terminal:
    """The program on a terminal of its own, whose input is not echoed."""

    def __init__(self, *args, with_stderr=False, **options):
        self.end, inner = pty.openpty()
        modes = termios.tcgetattr(inner)
        modes[1] &= ~termios.OPOST  # bytes as they were written
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(inner, termios.TCSANOW, modes)
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, args)], stdin=inner, stdout=inner,
            stderr=inner if with_stderr else subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options)
        os.close(inner)
        self.shown = b""

    def type(self, text):
        os.write(self.end, text)

    def show(self, until=lambda shown: False, seconds=120):
        """What is on the screen once `until` holds, or the program ended."""
        limit = time.monotonic() + seconds
        while not until(self.shown) and time.monotonic() < limit:
            if not select.select([self.end], [], [], 0.1)[0]:
                continue
            try:
                more = os.read(self.end, 65536)
            except OSError:  # the program closed its side
                break
            if not more:
                break
            self.shown += more
        return self.shown

    def ended(self, seconds=120):
        """Exit status and standard error."""
        self.show(seconds=seconds)
        _, err = self.process.communicate(timeout=seconds)
        os.close(self.end)
        return self.process.returncode, (err or b"").decode()


def on_terminal(*args, **options):
    terminal = Terminal(*args, **options)
    status, err = terminal.ended()
    return status, terminal.shown, err


def read_safetensors(path):
    """Name -> (shape, array) of the F32 and I64 tensors of a file."""
    data = pathlib.Path(path).read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        begin, end = t["data_offsets"]
        values = array.array({"F32": "f", "I64": "q"}[t["dtype"]])
        values.frombytes(data[8 + size + begin:8 + size + end])
        tensors[name] = (t["shape"], values)
    return tensors


def temporary():
    return tempfile.TemporaryDirectory(prefix="tinyphi-cli-")


# ---- Help and usage

def test_every_help_shows_an_example():
    for command in COMMANDS:
        out = expect(tinyphi(command, "--help"), DONE)
        assert f"Usage: tinyphi {command} [" in out, out
        example = out[out.index("Example: "):]
        assert f"tinyphi {command}" in example, out


def test_help_names_every_command_and_the_exit_codes():
    out = expect(tinyphi("--help"), DONE)
    for word in [*COMMANDS, "65 bad data", "Example: "]:
        assert word in out, word


def test_version():
    assert expect(tinyphi("--version"), DONE) == "tinyphi 0.1.0\n"


def test_no_command_is_a_usage_error():
    fails(USAGE, [], "--help")
    fails(USAGE, ["generat"], "generat: no such command", "tinyphi --help")


def test_unknown_option_names_the_help():
    fails(USAGE, ["generate", "--tempreature", "1"], "--tempreature",
          "tinyphi generate --help")


def test_a_word_where_a_number_belongs():
    fails(USAGE, ["generate", "-n", "many", "-p", "x"], "many")
    fails(USAGE, ["generate", "-n", "-1", "-p", "x"], "not in range")


def test_prompt_and_file_exclude_each_other():
    fails(USAGE, ["generate", "-p", "x", "-f", "y"], "--file")


# ---- Terminals

STEERING = {"escape": "\x1b[2J", "bell": "\a", "carriage return": "\r",
            "delete": "\x7f", "C1 in two bytes": "\u009b2J",
            "right-to-left override": "\u202e", "isolate": "\u2066"}
KEPT = "caf\u00e9 \u65e5\u672c \U0001f600 a\tb"


def test_documents_cannot_steer_a_terminal_and_are_bytes_on_a_pipe():
    stages = DOCS_QA.read_text()
    begin, end = stages.index("[output]"), stages.index("[stage.prompt]")
    stages = (stages[:begin] + '[output]\ndocs = { from = "find.docs", '
              "default = [] }\n\n" + stages[stages.index("[stage.ingest]"):end])
    with temporary() as folder:
        file = pathlib.Path(folder) / "p.toml"
        file.write_text(stages)
        docs = pathlib.Path(folder) / "docs"
        docs.mkdir()
        for name, evil in STEERING.items():
            (docs / "fan.md").write_text(
                f"# Fan\n\nThe colour of the fan is {evil} green {KEPT}.\n",
                newline="")
            environment = {**os.environ, "DOCS": str(docs),
                           "INDEX": f"{folder}/index.db"}
            args = ["run", file, "--input", "question=What colour is the fan?"]
            status, shown, err = on_terminal(*args, env=environment)
            assert status == DONE, err
            assert b"green" in shown and KEPT.encode() in shown, (name, shown)
            assert evil[0] not in shown.decode(), (name, shown)
            piped = expect(tinyphi(*args, env=environment), DONE)
            assert evil in piped, (name, piped)


def test_a_model_cannot_steer_a_terminal_and_gives_bytes_to_a_pipe():
    escape = expect(tinyphi("tokenize", stdin=b"\x1b"), DONE)
    token = escape.strip().split(",")[-1]
    args = ["generate", "--raw", "-p", "x", "-n", 3, f"--logit-bias={token}=100"]
    status, shown, err = on_terminal(*args)
    assert status == DONE and shown == b"...\n", (shown, err)
    assert tinyphi(*args).stdout == b"\x1b\x1b\x1b\n"


def test_names_cannot_steer_a_terminal_and_are_bytes_on_a_pipe():
    good = (ROOT / "pipelines/smallest.toml").read_bytes()
    with temporary() as folder:
        evil = "x\x1b[2J\u009b2J\u202e.toml"
        file = pathlib.Path(folder) / evil
        file.write_bytes(good)
        raw = pathlib.Path(os.fsencode(folder).decode() + "/y\udc9b2J.toml")
        raw.write_bytes(good)  # a C1 control as one byte
        for path in (file, raw):
            status, shown, err = on_terminal("check", path)
            assert status == DONE, err
            assert shown.endswith(b".toml: ok\n"), shown
            assert not set(shown) & {0x1b, 0x9b}, shown
            assert b"\xe2\x80\xae" not in shown, shown
            piped = tinyphi("check", path)
            assert piped.stdout == os.fsencode(path) + b": ok\n", piped


def test_an_inspected_file_cannot_steer_a_terminal():
    with temporary() as folder:
        model = pathlib.Path(folder) / "m\x1b[2J\x9bJ\u202e.gguf"
        shutil.copy(DEMO, model)
        status, shown, err = on_terminal("inspect", model)
        assert status == DONE, err
        assert b"/m.[2J.J..gguf, GGUF version 3\n" in shown, shown
        assert not set(shown) & {0x1b, 0x9b}, shown
        assert f"{model}, GGUF" in expect(tinyphi("inspect", model), DONE)


# ---- Models that cannot be

def test_missing_model_is_named():
    fails(NO_INPUT, ["generate", "-m", "/no/such.gguf", "-p", "x"],
          "/no/such.gguf")


def test_messages_cannot_steer_the_terminal():
    fails(NO_INPUT, ["inspect", "no\x1b[2Jsuch"], "no.[2Jsuch")
    fails(NO_INPUT, ["inspect", "no\u009b2Jsuch"], "no.2Jsuch")
    fails(NO_INPUT, ["inspect", "caf\u00e9"], "caf\u00e9")


def test_a_folder_that_is_no_model():
    with temporary() as folder:
        for command in (["generate", "-p", "x"], ["inspect"], ["plan"]):
            done = tinyphi(command[0], *(["-m"] if command[0] == "generate"
                                         else []), folder, *command[1:])
            assert done.returncode in (BAD_DATA, NO_INPUT), done
            assert folder in done.stderr.decode(), done


def test_a_device_is_refused():
    fails(USAGE, ["generate", "-m", "/dev/zero", "-p", "x"], "/dev/zero",
          "not a regular file")


def test_text_is_not_a_model():
    fails(BAD_DATA, ["inspect", ROOT / "LICENSE"], "LICENSE")


def test_a_model_cut_anywhere_is_refused():
    whole = DEMO.read_bytes()
    with temporary() as folder:
        path = pathlib.Path(folder) / "cut.gguf"
        for size in (0, 3, 4, 12, 24, 1000, 50000, len(whole) - 1):
            path.write_bytes(whole[:size])
            fails(BAD_DATA, ["generate", "-m", path, "-p", "x"], "cut.gguf")


def test_adapters_are_not_there_yet():
    fails(UNAVAILABLE, ["generate", "--lora", "a.gguf=0.5", "-p", "x"],
          "--lora a.gguf=0.5", "not supported yet")


# ---- generate

def generate_json(*args, **options):
    return json.loads(expect(tinyphi("generate", "--json", *args, **options),
                             DONE))


def test_demo_model_answers_and_says_so_once():
    done = tinyphi("generate", "-p", "Hello!", "-n", 8)
    out = expect(done, DONE)
    assert out.strip() and out.endswith("\n"), out
    assert done.stderr.decode().count("built-in demo model") == 1, done
    assert len(done.stderr.decode().splitlines()) == 1, done


def test_the_demo_model_needs_no_file():
    def no_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    with temporary() as folder:
        for command in (["generate", "-p", "Hello!", "-n", 4], ["inspect"],
                        ["plan"], ["tokenize"]):
            expect(tinyphi(*command, preexec_fn=no_files, cwd=folder,
                           env={**os.environ, "TMPDIR": "/no/such/folder"}),
                   DONE)
        assert not os.listdir(folder)


def test_a_given_model_is_used_in_silence():
    done = tinyphi("generate", "-m", DEMO, "-p", "Hello!", "-n", 8)
    assert expect(done, DONE).strip()
    assert done.stderr == b"", done


def test_kept_weights_give_the_same_answer():
    with temporary() as folder:
        model = pathlib.Path(folder) / "m.gguf"
        shutil.copy(DEMO, model)
        args = ["generate", "-m", model, "-p", "Hello!", "-n", 8]
        plain = expect(tinyphi(*args), DONE)
        kept = pathlib.Path(f"{model}.r16")
        assert not kept.exists()
        first = tinyphi(*args, "--cache-repacked")
        assert expect(first, DONE) == plain and first.stderr == b"", first
        written = kept.stat()
        assert expect(tinyphi(*args, "--cache-repacked"), DONE) == plain
        assert kept.stat().st_ino == written.st_ino, "written again"
        kept.unlink()
        kept.mkdir()  # where nothing can be kept
        assert expect(tinyphi(*args, "--cache-repacked"), DONE, str(kept),
                      "not a regular file") == plain


def test_prompt_from_file_stdin_and_option_are_the_same():
    with temporary() as folder:
        path = pathlib.Path(folder) / "prompt"
        path.write_text("Hello!\n")
        outs = {tinyphi("generate", "-n", 8, "-p", "Hello!").stdout,
                tinyphi("generate", "-n", 8, "-f", path).stdout,
                tinyphi("generate", "-n", 8, stdin=b"Hello!\n").stdout}
    assert len(outs) == 1, outs


def test_json_tells_text_ids_reason_and_timings():
    out = generate_json("-p", "Hello!", "-n", 5, "--logprobs", 2)
    assert out["finish_reason"] in ("stop", "length"), out
    assert len(out["ids"]) == out["completion_tokens"] <= 5, out
    assert out["prompt_tokens"] > 0 and out["timings"]["prefill_seconds"] > 0
    assert out["cached_tokens"] == 0, out
    assert 0 <= out["accepted_tokens"] <= out["drafted_tokens"], out
    for i, entry in zip(out["ids"], out["logprobs"]):
        assert entry["id"] == i and entry["logprob"] <= 0, entry
        assert len(entry["top"]) == 2 and entry["top"][0]["id"] == i, entry


def test_a_prompt_cache_outlives_the_program_and_is_checked():
    ask = ("-p", "What does code 42 mean?", "-n", 12)
    with temporary() as folder:
        cache = pathlib.Path(folder) / "cache"
        first = generate_json(*ask, "--prompt-cache", cache)
        again = generate_json(*ask, "--prompt-cache", cache)
        assert first["cached_tokens"] == 0, first
        assert again["cached_tokens"] == again["prompt_tokens"] - 1, again
        assert again["ids"] == first["ids"], (first, again)
        for file in cache.iterdir():
            file.write_bytes(file.read_bytes()[:-1])
        damaged = generate_json(*ask, "--prompt-cache", cache)
        assert damaged["cached_tokens"] == 0, damaged
        assert damaged["ids"] == first["ids"], (first, damaged)
        done = tinyphi("generate", *ask, "--prompt-cache", "/proc/1/no/folder")
        expect(done, DONE)
        assert b"/proc/1/no/folder" in done.stderr, done.stderr


def test_length_limit_is_kept():
    out = generate_json("--raw", "-p", "The pump", "-n", 3)
    assert out["completion_tokens"] == 3 and out["finish_reason"] == "length"


def test_stop_text_ends_the_answer():
    whole = generate_json("-p", "Hello!", "-n", 12)["text"]
    stop = whole[len(whole) // 2:][:3]
    out = generate_json("-p", "Hello!", "-n", 12, "--stop", stop)
    assert out["text"] == whole[:whole.index(stop)], (whole, out)
    assert out["finish_reason"] == "stop", out


def test_an_answer_has_the_shape_that_is_asked_for():
    schema = {"type": "object", "additionalProperties": False,
              "required": ["name", "n"],
              "properties": {"name": {"type": "string", "maxLength": 12},
                             "n": {"type": "integer", "minimum": 0, "maximum": 99}}}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.json"
        path.write_text(json.dumps(schema))
        for seed in range(3):
            done = tinyphi("generate", "-p", "Hello!", "--schema", path, "-n", 60,
                           "--temperature", 2, "--seed", seed)
            value = json.loads(expect(done, DONE))
            assert set(value) == {"name", "n"} and 0 <= value["n"] <= 99, value
            assert len(value["name"]) <= 12, value
        grammar = pathlib.Path(folder) / "a.gbnf"
        grammar.write_text('root ::= "yes" | "no" [!?]\n')
        out = expect(tinyphi("generate", "-p", "Hello!", "--grammar", grammar), DONE)
        assert out.strip() in ("yes", "no!", "no?"), out
    out = expect(tinyphi("generate", "-p", "Hello!", "--regex", "[a-c]{3}-[0-9]{2}",
                         "--temperature", 2), DONE)
    assert re.fullmatch(r"[a-c]{3}-[0-9]{2}\n", out), out
    for seed in range(4):
        out = generate_json("-p", "Hello!", "--choice", "red,green", "--choice", "blue",
                            "--temperature", 2, "--seed", seed)
        assert out["text"] in ("red", "green", "blue"), out
        assert out["finish_reason"] == "stop", out


def test_a_shape_that_cannot_be_is_refused_and_where_it_is():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.json"
        for schema, *parts in (
                ({"properties": {"a": {"not": {}}}}, "a.json", "TP6103",
                 "/properties/a/not"),
                ({"type": "object", "requird": ["a"]}, "a.json", "/requird"),
                ({"pattern": "(?=a)"}, "TP6107", "/pattern")):
            path.write_text(json.dumps(schema))
            fails(BAD_DATA, ["generate", "-p", "x", "--schema", path], *parts)
        path.write_text('root ::= rest\n')
        fails(BAD_DATA, ["generate", "-p", "x", "--grammar", path], "a.json", "rest")
    fails(BAD_DATA, ["generate", "-p", "x", "--regex", "(a"], "--regex")
    fails(USAGE, ["generate", "-p", "x", "--choice", "a,a"], "--choice", "twice")
    fails(USAGE, ["generate", "-p", "x", "--choice"], "--choice")
    fails(USAGE, ["generate", "-p", "x", "--choice", ""], "--choice", "empty")
    fails(NO_INPUT, ["generate", "-p", "x", "--schema", "/no/such.json"], "such.json")
    fails(USAGE, ["generate", "-p", "x", "--choice", "a", "--regex", "b"], "--regex")
    fails(USAGE, ["generate", "-p", "x", "--choice", "a,b", "--stop", "a"], "stop")
    fails(BAD_DATA, ["generate", "-p", "x", "--choice", "a long text of many words",
                     "-n", 1], "max_tokens")


def test_the_same_seed_gives_the_same_text_on_any_number_of_threads():
    common = ["--raw", "-p", "The pump", "-n", 20, "--temperature", 1,
              "--seed", 7]
    texts = {generate_json(*common, "-t", n)["text"] for n in (1, 2, 0)}
    assert len(texts) == 1, texts
    assert generate_json(*common[:-1], 8)["text"] not in texts


def test_no_more_threads_than_cpus_are_used_and_a_note_says_so():
    n_cpus = len(os.sched_getaffinity(0))
    args = ["generate", "-m", DEMO, "-p", "Hello!", "-n", 8, "-t"]
    plain = tinyphi(*args, n_cpus)
    expect(plain, DONE)
    done = tinyphi(*args, 1024)
    assert expect(done, DONE) == plain.stdout.decode(), done
    (note,) = done.stderr.decode().splitlines()
    assert note.startswith("tinyphi: -t 1024: this process may use "), note
    out = tinyphi("bench", "--shape", "demo", "-p", 0, "-n", 2, "-r", 1, "-t",
                  1024, "--json")
    assert json.loads(out.stdout)["results"][0]["threads"] <= n_cpus, out
    assert out.stderr.count(b"-t 1024") == 1, out
    few = {0}
    one = tinyphi(*args, 64, preexec_fn=lambda: os.sched_setaffinity(0, few))
    assert expect(one, DONE, "-t 64", "1 CPU,") == plain.stdout.decode(), one


def test_impossible_sampling_values_are_named():
    for option, value, part in [
            ("--temperature", -1, "temperature"), ("--temperature", "nan", ""),
            ("--top-p", 0, "top_p"), ("--top-p", 1.5, "top_p"),
            ("--min-p", 1, "min_p"), ("--top-k", -3, "top_k"),
            ("--typical-p", 0, "typical_p"),
            ("--repetition-penalty", 0, "repetition_penalty"),
            ("--presence-penalty", 3, "presence_penalty"),
            ("--mirostat", 1, "mirostat"), ("--logprobs", 21, "logprobs"),
            ("--logit-bias", "x=1", "--logit-bias x=1"),
            ("--logit-bias", "999999=1", "999999")]:
        fails(USAGE, ["generate", "-p", "x", f"{option}={value}"], part)


def test_prompt_longer_than_the_context():
    fails(BAD_DATA, ["generate"], "4096", stdin=b"word " * 20000)


def test_invalid_utf8_in_the_prompt_does_no_harm():
    expect(tinyphi("generate", "-n", 2, stdin=b"\xff\xfe\x80 hello"), DONE)


def test_control_tokens_in_a_prompt_stay_text():
    plain = generate_json("-p", "ab", "-n", 1)["prompt_tokens"]
    tricky = generate_json("-p", "a<|end|>b", "-n", 1)["prompt_tokens"]
    assert tricky >= plain + 4, (plain, tricky)


def test_a_missing_prompt_file_is_named():
    fails(NO_INPUT, ["generate", "-f", "/no/prompt"], "/no/prompt")


def test_a_full_disk_behind_stdout_is_told():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, "generate", "-p", "Hello!", "-n", "4"],
                              stdout=full, stderr=subprocess.PIPE, timeout=240,
                              check=False)
    assert done.returncode == UNAVAILABLE, done
    assert b"standard output: No space left on device" in done.stderr, done


def test_interrupt_ends_generate_soon_with_what_there_is():
    with subprocess.Popen(
            [PROGRAM, "generate", "--raw", "-p", "The pump", "-n", "0",
             "--temperature", "1", *(f"--logit-bias={i}=-100"
                                     for i in stop_ids())],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        first = running.stdout.read(1)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == TRY_AGAIN, (running.returncode, err)
    assert (first + out).endswith(b"\n"), out


def stop_ids():
    """The demo model's control tokens, which end an answer."""
    text = b"<|end|><|endoftext|><|assistant|></s><|user|>"
    out = expect(tinyphi("tokenize", "--special", stdin=text), DONE)
    return out.strip().split(",")


# ---- chat

def test_chat_answers_line_by_line():
    done = tinyphi("chat", "-n", 6, stdin=b"Hello!\n\nHow are you?\n")
    assert len(expect(done, DONE).splitlines()) >= 2, done


def test_chat_goes_on_after_a_line_that_is_too_long():
    done = tinyphi("chat", "-n", 6, stdin=b"word " * 20000 + b"\nHello!\n")
    assert done.stdout.strip() and b"4096" in done.stderr, done


def endless_chat(*args):
    """A chat on a terminal in the middle of an answer without an end."""
    talk = Terminal("chat", "-n", "0", "--temperature", "1", "--seed", "1",
                    *(f"--logit-bias={i}=-100" for i in stop_ids()), *args)
    talk.type(b"Hello!\n")
    assert talk.show(lambda shown: len(shown) > 20), talk.ended()
    return talk


def test_interrupt_ends_an_answer_of_chat_and_then_the_talk():
    talk = endless_chat()
    n_before = len(talk.shown)
    talk.process.send_signal(signal.SIGINT)
    assert talk.show(lambda shown: shown[n_before:].endswith(b"\n")), talk
    assert talk.process.poll() is None, talk.ended()
    talk.type(b"Hello again!\n")
    n_first = len(talk.shown)
    talk.show(lambda shown: len(shown) > n_first + 20)
    assert len(talk.shown) > n_first + 20, talk.ended()
    talk.process.send_signal(signal.SIGINT)
    n_second = len(talk.shown)
    talk.show(lambda shown: shown[n_second:].endswith(b"\n"))
    time.sleep(0.5)  # at the prompt now
    talk.process.send_signal(signal.SIGINT)
    status, err = talk.ended(10)
    assert status == DONE and err.endswith("> \n"), (status, err)


def test_a_talk_ends_within_5_s_of_sigterm_and_sighup():
    for number in (signal.SIGTERM, signal.SIGHUP):
        answering = endless_chat()
        waiting = Terminal("chat")
        err = b""
        while not err.endswith(b"> "):
            err += os.read(waiting.process.stderr.fileno(), 1000)
        piped = subprocess.Popen([PROGRAM, "chat"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        piped.stdin.write(b"Hello!\n")
        piped.stdin.flush()
        piped.stdout.read(1)  # the first answer began
        time.sleep(0.5)
        for process in (answering.process, waiting.process, piped):
            process.send_signal(number)
        for talk in (answering, waiting):
            status, err = talk.ended(5)
            assert status == TRY_AGAIN, (number, status, err)
            assert err.endswith("\n"), err
        out, err = piped.communicate(timeout=5)
        assert piped.returncode == TRY_AGAIN, (number, piped, out, err)


def test_a_signal_that_the_caller_ignores_is_ignored():
    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with subprocess.Popen([PROGRAM, "chat", "-n", "4"], bufsize=0,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, preexec_fn=ignore) as talk:
        talk.stdin.write(b"Hello!\n")
        talk.stdin.flush()
        talk.stdout.read(1)
        talk.send_signal(signal.SIGHUP)
        out, err = talk.communicate(b"Hello!\n", timeout=120)
    assert talk.returncode == DONE and out.count(b"\n") == 2, (out, err)


# ---- tokenize

def check_cases(model):
    lines = (DATA / "tokenizer/phi-3/cases.jsonl").read_bytes()
    out = expect(tinyphi("tokenize", "-m", model, "--special", "--jsonl",
                         stdin=lines), DONE).splitlines()
    cases = [json.loads(line) for line in lines.splitlines()]
    assert len(out) == len(cases)
    for case, line in zip(cases, out):
        got = json.loads(line)
        want = {"ids": case["ids"], "text_back": case["text_back"]}
        assert got == want, (case["text"], got, want)


def test_tokenize_reproduces_hugging_face_from_a_folder():
    check_cases(DATA / "tokenizer/phi-3")


def test_tokenize_reproduces_hugging_face_from_gguf():
    check_cases(DATA / "tokenizer/phi-3-vocab.gguf")


def test_tokenize_prints_ids():
    out = expect(tinyphi("tokenize", "-m", DATA / "tokenizer/phi-3",
                         stdin=b"Hello"), DONE)
    assert out == "15043\n", out


def test_tokenize_names_the_bad_line():
    for line in (b"nonsense", b'{"txt": "a"}', b'{"text": 1}', b"[]"):
        done = tinyphi("tokenize", "--jsonl", stdin=b'{"text": "a"}\n' + line)
        expect(done, BAD_DATA, "line 2")


def test_tokenize_a_megabyte_of_one_letter():
    with open(os.devnull, "wb") as null:
        done = subprocess.run([PROGRAM, "tokenize"], input=b"a" * (1 << 20),
                              stdout=null, timeout=30, check=False)
    assert done.returncode == DONE


# ---- logits

def logits_of(model, ids, *args):
    with temporary() as folder:
        out = pathlib.Path(folder) / "x.safetensors"
        expect(tinyphi("logits", "-m", model, "--exact", "--ids",
                       ",".join(map(str, ids)), "--out", out, *args), DONE)
        return read_safetensors(out)["logits"]


# The prompts and positions of each golden file, 805 positions in all: none
# may be missing (tests/support/golden.h says the same).
GOLDEN = {"mini-4k": (6, 71), "mini-128k": (5, 170), "medium-4k": (3, 43),
          "medium-128k": (3, 70), "phi-4": (2, 45), "phi-4-mini": (3, 70),
          "small-8k": (7, 168), "small-128k": (7, 168)}


def check_golden(variant):
    prompts, positions = GOLDEN[variant]
    golden = read_safetensors(TINY / variant / "golden.safetensors")
    for k in range(prompts):
        ids = list(golden[f"ids.{k}"][1])
        positions -= len(ids)
        shape, want = golden[f"logits.{k}"]
        for split in ([], ["--prefill", 1], ["--prefill", len(ids) // 2 or 1]):
            got_shape, got = logits_of(TINY / variant, ids, *split)
            assert got_shape == shape, (got_shape, shape)
            gaps = [0.0 if a == b else abs(a - b) for a, b in zip(got, want)]
            assert all(gap <= 2e-4 for gap in gaps), max(gaps)  # no NaN either
    assert positions == 0, positions


assert set(GOLDEN) == {p.name for p in TINY.iterdir()}
for _variant in GOLDEN:
    globals()["test_logits_equal_hugging_face_" + _variant] = (
        lambda v=_variant: check_golden(v))


def test_logits_of_the_issue():
    """The command line of the specification, as it stands there."""
    ids = [5, 6, 7, 8, 9, 10, 11, 12, 13]
    whole = logits_of(TINY / "mini-4k", ids)
    split = logits_of(TINY / "mini-4k", ids, "--prefill", 3)
    assert whole[0] == split[0] == [9, len(whole[1]) // 9]
    assert max(abs(a - b) for a, b in zip(whole[1], split[1])) <= 2e-4


def test_logits_refuses_impossible_ids():
    with temporary() as folder:
        out = pathlib.Path(folder) / "x"
        common = ["logits", "-m", TINY / "mini-4k", "--out", out]
        fails(USAGE, [*common, "--ids", "1,100000"], "100000")
        fails(USAGE, [*common, "--ids", "1,-2"], "-2")
        fails(USAGE, [*common, "--ids", "1,a"], "a")
        fails(USAGE, [*common, "--ids", "1,2", "--prefill", 3], "--prefill 3")
        assert not out.exists()


def test_logits_of_4000_ids_take_less_than_half_of_their_size_in_memory():
    ids = ",".join(str(100 + i % 1000) for i in range(4000))
    with temporary() as folder:
        out = pathlib.Path(folder) / "x.safetensors"

        def peak(n):
            with subprocess.Popen(
                    [PROGRAM, "logits", "-m", DEMO, "-t", "1", "--out", out,
                     "--ids", ",".join(ids.split(",")[:n])]) as running:
                _, status, used = os.wait4(running.pid, 0)
                running.returncode = os.waitstatus_to_exitcode(status)
            assert running.returncode == DONE
            return used.ru_maxrss * 1024
        small, large = peak(256), peak(4000)
        size = out.stat().st_size
        assert size > 30e6, size
        cache = json.loads(expect(tinyphi(
            "plan", "--json", DEMO, "--kv-type", "f32", "--context", 4000),
            DONE))["kv_bytes"]
        assert large - small < cache + size / 2, (small, large, cache, size)


def test_logits_that_cannot_be_written():
    done = tinyphi("logits", "-m", TINY / "mini-4k", "--ids", "1,2", "--out",
                   "/no/such/folder/x.safetensors")
    assert done.returncode in (NO_INPUT, UNAVAILABLE), done
    assert b"/no/such/folder" in done.stderr, done


# ---- score, embed

def json_lines(*args, stdin):
    text = "".join(json.dumps(line) + "\n" for line in stdin).encode()
    out = expect(tinyphi(*args, stdin=text), DONE)
    return [json.loads(line) for line in out.splitlines()]


def log_softmax(row):
    top = max(row)
    total = top + math.log(sum(math.exp(x - top) for x in row))
    return [x - total for x in row]


def test_scores_are_the_log_softmax_of_logits_within_1e_4():
    def ids(text):
        out = expect(tinyphi("tokenize", stdin=text.encode()), DONE)
        return [1, *map(int, out.split(","))]  # behind BOS

    prompt, candidates = "The light of the", [" pump is green.", " red"]
    (line,) = json_lines("score", "-m", DEMO, "--exact", stdin=[
        {"prompt": prompt, "candidates": candidates}])
    assert [s["text"] for s in line["scores"]] == candidates, line
    for score in line["scores"]:
        whole = ids(prompt + score["text"])
        shape, logits = logits_of(DEMO, whole)
        n = score["n_tokens"]
        assert whole[:-n] == ids(prompt), (whole, n)
        want = []
        for i in range(len(whole) - n, len(whole)):
            row = logits[(i - 1) * shape[1]:i * shape[1]]
            want.append(log_softmax(row)[whole[i]])
        got = score["token_logprobs"]
        assert len(got) == n, score
        assert all(abs(a - b) <= 1e-4 for a, b in zip(got, want)), (got, want)
        assert abs(score["logprob"] - sum(got)) <= 1e-4, score


def test_score_takes_options_as_it_takes_lines():
    (line,) = json_lines("score", stdin=[
        {"prompt": "It is", "candidates": [" red", " not"]}])
    out = expect(tinyphi("score", "-p", "It is", "-c", " red", "-c", " not"),
                 DONE)
    assert json.loads(out) == line, (out, line)


def test_embeddings_have_length_1_and_are_equal_for_equal_texts():
    texts = ["The pump is ready.", "A red light means a full filter.",
             "The pump is ready."]
    vectors = [line["embedding"] for line in
               json_lines("embed", stdin=[{"text": t} for t in texts])]
    assert len(vectors) == 3 and len(set(map(len, vectors))) == 1, vectors
    for v in vectors:
        assert abs(math.hypot(*v) - 1) <= 1e-5, math.hypot(*v)
    assert vectors[0] == vectors[2] != vectors[1]


def test_score_needs_a_prompt_and_a_candidate():
    fails(USAGE, ["score", "-p", "x"], "--prompt", "--candidate")
    fails(USAGE, ["score", "-c", "x"], "--candidate", "--prompt")


def test_bad_lines_are_named_by_number_and_key():
    good = b'{"prompt": "a", "candidates": ["b"], "text": "c"}\n\n'
    for command, line, key in [
            ("score", b'{"candidates": ["b"]}', '"prompt" that is a string'),
            ("score", b'{"prompt": "a"}', '"candidates" that is a list'),
            ("score", b'{"prompt": "a", "candidates": [1]}', '"candidates"'),
            ("embed", b'{"txt": "a"}', '"text" that is a string'),
            ("embed", b'{"text": 1}', '"text" that is a string'),
            ("embed", b"[]", "not an object"), ("embed", b"{", "line 3")]:
        done = tinyphi(command, stdin=good + line)
        out = expect(done, BAD_DATA, "standard input: line 3", key)
        assert len(out.splitlines()) == 1, out  # the good one's


def test_a_candidate_that_adds_nothing_is_refused():
    for stdin, args in [
            (b"", ["-p", "a", "-c", " b", "-c", ""]),
            (b'{"prompt": "a", "candidates": [" b", ""]}', [])]:
        fails(USAGE, ["score", *args], "candidate 1", "both need text",
              stdin=stdin)


# ---- inspect, plan, bench, doctor

def test_inspect_shows_metadata_and_tensors():
    out = expect(tinyphi("inspect", DEMO), DONE)
    for part in ("GGUF version 3", "general.architecture", "phi3",
                 "8 layers", "blk.0.attn_qkv.weight", "Q8_0"):
        assert part in out, part


def test_inspect_as_json_counts_every_byte():
    out = json.loads(expect(tinyphi("inspect", "--json", TINY / "medium-4k"),
                            DONE))
    assert out["format"] == "huggingface" and out["tensors"], out
    for t in out["tensors"]:
        size = {"F32": 4, "F16": 2, "BF16": 2}[t["type"]]
        for n in t["shape"]:
            size *= n
        assert t["bytes"] == size, t


def test_inspect_of_nothing_known():
    fails(NO_INPUT, ["inspect", "no.such.thing"], "no.such.thing", "list")
    # As `list` prints it.
    plain = expect(tinyphi("inspect", "cite.verify"), DONE)
    assert plain == expect(tinyphi("inspect", "cite.verify@1"), DONE)
    fails(NO_INPUT, ["inspect", "cite.verify@2"], "cite.verify@2", "list")


def test_plan_grows_with_the_context():
    def total(n):
        return json.loads(expect(tinyphi("plan", "--json", "--context", n),
                                 DONE))["kv_bytes"]
    assert total(2000) == 2 * total(1000) > 0

    def per_token(kv_type):
        out = json.loads(expect(tinyphi("plan", "--json", "--kv-type", kv_type),
                                DONE))
        assert kv_type in ("auto", out["kv_type"]), out
        return out["kv_bytes_per_token"]
    assert per_token("f32") == 2 * per_token("f16")
    assert per_token("f16") / 2 < per_token("int8") < per_token("f16")
    assert per_token("int8-int4") < 0.8 * per_token("int8")
    assert per_token("auto") in (per_token("f16"), per_token("int8"))
    fails(USAGE, ["plan", "--kv-type", "int3"], "--kv-type", "int3", "int8")
    fails(USAGE, ["plan", "--context", 5000], "5000", "4096")


def test_plan_counts_all_that_generate_takes():
    def plan(*args):
        return json.loads(expect(tinyphi("plan", "--json", "-t", 1, *args),
                                 DONE))
    out = plan("--context", 1000)
    parts = ("weights", "kv", "scratch", "request", "overhead")
    assert all(out[f"{part}_bytes"] > 0 for part in parts), out
    assert out["total_bytes"] == sum(out[f"{p}_bytes"] for p in parts), out
    # Products in f32 take larger buffers, of shorter texts smaller ones do.
    assert plan("--exact")["scratch_bytes"] > plan()["scratch_bytes"]
    assert plan("--context", 20)["scratch_bytes"] < out["scratch_bytes"] / 4


def test_plan_counts_the_pages_of_a_window_as_they_are_taken():
    out = json.loads(expect(tinyphi("plan", "--json", "--context", 1),
                            DONE))
    assert out["kv_bytes"] == 64 * out["kv_bytes_per_token"], out
    config = json.loads((TINY / "mini-4k/config.json").read_text())
    with temporary() as folder:
        model = pathlib.Path(folder) / "m"
        shutil.copytree(TINY / "mini-4k", model)
        config.update(max_position_embeddings=8192, sliding_window=100,
                      original_max_position_embeddings=8192)
        (model / "config.json").write_text(json.dumps(config))
        for context, pages in ((64, 1), (65, 2), (8192, 7)):
            out = json.loads(expect(tinyphi("plan", "--json", model,
                                            "--context", context), DONE))
            # 100 and a prompt's chunk of 256 tokens fill 6 pages of 64, and
            # one more where they begin inside a page.
            assert out["kv_bytes"] == (
                pages * 64 * out["kv_bytes_per_token"]), (context, out)


def bench(*args):
    return json.loads(expect(tinyphi("bench", "-r", 1, "--json", *args), DONE))


def test_bench_measures_a_shape():
    out = bench("--shape", "demo", "-p", 8, "-n", 2)
    prefill, decode = out["results"]
    assert prefill["case"] == "prefill" and decode["case"] == "decode", out
    for row in (prefill, decode):
        assert 0 < row["min"] <= row["median"] <= row["max"], row
        # May be above 1: so small a model is read from the caches.
        assert row["share_of_limit"] > 0, row
    assert out["machine"][0]["read_bytes_per_second"] > 0, out
    assert out["resident_bytes"] > decode["weight_bytes"] > 1 << 20, out
    fails(USAGE, ["bench", "--shape", "gpt-5"], "gpt-5", "phi-3-mini")
    fails(USAGE, ["bench", "--shape", "demo", "--type", "q9"], "q9", "Q4_0")
    fails(USAGE, ["bench", "--type", "q8_0"], "--type", "--shape")
    fails(USAGE, ["bench", "--shape", "demo", "-p", 5000], "4096")
    fails(USAGE, ["bench", "--shape", "demo", "-d", (1 << 64) - 1], "16777216")
    fails(USAGE, ["bench", "--shape", "demo", "--sequences", 1 << 24],
          "16777216 sequences", "memory holds")
    fails(USAGE, ["bench", "--shape", "demo", "-p", 0, "-n", 0], "-p", "-n")
    fails(USAGE, ["bench", "--shape", "demo", "-m", "x.gguf"], "--shape")


def test_bench_goes_through_threads_types_and_depths():
    out = bench("--shape", "demo", "-p", 0, "-n", 2, "-t", "1,2", "-d",
                "256,0", "--type", "q8_0,q4_0", "--sequences", 3)
    found = [(r["model"][:9], r["threads"], r["depth"], r["sequences"])
             for r in out["results"]]
    threads = [m["threads"] for m in out["machine"][:2]]
    assert found == [(f"demo {kind}", t, d, 3) for kind in ("q8_0", "q4_0")
                     for t in threads for d in (0, 256)], found


def test_bench_runs_on_a_target_by_name():
    best = bench("--shape", "demo", "-p", 1, "-n", 0)["simd"]
    out = bench("--shape", "demo", "-p", 1, "-n", 0, "--target", best)
    assert out["simd"] == best, out
    fails(USAGE, ["bench", "--shape", "demo", "--target", "Z80"], "Z80", best)


def test_doctor_names_cpu_and_limits():
    out = json.loads(expect(tinyphi("doctor", "--json"), DONE))
    assert out["cpu"] and out["simd"] and "GB/s" in out["memory read"], out
    setting, *measured = out["huge pages"].split(", ")
    assert setting in ("always", "madvise", "never", "unknown"), out
    if measured and not measured[0].startswith("0 of"):
        assert "% of the speed of small ones" in measured[1], out
    assert re.match("holds: Landlock ABI [0-9]+, seccomp|no program can be "
                    "confined on this machine: ", out["sandbox"]), out


# ---- Pipelines

DOCS_QA = ROOT / "pipelines/docs-qa/docs-qa.toml"


def run_docs_qa(folder, question, *args, **environment):
    return tinyphi("run", DOCS_QA, "--input", f"question={question}", *args,
                   env={**os.environ, "INDEX": f"{folder}/index.db",
                        **environment})


def test_docs_qa_answers_with_file_and_heading():
    with temporary() as folder:
        for _ in range(2):  # with a new index, and with the one that is there
            out = expect(run_docs_qa(folder, "How do I stop the pump?"), DONE)
            assert "red button" in out and "overview.md" in out, out
            assert "Stopping by hand" in out, out


def test_docs_qa_as_json():
    with temporary() as folder:
        out = json.loads(expect(run_docs_qa(
            folder, "How do I stop the pump?", "--json"), DONE))
    (citation,) = out["outputs"]["citations"]
    assert citation["source"] == "overview.md" and citation["number"] == 1
    assert out["outputs"]["grounded"] is True, out
    assert {s["outcome"] for s in out["stages"]} == {"done"}, out


def test_docs_qa_does_not_invent():
    with temporary() as folder:
        out = expect(run_docs_qa(folder, "Who was Napoleon?"), DONE)
    assert out.startswith("I don't know"), out


def test_docs_qa_with_documents_that_are_none():
    with temporary() as folder:
        docs = pathlib.Path(folder) / "docs"
        docs.mkdir()
        (docs / "good.md").write_text(
            "# Fan\n\nThe colour of the fan is green.\n")
        (docs / "binary.md").write_bytes(bytes(range(256)) * 16)
        (docs / "link.md").symlink_to("/etc/passwd")
        out = expect(run_docs_qa(folder, "What is the colour of the fan?",
                                 DOCS=str(docs)), DONE)
    for part in ("green", "good.md", "binary.md: skipped: binary", "link.md: skipped: symbolic link"):
        assert part in out, out


def test_an_index_that_cannot_be_written():
    with temporary() as folder:
        done = run_docs_qa(folder, "x", INDEX="/proc/no/index.db")
    assert done.returncode not in (DONE, 70), done
    assert b"/proc/no/index.db" in done.stderr, done


def test_streaming_gives_pieces_and_then_the_whole():
    out = expect(tinyphi("run", ROOT / "pipelines/smallest.toml", "--input",
                         "question=Hello!", "--stream", "--json"), DONE)
    *pieces, last = map(json.loads, out.splitlines())
    joined = "".join(p["piece"] for p in pieces)
    assert joined == last["outputs"]["answer"] != "", out


def test_run_names_inputs_that_are_missing_unknown_or_twice():
    file = ROOT / "pipelines/smallest.toml"
    for inputs, part in [([], "question"), (["x=1"], "x"),
                         (["question"], "NAME=TEXT"),
                         (["question=a", "question=b"], "twice")]:
        args = [a for i in inputs for a in ("--input", i)]
        expect(tinyphi("run", file, *args), USAGE, part)


APPROVAL = """tinyphi = 1
input.mail = { type = "text", trust = "untrusted" }
output.sent = { from = "ask.mail", default = "nothing" }
[stage.ask]
use = "approve"
in.mail = "input.mail"
with.ask = "Send it to {{ mail }}?"
"""


def test_a_person_is_asked_at_the_terminal_only():
    with temporary() as folder:
        file = pathlib.Path(folder, "ask.toml")
        file.write_text(APPROVAL)
        args = ("run", file, "-i", "mail=a\x1b[2J\nYes? [y/N] y")
        done = tinyphi(*args)
        assert done.returncode == DONE and done.stdout == b"nothing\n", done
        assert b"--approve ask says yes beforehand" in done.stderr, done
        out = expect(tinyphi(*args, "--json"), DONE, "no terminal")
        (stage,) = json.loads(out)["stages"]
        assert stage["reason"].startswith("denied: there is no terminal"), out
        out = expect(tinyphi(*args, "--approve", "ask"), DONE)
        assert out == "a\x1b[2J\nYes? [y/N] y\n", out
        expect(tinyphi(*args, "--approve", "aks"), USAGE, "did you mean 'ask'?")
        for typed, sent in ((b"y\n", b"a.[2J\nYes? [y/N] y"), (b"\n", b"nothing"),
                            (b"yo\n", b"nothing"), (b"\x04", b"nothing")):
            terminal = Terminal(*args, with_stderr=True)
            terminal.show(lambda shown: shown.endswith(b"[y/N] "), seconds=30)
            asked, terminal.shown = terminal.shown, b""
            assert asked == (
                b"Stage ask asks:\n  | Send it to a.[2J\n  | Yes? [y/N] y?\n"
                b"mail, 18 bytes:\n  | a.[2J\n  | Yes? [y/N] y\nYes? [y/N] "
            ), asked
            terminal.type(typed)
            status, _ = terminal.ended()
            assert status == DONE, terminal.shown
            assert terminal.shown.strip() == sent, (typed, terminal.shown)


def test_a_mail_calls_nobody_without_a_person_or_a_grant():
    asks = ROOT / "pipelines/triage/triage-asks.toml"
    granted = ROOT / "pipelines/triage/triage-granted.toml"
    assert expect(tinyphi("check", asks), DONE) == f"{asks}: ok\n"
    done = tinyphi("check", granted)
    assert done.returncode == DONE and b": note[TP4009]: " in done.stderr, done
    text = granted.read_text()
    text = "".join(line for line in text.splitlines(True)
                   if not line.startswith(("#", "allow.flow")))
    with temporary() as folder:
        wrong = pathlib.Path(folder, "triage.toml")
        wrong.write_text(text)
        said = tinyphi("check", wrong).stderr.decode()
        said = "".join(line for line in said.splitlines(True)
                       if "built-in demo" not in line)
        assert said == (
            f"{wrong}:8:39: error[TP4002]: stage page: has effect net, and untrusted "
            "data decides whether it runs: page.when <- sort.label <- prompt.prompt "
            '<- input.mail; put a person in between (use = "approve") or grant '
            "page.when with a reason in [allow].flow\n"), said
    for file in (asks, granted):
        out = expect(tinyphi("test", file, "--coverage"), DONE)
        assert "FAILED" not in out and "TP5008" not in out, out


def test_records_are_given_as_json_and_keep_to_their_type():
    file = ROOT / "pipelines/order-check/order-check.toml"
    order = {"customer": "Ada", "shipping": "post", "total": 10,
             "lines": [{"article": "AB-1234", "pieces": 5.0, "price": 10}]}
    out = expect(tinyphi("run", file, "--json", "-i",
                         "order=" + json.dumps(order)), DONE)
    assert json.loads(out)["outputs"] == {
        "answer": "Thank you, Ada: 1 lines, 10 in all.", "errors": []}, out
    order["lines"][0]["pieces"] = 501
    expect(tinyphi("run", file, "-i", "order=" + json.dumps(order)), USAGE,
           "input order: /lines/0/pieces: 501 found; at most 500 is allowed "
           "(type.line: /properties/pieces/maximum)")
    expect(tinyphi("run", file, "-i", "order={"), USAGE, "input order: ")


def test_pipeline_files_that_are_not_there():
    for command in ("run", "check", "graph", "plan"):
        expect(tinyphi(command, "/no/such.toml"), NO_INPUT, "/no/such.toml")


def test_check_of_good_files():
    for file in (DOCS_QA, ROOT / "pipelines/smallest.toml"):
        assert expect(tinyphi("check", file), DONE) == f"{file}: ok\n"
        assert expect(tinyphi("check", "--open", file), DONE) == f"{file}: ok\n"


def test_faults_have_file_line_column_and_a_suggestion():
    good = (ROOT / "pipelines/smallest.toml").read_text()
    with temporary() as folder:
        file = pathlib.Path(folder) / "bad.toml"
        for old, new, part in [
                ("with.user", "with.usr", "'user'"),
                ('use = "generate"', 'use = "genrate"', "'generate'"),
                ("generate.text", "generat.text", "'generate.text'"),
                ('"text"', '"txt"', "'text'")]:
            assert old in good, old
            bad = good.replace(old, new)
            file.write_text(bad)
            line = next(i for i, text in enumerate(bad.splitlines(), 1)
                        if new in text)
            for command in ("check", "run", "graph", "plan"):
                done = tinyphi(command, file)
                err = done.stderr.decode()
                assert done.returncode == CONFIG and not done.stdout, done
                assert f"{file}:{line}:" in err and part in err, err
            faults = json.loads(tinyphi("check", "--json", file).stdout)
            assert faults[0]["line"] == line, faults


def test_faults_of_a_library_name_it_and_no_command_prints_a_secret():
    mark = "MARKED-5Yk2"
    good = (ROOT / "pipelines/smallest.toml").read_text()
    assert good.startswith("tinyphi = 1\n"), good
    good = good.replace("\n", '\ninclude = ["lib/shared.toml"]\n', 1)
    secrets = ('tinyphi = 1\n[secret]\na = { env = "MARK" }\n'
               'b = { file = "token" }\n')
    said = b""
    with temporary() as folder:
        file = pathlib.Path(folder) / "p.toml"
        library = pathlib.Path(folder) / "lib/shared.toml"
        library.parent.mkdir()
        (library.parent / "token").write_text(mark)
        for text, shared, part in [
                (good, secrets, None),
                (good.replace('user = "', 'user = "${secret.a}', 1), secrets, "[TP4006]"),
                (good, secrets + "[stage.s]\n", f"{library}:5:2: error[TP1011]"),
                (good, secrets + 'c = { env = 1 }\n', f"{library}:5:13: error[TP1004]")]:
            file.write_text(text)
            library.write_text(shared)
            for args in [("check", file), ("check", "--json", file), ("check", "--open", file),
                         ("graph", file), ("graph", file, "--format", "svg"), ("plan", file),
                         ("test", file), ("run", file, "--input", "question=Why?")]:
                done = tinyphi(*args, env={**os.environ, "MARK": mark})
                assert done.returncode == (CONFIG if part else DONE), (args, done)
                if part and "--json" not in args:
                    assert part in done.stderr.decode(), done
                said += done.stdout + done.stderr
    assert b"secret" in said and mark.encode() not in said, said


def test_codes_are_explained():  # the pages: explain_test.py
    page = expect(tinyphi("explain", "TP2007"), DONE)
    assert page.startswith("TP2007 maybe_absent (error)\n\n"), page
    for code in ("tp2007", "maybe_absent"):
        assert expect(tinyphi("explain", code), DONE) == page
    told = json.loads(expect(tinyphi("explain", "TP2007", "--json"), DONE))
    assert (told["code"], told["name"]) == ("TP2007", "maybe_absent"), told
    assert page.endswith(told["page"]), told
    fails(NO_INPUT, ["explain", "TP207"], "no code 'TP207'", "'TP2007'")
    fails(NO_INPUT, ["explain", "maybe_absnt"], "'maybe_absent'")
    fails(NO_INPUT, ["explain", "what"], "tinyphi explain lists all")
    assert "tinyphi explain TP2007" in expect(tinyphi("check", "--help"), DONE)


def test_graph_in_every_format():
    for form, part in [("text", "stage find"), ("dot", "digraph"),
                       ("mermaid", "flowchart"), ("svg", "find (retrieve.fts)")]:
        out = expect(tinyphi("graph", DOCS_QA, "--format", form), DONE)
        assert part in out, out
    picture = xml.etree.ElementTree.fromstring(out)  # the last: it is XML
    assert picture.get("width").isdigit(), picture.attrib
    fails(USAGE, ["graph", DOCS_QA, "--format", "png"], "png")


def test_tests_of_all_samples_pass_and_reach_everything():
    samples = sorted((ROOT / "pipelines").rglob("*.toml"))
    assert len(samples) > 3, samples
    out = expect(tinyphi("test", "--coverage", *samples), DONE)
    assert out.endswith(" passed, 0 failed\n"), out


def test_a_test_that_fails_says_why_in_every_form():
    good = (ROOT / "pipelines/smallest.toml").read_text()
    bad = good.replace("output.answer == 'Because.'", "output.answer == '<No>'")
    assert bad != good
    with temporary() as folder:
        file = pathlib.Path(folder) / "bad.toml"
        file.write_text(bad)
        junit = pathlib.Path(folder) / "junit.xml"
        done = tinyphi("test", file, "--junit", junit)
        out = done.stdout.decode()
        assert done.returncode == FAILED, done
        assert out.endswith("0 passed, 1 failed\n"), out
        line = next(i for i, text in enumerate(bad.splitlines(), 1)
                    if "'<No>'" in text)
        assert f"{file}:{line}:" in out and "is \"Because.\"" in out, out
        suite = xml.etree.ElementTree.parse(junit).getroot()[0]
        assert suite.get("failures") == "1", suite.attrib
        assert "'<No>' is false" in suite[0][0].text, suite[0][0].text
        (one,) = json.loads(tinyphi("test", "--json", file).stdout)
        assert one["outcome"] == "failed", one
        assert one["problems"][0]["code"] == "TP5004", one
        file.write_text(good.replace("[[test]]", "[[tset]]"))
        assert tinyphi("test", file).returncode == CONFIG


def test_plan_of_a_pipeline_bounds_its_tokens():
    stages = json.loads(expect(tinyphi("plan", "--json", DOCS_QA), DONE))
    by_id = {s["id"]: s for s in stages}
    prompt = by_id["prompt"]
    assert 0 < prompt["prompt_tokens"] + prompt["reserve"] <= prompt["context"]
    assert by_id["generate"]["answer_tokens"] <= prompt["reserve"], stages


def test_plugins_are_listed_and_described():
    names = [line.split("@")[0] for line in
             expect(tinyphi("list"), DONE).splitlines()]
    assert {"ingest", "retrieve.fts", "prompt", "generate",
            "cite.verify"} <= set(names), names
    for name in names:
        assert "effects" in expect(tinyphi("inspect", name), DONE)
        plugin = json.loads(expect(tinyphi("inspect", name, "--json"), DONE))
        assert plugin["id"] == name, plugin
        assert plugin["out"] or plugin["streams"] or plugin["open_out"], plugin


# Times and memory of a program that has sanitizers say nothing; half of this
# program's time. What else they do, test_bench_measures_a_shape and others do.
MEASURING = ["test_bench_goes_through_threads_types_and_depths",
             "test_bench_runs_on_a_target_by_name",
             "test_logits_of_4000_ids_take_less_than_half_of_their_size_in_memory"]


def main():
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    tests = [(name, f) for name, f in globals().items()
             if name.startswith("test_") and part in name]
    if os.environ.get("TINYPHI_SLOW_BUILD"):
        for name in [t[0] for t in tests if t[0] in MEASURING]:
            print(f"skipped {name}: sanitized code is not worth measuring")
        tests = [t for t in tests if t[0] not in MEASURING]
    failed = 0
    for name, test in tests:
        try:
            test()
        except Exception:  # a failing case must not hide the others
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc(limit=-2)}")
        else:
            print(f"ok {name}")
        sys.stdout.flush()
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
