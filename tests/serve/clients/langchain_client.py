# SPDX-License-Identifier: MIT
"""LangChain's ChatOpenAI and OpenAIEmbeddings. Usage: langchain_client.py URL"""

import json
import sys
from typing import Literal

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field

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


class Weather(BaseModel):
    """How warm it is in a city."""

    city: Literal["Graz", "Linz"]
    days: int = Field(ge=0, le=9)


# Tools, and each way to an object of a class.
called = ChatOpenAI(base_url=url, api_key="sk-of-a-test", model="default",
                    temperature=0, max_tokens=60)
bound = called.bind_tools([Weather], tool_choice="Weather")
call = bound.invoke(messages).tool_calls[0]
assert call["name"] == "Weather" and Weather(**call["args"]), call
pieces = list(bound.stream(messages))
whole = pieces[0]
for piece in pieces[1:]:
    whole += piece
assert whole.tool_calls[0]["args"] == call["args"], whole
first = bound.invoke(messages)
told = called.bind_tools([Weather], tool_choice="none").invoke(
    [*messages, first, ToolMessage("31 degrees", tool_call_id=first.tool_calls[0]["id"])])
assert told.content and not told.tool_calls, told
for method in ("json_schema", "function_calling"):
    got = called.with_structured_output(Weather, method=method).invoke(messages)
    assert isinstance(got, Weather), (method, got)
strict = called.with_structured_output(Weather, method="json_schema", include_raw=True)
both = strict.invoke(messages)
assert both["parsing_error"] is None and both["parsed"] == Weather(
    **json.loads(both["raw"].content)), both
