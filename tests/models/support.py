"""A model service of exact bytes, for what a well-behaved one never sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.events import ModelEvent
from shared.messages import ModelRequest
from shared.models.completions import ChatCompletions
from shared.models.connect import open_model
from shared.settings import Connection

USER = ({"role": "user", "content": "Hello"},)
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
HELLO = b'data: {"choices":[{"delta":{"content":"Hello"}}]}\n\n'
STOP = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def answer(status: int, body: object, **headers: str) -> bytes:
    """A whole answer with a JSON body."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(raw)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def error(status: int, **fields: Any) -> bytes:
    """An answer with OpenAI's error body."""
    return answer(status, {"error": {"message": "upstream words", **fields}})


class Service:
    """Answers each request with the next of its answers, the last one for ever."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self.url = ""
        self.heads: list[str] = []
        self.bodies: list[Any] = []
        self.asked = asyncio.Event()
        self.door = asyncio.Event()
        """Shut (`clear`), no answer leaves."""
        self.door.set()
        self.connections = 0
        self._answers = answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for as long as the client keeps it."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = [
                    int(line.split(":")[1])
                    for line in head.lower().split("\r\n")
                    if line.startswith("content-length")
                ]
                self.heads.append(head)
                body = await reader.readexactly(length[0]) if length else b"null"
                self.bodies.append(json.loads(body))
                self.asked.set()
                await self.door.wait()
                reply = self._answers[min(len(self.heads), len(self._answers)) - 1]
                writer.write(reply)
                await writer.drain()
                if not reply or b"connection: close" in reply.lower():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes) -> AsyncIterator[Service]:
    """A service on a free port of the loopback."""
    service = Service(answers)
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield service
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


@asynccontextmanager
async def opened(
    url: str, *, retry_seconds: float = 0.0, token: Any = None, **connection: Any
) -> AsyncIterator[ChatCompletions]:
    """A model at that address: Azure's v1 endpoint with a key, unless something else is said."""
    fields = {"name": "AZURE_OPENAI", "kind": "azure_openai", "endpoint": url}
    if token is None:
        fields["api_key"] = "the-key"
    model = open_model(Connection(**fields | connection), token, retry_seconds=retry_seconds)
    try:
        yield model
    finally:
        await model.aclose()


def asking(text: str = "Hello", model: str = "chat", **more: Any) -> ModelRequest:
    """A request of one message; `parameters` and `chosen` as they come."""
    fields = {"parameters": {}, "messages": ({"role": "user", "content": text},)}
    return ModelRequest(model=model, **fields | more)


async def events_of(model: ChatCompletions, request: ModelRequest) -> list[ModelEvent]:
    """Everything that one ask gives."""
    async with model.ask(request) as stream:
        return [event async for batch in stream for event in batch]


async def collect(stream: AsyncIterator[Sequence[ModelEvent]], told: list[ModelEvent]) -> None:
    """Add the rest of a stream to `told`, as far as it comes."""
    async for batch in stream:
        told += batch
