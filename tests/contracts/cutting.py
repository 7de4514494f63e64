"""A relay before a server that speaks over TCP: it can lose an answer, or the whole connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from local.ports import HOST


@dataclass(slots=True)
class Relay:
    """`lost`: what a request holds whose answer never comes; the connection is cut instead."""

    target: int
    port: int = 0
    lost: bytes | None = None
    swallowed: int = 0
    speaking: asyncio.Event = field(default_factory=asyncio.Event)
    """While it is clear, answers are held back, and the connections stay."""
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(HOST, self.target)
        self._writers |= {writer, there}
        cut = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._requests(reader, there, cut))
                tasks.create_task(self._answers(there_reader, writer, cut))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, there}
            for one in (writer, there):
                one.close()

    def cut(self) -> None:
        """End every connection."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self.lost is not None and self.lost in data:
                self.lost = None
                self.swallowed += 1
                cut.set()
            there.write(data)
            await there.drain()
        there.close()

    async def _answers(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await there.read(65536):
            if cut.is_set():
                break
            await self.speaking.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def relaying(target: int) -> AsyncIterator[Relay]:
    """The relay while the block runs."""
    relay = Relay(target)
    relay.speaking.set()
    server = await asyncio.start_server(relay.serve, HOST, 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        relay.speaking.set()
        relay.cut()
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)
