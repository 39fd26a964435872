# SPDX-License-Identifier: MIT
"""What the tests of the Model Context Protocol have in common."""

import os
import pathlib

# Whether peers of PyPI are run, and where they live.
LONG = os.environ.get("TINYPHI_TEST_LONG", "0") not in ("", "0")
VENV = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
                    ) / "tinyphi/mcp"

NEWEST = "2026-07-28"
# What each request of that revision says of its client.
META = {"io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"}}
