#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What systemd says about the units that `tinyphi serve --print-unit` prints.

Usage: unit_test.py TINYPHI

Every function called test_* is one case. The last line is
"N passed, M failed". Where systemd-analyze is not installed, cases are skipped.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import cases  # noqa: E402

TINYPHI = pathlib.Path(sys.argv[1]).resolve()
ANALYZE = shutil.which("systemd-analyze")
# Of ten; systemd calls what is below 2 "OK".
MAX_EXPOSURE = 2.0


def units(folder, text=None):
    """The printed units as files; their paths."""
    if text is None:
        text = subprocess.run([TINYPHI, "serve", "--print-unit", "/etc/tinyphi/serve.toml"],
                              text=True, capture_output=True, check=True, timeout=60).stdout
    paths = []
    for part in re.split(r"(?m)^(?=# /etc/systemd/system/)", text):
        if not part:
            continue
        name = part.split("\n")[0].removeprefix("# /etc/systemd/system/")
        path = pathlib.Path(folder) / name
        path.write_text(part)
        paths.append(path)
    assert [p.name for p in paths] == ["tinyphi.socket", "tinyphi.service"], paths
    return paths


def verify(paths):
    """systemd's exit status, and what it says about these units."""
    done = subprocess.run([ANALYZE, "verify", "--man=no", "--recursive-errors=no", *paths],
                          text=True, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def exposure(service):
    done = subprocess.run([ANALYZE, "security", "--offline=true", "--no-pager",
                           f"--threshold={int(MAX_EXPOSURE * 10)}", service],
                          text=True, capture_output=True, check=False, timeout=120)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return done.returncode, float(found[1])


def test_systemd_finds_no_fault_in_the_units():
    with tempfile.TemporaryDirectory() as folder:
        status, said = verify(units(folder))
        assert (status, said) == (0, ""), (status, said)


def test_a_fault_in_a_unit_would_be_found():
    with tempfile.TemporaryDirectory() as folder:
        paths = units(folder)
        paths[1].write_text(paths[1].read_text().replace("PrivateTmp=yes", "PrivateTmpp=yes"))
        assert "PrivateTmpp" in verify(paths)[1]


def test_the_service_is_exposed_by_two_of_ten_at_most():
    with tempfile.TemporaryDirectory() as folder:
        service = units(folder)[1]
        status, level = exposure(service)
        assert status == 0 and level <= MAX_EXPOSURE, (status, level)
        bare = "[Service]\nExecStart=/bin/true\n"
        service.write_text(bare)
        status, level = exposure(service)
        assert status != 0 and level > MAX_EXPOSURE, (status, level)


if __name__ == "__main__":
    sys.exit(cases.run(globals(), missing="" if ANALYZE else "there is no systemd-analyze (Debian: systemd)"))
