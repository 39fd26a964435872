#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does what README.md, CONTRIBUTING.md and pipelines/README.md tell a reader to do.

Usage: docs_test.py BUILD_ROOT SOURCE_ROOT [NAME_PART]

Every ```sh block runs in a copy of the tree whose build/ is BUILD_ROOT; the
README's pipeline passes `tinyphi check`, that of pipelines/README.md `tinyphi
test`, without anything that its tests do not reach; the README's C++ programs are compiled as shown,
outside the tree, against an installation, and talk; header-only ones are compiled
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


def check_skeleton(config):
    """plugins/skeleton, with what is installed and nothing else; it runs as a
    test of plugins."""
    for name in ("count_words.h", "count_words_test.cpp"):
        text = (SOURCE / "plugins/skeleton" / name).read_text(encoding="utf-8")
        (WORK / name).write_text(text.replace("plugins/skeleton/", ""))
    run(["bash", "-c", "${CXX:-c++} -std=c++20 -fsyntax-only -I. "
         "count_words_test.cpp $(pkg-config --cflags tinyphi-pipeline catch2)"
         " && pkg-config --libs tinyphi-pipeline"],
        WORK, PKG_CONFIG_PATH=str(config))


def check_server(config):
    """Clients end as they should, and share what was computed for the first."""
    code = blocks("README.md", "cpp")[1]
    body = code[code.index("argv) {\n"):code.rindex("\n}")].count("\n")
    assert body <= 30, f"{body} lines"
    (WORK / "serve.cpp").write_text(code)
    (command,) = (line for block in blocks("README.md", "")
                  for line in block.splitlines() if line.startswith("c++ "))
    command = command.replace("ask", "serve")
    command = command.replace(" tinyphi)", " tinyphi-compiled)")
    run(["bash", "-c", command], WORK, PKG_CONFIG_PATH=str(config))
    lines = run([WORK / "serve", MODEL], WORK).splitlines()

    ends, logprobs = {}, []
    for line in lines:
        end = re.fullmatch(r"(\d): (\w+), (\d+) prompt tokens .*", line)
        if end:
            ends[int(end[1])] = (end[2], int(end[3]))
            continue
        assert "\t" in line, line
        logprobs += map(float, line.split("\t")[1:])
    assert all(-100 < p <= 0 for p in logprobs) and min(logprobs) < -1e-3
    assert sorted(ends) == [0, 1, 2, 3, 4], lines
    assert ends[0][1] == 0 and all(ends[i][1] >= 10 for i in range(1, 5)), ends
    assert all((why == "cancelled") == (client == 4)
               for client, (why, _) in ends.items()), ends


def check_walk():
    """The files of CONTRIBUTING's walk exist, each is entered once, and holds
    the names that the walk says are in it."""
    text = (SOURCE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    walk = text.split("\n## One request", 1)[1].split("\n## ", 1)[0]
    files = []
    for step in re.split(r"^\d+\. ", walk, flags=re.M)[1:]:
        name, *words = re.findall(r"`([^`]+)`", step.split("\n\n")[0])
        files.append(name)
        file = SOURCE / "include/tinyphi" / name
        assert file.is_file(), f"{name} does not exist"
        code = file.read_text(encoding="utf-8")
        assert words, f"nothing is named in {name}"
        for word in words:
            assert re.search(rf"\b{re.escape(word)}\b", code), (
                f"there is no {word} in {name}")
    assert len(set(files)) == len(files), "a file is entered twice"
    assert 20 <= len(files) <= 35, f"{len(files)} files"


def check_tool():
    """The tool of plugins/README.md answers as the page says, from ten lines."""
    text = (SOURCE / "plugins/README.md").read_text(encoding="utf-8")
    page = text.split("\n## A tool in ten lines\n", 1)[1].split("\n## ", 1)[0]
    code, file = (re.search(rf"^```{word}\n(.*?)^```$", page, re.M | re.S)[1]
                  for word in ("python", "toml"))
    assert len([line for line in code.splitlines() if line]) <= 10, code
    (WORK / "area.py").write_text(code)
    (WORK / "area.py").chmod(0o755)
    (WORK / "area.toml").write_text(file)
    command, answer = re.search(r"`tinyphi (.*?)` says `(.*?)`", page).groups()
    command = [BUILD / "tools/tinyphi", *command.split()]
    for width, wanted in (("width=", answer + "\n"),
                          ("width=-", "says: a width is not negative\n")):
        done = subprocess.run(
            [str(word).replace("width=", width) for word in command], cwd=WORK,
            check=False, text=True, timeout=60, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert (done.stdout.endswith(wanted) or
                "the kernel has no Landlock" in done.stdout), done.stdout


def check_mcp_tool():
    """The server of plugins/README.md is pinned and called as the page says."""
    text = (SOURCE / "plugins/README.md").read_text(encoding="utf-8")
    page = text.split("\n## A tool of an MCP server\n", 1)[1].split("\n## ", 1)[0]
    code, file = (re.search(rf"^```{word}\n(.*?)^```$", page, re.M | re.S)[1]
                  for word in ("python", "toml"))
    (WORK / "rooms.py").write_text(code)
    (WORK / "rooms.py").chmod(0o755)
    (WORK / "rooms.toml").write_text(file)
    said = ""
    for command in re.findall(r"`tinyphi (.*?)`", page):
        done = subprocess.run(
            [BUILD / "tools/tinyphi", *command.split()], cwd=WORK, check=False,
            text=True, timeout=60, capture_output=True)
        if "the kernel has no Landlock" in done.stderr:
            return
        assert done.returncode == 0, done.stderr
        said = done.stdout
        if command.startswith("inspect"):
            (WORK / "rooms.toml").write_text(file + said)
    answer = re.search(r"`tinyphi run .*?` says `(.*?)`", page)[1]
    assert said == answer + "\n", said


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
    for name in ("README.md", "CONTRIBUTING.md", "pipelines/README.md"):
        for i, block in enumerate(blocks(name, "sh"), 1):
            cases.append((f"{name}, sh block {i}", lambda b=block: run(
                ["bash", "-euo", "pipefail", "-c", b], tree)))
    cases.append(("README.md's pipeline", lambda: run(
        [BUILD / "tools/tinyphi", "check", "x.toml"], WORK)))
    (WORK / "ticket.toml").write_text(blocks("pipelines/README.md", "toml")[0])
    cases.append(("pipelines/README.md's pipeline", lambda: run(
        [BUILD / "tools/tinyphi", "test", "--coverage", "ticket.toml"], WORK)))
    for package in ("tinyphi", "tinyphi-compiled"):
        cases.append((f"README.md's program with {package}",
                      lambda p=package: check_example(config, p)))
    cases.append(("plugins/README.md's stage compiles with what is installed",
                  lambda: check_skeleton(config)))
    cases.append(("plugins/README.md's tool of ten lines answers", check_tool))
    cases.append(("plugins/README.md's server of tools answers", check_mcp_tool))
    cases.append(("README.md's program of 30 lines serves four clients",
                  lambda: check_server(config)))
    cases.append(("CONTRIBUTING.md follows a request through 35 files at most",
                  check_walk))
    if shutil.which("cmake"):
        cases.append(("README.md's program with CMake",
                      lambda: check_cmake(config)))
    else:
        print("skipped README.md's program with CMake: there is no cmake here")

    part = sys.argv[3] if len(sys.argv) > 3 else ""
    cases = [(name, case) for name, case in cases if part in name]
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
