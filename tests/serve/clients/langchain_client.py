# SPDX-License-Identifier: MIT
"""LangChain's ChatOpenAI and OpenAIEmbeddings. Usage: langchain_client.py URL"""

import sys

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

url = sys.argv[1] + "/v1"
chat = ChatOpenAI(base_url=url, api_key="sk-of-a-test", model="default",
                  temperature=0, max_tokens=16)
messages = [SystemMessage("You are brief."),
            HumanMessage("What does a green light mean?")]
answer = chat.invoke(messages)
assert answer.content, answer
assert answer.usage_metadata["output_tokens"] > 0
assert "".join(c.content for c in chat.stream(messages)) == answer.content
turn = chat.invoke([*messages, AIMessage(answer.content),
                    HumanMessage("And a red one?")])
assert turn.content
assert [a.content for a in chat.batch([messages, messages])] == \
    [answer.content] * 2
assert chat.bind(stop=["\n"]).invoke("Hello").content is not None

# Texts, not ids of another model's tokens.
embeddings = OpenAIEmbeddings(base_url=url, api_key="sk-of-a-test",
                              model="default",
                              check_embedding_ctx_length=False)
vectors = embeddings.embed_documents(["The pump is ready.", "A red light"])
assert len(vectors) == 2 and abs(sum(x * x for x in vectors[0]) - 1) < 1e-3
one = embeddings.embed_query("The pump is ready.")
assert max(abs(a - b) for a, b in zip(one, vectors[0])) < 1e-5
