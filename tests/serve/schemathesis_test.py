#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lets schemathesis hold the daemon to its own /openapi.json, with all checks.

Usage: schemathesis_test.py TINYPHI

Every function called test_* is one case. The last line is
"N passed, M failed". Where schemathesis is not installed (pip install
schemathesis, 4.32 or later; SCHEMATHESIS names the program), every case is
skipped.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402
from serve_daemon import LOCAL, Daemon  # noqa: E402

PROGRAM = (os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis") or
           shutil.which("st"))

# A deadline of a microsecond passes and a server may be full: both are in the
# document.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 504]
"""

# What a schema cannot say of a body.
HOOKS = """
import json
import schemathesis


def last_digits(v):
    # Boost.JSON reads decimals of 17 digits to the last bit but one: the
    # number right above a limit may be the limit.
    if isinstance(v, dict):
        return any(last_digits(x) for x in v.values())
    if isinstance(v, list):
        return any(last_digits(x) for x in v)
    return isinstance(v, float) and len(repr(abs(v)).split("e")[0]) > 16


@schemathesis.hook
def filter_body(context, body):
    # Longer than the demo model's context: right for the schema, not for it.
    short = len(json.dumps(body, default=str)) < 4000
    return short and not last_digits(body)
"""


def judge(url, *options):
    """schemathesis's exit status and its report."""
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        (at / "config.toml").write_text(CONFIG)
        (at / "tinyphi_hooks.py").write_text(HOOKS)
        done = subprocess.run(
            [PROGRAM, "--config-file", at / "config.toml", "run",
             f"{url}/openapi.json", "--checks", "all", "--workers", "1",
             "--seed", "14", "--no-color",
             "--continue-on-failure", *options],
            cwd=at, text=True, capture_output=True, check=False, timeout=400,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tinyphi_hooks",
                 "PYTHONPATH": folder})
    return done.returncode, done.stdout + done.stderr


def test_the_daemon_does_what_its_document_says():
    with Daemon(*LOCAL) as d:
        status, report = judge(d.url, "-n", "30", "--max-time", "90")
        assert status == 0, report
        assert d.process.poll() is None, "the daemon has ended"


def test_with_keys_nothing_is_answered_without_one():
    digest = hashlib.blake2b(b"a-secret", digest_size=32).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder) / "keys.toml"
        keys.write_text(f'[key.alice]\nblake2b = "{digest}"\n')
        keys.chmod(0o600)
        with Daemon(*LOCAL, "--keys", str(keys)) as d:
            status, report = judge(d.url, "-n", "3", "--max-time", "30",
                                   "-H", "Authorization: Bearer a-secret")
            assert status == 0, report


if __name__ == "__main__":
    sys.exit(cases.run(globals(), missing="" if PROGRAM else "there is no schemathesis (pip)"))
