"""A relay of TCP connections on the loopback interface that lets somebody read along."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from local.ports import HOST


class Reader(Protocol):
    """Reads one connection along. It must not raise."""

    def asked(self, data: bytes) -> None:
        """Bytes from the caller."""
        ...

    def answered(self, data: bytes) -> None:
        """Bytes from the server."""
        ...

    def closed(self) -> None:
        """One of the two has left."""
        ...


@asynccontextmanager
async def running_relay(port: int, reader: Callable[[], Reader]) -> AsyncIterator[int]:
    """Relays connections to `port` while the block runs; yields the relay's own port.

    `reader` makes one for each connection.
    """
    loop = asyncio.get_running_loop()
    open_sides: set[_Side] = set()
    connecting: set[asyncio.Task[None]] = set()

    def accept() -> _Side:
        reads = reader()
        # What is asked is read first, so that no time is measured too short; an answer is passed
        # on first, so that nobody waits for its reading.
        caller = _Side(open_sides, before=reads.asked, closed=reads.closed)
        server = _Side(open_sides, after=reads.answered)
        caller.other, server.other = server, caller
        task = loop.create_task(_connect(caller, server, port))
        connecting.add(task)
        task.add_done_callback(connecting.discard)
        return caller

    async with await loop.create_server(accept, HOST, 0) as listener:
        try:
            yield listener.sockets[0].getsockname()[1]
        finally:
            listener.close()
            for task in connecting:
                task.cancel()
            await asyncio.gather(*connecting, return_exceptions=True)
            for side in open_sides:
                side.abort()
            await asyncio.gather(*(side.lost for side in open_sides))


async def _connect(caller: "_Side", server: "_Side", port: int) -> None:
    try:
        await asyncio.get_running_loop().create_connection(lambda: server, HOST, port)
    except OSError:
        caller.abort()
        return
    if caller.lost.done():
        server.abort()
    else:
        caller.resume_reading()


class _Side(asyncio.Protocol):
    """One end of a relayed connection."""

    other: "_Side"

    def __init__(
        self,
        open_sides: set["_Side"],
        before: Callable[[bytes], None] = lambda data: None,
        after: Callable[[bytes], None] = lambda data: None,
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._open_sides = open_sides
        self._before = before
        self._after = after
        self._closed = closed
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._open_sides.add(self)
        if self.other._transport is None:
            # Nothing is read before there is somewhere to write it.
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._before(data)
        self.other.write(data)
        self._after(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_sides.discard(self)
        self.lost.set_result(None)
        self._closed()
        if exc is None:
            self.other.close()
        else:
            self.other.abort()

    def pause_writing(self) -> None:
        if self.other._transport is not None:
            self.other._transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.resume_reading()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Ends the connection once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
