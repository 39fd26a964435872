#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the test cases in the logs of `meson test`.

Usage: tally.py BUILD_FOLDER...

A program that says how many cases it ran (Catch2's last line, or "N passed,
M failed" of our scripts) counts as that many; any other counts as one. The
last line printed is "N passed, M failed"; exit status 1 if any failed.
"""

import json
import pathlib
import re
import sys

CATCH_ALL = re.compile(r"^All tests passed \(.* in (\d+) test cases?\)$", re.M)
CATCH_SOME = re.compile(r"^test cases: +(\d+)(.*)$", re.M)
SCRIPT = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def cases(output):
    """(passed, failed) as the program itself says, or None."""
    # The last, because programs that a test starts may say so, too.
    if found := CATCH_ALL.findall(output):
        return int(found[-1]), 0
    if found := CATCH_SOME.findall(output):
        count = {word: int(n)
                 for n, word in re.findall(r"(\d+) (\w+)", found[-1][1])}
        return count.get("passed", 0), count.get("failed", 0)
    if found := SCRIPT.findall(output):
        return tuple(map(int, found[-1]))
    return None


def main():
    passed = failed = 0
    for folder in map(pathlib.Path, sys.argv[1:]):
        log = folder / "meson-logs" / "testlog.json"
        for line in log.read_text(encoding="utf-8").splitlines():
            test = json.loads(line)
            ok = test["result"] in ("OK", "EXPECTEDFAIL")
            good, bad = cases(test.get("stdout", "")) or (int(ok), 0)
            # A program that failed has a failed case, whatever it printed.
            bad = bad or int(not ok)
            if bad:
                print(f"failed: {folder.name}: {test['name']}: {test['result']}")
            passed, failed = passed + good, failed + bad
    if passed + failed == 0:
        print("no test was run")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
