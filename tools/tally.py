#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the distinct test cases in the logs of `meson test`.

Usage: tally.py BUILD_FOLDER...

A program says how each case ended, one line each: "ok NAME", "FAILED NAME" or
"skipped NAME: why"; "targets: A B" says on which SIMD targets kernels ran. A
case that several builds ran counts once, and has failed if it failed in one.
Names of Catch2's cases begin with their file, so that they are the same in
every program. A program that prints no names and no count is one case.

A failure, too, is: a program that prints nothing, that names other numbers of
cases than it counts, or that failed without saying which case did; a folder
without a log. The last line is "N passed, M failed"; exit status 1 if any
failed.
"""

import json
import pathlib
import re
import sys

ENDED = re.compile(r"^(ok|FAILED|skipped) (.+)$", re.M)
TARGETS = re.compile(r"^targets: (.+)$", re.M)
CATCH_COUNT = re.compile(
    r"^(?:All tests passed \(.* in|test cases:) +(\d+)\b", re.M)
SCRIPT_COUNT = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
CATCH_NAME = re.compile(r"^\w+/\w+_test\.cpp: ")
# What there are kernels for; the plain code runs where there is none of these.
ALL_TARGETS = ["SSSE3", "SSE4", "AVX2", "AVX2+VNNI", "AVX3",
               "NEON", "NEON+dotprod", "NEON+i8mm"]


def counted(output):
    """How many cases the program itself says there were, or None."""
    # The last, because programs that a test starts may say so, too.
    if found := SCRIPT_COUNT.findall(output):
        return sum(map(int, found[-1]))
    if found := CATCH_COUNT.findall(output):
        return sum(map(int, found))
    return None


class Tally:
    """The cases of all builds."""

    def __init__(self):
        self.passed, self.failed, self.skipped = set(), {}, {}
        self.targets = set()

    def add_program(self, build, test):
        """One line of testlog.json; says how many cases ended how."""
        name, result = test["name"], test["result"]
        output = test.get("stdout", "")
        ended = {"ok": [], "FAILED": [], "skipped": []}
        for how, case in ENDED.findall(output):
            ended[how].append(case)
        for found in TARGETS.findall(output):
            self.targets.update(found.split())

        if result == "SKIP":
            why = output.strip().splitlines()
            self.skipped[f"{name}: {why[-1] if why else 'no reason given'}"] = 1
            return 0, 0, 1
        for case in ended["skipped"]:
            self.skipped[f"{name}: {case}"] = 1

        faults = list(ended["FAILED"])
        good, count = len(ended["ok"]), counted(output)
        named = good + len(ended["FAILED"])
        if result not in ("OK", "EXPECTEDFAIL") and not faults:
            faults = [f"(the program: {result})"]
        elif not output.strip() and not test.get("stderr", "").strip():
            faults = ["(the program printed nothing)"]
        elif count not in (None, named, named + len(ended["skipped"])):
            faults.append(f"(the program counts {count} cases and names "
                          f"{named})")
        elif count == 0:
            faults = ["(the program ran no case)"]
        for case in faults:
            self.failed.setdefault(self.key(name, case), []).append(build)
        if count is None and not good and not faults:
            self.passed.add(f"{name}: (the program)")
            good = 1
        self.passed.update(self.key(name, case) for case in ended["ok"])
        return good, len(faults), len(ended["skipped"])

    @staticmethod
    def key(program, case):
        return case if CATCH_NAME.match(case) else f"{program}: {case}"

    def add_build(self, folder):
        lines = [line for log in sorted(folder.glob("meson-logs/testlog*.json"))
                 for line in log.read_text(encoding="utf-8").splitlines()]
        if not lines:
            self.failed[f"{folder.name}: no test was run"] = [folder.name]
        sums = [self.add_program(folder.name, json.loads(line))
                for line in lines]
        good, bad, left_out = map(sum, zip(*sums)) if sums else (0, 0, 0)
        print(f"{folder.name}: {len(lines)} programs, {good} cases passed, "
              f"{bad} failed, {left_out} skipped")

    def report(self):
        if self.targets:
            missing = [t for t in ALL_TARGETS if t not in self.targets]
            print("SIMD targets that ran:", *sorted(self.targets))
            print("SIMD targets that this machine did NOT run:",
                  *(missing or ["none"]))
        for what in self.skipped:
            print(f"skipped: {what}")
        for case, builds in self.failed.items():
            print(f"failed: {case} [{', '.join(sorted(set(builds)))}]")
        passed = len(self.passed - set(self.failed))
        print(f"{passed} passed, {len(self.failed)} failed")
        return 1 if self.failed else 0


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    tally = Tally()
    for folder in map(pathlib.Path, sys.argv[1:]):
        tally.add_build(folder)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
