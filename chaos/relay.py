"""A relay before store or model that does to each exchange what its weather says.

The app keeps its connections to the relay; behind it every exchange has one of its own, so that
what happens to one never happens to another.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import httptools

from chaos.http import Request, RequestReader, ResponseReader, refusal
from chaos.weather import Fate
from local.ports import HOST

_READ_BYTES = 2**16
_STREAM_BYTES = 4000


class Exchange(Protocol):
    """Notes one exchange."""

    def passed(self) -> None:
        """The server has been sent the request."""
        ...

    def told(self, status: int, body: bytes) -> None:
        """The app has been sent this much of an answer."""
        ...

    def over(self) -> None:
        """Nothing more happens."""
        ...


class Notes(Protocol):
    """Decides on exchanges, and notes them."""

    def begin(self, request: Request) -> tuple[Fate, Exchange]: ...

    def refused(self, status: int) -> bytes:
        """The body of an error that the server would give."""
        ...


class Relay:
    """A running relay on `port`. Made by `running_relay`."""

    def __init__(self, upstream: int, notes: Notes) -> None:
        self.port = 0
        self.upstream = upstream
        self._notes = notes
        self._exchanges: set[asyncio.Task[None]] = set()
        self.connections: set[_Connection] = set()

    async def quiet(self) -> None:
        """Wait until no exchange is under way, those included whose app has gone."""
        while self._exchanges:
            await asyncio.wait(self._exchanges)

    def accept(self) -> "_Connection":
        return _Connection(self)

    def exchange(self, connection: "_Connection", request: Request) -> asyncio.Task[None]:
        """Have it done; the task ends with it."""
        task = asyncio.create_task(self._exchange(connection, request))
        self._exchanges.add(task)
        task.add_done_callback(self._exchanges.discard)
        return task

    async def close(self) -> None:
        for task in self._exchanges:
            task.cancel()
        await asyncio.gather(*self._exchanges, return_exceptions=True)
        for connection in tuple(self.connections):
            connection.reset()
        await asyncio.gather(*(connection.lost for connection in tuple(self.connections)))

    async def _exchange(self, connection: "_Connection", request: Request) -> None:
        fate, exchange = self._notes.begin(request)
        connection.keeps = fate.kind in ("late", "lost", "false")
        try:
            await self._do(connection, request, fate, exchange)
        except EOFError:
            connection.close()  # the server ended it: what came before still goes out
        except (OSError, httptools.HttpParserError):
            connection.reset()
        finally:
            exchange.over()

    async def _do(
        self, connection: "_Connection", request: Request, fate: Fate, exchange: Exchange
    ) -> None:
        if fate.kind == "reset":
            connection.reset()
            return
        if fate.kind == "refuse":
            self._refuse(connection, fate, exchange)
            return
        if fate.kind != "hiccup":
            await asyncio.sleep(fate.delay)
        reader, writer = await asyncio.open_connection(HOST, self.upstream, limit=2**20)
        try:
            writer.write(bytes(request.raw))
            exchange.passed()
            response = ResponseReader()
            if fate.kind in ("lost", "false"):
                # Its head is proof enough that the server did it; a stream is not waited for.
                while not response.status:
                    response.feed(await _some(reader))
                if fate.kind == "lost":
                    connection.reset()
                else:
                    self._refuse(connection, fate, exchange)
                return
            await self._answer(connection, reader, response, fate, exchange)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(
        self,
        connection: "_Connection",
        reader: asyncio.StreamReader,
        response: ResponseReader,
        fate: Fate,
        exchange: Exchange,
    ) -> None:
        sent = 0
        while not response.done:
            data = await _some(reader)
            response.feed(data)
            if fate.kind in ("cut", "hiccup"):
                limit = int(fate.share * (len(data) if response.done else _STREAM_BYTES))
                if sent + len(data) > limit:
                    await connection.send(data[: max(0, limit - sent)])
                    if fate.kind == "cut":
                        # Nobody knows how much of it arrives.
                        exchange.told(response.status, response.take())
                        connection.reset()
                        return
                    await asyncio.sleep(fate.delay)
                    data, fate = data[max(0, limit - sent) :], Fate()
            exchange.told(response.status, response.take())
            await connection.send(data)
            sent += len(data)

    def _refuse(self, connection: "_Connection", fate: Fate, exchange: Exchange) -> None:
        body = self._notes.refused(fate.status)
        exchange.told(fate.status, body)
        connection.write(refusal(fate.status, body, "retry-after-ms: 200\r\n"))


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(_READ_BYTES)
    if not data:
        raise EOFError
    return data


class _Connection(asyncio.Protocol):
    """The app's side of a connection."""

    def __init__(self, relay: Relay) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.keeps = False
        """The exchange under way goes on where the app leaves."""
        self._relay = relay
        self._reader = RequestReader()
        self._transport: asyncio.Transport | None = None
        self._exchange: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._relay.connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            request = self._reader.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.reset()
            return
        if request is not None:
            self._exchange = self._relay.exchange(self, request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.connections.discard(self)
        self._room.set()
        if not self.lost.done():
            self.lost.set_result(None)
        if self._exchange is not None and not self.keeps:
            self._exchange.cancel()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """Write, and wait where the app reads slowly."""
        self.write(data)
        await self._room.wait()

    def close(self) -> None:
        """End the connection once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection off by a TCP reset."""
        if self._transport is None or self._transport.is_closing():
            return
        connection = self._transport.get_extra_info("socket")
        # Lingering for no time makes the close a reset.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()


@asynccontextmanager
async def running_relay(upstream: int, notes: Notes) -> AsyncIterator[Relay]:
    """Relays to a port of the loopback interface while the block runs."""
    relay = Relay(upstream, notes)
    server = await asyncio.get_running_loop().create_server(relay.accept, HOST, 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
