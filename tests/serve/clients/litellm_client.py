# SPDX-License-Identifier: MIT
"""LiteLLM with provider openai. Usage: litellm_client.py URL"""

import os
import sys

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # no look-up elsewhere
import litellm  # noqa: E402

litellm.telemetry = False
ask = {"model": "openai/default", "api_base": sys.argv[1] + "/v1",
       "api_key": "sk-of-a-test"}
messages = [{"role": "user", "content": "What does a green light mean?"}]
whole = litellm.completion(messages=messages, temperature=0, max_tokens=16,
                           **ask)
text = whole.choices[0].message.content
assert text and whole.usage.completion_tokens > 0
pieces = [c.choices[0].delta.content or "" for c in litellm.completion(
    messages=messages, temperature=0, max_tokens=16, stream=True, **ask)]
assert "".join(pieces) == text
found = litellm.embedding(input=["The pump", "A light"], **ask)
assert len(found.data) == 2 and len(found.data[0]["embedding"]) > 8
try:
    litellm.completion(messages=[{"role": "user", "content": "pump " * 9000}],
                       **ask)
except litellm.ContextWindowExceededError:
    pass
else:
    raise AssertionError("a prompt beyond the context was taken")
