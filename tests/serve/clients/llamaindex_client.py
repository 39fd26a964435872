# SPDX-License-Identifier: MIT
"""LlamaIndex's OpenAILike, chat and plain. Usage: llamaindex_client.py URL"""

import sys

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai_like import OpenAILike

url = sys.argv[1] + "/v1"
chat = OpenAILike(model="default", api_base=url, api_key="sk-of-a-test",
                  is_chat_model=True, max_tokens=16, context_window=4096)
messages = [ChatMessage(role="user", content="What does a green light mean?")]
assert chat.chat(messages).message.content
assert "".join(r.delta or "" for r in chat.stream_chat(messages))

plain = OpenAILike(model="default", api_base=url, api_key="sk-of-a-test",
                   is_chat_model=False, max_tokens=8, context_window=4096)
assert plain.complete("A green light means").text
assert "".join(r.delta or "" for r in
               plain.stream_complete("A green light means"))
