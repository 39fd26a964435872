#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which questions of pipelines/docs-qa the demo model was trained for.

The templates of make_corpus.py are read as patterns: states, units and the
like stand for the words of its lists, verbs for any word where the rest of a
template tells enough, nouns and names for one to three words. A question belongs
to the group

- trained: if its fact and its own form each match a template;
- fresh: if its fact, a sentence of the documents, matches none;
- paraphrased: if its fact matches one, and its own form none;
- near, far: if the documents do not answer it.

Prints each question that stands in another group, and exits with 1 then.
"""

import ast
import json
import pathlib
import re
import sys

import make_corpus as corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCS = ROOT / "pipelines/docs-qa"


def one_of(words):
    return "(?:" + "|".join(re.escape(w) for w in words) + ")"


ANY = r"\S+(?: \S+){0,2}"
NUMBER = rf"(?:[\d.]+|{one_of(corpus.NUMW)})"
TIMES = one_of(["morning", "evening", "night", "spring", "Monday", "Friday"])
UNIT = one_of(corpus.UNIT)
# What stands in the braces of the templates.
FIELDS = {
    "n": r"\S+(?: \S+)?",
    "o": r"\S+(?: \S+)?",
    "v": r"\S+",
    "v2": r"\S+",
    "at": rf"(?:\S+ )?{one_of(corpus.ATTR)}",
    "st": one_of(corpus.STATE),
    "stuff": one_of(corpus.STUFF),
    "role": one_of(corpus.ROLE),
    "folk": one_of(corpus.FOLK),
    "num": NUMBER,
    "num2": NUMBER,
    "number(rng)": NUMBER,
    "u": UNIT,
    "q": rf"{NUMBER} \S+",
    "how": rf"(?:once a {UNIT}|twice a {UNIT}|every {NUMBER} {UNIT}s|every {UNIT}"
    rf"|(?:each|every) {TIMES}|after every {ANY})",
    "code": rf"(?:error E\d+|code \d+|an? {one_of(corpus.COLORS)} light"
    rf"|the {one_of(corpus.ADJ)} sign|status \d)",
    "a[0]": one_of(v for v, _ in corpus.VERB_DO),
    "a[1]": one_of(v for _, v in corpus.VERB_DO),
    "b[0]": one_of(v for v, _ in corpus.VERB_USE),
    "b[1]": one_of(v for _, v in corpus.VERB_USE),
    "act": rf"{one_of(v for v, _ in corpus.VERB_DO)} {ANY}",
}


def field(node, function, is_fact):
    """The regular expression of what stands in braces in a template there."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name == "cap":
            return field(node.args[0], function, is_fact)
        if name == "several":
            return r"\S+(?: \S+)*"
        if name == "rng.randint":
            return r"\d+"
        if name == "pick":
            try:
                return one_of(ast.literal_eval(node.args[1]))
            except ValueError:
                listed = getattr(corpus, ast.unparse(node.args[1]), None)
                return one_of(listed) if listed else ANY
    if (function, ast.unparse(node)) == ("fact", "v"):
        return ANY  # a value, and no verb
    if is_fact and ast.unparse(node) == "s":
        return r"\S+(?: \S+){0,4}"  # "the pressure of the pump"
    return FIELDS.get(ast.unparse(node), ANY)


def pattern(node, function, is_fact):
    """The regular expression of a string or f-string of make_corpus.py."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    text = "".join(
        (
            re.escape(p.value)
            if isinstance(p, ast.Constant)
            else field(p.value, function, is_fact)
        )
        for p in parts
    )
    return re.compile(text.replace("seconds", "seconds?"), re.IGNORECASE)


def is_text(node):
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def templates():
    """The patterns of facts and of questions: lambda: (fact, [question, ...])."""
    facts, questions = [], []
    tree = ast.parse((ROOT / "tools/demo_model/make_corpus.py").read_text())
    for function in tree.body:
        for node in ast.walk(function):
            if not isinstance(node, ast.Lambda) or not isinstance(node.body, ast.Tuple):
                continue
            fact, asked = node.body.elts
            either = isinstance(fact, ast.IfExp)
            for f in [fact.body, fact.orelse] if either else [fact]:
                facts.append(pattern(f, function.name, True))
            questions += [
                pattern(q, function.name, False) for q in asked.elts if is_text(q)
            ]
    assert len(facts) > 50 and len(questions) > 100, (len(facts), len(questions))
    return facts, questions


def fact_of(row):
    """The sentence of the documents that answers the question."""
    text = (DOCS / "docs" / row["file"]).read_text()
    sections = dict(re.findall(r"^##? (.*)\n+((?:(?!#).*\n?)*)", text, re.MULTILINE))
    for sentence in re.split(r"(?<=\.)\s+", sections[row["heading"]].strip()):
        if row["answer"] in sentence:
            return sentence
    raise SystemExit(f"no sentence under {row['heading']} says {row['answer']!r}")


def group(row, facts, questions):
    if row["answer"] is None:
        return row["group"] if row["group"] in ("near", "far") else "near or far"
    fact = fact_of(row)
    if not any(f.fullmatch(fact) for f in facts):
        return "fresh"
    asked = row["question"]
    return "trained" if any(q.fullmatch(asked) for q in questions) else "paraphrased"


def main():
    facts, questions = templates()
    n_wrong = 0
    for line in (DOCS / "questions.jsonl").read_text().splitlines():
        row = json.loads(line)
        found = group(row, facts, questions)
        if found != row["group"]:
            print(f"{row['group']}, should be {found}: {row['question']}")
            n_wrong += 1
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
