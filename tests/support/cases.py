# SPDX-License-Identifier: MIT
"""Runs the cases of a Python test, as tools/tally.py reads them."""

import pathlib
import sys
import tempfile
import traceback


class Skip(Exception):
    """Raised by a case that cannot be run here; the message says why."""


def run(names, part="", missing=""):
    """Runs every function of `names` (a module's globals()) that is called
    test_* and has `part` in its name; one that takes a folder gets an empty one.
    A case is called as its docstring begins, or as itself without one.
    `missing` says what they need and is not here: then all are skipped. Returns
    the exit status."""
    passed = failed = 0
    for name, case in list(names.items()):
        if not name.startswith("test_") or part not in name:
            continue
        name = (case.__doc__ or name).split("\n")[0]
        if missing:
            print(f"skipped {name}: {missing}")
            continue
        try:
            with tempfile.TemporaryDirectory(prefix="tinyphi-test-") as folder:
                case(*[pathlib.Path(folder)][:case.__code__.co_argcount])
            passed += 1
            print(f"ok {name}")
        except Skip as why:
            print(f"skipped {name}: {why}")
        except Exception:  # one failing case must not hide the others
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
