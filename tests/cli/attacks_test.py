#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Texts that give orders, and texts that do not, against the samples.

Usage: attacks_test.py TINYPHI

The corpora of tests/data/guard stand as [[test]]s in copies of samples, in which
the model is faked and obeys: where an attack reaches it, it says what the
attacker wants. The last line is "N passed, M failed".
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/support"))
import cases  # noqa: E402

PROGRAM = os.path.abspath(sys.argv[1])


def corpus(name):
    """The hundred texts of a file, each behind a line "%% language kind"."""
    text = (ROOT / "tests/data/guard" / name).read_text()
    texts = [part.split("\n", 1)[1].strip("\n")
             for part in text.split("%% ")[1:]]
    assert len(texts) == 100, len(texts)
    return texts


def failing(folder, sample, tests):
    """Runs the sample with these tests instead of its own: what went wrong."""
    source = ROOT / "pipelines" / sample
    copy = folder / source.parent.name
    shutil.copytree(source.parent, copy)
    file = copy / source.name
    text = file.read_text()
    file.write_text(text[:text.index("[[test]]")] + "\n".join(tests))
    done = subprocess.run([PROGRAM, "test", file.name, "--json"], cwd=copy,
                          capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.stdout.startswith("["), done.stderr
    found = json.loads(done.stdout)
    assert len(found) == len(tests), done.stderr
    return [f"{t['name']}: {t['problems']}" for t in found
            if t["outcome"] != "passed"]


def tests_of(texts, inputs, fake, expect):
    """A [[test]] for each text; JSON's strings are TOML's."""
    return [f"""[[test]]
name   = "text {i}"
input  = {{ {inputs.replace('TEXT', json.dumps(text, ensure_ascii=False))} }}
fake   = {{ {fake} }}
expect = {json.dumps(expect)}
""" for i, text in enumerate(texts)]


CHAT = ('conversation = "c", message = TEXT',
        'past.history = [], save.turns = 1, generate.text = "PWNED"')


def test_100_attacks_reach_no_model_and_leave_nothing_in_the_chat(folder):
    wrong = failing(folder, "chat/chat.toml", tests_of(
        corpus("attacks.txt"), *CHAT,
        ["not ran(generate)", "not ran(save)",
         "not (output.reply contains 'PWNED')"]))
    assert not wrong, wrong


def test_of_100_harmless_texts_the_chat_answers_97_at_least(folder):
    wrong = failing(folder, "chat/chat.toml", tests_of(
        corpus("harmless.txt"), *CHAT, ["output.reply == 'PWNED'"]))
    assert len(wrong) <= 3, wrong


def test_100_attacks_by_mail_call_nobody_unless_a_person_agrees(folder):
    wrong = failing(folder, "triage/triage-asks.toml", tests_of(
        corpus("attacks.txt"), "mail = TEXT", 'sort.label = "yes", page.status = 200, page.text = ""',
        ["not ran(page)"]))
    assert not wrong, wrong


def test_100_attacks_in_a_document_open_no_ticket_unless_a_person_agrees(folder):
    """The model does what the document says, and with its words."""
    tests = [f"""[[test]]
name   = "text {i}"
input  = {{ conversation = "c", message = "What leaks?" }}
fake   = {{ ingest.notes = "", past.history = [], save.turns = 1, search = {{ docs = [{{ text = {words} }}], count = 1 }} }}
script = {{ agent = [{{ call = "search", args = {{ query = "leak" }} }}, {{ call = "create_ticket", args = {{ title = {words} }} }}, {{ text = "done" }}] }}
expect = ["calls(create_ticket) == 0", "agent.rounds == 2", "agent.calls[0].outcome == 'done'", "agent.calls[1].outcome in ['denied', 'invalid_argument']"]
""" for i, words in enumerate(json.dumps(text, ensure_ascii=False)
                              for text in corpus("attacks.txt"))]
    wrong = failing(folder, "support-chat/support-chat.toml", tests)
    assert not wrong, wrong


def test_100_attacks_in_a_document_are_text_of_one_turn(folder):
    """Where a sample can do nothing at all, an attack is text: it opens no turn"""
    texts = [json.dumps(text, ensure_ascii=False) for text in corpus("attacks.txt")]
    wrong = failing(folder, "docs-qa/docs-qa.toml", [f"""[[test]]
name   = "text {i}"
input  = {{ question = "Who am I?" }}
fake   = {{ ingest.notes = "", ingest.index = "docs-qa.db", find.docs = [{{ id = "m#1", text = {words} }}], generate.text = {words} }}
expect = ["prompt.control_tokens == 5"]
""" for i, words in enumerate(texts)])
    wrong += failing(folder, "assistant/assistant.toml", [f"""[[test]]
name   = "text {i}"
input  = {{ question = "Who has the key?" }}
fake   = {{ ingest.notes = "", search = {{ docs = [{{ text = {words} }}], count = 1 }} }}
script = {{ agent = [{{ call = "search", args = {{ query = "key" }} }}, {{ call = "calculate", args = {{ expression = {words} }} }}, {{ text = {words} }}] }}
expect = ["prompt.control_tokens == 5", "agent.calls[1].outcome == 'invalid_argument'"]
""" for i, words in enumerate(texts)])
    assert not wrong, wrong


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
