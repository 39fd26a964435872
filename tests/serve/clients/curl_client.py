# SPDX-License-Identifier: MIT
"""curl, as a person types it. Usage: curl_client.py URL"""

import json
import subprocess
import sys

url = sys.argv[1]


def curl(*words, input=None):
    done = subprocess.run(["curl", "-sS", "--max-time", "60", *words],
                          check=True, capture_output=True, text=True,
                          input=input)
    return done.stdout


question = json.dumps({"messages": [{"role": "user", "content": "Hello!"}],
                       "max_tokens": 8})
# -d says that it is a form, whatever it is.
assert json.loads(curl(url + "/v1/chat/completions", "-d", question))["choices"]
assert curl("-N", url + "/v1/chat/completions", "-H",
            "Content-Type: application/json", "-d",
            question[:-1] + ', "stream": true}').endswith("data: [DONE]\n\n")
assert json.loads(curl(url + "/v1/models"))["data"]
assert json.loads(curl(url + "/health"))["status"] == "ok"
code = curl("-o", "/dev/null", "-w", "%{http_code}", url + "/none")
assert code == "404", code
# With large bodies curl waits for "100 Continue".
large = json.dumps({"input": "pump " * 9000})
error = json.loads(curl(url + "/v1/embeddings", "-H", "Expect: 100-continue",
                        "-d", "@-", input=large))["error"]
assert error["code"] == "context_length_exceeded", error
head = curl("-I", url + "/health")
assert head.startswith("HTTP/1.1 "), head
