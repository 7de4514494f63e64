"""A model's response while it streams: raw bytes in, events out."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from shared.errors import ModelBrokeOff
from shared.events import ModelEvent
from shared.models.chunks import ChunkReader
from shared.models.pieces import PieceReader
from shared.models.sse import SseDecoder

if TYPE_CHECKING:
    import httpx2

DRAIN_SECONDS: Final = 1.0
"""How long the response may take to end after the stream in it has."""


class ModelStream:
    """Iterates over what arrived together. Whoever opened it closes it."""

    def __init__(
        self, response: "httpx2.Response", reader: ChunkReader | PieceReader | None = None
    ) -> None:
        self._response = response
        self._raw: AsyncGenerator[bytes] = response.aiter_raw()
        self._decoder = SseDecoder()
        self._reader = reader or ChunkReader()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[ModelEvent]:
        reader = self._reader
        while not self._ended:
            if reader.failure is not None:
                raise reader.failure
            if reader.done:
                await self._drain()
                break
            try:
                read = await self._raw.__anext__()
            except StopAsyncIteration:
                self._ended = True
                events = reader.read(self._decoder.end())
            except network_errors() as exc:
                self._ended = True
                if reader.reason is None:
                    raise ModelBrokeOff("The model's stream broke off.") from exc
                events = []
            else:
                events = reader.read(self._decoder.feed(read))
            if self._ended or reader.done:
                events += reader.end()
            if events:
                return events
        if reader.failure is not None:
            raise reader.failure
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Let the model go: the connection is dropped unless the response has ended."""
        self._ended = True
        await self._raw.aclose()
        await self._response.aclose()

    async def _drain(self) -> None:
        """Read the response to its end, so that its connection can be used again."""
        self._ended = True
        with suppress(TimeoutError, *network_errors()):
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in self._raw:
                    pass


def network_errors() -> tuple[type[Exception], ...]:
    """What the SDK and what is below it raise for a connection that fails.

    Not all that the SDK lets through is its own: it wraps neither what goes wrong while it reads
    an error's body nor what its transport does not know.
    """
    import aiohttp
    import httpx2
    import openai

    return (openai.APIConnectionError, httpx2.TransportError, aiohttp.ClientError, OSError)
