# SPDX-License-Identifier: MIT
"""Programs' packages from PyPI, outside this tree."""

import pathlib
import subprocess
import sys


class Unavailable(Exception):
    """PyPI gave nothing; the text says what pip said last."""


def pip(python, *words):
    """Runs pip with words."""
    done = subprocess.run([python, "-m", "pip", "--quiet",
                           "--disable-pip-version-check", *words], check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(said[-1] if said else f"pip ended with {done.returncode}")


def python(folder: pathlib.Path, packages):
    """The interpreter of the virtual environment `folder`, which has packages;
    it is made once, and again when they change."""
    marker, wanted = folder / "installed", "\n".join(packages)
    if not marker.exists() or marker.read_text(encoding="ascii") != wanted:
        print(f"installing {', '.join(packages)}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder],
                       check=True)
        pip(folder / "bin/python", "install", *packages)
        marker.write_text(wanted, encoding="ascii")
    return folder / "bin/python"
