#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives the text of /metrics to Prometheus's own checker.

Usage: promtool_test.py METRICS_SAMPLE

Every function called test_* is one case. The last line is
"N passed, M failed". Where promtool is not installed, every case is skipped.
"""

import os
import shutil
import subprocess
import sys
import traceback

SAMPLE = sys.argv[1]
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")


def check(text):
    """promtool's exit status and everything that it says about a text."""
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, text=True,
                          capture_output=True, check=False, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip()


def sample(*args):
    return subprocess.run([SAMPLE, *args], text=True, capture_output=True,
                          check=True, timeout=60).stdout


def test_our_families_have_no_fault_and_no_lint():
    status, said = check(sample())
    assert (status, said) == (0, ""), (status, said)


def test_the_families_of_others_are_faulted_for_their_names_only():
    """Their names have colons and units that Prometheus advises against; they
    are what their readers look for. 3 is promtool's status for advice."""
    status, said = check(sample("all"))
    assert status == 3, (status, said)
    faults = said.splitlines()
    assert all(f.startswith(("vllm:", "llamacpp:")) for f in faults), faults
    assert all("should not contain ':'" in f for f in faults), faults


def test_the_checker_finds_a_broken_text():
    status, said = check(sample() + "tinyphi_build_info{\n")
    assert status not in (0, 3), (status, said)


def main():
    cases = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    passed = failed = 0
    for name, case in cases:
        if not PROMTOOL:
            print(f"skipped {name}: there is no promtool (Debian: prometheus)")
            continue
        try:
            case()
            passed += 1
            print(f"ok {name}")
        except Exception:  # one failing case must not hide the others
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
