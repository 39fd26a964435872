#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bench/serve_load.py computes and reads, beside a server made here that
answers as it is told; and tools/bench --serve on the daemon itself.

Usage: serve_load_test.py TINYPHI SOURCE_ROOT [NAME_PART]

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import asyncio
import json
import pathlib
import runpy
import subprocess
import sys
import tempfile
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
ROOT = pathlib.Path(sys.argv[2]).resolve()
sys.path.insert(0, str(ROOT / "bench"))
sys.dont_write_bytecode = True

from engines import Failed  # noqa: E402
import serve_client  # noqa: E402
import serve_load  # noqa: E402
import serve_process  # noqa: E402
import serve_table  # noqa: E402
from serve_client import Body, Events, Stream, Target, parse_head  # noqa: E402
from serve_load import Row, jain, metric, percentile  # noqa: E402


def fails(f, *args):
    """What a call complains of."""
    try:
        f(*args)
    except Failed as e:
        return str(e)
    raise AssertionError(f"{f} took {args}")


def pieces(data, n):
    return [data[i:i + n] for i in range(0, len(data), n)]


def event(text=None, **more):
    choices = [{"text": text, "finish_reason": more.pop("finish", None)}]
    return b"data: " + json.dumps({"choices": choices, **more}).encode() + \
        b"\n\n"


class Fake:
    """A server that sends these parts, each after a pause, and notes what it
    was sent."""

    def __init__(self, *parts, pause=0.0):
        self.parts, self.pause, self.seen = parts, pause, []

    async def answer(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((int(line.split(b":")[1]) for line in head.split(
                b"\r\n") if line.lower().startswith(b"content-length")), 0)
            self.seen.append(head + await reader.readexactly(size))
            for part in self.parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(self.pause)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def within(self, f):
        """What f gives of a Target that is this server."""
        async def run():
            server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
            async with server:
                port = server.sockets[0].getsockname()[1]
                return await asyncio.wait_for(f(Target(port, "secret")), 20)
        return asyncio.run(run())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def test_a_percentile_is_one_of_the_values():
    values = list(range(1, 101))
    assert percentile(values, 99) == 99
    assert percentile(values, 50) == 50
    assert percentile(values[::-1], 100) == 100
    assert percentile([7], 1) == percentile([7], 99) == 7
    assert "nothing" in fails(percentile, [], 99)


def test_fairness_is_1_for_equal_shares_and_1_in_n_for_one_who_has_all():
    assert jain([3, 3, 3]) == 1
    assert abs(jain([5, 0]) - 0.5) < 1e-12
    assert abs(jain([1, 2]) - 0.9) < 1e-12
    assert jain([0, 0]) == 1


def test_a_metric_is_the_sum_of_the_samples_with_the_labels():
    text = ("# TYPE a gauge\na{m=\"x\",state=\"used\"} 3\n"
            "a{m=\"y\",state=\"used\"} 4\na{m=\"y\",state=\"free\"} 50\n"
            "ab{state=\"used\"} 600\n")
    assert metric(text, "a", state="used") == 7
    assert metric(text, "a", state="used", m="y") == 4
    assert metric(text, "a", state="lost") is None


def test_a_row_is_reached_by_its_own_must_and_by_the_peers():
    most = Row(2, "gap", "x", "", must=300)
    assert most.reached(300) and most.reached(301) is False
    assert most.reached(None) is None
    least = Row(1, "together", "x", "", at_least=True, peer=1.5)
    assert least.reached(15, 10) and least.reached(14.9, 10) is False
    assert least.reached(15) is None and least.reached(15, 0) is None
    keys = [(row.case, row.key) for row in serve_load.ROWS]
    assert len(keys) == len(set(keys))
    assert {c for c, _ in keys} == {*serve_load.CASES, "restart"}


def test_a_body_is_read_in_pieces_of_any_size():
    chunked = b"4;x=y\r\nWiki\r\nA\r\n0123456789\r\n0\r\n\r\n"
    for n in range(1, len(chunked) + 1):
        body = Body({"transfer-encoding": "chunked"})
        parts = [body.feed(p) for p in pieces(chunked, n) if not body.ended]
        assert b"".join(parts) == b"Wiki0123456789" and body.ended, n
    body = Body({"content-length": "5"})
    assert body.feed(b"abc") == b"abc" and not body.ended
    assert body.feed(b"defg") == b"de" and body.ended
    body = Body({})
    assert body.feed(b"abc") == b"abc" and not body.ended
    assert body.feed(b"") == b"" and body.ended
    assert Body({"content-length": "0"}).ended


def test_a_body_that_is_none_is_said_to_be():
    for data in (b"zz\r\n", b"-1\r\n", b"2\r\nabc\r\n", b"x" * 101,
                 b"fffffffff\r\n"):
        assert fails(Body({"transfer-encoding": "chunked"}).feed, data)
    body = Body({"content-length": "5"})
    body.feed(b"abc")
    assert "ended" in fails(body.feed, b"")
    body = Body({"transfer-encoding": "chunked"})
    assert "ended" in fails(body.feed, b"")
    assert "length" in fails(Body, {"content-length": "many"})


def test_events_are_read_whole_whatever_pieces_they_come_in():
    data = (b": a comment\n\ndata: one\n\ndata:two\r\n\r\n"
            b"event: x\ndata: a\ndata: b\nid: 4\n\ndata: cut")
    for n in range(1, len(data) + 1):
        events = Events()
        found = [e for p in pieces(data, n) for e in events.feed(p)]
        assert found == [b"one", b"two", b"a\nb"], (n, found)


def test_the_head_of_an_answer_is_read():
    assert parse_head(b"HTTP/1.1 503 Service Unavailable\r\nA-b: C\r\n\r\n") \
        == (503, {"a-b": "c"})
    for bad in (b"SSH-2.0\r\n\r\n", b"HTTP/1.1\r\n\r\n",
                b"HTTP/1.1 ok\r\n\r\n"):
        assert fails(parse_head, bad)


def test_a_stream_counts_pieces_with_text_and_the_gaps_between():
    s = Stream()
    for at, data in ((1.0, {"choices": [{"delta": {"role": "assistant",
                                                   "content": None}}]}),
                     (2.0, {"choices": [{"delta": {"content": "a"}}]}),
                     (3.5, {"choices": [{"text": "b"}]}),
                     (4.0, {"choices": [{"text": "",
                                         "finish_reason": "length"}]}),
                     (5.0, {"choices": [], "usage": {
                         "completion_tokens": 9, "prompt_tokens_details": {
                             "cached_tokens": 4}}})):
        s.take(json.dumps(data).encode(), at)
    s.sent = 0.5
    assert (s.first, s.tokens, s.cached, s.finish) == (1.5, 9, 4, "length")
    assert s.gaps() == [1.5] and s.gaps(3.6) == [] and s.gaps(0, 2.0) == []
    assert not s.done
    s.take(b"[DONE]", 6.0)
    assert s.done
    assert "busy" in fails(s.take, b'{"error": {"message": "busy"}}', 7.0)
    assert "JSON" in fails(s.take, b"{", 7.0)
    assert "without text" in fails(lambda: Stream().first)


def test_a_stream_is_timed_at_the_client():
    fake = Fake(HEAD, event("a"), event("b"), event("c", finish="stop"),
                b'data: {"choices": [], "usage": {"completion_tokens": 3}}\n\n'
                b"data: [DONE]\n\n", pause=0.05)
    s = fake.within(lambda t: serve_client.stream(t, {"prompt": [1]}))
    assert len(s.times) == 3 and s.tokens == 3 and s.done
    assert s.finish == "stop" and s.first >= 0.04
    assert all(0.04 <= g < 1 for g in s.gaps()), s.gaps()
    head, _, body = fake.seen[0].partition(b"\r\n\r\n")
    assert b"Authorization: Bearer secret" in head
    assert json.loads(body) == {"prompt": [1], "stream": True,
                                "stream_options": {"include_usage": True}}


def test_refusals_and_broken_answers_are_told():
    def asked(*parts):
        return fails(lambda: Fake(*parts).within(
            lambda t: serve_client.stream(t, {})))
    assert "503" in asked(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy")
    assert "no answer" in asked()
    assert "ended" in asked(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
                            b"\r\n\r\n5\r\nab")
    assert "gone" in asked(HEAD, b'data: {"error": "gone"}\n\n')


def test_a_probe_counts_what_it_loses():
    async def four(target):
        probe = serve_load.Probe(target, "/health")
        for _ in range(2):
            await probe.once()
        return probe
    good = Fake(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    probe = good.within(four)
    assert (len(probe.seconds), probe.lost) == (2, 0)
    probe = Fake(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").within(four)
    assert (len(probe.seconds), probe.lost) == (0, 2)


def test_a_process_is_read_from_proc():
    with subprocess.Popen([sys.executable, "-c", "x = bytearray(30 << 20)\n"
                           "for _ in range(3000000): pass\nprint()\ninput()"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        proc = serve_process.Process(p.pid)
        assert proc.private_dirty() > 30 << 20 and proc.resident() > 30 << 20
        assert proc.ticks() >= 1 and proc.io_seconds() > 0.01
        assert proc.wake_ups() >= 0 and proc.tasks() == [p.pid]
        p.communicate(b"\n")
    assert "gone" in fails(serve_process.Process(p.pid).ticks)


def test_the_table_has_both_columns_and_says_what_was_missed():
    class Found(serve_table.Both):
        def makers(self):
            return {"tinyphi": None, "peer": None}
    both = Found(None, None, serve_load.Options())
    both.found = {"tinyphi": {"tokens_per_s": [10, 30, 20],
                              "health_p99_ms": [11]},
                  "peer": {"tokens_per_s": [10], "health_p99_ms": [12]}}
    both.failed = {"peer": {"cancel": "left"}}
    table = {row[1]: row for row in serve_table.lines(both, ["together",
                                                             "cancel"])}
    assert table["clients at once"][2:] == [
        "20 tokens/s", "10 tokens/s", "≥ 1.5× the peer's", "yes"]
    assert table["99th percentile of /health"][2:] == [
        "11 ms", "12 ms", "≤ 10", "**no**"]
    assert table["leaving within a prompt, until it ends"][2:] == [
        "–", "failed", "≤ 100", ""]


def test_no_round_and_no_case_asks_what_a_cache_knows():
    load = serve_load.Options()
    other = serve_load.dataclasses.replace(load, seed=2)
    first = [tuple(serve_load.Prompts(case, o).ids(8)[:2])
             for case in serve_load.CASES for o in (load, other)]
    assert len(set(first)) == len(first)
    assert serve_load.Prompts("gap", load).ids(9) == \
        serve_load.Prompts("gap", load).ids(9)
    seeds = []

    class Once(serve_table.Both):
        def makers(self):
            return {"tinyphi": None}

        def one(self, case, name, make, seed):
            seeds.append(seed)
            return {}
    Once(serve_load.dataclasses.make_dataclass("O", [("rounds", int)])(3),
         None, load).measure(["gap"], lambda text: None)
    assert seeds == [1, 2, 3], seeds


def test_the_suite_is_judged_by_its_list():
    judge = runpy.run_path(str(ROOT / "tools/llama_server_suite"))["judge"]
    found = {"a.py::x": ("passed", ""), "a.py::y[1]": ("failed", "no"),
             "a.py::z": ("skipped", "option")}
    lines, good, bad = judge(found, ["a.py::x"], {"a.py::y*": "because"})
    assert (good, bad) == (1, 0), lines
    assert lines == ["ok a.py::x", "skipped a.py::y[1]: because",
                     "skipped a.py::z: option"]
    for must, exceptions, why in (
            (["a.py::x", "a.py::y[1]"], {}, "y[1]: failed: no"),
            (["a.py::x", "a.py::gone"], {"*": "r"}, "gone: not run"),
            (["a.py::x"], {}, "neither passes nor is an exception"),
            ([], {"*": "because"}, "passes, but is not in the list")):
        lines, _, bad = judge(found, must, exceptions)
        assert bad >= 1, must
        assert any(line.startswith("FAILED") and why in line
                   for line in lines), (lines, why)


def test_the_shim_says_what_the_daemon_says(folder):
    shim = runpy.run_path(str(ROOT / "tests/serve/llama_server/shim"))
    options = shim["parse"](["--host", "127.0.0.1,::1", "--port", "99",
                             "--api-key", "k", "--alias", "m,n", "--metrics",
                             "--parallel", "2", "--temp", "0.8"])
    found = tomllib.loads(shim["config"](options, folder))
    assert found["serve"]["listen"] == ["127.0.0.1:99", "[::1]:99"]
    assert found["serve"]["metrics"] == {"compat": ["llamacpp"]}
    assert found["model"]["m"] == {"aliases": ["n", "*"], "sequences": 2}
    assert (folder / "keys.toml").stat().st_mode & 0o777 == 0o600
    done = subprocess.run([ROOT / "tests/serve/llama_server/shim", "--lora",
                           "x"], check=False, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 64 and "--lora" in done.stderr, done


LESS = ("clients=2,tokens=64,prompt=8,long_prompt=600,beside=2,cached=60,new=9,"
        "tries=2,cancels=3,probes=5,queued=4,idle=20,slow=10,storm=8")


def test_the_daemon_is_measured(folder):
    """All cases but `idle`, which waits."""
    report = folder / "report.json"
    cases = [c for c in dict.fromkeys(r.case for r in serve_load.ROWS)
             if c != "idle"]
    done = subprocess.run(
        [sys.executable, ROOT / "tools/bench", "--serve", "--demo", "--tinyphi",
         PROGRAM, "--rounds", "2", "--serve-at-most", LESS, "--json", report,
         *(w for c in cases for w in ("--only", c))],
        check=False, capture_output=True, text=True, timeout=240)
    assert done.returncode in (0, 1) and not done.stderr, done
    found = json.loads(report.read_text())
    assert found["failed"] == {}, found["failed"]
    ours = found["found"]["tinyphi"]
    for row in serve_load.ROWS:
        if row.case in cases:
            assert 1 <= len(ours[row.key]) <= 2, row
    assert ours["tokens_per_s"][0] > 10 and ours["io_us_per_token"][0] > 0
    assert ours["prefix_exact"] == [1, 1] and ours["drain_cut"] == [0]
    assert ours["restart_cached"][0] >= 59 and ours["probes_lost"] == [0, 0]


def test_wrong_options_are_told(folder):
    for args, why in ((["--serve-at-most", "klients=3"], "klients"),
                      (["--serve-at-most", "clients=0"], "must be a count"),
                      (["--peer", "x", "--demo"], "--demo has no file")):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/bench", "--serve", "--tinyphi",
             PROGRAM, *args], check=False, capture_output=True, text=True,
            timeout=60)
        assert done.returncode != 0 and why in done.stderr, (args, done)


if __name__ == "__main__":
    sys.exit(cases.run(globals(), part=sys.argv[3] if len(sys.argv) > 3 else ""))
