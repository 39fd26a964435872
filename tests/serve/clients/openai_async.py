# SPDX-License-Identifier: MIT
"""PyPI's openai, asynchronous and several at once. Usage: openai_async.py URL"""

import asyncio
import sys

import openai


async def main():
    async with openai.AsyncOpenAI(base_url=sys.argv[1] + "/v1",
                                  api_key="sk-of-a-test") as client:
        model = (await client.models.list()).data[0].id
        ask = {"model": model, "temperature": 0, "max_tokens": 16, "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "What does a red light mean?"}]}]}
        whole = await client.chat.completions.create(**ask)
        text = whole.choices[0].message.content
        assert text

        async def streamed():
            stream = await client.chat.completions.create(stream=True, **ask)
            return "".join([c.choices[0].delta.content or ""
                            async for c in stream if c.choices])
        assert await asyncio.gather(*(streamed() for _ in range(4))) == \
            [text] * 4

        # One that is left behind; the connection's end is the daemon's sign.
        stream = await client.chat.completions.create(
            stream=True, **{**ask, "max_tokens": 2000})
        async for _ in stream:
            break
        await stream.close()

        found = await client.embeddings.create(model=model, input="The pump")
        assert len(found.data) == 1 and len(found.data[0].embedding) > 8
        try:
            await client.chat.completions.create(
                **{**ask, "messages": [{"role": "cook", "content": "a"}]})
        except openai.BadRequestError as e:
            assert e.param == "messages[0].role", e.param
        else:
            raise AssertionError("a cook was taken")


asyncio.run(main())
