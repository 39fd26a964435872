# SPDX-License-Identifier: MIT
"""PyPI's instructor over openai. Usage: instructor_client.py URL"""

import sys
from typing import Literal

import instructor
import openai
from pydantic import BaseModel, Field


class Line(BaseModel):
    text: str = Field(max_length=12)
    amount: int = Field(ge=0, le=99)


class Invoice(BaseModel):
    """What an invoice says."""

    kind: Literal["invoice", "reminder"]
    lines: list[Line] = Field(min_length=1, max_length=2)


plain = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="sk-of-a-test")
messages = [{"role": "user", "content": "Two pumps, 31 each."}]
asked = {"model": "default", "response_model": Invoice, "messages": messages, "max_tokens": 160,
         "temperature": 0, "max_retries": 0}
# Mode.JSON asks for any object and tells the schema in words, so the demo model
# cannot be held to it.
for mode in (instructor.Mode.TOOLS, instructor.Mode.TOOLS_STRICT, instructor.Mode.JSON_SCHEMA):
    client = instructor.from_openai(plain, mode=mode)
    got, raw = client.chat.completions.create_with_completion(**asked)
    assert isinstance(got, Invoice) and raw.choices, (mode, got)
# Objects as they grow.
client = instructor.from_openai(plain, mode=instructor.Mode.TOOLS)
last = None
for last in client.chat.completions.create_partial(**asked):
    pass
assert last.kind and last.lines, last
