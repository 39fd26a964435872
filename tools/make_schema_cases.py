#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/data/schema/suite.jsonl from a clone of
https://github.com/json-schema-org/JSON-Schema-Test-Suite.

Usage: make_schema_cases.py CLONE [--all]

A line is a group of tests: {"group": "FILE: DESCRIPTION", "schema": TEXT,
"tests": [[DESCRIPTION, TEXT, VALID], ...]}, with schemas and values as JSON in a
string, so that numbers stay as they were written. Schemas of draft 7 get the $schema that the suite leaves out. Only files about
keywords that tinyphi checks are taken; --all takes every file.
"""
import json
import pathlib
import re
import sys

COMMON = """allOf anyOf boolean_schema const default enum exclusiveMaximum
exclusiveMinimum infinite-loop-detection items maxItems maxLength maxProperties
maximum minItems minLength minProperties minimum multipleOf oneOf pattern
properties required type additionalProperties""".split()
CHOSEN = {
    "draft2020-12": COMMON + """content defs prefixItems ref optional/bignum
        optional/ecmascript-regex optional/float-overflow optional/no-schema
        optional/non-bmp-regex optional/refOfUnknownKeyword
        optional/unknownKeyword optional/format/date-time optional/format/date
        optional/format/duration optional/format/email optional/format/hostname
        optional/format/ipv4 optional/format/ipv6 optional/format/time
        optional/format/unknown optional/format/uri
        optional/format/uuid""".split(),
    # What differs from 2020-12.
    "draft7": "definitions items ref".split(),
}
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def text_of(value):
    """As JSON, with the numbers' own digits (parse_float below)."""
    return re.sub(r'"@([^"@]*)@"', r"\1", json.dumps(value, separators=(",", ":")))


def groups(suite, draft, everything):
    folder = suite / "tests" / draft
    names = sorted(p.relative_to(folder).with_suffix("").as_posix()
                   for p in folder.rglob("*.json"))
    for name in names if everything else sorted(CHOSEN[draft]):
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        for group in json.loads(text, parse_float="@{}@".format):
            schema = group["schema"]
            if draft == "draft7" and isinstance(schema, dict):
                schema = {"$schema": DRAFT_7, **schema}
            yield {"group": f"{draft}/{name}: {group['description'].strip()}",
                   "schema": text_of(schema),
                   "tests": [[t["description"], text_of(t["data"]), t["valid"]]
                             for t in group["tests"]]}


def main():
    suite = pathlib.Path(sys.argv[1])
    everything = "--all" in sys.argv[2:]
    target = (pathlib.Path(__file__).parent.parent /
              "tests/data/schema/suite.jsonl")
    with target.open("w", encoding="ascii") as out:
        for draft in CHOSEN:
            for group in groups(suite, draft, everything):
                out.write(json.dumps(group, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
