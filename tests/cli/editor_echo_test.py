#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Commands for people who write pipeline files: `tinyphi new` and `tinyphi echo`.

Usage: editor_echo_test.py TINYPHI SOURCE_ROOT [PART OF A NAME]

The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

PROGRAM = os.path.abspath(sys.argv[1])
ROOT = pathlib.Path(sys.argv[2]).resolve()
# What a page's right file calls or reads is not there.
PAGES_WITHOUT_FILES = {"TP4004", "TP5009"}
KINDS = ["agent", "ask", "batch", "chat", "classify", "docs"]


def tinyphi(*args, folder=None, env=None):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True,
                          timeout=240, check=False, text=True,
                          env={**os.environ, **(env or {})})


def right(*args, **rest):
    done = tinyphi(*args, **rest)
    assert done.returncode == 0, (args, done.returncode, done.stdout, done.stderr)
    return done


def last_line(done):
    return done.stdout.splitlines()[-1]


def check_echo(path, folder):
    """The echo of a file of `folder` in its place: checks, is its own echo, and
    passes the same tests."""
    echoed = right("echo", path.name, folder=folder).stdout
    tests = tinyphi("test", path.name, folder=folder)
    before = right("check", path.name, folder=folder).stderr
    path.write_text(echoed)
    after = right("check", path.name, folder=folder).stderr
    codes = [re.findall(r"\[TP\d+\]", said) for said in (before, after)]
    assert codes[0] == codes[1], (before, after, echoed)
    assert right("echo", path.name, folder=folder).stdout == echoed
    again = tinyphi("test", path.name, folder=folder)
    assert (again.returncode, last_line(again)) == (
        tests.returncode, last_line(tests)), (tests, again, echoed)
    assert not re.search(r"^\s*#", echoed, re.M) or "'''" in echoed, echoed
    return last_line(tests)


def samples_are_echoed():
    tested = 0
    files = sorted((ROOT / "pipelines").rglob("*.toml"))
    for sample in files:
        with tempfile.TemporaryDirectory(prefix="tinyphi-echo-") as temporary:
            folder = pathlib.Path(temporary, "copy")
            shutil.copytree(sample.parent, folder,
                            ignore=shutil.ignore_patterns("*.gguf", "*.db"))
            said = check_echo(folder / sample.name, folder)
            assert re.fullmatch(r"\d+ passed, 0 failed", said), (sample, said)
            tested += int(said.split()[0])
    assert len(files) >= 14 and tested >= 25, (files, tested)


def right_files_of_explain_are_echoed():
    n = 0
    for page in sorted((ROOT / "tools/explain").glob("*.md")):
        files = re.findall(r"^```toml right\n((?:.*\n)*?)```$",
                           page.read_text(), re.M)
        if page.stem in PAGES_WITHOUT_FILES or not files:
            continue
        with tempfile.TemporaryDirectory(prefix="tinyphi-echo-") as folder:
            path = pathlib.Path(folder, "right.toml")
            path.write_text(files[0])
            try:
                check_echo(path, folder)
            except AssertionError as e:
                raise AssertionError(f"{page.stem}: {e}") from e
        n += 1
    assert n >= 60, n


def an_echo_has_what_holds():
    with tempfile.TemporaryDirectory(prefix="tinyphi-echo-") as folder:
        shutil.copytree(ROOT / "pipelines/docs-qa", pathlib.Path(folder, "q"))
        path = os.path.join(folder, "q/docs-qa.toml")
        text = right("echo", path, env={"TOP_K": "3"}).stdout
        for line in ["use = \"generate@1\"", "in.prompt = \"prompt.prompt\"",
                     "with.max_tokens = 300", "with.temperature = 0.0",
                     "with.top_k = 3", "with.folder = \"docs\""]:
            assert f"\n{line}\n" in text, (line, text)
        assert "[env" not in text and "#" not in re.sub("m#1", "", text), text
        told = json.loads(right("echo", "--json", path, env={"TOP_K": "3"}).stdout)
        assert told == {"file": path, "text": text}, told


def secrets_stay_names():
    with tempfile.TemporaryDirectory(prefix="tinyphi-echo-") as folder:
        path = pathlib.Path(folder, "a.toml")
        path.write_text("""tinyphi = 1
env.TOKEN = { type = "text", default = "" }
secret.key = { env = "TOKEN" }
allow.net = ["a.example"]
output.text = "get.text"
[stage.get]
use = "http.fetch"
with.url = "https://a.example/"
with.headers = { Authorization = "${secret.key}", Other = "${env.TOKEN}" }
""")
        done = right("echo", "a.toml", folder=folder, env={"TOKEN": "hush-hush"})
        assert "hush" not in done.stdout + done.stderr, done
        assert "${secret.key}" in done.stdout, done.stdout
        assert "${env.TOKEN}" in done.stdout, done.stdout


def faults_are_told_instead():
    with tempfile.TemporaryDirectory(prefix="tinyphi-echo-") as folder:
        path = pathlib.Path(folder, "a.toml")
        path.write_text("tinyphi = 1\noutput.a = \"b.text\"\n")
        checked = tinyphi("check", "a.toml", folder=folder)
        done = tinyphi("echo", "a.toml", folder=folder)
        assert (done.returncode, done.stdout) == (78, ""), done
        assert done.stderr == checked.stderr, (done, checked)
        done = tinyphi("echo", "--json", "a.toml", folder=folder)
        assert done.returncode == 78 and json.loads(done.stdout), done
        done = tinyphi("echo", "none.toml", folder=folder)
        assert done.returncode == 66 and "none.toml" in done.stderr, done


def new_pipelines_work():
    assert " ".join(KINDS) == " ".join(re.findall(
        r"^  (\w+)  +(?:a|each|answers) ", right("new", "--help").stdout, re.M))
    for kind in KINDS:
        with tempfile.TemporaryDirectory(prefix="tinyphi-new-") as folder:
            said = right("new", kind, "it's mine", folder=folder).stdout
            assert f"wrote it's mine/it's mine.toml\n" in said, said
            wrote = re.findall(r"^wrote (.*)$", said, re.M)
            there = [str(p.relative_to(folder)) for p in
                     pathlib.Path(folder).rglob("*") if p.is_file()]
            assert sorted(wrote) == sorted(there), (wrote, there)
            pipelines = [name for name in wrote if name.endswith(".toml")]
            right("check", "--deny-warnings", *pipelines, folder=folder)
            for name in pipelines:
                tests = right("test", "--coverage", name, folder=folder)
                assert re.search(r"^[1-9]\d* passed, 0 failed$",
                                 last_line(tests)), tests
                path = pathlib.Path(folder, name)
                before = path.read_text()
                check_echo(path, path.parent)
                path.write_text(before)
            following = said.split("Next:\n")[1].splitlines()
            assert len(following) == 2, said
            for command in following:
                words = shlex.split(command)
                assert words.pop(0) == "tinyphi", words
                right(*words, folder=folder)


def new_says_json():
    with tempfile.TemporaryDirectory(prefix="tinyphi-new-") as folder:
        told = json.loads(right("new", "docs", "--json", folder=folder).stdout)
        assert told["files"] == ["docs/docs.toml", "docs/docs/machine.md"], told
        assert told["next"][0] == "tinyphi test docs/docs.toml", told


def nothing_is_overwritten():
    with tempfile.TemporaryDirectory(prefix="tinyphi-new-") as temporary:
        folder = pathlib.Path(temporary)
        for name in ["file", "folder/", "link"]:
            (folder / "file").write_text("mine")
            (folder / "folder").mkdir(exist_ok=True)
            if name == "link":
                (folder / "link").symlink_to("nowhere")
            before = sorted(folder.rglob("*"))
            done = tinyphi("new", "ask", name, folder=folder)
            assert done.returncode != 0 and done.stdout == "", done
            assert name.strip("/") in done.stderr, done
            assert sorted(folder.rglob("*")) == before
            assert (folder / "file").read_text() == "mine"


def wrong_names_are_refused():
    with tempfile.TemporaryDirectory(prefix="tinyphi-new-") as folder:
        for args, status, said in [
                (["aks"], 64, "did you mean 'ask'?"),
                (["robot"], 64, "there are agent, ask, batch, chat, classify, docs"),
                ([], 64, "kind is required"),
                (["ask", ".."], 64, "is no name of a new folder"),
                (["ask", "a/.."], 64, "is no name of a new folder"),
                (["ask", "a\nb"], 64, "is no name of a new folder"),
                (["ask", "none/b"], 66, "none/b: No such file"),
                (["ask", "x" * 300], 69, "too long")]:
            done = tinyphi("new", *args, folder=folder)
            assert done.returncode == status and said in done.stderr, (args, done)
            assert done.stdout == "" and os.listdir(folder) == [], (args, done)


def half_a_pipeline_is_not_left():
    with tempfile.TemporaryDirectory(prefix="tinyphi-new-") as folder:
        # The folder's name is short enough, that of the file in it is not.
        done = tinyphi("new", "ask", "x" * 252, folder=folder)
        assert done.returncode == 69 and "too long" in done.stderr, done
        assert os.listdir(folder) == [], os.listdir(folder)


CASES = [samples_are_echoed, right_files_of_explain_are_echoed,
         an_echo_has_what_holds, secrets_stay_names, faults_are_told_instead,
         new_pipelines_work, new_says_json, nothing_is_overwritten,
         wrong_names_are_refused, half_a_pipeline_is_not_left]


def main():
    passed = failed = 0
    part = sys.argv[3] if len(sys.argv) > 3 else ""
    for case in CASES:
        if part not in case.__name__:
            continue
        name = case.__name__.replace("_", " ")
        try:
            case()
            passed += 1
            print(f"ok {name}")
        except Exception as e:  # a failing case must not hide the others
            failed += 1
            print(f"FAILED {name}\n{type(e).__name__}: {e}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
