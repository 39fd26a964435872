#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives the text of /metrics to Prometheus's own checker.

Usage: promtool_test.py METRICS_SAMPLE

Every function called test_* is one case. The last line is
"N passed, M failed". Where promtool is not installed, every case is skipped.
"""

import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

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
    assert all("should not contain ':'" in f or
               f.startswith("llamacpp:n_tokens_max ") for f in faults), faults


def test_the_checker_finds_a_broken_text():
    status, said = check(sample() + "tinyphi_build_info{\n")
    assert status not in (0, 3), (status, said)


if __name__ == "__main__":
    sys.exit(cases.run(globals(), missing="" if PROMTOOL else "there is no promtool (Debian: prometheus)"))
