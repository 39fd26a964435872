#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Twenty mistakes of one kind, put to `tinyphi check` and to Haystack's YAML.

Usage: bench/mistakes.py [--tinyphi PROGRAM] [--haystack PYTHON]

PYTHON is the interpreter of an environment with PyPI's haystack-ai; without it
only tinyphi is asked. Both start from one pipeline that searches documents,
fills a prompt and asks a model, and that each accepts. A mistake is

  found  if the pipeline is refused before it runs,
  place  if the line of the mistake is told, or the component that has it,
  cause  if the message has the word that is wrong,
  fix    if it has the word, the bound or the way that would be right.

Prints a table. Exit status 1 if tinyphi misses anything.
"""

import argparse
import dataclasses
import pathlib
import re
import subprocess
import sys
import tempfile

OURS = """\
tinyphi = 1
env.TOP_K       = { type = "int", default = 4, min = 1, max = 32 }
input.question  = { type = "text", max_bytes = 4000 }
output.answer   = { from = "generate.text", default = "" }
[stage]
ingest   = { use = "ingest", with.folder = "docs", with.index = "docs.db" }
find     = { use = "retrieve.fts", in.query = "input.question", in.index = "ingest.index", with.top_k = "${env.TOP_K}" }
generate = { use = "generate", in.prompt = "prompt.prompt", with.max_tokens = 100 }
[stage.prompt]
use         = "prompt"
in.docs     = "find.docs"
with.system = "Answer from the passages."
with.user   = '''
{% for d in docs %}{{ d.text }}
{% endfor %}Question: {{ question }}'''
with.fit    = { docs = 1000, question = 400 }
"""

THEIRS = """\
components:
  find:
    init_parameters:
      document_store:
        init_parameters: {}
        type: haystack.document_stores.in_memory.document_store.InMemoryDocumentStore
      top_k: 4
    type: haystack.components.retrievers.in_memory.bm25_retriever.InMemoryBM25Retriever
  prompt:
    init_parameters:
      required_variables: "*"
      template: |
        {% message role="user" %}
        {% for d in documents %}{{ d.content }}
        {% endfor %}Question: {{ question }}
        {% endmessage %}
    type: haystack.components.builders.chat_prompt_builder.ChatPromptBuilder
  generate:
    init_parameters:
      api_key:
        env_vars:
        - OPENAI_API_KEY
        strict: true
        type: env_var
      generation_kwargs:
        max_tokens: 100
    type: haystack.components.generators.chat.openai.OpenAIChatGenerator
connections:
- receiver: prompt.documents
  sender: find.documents
- receiver: generate.messages
  sender: prompt.prompt
"""

READ = """
import os, sys
os.environ["OPENAI_API_KEY"] = "none"
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
from haystack import Pipeline
try:
    Pipeline.loads(sys.stdin.read())
except BaseException as e:
    print(type(e).__name__ + ": " + str(e))
"""


@dataclasses.dataclass
class Mistake:
    """Each side: (what stands there, what is written instead, the word that is
    wrong, what the fix names). Theirs also has the component."""
    name: str
    ours: tuple
    theirs: tuple


MISTAKES = [
    Mistake("a component of another name",
            ('"retrieve.fts"', '"retrieve.ftss"', "retrieve.ftss",
             "retrieve.fts'"),
            ("InMemoryBM25Retriever", "InMemoryBM25Retreiver",
             "InMemoryBM25Retreiver", "InMemoryBM25Retriever", "find")),
    Mistake("an unknown parameter",
            ("with.top_k", "with.topk", "topk", "top_k"),
            ("top_k:", "topk:", "topk", "top_k", "find")),
    Mistake("a parameter of another type",
            ('"${env.TOP_K}"', '"four"', "a string", "wants int"),
            ("top_k: 4", "top_k: four", "four", "int", "find")),
    Mistake("a parameter out of range",
            ('"${env.TOP_K}"', "0", "is 0", "1 to"),
            ("top_k: 4", "top_k: 0", "0", "greater than 0|> 0|at least 1",
             "find")),
    Mistake("a required parameter is missing",
            ('"ingest", with.folder = "docs"', '"ingest"', "with.folder",
             "must be given"),
            ("""      document_store:
        init_parameters: {}
        type: haystack.document_stores.in_memory.document_store.InMemoryDocumentStore
""", "", "document_store", "document_store", "find")),
    Mistake("a reference to a component that is not there",
            ('"find.docs"', '"fnd.docs"', "fnd.docs", "find.docs"),
            ("sender: find.documents", "sender: fnd.documents", "fnd", "find'",
             "fnd")),
    Mistake("a reference to an output that is not there",
            ('"find.docs"', '"find.dics"', "find.dics", "find.docs"),
            ("sender: find.documents", "sender: find.dicuments", "dicuments",
             "documents", "find")),
    Mistake("an input that is not there",
            ("in.docs ", "in.dics ", "dics", "docs"),
            ("receiver: prompt.documents", "receiver: prompt.dicuments",
             "dicuments", "documents", "prompt")),
    Mistake("types that do not fit",
            ('"prompt.prompt"', '"find.docs"',
             "find.docs is list<document>", "prompt"),
            ("sender: prompt.prompt", "sender: find.documents", "Document",
             "ChatMessage", "generate")),
    Mistake("a misspelt template variable",
            ("{{ question }}", "{{ qestion }}", "qestion", "question"),
            ("{{ question }}", "{{ qestion }}", "qestion", "'question'",
             "prompt")),
    Mistake("a template that is cut short",
            ("{% for d in docs %}", "{% for d in docs }", "%}", "%}"),
            ("{% for d in documents %}", "{% for d in documents }", "}",
             "expected|end of", "prompt")),
    Mistake("an unknown filter",
            ("{{ question }}", "{{ question | uper }}", "uper", "upper"),
            ("{{ question }}", "{{ question | uper }}", "uper", "'upper'",
             "prompt")),
    Mistake("a field that documents do not have",
            ("d.text", "d.txet", "txet", "text"),
            ("d.content", "d.contnet", "contnet", "'content'", "prompt")),
    Mistake("a circle",
            ('in.query = "input.question"', 'in.query = "generate.text"',
             "generate -> |find -> ", "wait for each other"),
            ("""- receiver: generate.messages
""", """- receiver: find.query
  sender: generate.replies
- receiver: generate.messages
""", "find.*generate|generate.*find|cycle", "cycle|loop", "find")),
    Mistake("a component that nothing uses",
            ("[stage]", "[stage]\nmore = { use = \"text.const\", with.text = "
             "\"x {{ question }}\" }", "more", "uses its outputs"),
            ("  generate:\n", """  more:
    init_parameters:
      template: "x {{ question }}"
    type: haystack.components.builders.prompt_builder.PromptBuilder
  generate:
""", "more", "not connected|unused", "more")),
    Mistake("a prompt that can exceed the context",
            ("docs = 1000", "docs = 100000", "worst case", "context"),
            ("top_k: 4", "top_k: 4000", "context", "context", "prompt")),
    Mistake("a misspelt section",
            ("[stage.prompt]", "[stge.prompt]", "stge", "stage"),
            ("connections:", "conections:", "conections", "connections",
             "conections")),
    Mistake("one name twice",
            ("generate = {", "find = {", "find", "twice|defined|exist"),
            ("  generate:\n", "  find:\n", "find", "duplicate|twice", "find")),
    Mistake("an environment variable of another name",
            ("${env.TOP_K}", "${env.TOPK}", "TOPK", "TOP_K"),
            ("- OPENAI_API_KEY", "- OPENAI_API_KYE", "OPENAI_API_KYE",
             "OPENAI_API_KEY|set", "generate")),
    Mistake("a number where none can be",
            ("with.max_tokens = 100", "with.max_tokens = -5", "-5", "1 to"),
            ("max_tokens: 100", "max_tokens: -5", "-5", "at least|positive",
             "generate")),
]


def edited(text, edit):
    old, new = edit[:2]
    if text.count(old) < 1:
        raise SystemExit(f"{old!r} is not in the pipeline")
    place = text.index(old)
    return (text[:place] + new + text[place + len(old):],
            text.count("\n", 0, place) + 1, new.count("\n") + 1)


def ask_tinyphi(program, text, folder):
    path = pathlib.Path(folder, "pipeline.toml")
    path.write_text(text)
    done = subprocess.run([program, "check", path.name], cwd=folder,
                          capture_output=True, text=True, timeout=60,
                          check=False)
    return re.findall(r"^pipeline.toml:(\d+):\d+: (?:error)\[.*?: (.*)$",
                      done.stdout + done.stderr, re.M)


def ask_haystack(python, text):
    done = subprocess.run([python, "-c", READ], input=text,
                          capture_output=True, text=True, timeout=300,
                          check=False)
    return done.stdout.strip() or (done.stderr if done.returncode else "")


def judge_ours(m, faults, first, n_lines):
    if not faults:
        return [False] * 4
    line, message = faults[0]
    _, _, cause, fix = m.ours
    component = m.theirs[4]
    return [True,
            first <= int(line) < first + n_lines or
            f"stage {component}:" in message,
            bool(re.search(cause if "|" in cause else re.escape(cause),
                           message)),
            bool(re.search(fix if "|" in fix else re.escape(fix), message))]


def judge_theirs(m, message):
    if not message:
        return [False] * 4
    _, _, cause, fix, component = m.theirs
    return [True, component in message,
            bool(re.search(cause, message)), bool(re.search(fix, message))]


def main():
    parser = argparse.ArgumentParser(
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__)
    parser.add_argument("--tinyphi", default="build/tools/tinyphi",
                        type=lambda p: str(pathlib.Path(p).resolve()))
    parser.add_argument("--haystack", metavar="PYTHON")
    parser.add_argument("--messages", action="store_true",
                        help="print what each said, too")
    o = parser.parse_args()
    marks = {True: "yes", False: "no"}
    totals = [0] * 8
    with tempfile.TemporaryDirectory(prefix="tinyphi-mistakes-") as folder:
        base = ask_tinyphi(o.tinyphi, OURS, folder)
        if base:
            raise SystemExit(f"tinyphi refuses the right pipeline: {base}")
        if o.haystack and (said := ask_haystack(o.haystack, THEIRS)):
            raise SystemExit(f"Haystack refuses the right pipeline: {said}")
        head = "| mistake | found | place | cause | fix |"
        print(head + (" Haystack: found | place | cause | fix |"
                      if o.haystack else ""))
        print("|---" * (head.count("|") - 1 + 4 * bool(o.haystack)) + "|")
        for m in MISTAKES:
            text, first, n_lines = edited(OURS, m.ours)
            faults = ask_tinyphi(o.tinyphi, text, folder)
            row = judge_ours(m, faults, first, n_lines)
            said = ""
            if o.haystack:
                said = ask_haystack(o.haystack, edited(THEIRS, m.theirs)[0])
                row += judge_theirs(m, said)
            for i, good in enumerate(row):
                totals[i] += good
            print(f"| {m.name} | " + " | ".join(marks[x] for x in row) + " |")
            if o.messages:
                print("    ours:  ", *[f"{at}: {text}" for at, text in faults],
                      sep="\n      ")
                print("    theirs:", said[:600].replace("\n", "\n      "))
    n = len(MISTAKES)
    print("| **of " + str(n) + "** | " + " | ".join(
        str(t) for t in totals[:8 if o.haystack else 4]) + " |")
    return totals[:4] != [n] * 4


if __name__ == "__main__":
    sys.exit(main())
