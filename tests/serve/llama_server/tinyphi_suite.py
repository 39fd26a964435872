# SPDX-License-Identifier: MIT
"""A pytest plugin for llama-server's own tests, which stay as they are: every
preset is the model at hand, nothing is downloaded, a server that lacks an option
skips the test, and how each test ended is written down.

Environment: TINYPHI_SUITE_MODEL, a GGUF file, or empty where the server has a
model; TINYPHI_SUITE_RESULTS, the file for what happened."""

import json
import os

import pytest

MODEL = os.environ.get("TINYPHI_SUITE_MODEL") or None
NO_OPTION = "return code 64"


def pytest_configure():
    # The suite's own module; its folder is on the path only from now on.
    import utils

    def local(preset):
        def made():
            server = preset()
            if server.model_hf_repo or server.model_file:
                server.model_file = MODEL
            server.model_hf_repo = server.model_hf_file = None
            server.offline = False
            return server
        return staticmethod(made)
    for name, preset in list(vars(utils.ServerPreset).items()):
        if isinstance(preset, staticmethod):
            setattr(utils.ServerPreset, name,
                    staticmethod(lambda: None) if name == "load_all"
                    else local(preset.__func__))
    start = utils.ServerProcess.start

    def started(self, *args, **more):
        try:
            return start(self, *args, **more)
        except RuntimeError as e:
            if NO_OPTION in str(e):
                pytest.skip("tinyphi serve lacks an option")
            raise
    utils.ServerProcess.start = started


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        crash = getattr(report.longrepr, "reprcrash", None)
        why = (crash.message if crash else report.longrepr[2] if
               isinstance(report.longrepr, tuple) else str(
                   report.longrepr or "")).strip().splitlines()
        with open(os.environ["TINYPHI_SUITE_RESULTS"], "a",
                  encoding="utf-8") as f:
            f.write(json.dumps({"name": report.nodeid.removeprefix("unit/"),
                                "outcome": report.outcome,
                                "why": why[0][:200] if why else ""}) + "\n")
