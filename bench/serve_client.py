# SPDX-License-Identifier: MIT
"""A client of OpenAI-compatible servers that notes when each byte came. Standard
library only, so that what is measured is the server: sockets by asyncio, and as
much of HTTP/1.1 and of event streams as servers use. Used by
bench/serve_load.py."""

import asyncio
import json
import time

from engines import Failed

HEAD_LIMIT = 64 << 10
BODY_LIMIT = 64 << 20  # of one answer
TIME_LIMIT = 1800  # seconds for one answer


class Body:
    """The bytes of an answer's body out of those of its connection; `ended`
    once all are there."""

    def __init__(self, headers):
        self.chunked = headers.get("transfer-encoding", "") == "chunked"
        self.left = None  # of the body, or of this chunk; None: not known
        self.buffer = b""
        self.ended = False
        self.size = 0
        if not self.chunked and "content-length" in headers:
            self.left = self.number(headers["content-length"], 10)
            self.ended = self.left == 0

    @staticmethod
    def number(text, base):
        try:
            found = int(text, base)
        except ValueError:
            found = -1
        if not 0 <= found <= BODY_LIMIT:
            raise Failed(f"the server sent {text!r:.40} as a length")
        return found

    def feed(self, data):
        """The part of the body in these bytes; empty ones end a body that has
        no length."""
        if not data:
            if self.chunked or self.left:
                raise Failed("the connection ended within an answer")
            self.ended = True
            return b""
        out = self.chunks(data) if self.chunked else self.plain(data)
        self.size += len(out)
        if self.size > BODY_LIMIT:
            raise Failed("the answer is too long")
        return out

    def plain(self, data):
        if self.left is None:
            return data
        out = data[:self.left]
        self.left -= len(out)
        self.ended = self.left == 0
        return out

    def chunks(self, data):
        self.buffer += data
        out = []
        while not self.ended:
            if self.left is None:  # a size line is next
                line, end, rest = self.buffer.partition(b"\r\n")
                if not end:
                    if len(line) > 100:
                        raise Failed("the server sent no size of a chunk")
                    break
                self.left = self.number(line.split(b";")[0].decode("latin-1"),
                                        16)
                self.buffer = rest
                self.last = self.left == 0
            if len(self.buffer) < self.left + 2:
                break
            if self.buffer[self.left:self.left + 2] != b"\r\n":
                raise Failed("the server's chunk is longer than its size")
            out.append(self.buffer[:self.left])
            self.buffer = self.buffer[self.left + 2:]
            self.left, self.ended = None, self.last
        return b"".join(out)


class Events:
    """The data of server-sent events out of the bytes of a body."""

    def __init__(self):
        self.rest = b""
        self.data = []

    def feed(self, data):
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > BODY_LIMIT:
            raise Failed("an event is too long")
        found = []
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self.data.append(line[5:].removeprefix(b" "))
            elif not line and self.data:
                found.append(b"\n".join(self.data))
                self.data = []
        return found


def parse_head(data):
    """(status, headers with lower-case names) of an answer's head."""
    first, *lines = data.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or \
            not words[1].isdigit():
        raise Failed(f"the server answered {first!r:.80}")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip().lower()
    return int(words[1]), headers


class Target:
    """Where a server listens, and as whom to ask."""

    def __init__(self, port, key=None, host="127.0.0.1"):
        self.host, self.port, self.key = host, port, key

    def as_(self, key):
        return Target(self.port, key, self.host)

    def request(self, method, path, body=None, close=True):
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        if self.key:
            lines.append(f"Authorization: Bearer {self.key}")
        if body is not None:
            lines += ["Content-Type: application/json",
                      f"Content-Length: {len(content)}"]
        if close:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode() + content

    async def connect(self):
        try:
            return await asyncio.open_connection(self.host, self.port,
                                                 limit=HEAD_LIMIT)
        except OSError as e:
            raise Failed(f"{self.host}:{self.port}: {e}") from e

    async def ask(self, method, path, body=None):
        """(status, bytes of the body), whole."""
        async with Answer(self, method, path, body) as answer:
            parts = [part async for part in answer.parts()]
            return answer.status, b"".join(parts)

    async def json(self, method, path, body=None):
        status, data = await self.ask(method, path, body)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if status != 200 or found is None:
            raise Failed(f"{method} {path}: status {status}: {data[:200]!r}")
        return found


class Answer:
    """One request and its answer, as a context that closes the connection."""

    def __init__(self, target, method, path, body=None):
        self.target = target
        self.bytes = target.request(method, path, body)
        self.status, self.headers, self.writer = 0, {}, None

    async def __aenter__(self):
        self.reader, self.writer = await self.target.connect()
        try:
            self.sent = time.perf_counter()
            self.writer.write(self.bytes)
            await self.writer.drain()
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"),
                                          TIME_LIMIT)
            self.status, self.headers = parse_head(head)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError,
                asyncio.LimitOverrunError) as e:
            self.writer.close()
            raise Failed(f"no answer: {e!r}") from e
        except BaseException:
            self.writer.close()
            raise
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def parts(self):
        body = Body(self.headers)
        while not body.ended:
            try:
                data = await asyncio.wait_for(self.reader.read(1 << 16),
                                              TIME_LIMIT)
            except (OSError, asyncio.TimeoutError) as e:
                raise Failed(f"the answer broke off: {e!r}") from e
            if part := body.feed(data):
                yield part


class Stream:
    """A streamed completion: when its pieces of text came, and what the server
    said of it at its end."""

    def __init__(self):
        self.times = []  # of pieces with text
        self.sent = self.ended = 0.0
        self.usage, self.finish, self.done = {}, None, False

    @property
    def first(self):
        """Seconds from the request to the first piece of text."""
        if not self.times:
            raise Failed("a stream ended without text")
        return self.times[0] - self.sent

    @property
    def tokens(self):
        return self.usage.get("completion_tokens", len(self.times))

    @property
    def cached(self):
        details = self.usage.get("prompt_tokens_details") or {}
        return details.get("cached_tokens", 0)

    def take(self, data, now):
        """One event's data."""
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = json.loads(data)
        except ValueError as e:
            raise Failed(f"an event is no JSON: {data[:80]!r}") from e
        if event.get("error"):
            raise Failed(f"the server ended a stream: {event['error']}")
        for choice in event.get("choices") or ():
            text = choice.get("text")
            if text is None:
                text = (choice.get("delta") or {}).get("content")
            if text:
                self.times.append(now)
            self.finish = choice.get("finish_reason") or self.finish
        self.usage = event.get("usage") or self.usage

    def gaps(self, begin=float("-inf"), end=float("inf")):
        """Seconds between pieces of text, of the gaps that touch a time."""
        return [b - a for a, b in zip(self.times, self.times[1:])
                if b > begin and a < end]


async def stream(target, body, into=None, path="/v1/completions"):
    """Asks for a completion in pieces and reads it to its end."""
    into = into or Stream()
    body = {**body, "stream": True, "stream_options": {"include_usage": True}}
    into.sent = time.perf_counter()
    async with Answer(target, "POST", path, body) as answer:
        into.sent = answer.sent
        if answer.status != 200:
            said = b"".join([part async for part in answer.parts()])
            raise Failed(f"{path}: status {answer.status}: {said[:200]!r}")
        events = Events()
        async for part in answer.parts():
            now = time.perf_counter()
            for data in events.feed(part):
                into.take(data, now)
    into.ended = time.perf_counter()
    return into
