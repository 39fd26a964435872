# SPDX-License-Identifier: MIT
"""PyPI's ollama. Usage: ollama_client.py URL"""

import sys

import ollama

client = ollama.Client(host=sys.argv[1])
models = client.list().models
assert models, "no model"
name = models[0].model
assert client.show(name).capabilities
messages = [{"role": "user", "content": "What does a green light mean?"}]
options = {"temperature": 0, "num_predict": 16}
whole = client.chat(model=name, messages=messages, options=options)
assert whole.message.content and whole.done and whole.eval_count > 0
pieces = list(client.chat(model=name, messages=messages, options=options,
                          stream=True))
assert "".join(p.message.content for p in pieces) == whole.message.content
assert pieces[-1].done and pieces[-1].done_reason in ("stop", "length")
text = client.generate(model=name, prompt="A green light means",
                       options=options)
assert text.response and text.done
found = client.embed(model=name, input=["The pump", "A light"])
assert len(found.embeddings) == 2 and len(found.embeddings[0]) > 8
try:
    client.chat(model="no-such-model:1", messages=messages,
                options={"num_predict": -5})
except ollama.ResponseError as e:
    assert 400 <= e.status_code < 500 and e.error
else:
    raise AssertionError("a count below -2 was taken")
