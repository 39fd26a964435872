# SPDX-License-Identifier: MIT
"""Open WebUI's calls of an OpenAI-compatible server, as its source makes them
(open-webui 0.12.4, read, not run): models first, then a streamed chat with its
own names. Standard library only. Usage: open_webui.py URL"""

import json
import sys
import urllib.request

url = sys.argv[1] + "/v1"
headers = {"Content-Type": "application/json",
           "Authorization": "Bearer sk-of-a-test",
           "HTTP-Referer": "https://openwebui.com/", "X-Title": "Open WebUI",
           "Accept": "*/*", "User-Agent": "Python/3.11 aiohttp/3.12.15"}


def ask(path, body=None):
    request = urllib.request.Request(
        url + path, None if body is None else json.dumps(body).encode(),
        headers)
    return urllib.request.urlopen(request, timeout=60).read()


models = json.loads(ask("/models"))["data"]
assert models and models[0]["id"]
body = {"stream": True, "model": models[0]["id"],
        "messages": [{"role": "user", "content": "What does a light mean?"}],
        "stream_options": {"include_usage": True}, "temperature": 0,
        "max_tokens": 16}
lines = [line for line in ask("/chat/completions", body).split(b"\n") if line]
assert lines[-1] == b"data: [DONE]", lines[-1]
events = [json.loads(line[6:]) for line in lines[:-1]]
text = "".join(e["choices"][0]["delta"].get("content") or ""
               for e in events if e["choices"])
assert text and events[-1]["usage"]["completion_tokens"] > 0
# The title that it asks for behind each first answer.
title = json.loads(ask("/chat/completions", {
    "model": models[0]["id"], "stream": False, "max_completion_tokens": 20,
    "messages": [{"role": "user", "content":
                  "### Task:\nGenerate a concise, 3-5 word title.\n"
                  "<chat_history>\nUSER: " + text + "\n</chat_history>"}]}))
assert title["choices"][0]["message"]["content"]
# Its provider "llama.cpp": an answer that is begun is gone on with.
begun = json.loads(ask("/chat/completions", {
    "model": models[0]["id"], "stream": False, "max_tokens": 8,
    "continue_final_message": True, "add_generation_prompt": False,
    "messages": [{"role": "user", "content": "What does a light mean?"},
                 {"role": "assistant", "content": "A light means"}]}))
assert begun["choices"][0]["message"]["content"] is not None
