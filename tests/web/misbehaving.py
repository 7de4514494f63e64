"""A small HTTP server that answers as it is told to, badly if need be."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

CLIENT = Path(__file__).resolve().parents[2] / "web" / "client" / "client.js"
SSE = "text/event-stream"

type Event = dict[str, Any]
type Act = Callable[["Exchange"], Awaitable[None]]
"""What the server does with one request. When it returns, the connection is closed."""


class Exchange:
    """One request, and the answer that an act gives to it."""

    def __init__(
        self,
        server: "Misbehaving",
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.server = server
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.at = asyncio.get_running_loop().time()
        self.gone = asyncio.Event()
        """The caller has closed the connection."""
        self._reader = reader
        self._writer = writer

    def json(self) -> Any:
        return json.loads(self.body)

    async def head(self, status: int = 200, content_type: str | None = SSE, **more: str) -> None:
        """Sends a head whose body comes in chunks, so that a cut one can be told from a whole."""
        fields = {name.replace("_", "-"): more[name] for name in more}
        if content_type is not None:
            fields["content-type"] = content_type
        if status != 204:
            fields["transfer-encoding"] = "chunked"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self._write(f"HTTP/1.1 {status} As Told\r\n{lines}\r\n".encode())

    async def send(self, data: bytes) -> None:
        await self._write(b"%x\r\n%b\r\n" % (len(data), data))

    async def send_events(self, *events: Event) -> None:
        await self.send(frames(*events))

    async def end(self) -> None:
        """The body is whole; without it the connection was cut."""
        await self._write(b"0\r\n\r\n")

    async def left(self) -> None:
        """Waits until the caller has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(1024):
                pass
        self.gone.set()

    async def _write(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()


class Misbehaving:
    """A running server. Each request to the API is answered by the next of its acts."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Exchange] = []
        self._acts: list[Act] = []
        self._before = 0
        self._seen: list[str] = []
        self._news = asyncio.Condition()

    def will(self, *acts: Act) -> None:
        """What it does next; what was seen before is forgotten."""
        self._acts += acts
        self._before = len(self.requests)
        self._seen.clear()

    async def until_seen(self, position: str, times: int = 1) -> None:
        """Waits until the caller has said that it has seen an event.

        A connection that breaks at once may take along what was sent before.
        """
        async with self._news:
            await self._news.wait_for(lambda: self._seen.count(position) >= times)

    @property
    def left_over(self) -> int:
        """How many acts nobody has asked for."""
        return len(self._acts)

    @property
    def asked(self) -> list[str]:
        """Method and target, below `/api`, of every request."""
        return [f"{each.method} {each.target.removeprefix('/api')}" for each in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(await self._request(reader, writer))
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Exchange:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Exchange(self, method, target, headers, body, reader, writer)

    async def _answer(self, exchange: Exchange) -> None:
        match exchange.target:
            case "/page":
                await _file(exchange, "text/html", b"<!doctype html><title>A page</title>")
            case "/client.js":
                await _file(exchange, "text/javascript", CLIENT.read_bytes())
            case "/asked":  # answered once a request has come for the acts of now
                async with self._news:
                    await self._news.wait_for(lambda: len(self.requests) > self._before)
                await _file(exchange, "text/plain", b"asked")
            case "/left":  # answered once the caller has left the last request
                await self.requests[-1].gone.wait()
                await _file(exchange, "text/plain", b"left")
            case target if target.startswith("/seen?"):
                async with self._news:
                    self._seen.append(target.removeprefix("/seen?"))
                    self._news.notify_all()
                await _file(exchange, "text/plain", b"")
            case target if target.startswith("/api/"):
                async with self._news:
                    self.requests.append(exchange)
                    self._news.notify_all()
                act = self._acts.pop(0) if self._acts else told(418, "text/plain", b"No act left.")
                await act(exchange)
            case _:
                await told(404, None, b"")(exchange)


@asynccontextmanager
async def running_misbehaving() -> AsyncIterator[Misbehaving]:
    """Serves on a free port of 127.0.0.1 while the block runs."""
    server = Misbehaving()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        server.url = f"http://{host}:{port}"
        try:
            yield server
        finally:
            listening.close()
            listening.close_clients()


def told(status: int, content_type: str | None, body: bytes, **headers: str) -> Act:
    """A whole answer."""

    async def act(exchange: Exchange) -> None:
        # Otherwise the caller might use a connection again that is just being closed.
        await exchange.head(status, content_type, connection="close", **headers)
        if status != 204:
            if body:
                await exchange.send(body)
            await exchange.end()

    return act


def problem(status: int, code: str, more: Mapping[str, Any] | None = None, **headers: str) -> Act:
    """An error as the backend tells it."""
    body = {"type": "about:blank", "title": "T", "status": status, "detail": "D", "code": code}
    data = json.dumps(body | dict(more or {})).encode()
    return told(status, "application/problem+json", data, **headers)


def as_json(value: object, status: int = 200) -> Act:
    return told(status, "application/json", json.dumps(value).encode())


def stream(*events: Event) -> Act:
    """These events, then the end of a whole body."""
    return told(200, f"{SSE}; charset=utf-8", frames(*events))


def cut(*parts: Event | bytes) -> Act:
    """These events and bytes, then the connection breaks, once the events have been seen."""

    async def act(exchange: Exchange) -> None:
        await exchange.head()
        for part in parts:
            await exchange.send(part if isinstance(part, bytes) else frames(part))
        for part in parts:
            if not isinstance(part, bytes):
                await exchange.server.until_seen(part["position"])

    return act


def held(*events: Event) -> Act:
    """These events, then nothing, for as long as the caller stays."""

    async def act(exchange: Exchange) -> None:
        await exchange.head()
        if events:
            await exchange.send_events(*events)
        await exchange.left()

    return act


async def refuse(exchange: Exchange) -> None:
    """Closes the connection without a word."""


async def never(exchange: Exchange) -> None:
    """Says nothing, for as long as the caller stays."""
    await exchange.left()


def frames(*events: Event) -> bytes:
    return b"".join(
        f"id: {event['position']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


async def _file(exchange: Exchange, content_type: str, body: bytes) -> None:
    await told(200, content_type, body)(exchange)
