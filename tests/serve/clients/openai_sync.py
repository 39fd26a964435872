# SPDX-License-Identifier: MIT
"""PyPI's openai, blocking. Usage: openai_sync.py URL"""

import sys
from typing import Literal

import openai
import pydantic

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-of-a-test")
messages = [{"role": "system", "content": "You are brief."},
            {"role": "user", "content": "What does a green light mean?"}]

models = client.models.list().data
assert models and models[0].object == "model", models
assert client.models.retrieve(models[0].id).id == models[0].id
model = models[0].id

whole = client.chat.completions.create(model=model, messages=messages,
                                       temperature=0, max_tokens=24)
text = whole.choices[0].message.content
assert text and whole.choices[0].message.role == "assistant"
assert whole.choices[0].finish_reason in ("stop", "length")
assert whole.usage.total_tokens == (whole.usage.prompt_tokens +
                                    whole.usage.completion_tokens)
assert whole.system_fingerprint and whole.id.startswith("chatcmpl-")

chunks = list(client.chat.completions.create(
    model=model, messages=messages, temperature=0, max_tokens=24, stream=True,
    stream_options={"include_usage": True}, logprobs=True, top_logprobs=2))
assert "".join(c.choices[0].delta.content or "" for c in chunks
               if c.choices) == text
assert chunks[0].choices[0].delta.role == "assistant"
assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
assert not chunks[-1].choices

with client.chat.completions.stream(model=model, messages=messages,
                                    temperature=0, max_tokens=24) as stream:
    assert any(event.type == "content.delta" for event in stream)
    assert stream.get_final_completion().choices[0].message.content == text

several = client.chat.completions.create(
    model=model, messages=messages, n=2, seed=3, temperature=1.2, top_p=0.9,
    max_completion_tokens=8, stop=["\n\n"], presence_penalty=0.1,
    frequency_penalty=0.1, logit_bias={"300": -1}, user="somebody")
assert [c.index for c in several.choices] == [0, 1]

completion = client.completions.create(model=model, prompt="A green light means",
                                       max_tokens=8, temperature=0)
assert completion.choices[0].text and completion.object == "text_completion"
pieces = [c.choices[0].text for c in client.completions.create(
    model=model, prompt="A green light means", max_tokens=8, temperature=0,
    stream=True) if c.choices]
assert "".join(pieces) == completion.choices[0].text

# The newer form of the same question has the same answer.
asked = {"model": model, "instructions": messages[0]["content"], "temperature": 0,
         "input": messages[1]["content"], "max_output_tokens": 24, "store": False}
response = client.responses.create(**asked)
assert response.output_text == text and response.id.startswith("resp_")
assert response.status in ("completed", "incomplete")
with client.responses.stream(**asked) as stream:
    deltas = [e.delta for e in stream if e.type == "response.output_text.delta"]
    assert "".join(deltas) == text
    assert stream.get_final_response().output_text == text


class Weather(pydantic.BaseModel):
    """How warm it is in a city."""

    city: Literal["Graz", "Linz"]
    days: int


# A call, the same in pieces, and what follows its result.
called = {"model": model, "temperature": 0, "max_tokens": 60, "tool_choice": "required",
          "tools": [openai.pydantic_function_tool(Weather)]}
parsed = client.chat.completions.parse(messages=messages, **called)
assert parsed.choices[0].finish_reason == "tool_calls" and not parsed.choices[0].message.content
call = parsed.choices[0].message.tool_calls[0]
assert isinstance(call.function.parsed_arguments, Weather), call
with client.chat.completions.stream(messages=messages, **called) as stream:
    done = [e for e in stream if e.type == "tool_calls.function.arguments.done"]
    assert [(e.name, e.arguments) for e in done] == [("Weather", call.function.arguments)], done
    assert isinstance(done[0].parsed_arguments, Weather), done
    message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.name == "Weather", message
turns = [*messages, parsed.choices[0].message,
         {"role": "tool", "tool_call_id": call.id, "content": "31 degrees"}]
answer = client.chat.completions.create(messages=turns, **{**called, "tool_choice": "none"})
assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls
function = {"type": "function", "name": "weather", "strict": True,
            "parameters": called["tools"][0]["function"]["parameters"]}
flat = {"model": model, "temperature": 0, "max_output_tokens": 60, "tools": [function],
        "tool_choice": {"type": "function", "name": "weather"}}
item = client.responses.create(input="Is it warm?", **flat).output[0]
assert item.type == "function_call" and Weather.model_validate_json(item.arguments), item
with client.responses.stream(input="Is it warm?", **flat) as stream:
    pieces = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
    assert "".join(pieces) == item.arguments, pieces
    assert stream.get_final_response().output[0].arguments == item.arguments
follows = client.responses.create(**{**flat, "tool_choice": "none"}, input=[
    {"role": "user", "content": "Is it warm?"}, item,
    {"type": "function_call_output", "call_id": item.call_id, "output": "31 degrees"}])
assert follows.output_text

# It asks for base64 unless told otherwise, and decodes it.
coded = client.embeddings.create(model=model, input=["The pump", "A light"])
plain = client.embeddings.create(model=model, input=["The pump", "A light"],
                                 encoding_format="float")
assert len(coded.data) == 2 and coded.data[1].index == 1
for a, b in zip(coded.data, plain.data):
    assert len(a.embedding) == len(b.embedding) > 8
    assert max(abs(x - y) for x, y in zip(a.embedding, b.embedding)) < 1e-5

seen = []


def failing(how, kind, param):
    """It raises what it raises for OpenAI, and does not try again."""
    try:
        how()
    except kind as e:
        assert e.param == param and e.request_id, (e.param, e.request_id)
        assert e.response.request.headers["x-stainless-retry-count"] == "0"
        seen.append(e.code)
    else:
        raise AssertionError(f"{kind} was not raised")


failing(lambda: client.chat.completions.create(model=model, messages=[]),
        openai.BadRequestError, "messages")
failing(lambda: client.chat.completions.create(
    model=model, messages=messages, temperature=101),
    openai.BadRequestError, "temperature")
failing(lambda: client.chat.completions.create(
    model=model, messages=[{"role": "user", "content": "pump " * 9000}]),
    openai.BadRequestError, "messages")
assert seen[-1] == "context_length_exceeded", seen
try:
    client.files.list()
except openai.NotFoundError:
    pass
else:
    raise AssertionError("there are no files")
