"""A response that tells a turn: it holds a watch, and nothing waits for a slow caller."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from azurefunctions.extensions.http.fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.events import End
from shared.protocols.encoding import Encoder
from shared.turns.buffer import Entry, Watch


class WatchResponse(Response):
    """Encodes what a watch reads. A caller who leaves only closes the watch."""

    def __init__(
        self, watch: Watch, encoder: Encoder, content_type: str, headers: dict[str, str]
    ) -> None:
        super().__init__(status_code=200, headers=headers | {"content-type": content_type})
        self._watch = watch
        self._encoder = encoder
        # A stream's length is not known; the empty body's would stand there.
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._close_on_leaving(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            loop, heartbeat = asyncio.get_running_loop(), self._watch.heartbeat
            encoder, ended, told = self._encoder, False, loop.time()

            async def write(entries: Sequence[Entry]) -> None:
                nonlocal ended, told
                if len(entries) == 1:
                    body = entries[0].frame(encoder)
                elif entries:
                    body = b"".join([entry.frame(encoder) for entry in entries])
                else:
                    body = encoder.heartbeat
                # The last event and the end of the body go out together.
                ended = bool(entries) and isinstance(entries[-1].event, End)
                if not (body or ended) and loop.time() - told >= heartbeat:
                    body = encoder.heartbeat  # the model speaks, and this form keeps it for later
                if body or ended:
                    told = loop.time()
                    await send({"type": "http.response.body", "body": body, "more_body": not ended})

            await self._watch.pipe(write)
            if not ended:  # somebody closed the watch: the caller has left
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._watch.close()
            leaving.cancel()

    async def _close_on_leaving(self, receive: Receive) -> None:
        await _left(receive)
        self._watch.close()


async def unless_left[T](req: Request, work: Coroutine[Any, Any, T]) -> T:
    """The work's result; a caller who leaves before it is there takes the work along.

    The request's body must have been read. Raises `ClientDisconnect`.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(req.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
