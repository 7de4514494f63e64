"""A relay of TCP connections that can cut them, as a network does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """A running relay. Made by `running_relay`."""

    def __init__(self) -> None:
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> int:
        """Breaks every connection; gives how many there were."""
        for writer in self._open:
            writer.transport.abort()
        return len(self._open)

    async def carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        """Relays one connection to `port`, to its end in either direction."""
        there, here = await asyncio.open_connection("127.0.0.1", port)
        self._open.add(writer)
        copies = [
            asyncio.create_task(_copy(reader, here)),
            asyncio.create_task(_copy(there, writer)),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.discard(writer)
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            for end in (here, writer):
                end.transport.abort()
                with suppress(OSError):
                    await end.wait_closed()


@asynccontextmanager
async def running_relay(port: int) -> AsyncIterator[Relay]:
    """Relays a free port of 127.0.0.1 to `port` there while the block runs."""
    relay = Relay()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay.carry(reader, writer, port)

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as server:
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            server.close()
            server.close_clients()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
