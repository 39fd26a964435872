#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lets schemathesis hold the daemon to its own /openapi.json, with all checks.

Usage: schemathesis_test.py TINYPHI

Schemathesis is installed into a virtual environment outside this tree, once;
where PyPI cannot be reached, every case is skipped. Every function called test_*
is one case. The last line is "N passed, M failed".
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402
import pypi  # noqa: E402
from daemon import LOCAL, Daemon  # noqa: E402

PACKAGES = ["schemathesis==4.32.5"]
VENV = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
                    ) / "tinyphi/schemathesis"

# A deadline of a microsecond passes and a server may be full: both are in the
# document.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 504]
"""

# What a schema cannot say.
HOOKS = """
import re
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
def filter_case(context, case):
    return not last_digits(case.body)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    # How many tokens a text has: a context is too small for it, or biases, which
    # are counted by token, are too many.
    return failure.code != "ST202" or not re.search(
        "maximum context length is [0-9]+ tokens|is too large: it has [0-9]+ tokens|"
        "options.num_ctx is [0-9]+ tokens, but the prompt has|"
        "logit_bias: its texts have more than [0-9]+ tokens|"
        # Schemas and grammars have rules of their own.
        r"TP61[0-9]{2}|(grammar|json_schema|format|schema)(\.\w+)*: |"
        r"goes with type json_schema|format has no schema|"
        "do not go together|both say which form", response.text)
"""


def judge(url, *options):
    """schemathesis's exit status and its report."""
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder)
        (at / "config.toml").write_text(CONFIG)
        (at / "tinyphi_hooks.py").write_text(HOOKS)
        done = subprocess.run(
            [VENV / "bin/schemathesis", "--config-file", at / "config.toml", "run",
             f"{url}/openapi.json", "--checks", "all", "--workers", "1",
             "--seed", "14", "--no-color", "--request-timeout", "600",
             "--max-response-time", "600",
             "--continue-on-failure", *options],
            cwd=at, text=True, capture_output=True, check=False, timeout=7200,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tinyphi_hooks",
                 "PYTHONPATH": folder})
    return done.returncode, done.stdout + done.stderr


def test_the_daemon_does_what_its_document_says(folder):
    config = folder / "daemon.toml"
    config.write_text('tinyphi = 1\n[serve]\nlisten = ["127.0.0.1:0"]\n[serve.ollama]\n'
                      '[model.default]\naliases = ["*"]\n')
    with Daemon(str(config)) as d:
        status, report = judge(d.url, "-n", "30")
        assert status == 0, report
        assert d.process.poll() is None, "the daemon has ended"


def test_with_keys_nothing_is_answered_without_one():
    digest = hashlib.blake2b(b"a-secret", digest_size=32).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        keys = pathlib.Path(folder) / "keys.toml"
        keys.write_text(f'[key.alice]\nblake2b = "{digest}"\n')
        keys.chmod(0o600)
        with Daemon(*LOCAL, "--keys", str(keys)) as d:
            status, report = judge(d.url, "-n", "3",
                                   "-H", "Authorization: Bearer a-secret")
            assert status == 0, report


def main():
    # Within tools/test only --long may need the network.
    if os.environ.get("TINYPHI_TEST_LONG", "1") != "1":
        print("schemathesis comes from PyPI: tools/test --long")
        return 77
    missing = ""
    try:
        pypi.python(VENV, PACKAGES)
    except pypi.Unavailable as e:
        missing = f"PyPI: {e}"
    return cases.run(globals(), missing=missing)


if __name__ == "__main__":
    sys.exit(main())
