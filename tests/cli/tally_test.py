#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives tools/tally.py logs of every kind, and soft cases to Catch2's main.

Usage: tally_test.py SOFT_CASES SOURCE_ROOT

Every function called test_* is one case. The last line is
"N passed, M failed".
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

SOFT_CASES, ROOT = sys.argv[1], pathlib.Path(sys.argv[2])


def tally(**builds):
    """The lines that tally.py prints for {build: [program]}."""
    with tempfile.TemporaryDirectory(prefix="tinyphi-tally-") as d:
        folders = []
        for build, programs in builds.items():
            folder = pathlib.Path(d) / build
            folders.append(folder)
            (folder / "meson-logs").mkdir(parents=True)
            # Two runs in one folder, each with a log.
            for log, part in ("testlog", programs[:1]), ("testlog-more", programs[1:]):
                (folder / f"meson-logs/{log}.json").write_text(
                    "".join(json.dumps(p) + "\n" for p in part))
        done = subprocess.run([ROOT / "tools/tally.py", *folders], text=True,
                              capture_output=True, check=False)
    lines = done.stdout.splitlines()
    assert (done.returncode == 0) == lines[-1].endswith(" 0 failed"), done
    return lines


def program(name, stdout, result="OK"):
    return {"name": name, "result": result, "stdout": stdout, "stderr": ""}


def last_lines(fault, *lines):
    """The run has one failure, which is said like this."""
    assert lines[-2] == f"failed: {fault}", lines
    assert lines[-1].endswith(" 1 failed"), lines


def test_a_case_of_two_builds_and_programs_counts_once():
    first = "ok text/bpe_test.cpp: a\nok text/bpe_test.cpp: b\n"
    all_passed = "All tests passed (5 assertions in 2 test cases)\n"
    lines = tally(one=[program("text", first + all_passed),
                       program("arm", first + all_passed)],
                  two=[program("text", first + all_passed),
                       program("cli", "ok a\n1 passed, 0 failed\n")])
    assert lines[0].startswith("one: 2 programs, 4 cases passed, 0"), lines
    assert lines[-1] == "3 passed, 0 failed", lines


def test_a_case_that_fails_in_one_build_has_failed():
    lines = tally(
        one=[program("cli", "ok a\nok b\n2 passed, 0 failed\n")],
        two=[program("cli", "ok a\nFAILED b\nwhy\n1 passed, 1 failed\n",
                     "FAIL")])
    last_lines("cli: b [two]", *lines)
    assert lines[-1] == "1 passed, 1 failed", lines


def test_a_failed_case_fails_although_its_program_does_not():
    last_lines("cli: b [one]", *tally(one=[
        program("cli", "FAILED b\n0 passed, 1 failed\n")]))


def test_a_program_that_ends_without_a_verdict_is_a_failure():
    for result in ("TIMEOUT", "FAIL", "ERROR", "UNEXPECTEDPASS"):
        last_lines(f"text: (the program: {result}) [one]",
                   *tally(one=[program("text", "ok a\n", result)]))


def test_a_program_that_prints_nothing_is_a_failure():
    last_lines("layers: (the program printed nothing) [one]",
               *tally(one=[program("layers", " \n")]))


def test_a_program_that_runs_no_case_is_a_failure():
    last_lines("cli: (the program ran no case) [one]",
               *tally(one=[program("cli", "0 passed, 0 failed\n")]))


def test_cases_that_are_counted_but_not_named_are_a_failure():
    last_lines("cli: (the program counts 2 cases and names 1) [one]",
               *tally(one=[program("cli", "ok a\n2 passed, 0 failed\n")]))
    last_lines(
        "text: (the program counts 3 cases and names 0) [one]",
        *tally(one=[program("text", "test cases: 3 | 3 passed\n")]))


def test_a_folder_without_tests_is_a_failure():
    last_lines("two: no test was run [two]",
               *tally(one=[program("layers", "fine\n")], two=[]))


def test_targets_and_what_was_skipped_are_said():
    lines = tally(
        one=[program("kernels", "targets: AVX2 SCALAR\n"
                     "ok kernels/targets_test.cpp: a\n"
                     "All tests passed (1 assertion in 1 test case)\n"),
             program("arm", "no compiler here\n", "SKIP"),
             program("docs", "skipped CMake: there is no cmake\nok b\n"
                     "1 passed, 0 failed\n")],
        two=[program("kernels", "targets: SSE4\nfine\n")])
    assert "SIMD targets that ran: AVX2 SCALAR SSE4" in lines, lines
    assert ("SIMD targets that this machine did NOT run: SSSE3 AVX2+VNNI AVX3 "
            "NEON NEON+dotprod NEON+i8mm") in lines, lines
    assert "skipped: arm: no compiler here" in lines, lines
    assert "skipped: docs: CMake: there is no cmake" in lines, lines
    assert lines[-1] == "3 passed, 0 failed", lines


def soft(*arguments):
    return subprocess.run([SOFT_CASES, *arguments], text=True, check=False,
                          env={**os.environ, "TINYPHI_TEST_NAMES": "1"},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_catch2_case_without_an_assertion_fails():
    done = soft("asserts nothing")
    assert done.returncode != 0, done
    assert "FAILED support/soft_cases_test.cpp: asserts nothing" in done.stdout


def test_a_catch2_filter_that_matches_nothing_fails():
    done = soft("no such case")
    assert done.returncode != 0, done


def test_a_catch2_case_names_itself_with_its_file():
    done = soft("asserts something")
    assert done.returncode == 0, done
    assert "ok support/soft_cases_test.cpp: asserts something" in done.stdout


def test_a_skipped_catch2_case_is_said_and_not_counted():
    done = soft("is left out")
    assert done.returncode == 0, done
    said = "skipped support/soft_cases_test.cpp: is left out: no reason"
    assert said in done.stdout, done
    lines = tally(one=[program("soft", done.stdout + "ok x/y_test.cpp: a\n"
                               "All tests passed (1 assertion in 1 test case)")])
    assert lines[-1] == "1 passed, 0 failed", lines
    assert "skipped: soft: " + said.removeprefix("skipped ") in lines, lines


if __name__ == "__main__":
    sys.exit(cases.run(globals()))
