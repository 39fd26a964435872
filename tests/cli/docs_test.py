#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does what README.md and CONTRIBUTING.md tell a reader to do.

Usage: docs_test.py BUILD_ROOT SOURCE_ROOT

Every ```sh block runs in a copy of the tree whose build/ is BUILD_ROOT; the
README's pipeline passes `tinyphi check`; its C++ program is compiled as shown,
outside the tree, against an installation, and talks; header-only it is compiled
without optimizing, which would take minutes. The last line is "N passed, M
failed".
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1]).resolve()
SOURCE = pathlib.Path(sys.argv[2]).resolve()
# A fixed place, so that ccache knows the compilations again.
WORK = BUILD / "docs-test"
MODEL = SOURCE / "pipelines/models/tinyphi-demo-7m-q8_0.gguf"

CMAKE_PROJECT = """cmake_minimum_required(VERSION 3.18)
project(ask CXX)
find_package(tinyphi 0.1 REQUIRED)
add_executable(ask ../ask.cpp)
target_link_libraries(ask tinyphi::compiled)
"""


def blocks(name, language):
    text = (SOURCE / name).read_text(encoding="utf-8")
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)
    return [body for word, body in fenced if word == language]


def run(command, folder, **environment):
    done = subprocess.run(
        command, cwd=folder, timeout=900, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": "/usr/lib/ccache:" + os.environ["PATH"],
             **environment})
    assert done.returncode == 0, (
        f"{command}\nexit {done.returncode}\n{done.stdout}")
    return done.stdout


def copy_tree():
    copy = WORK / "tree"

    def skipped(folder, names):
        at_root = pathlib.Path(folder) == SOURCE
        return [n for n in names if ".db" in n or
                at_root and (n == ".git" or n.startswith("build"))]

    shutil.copytree(SOURCE, copy, symlinks=True, ignore=skipped)
    (copy / "build").symlink_to(BUILD)
    return copy


def install():
    """Installs into WORK/installed, which the pkg-config files then name."""
    run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], WORK,
        DESTDIR=str(WORK / "installed"))
    (config,) = (WORK / "installed").rglob("pkgconfig")
    for file in config.iterdir():
        text = file.read_text(encoding="utf-8")
        file.write_text(re.sub(r"^prefix=", f"prefix={WORK}/installed", text),
                        encoding="utf-8")
    return config


def ask(program):
    answer = run([program, MODEL, "Hello!"], WORK)
    assert answer.strip(), "no answer"


def check_example(config, package):
    """The README's own command line, with another package and name."""
    (command,) = (line for block in blocks("README.md", "")
                  for line in block.splitlines() if line.startswith("c++ "))
    command = command.replace(" tinyphi)", f" {package})")
    command = command.replace("-o ask", f"-o ask-{package}")
    assert " -O" in command, command
    if package == "tinyphi":
        command = re.sub(" -O[23]", " -O0", command)
    run(["bash", "-c", command], WORK, PKG_CONFIG_PATH=str(config))
    ask(WORK / f"ask-{package}")


def check_cmake(config):
    project = WORK / "cmake"
    project.mkdir()
    (project / "CMakeLists.txt").write_text(CMAKE_PROJECT)
    run(["cmake", "-B", "out",
         f"-Dtinyphi_DIR={config.parent}/cmake/tinyphi"], project)
    run(["cmake", "--build", "out"], project)
    ask(project / "out/ask")


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    tree = copy_tree()
    config = install()
    (WORK / "ask.cpp").write_text(blocks("README.md", "cpp")[0])
    (WORK / "x.toml").write_text(blocks("README.md", "toml")[0])

    cases = []
    for name in ("README.md", "CONTRIBUTING.md"):
        for i, block in enumerate(blocks(name, "sh"), 1):
            cases.append((f"{name}, sh block {i}", lambda b=block: run(
                ["bash", "-euo", "pipefail", "-c", b], tree)))
    cases.append(("README.md's pipeline", lambda: run(
        [BUILD / "tools/tinyphi", "check", "x.toml"], WORK)))
    for package in ("tinyphi", "tinyphi-compiled"):
        cases.append((f"README.md's program with {package}",
                      lambda p=package: check_example(config, p)))
    if shutil.which("cmake"):
        cases.append(("README.md's program with CMake",
                      lambda: check_cmake(config)))
    else:
        print("skipped README.md's program with CMake: there is no cmake here")

    failed = 0
    for name, case in cases:
        try:
            case()
            print(f"ok {name}")
        except (AssertionError, subprocess.TimeoutExpired) as e:
            failed += 1
            print(f"FAILED {name}\n{e}")
        sys.stdout.flush()
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
