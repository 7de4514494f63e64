"""A response that tells a turn as one body at its end, with a status that is true if it can be."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from starlette.types import Receive, Scope, Send

from shared.api.streaming import WatchResponse
from shared.events import End
from shared.protocols.encoding import HEARTBEAT_SECONDS, Encoder
from shared.turns.buffer import Entry, Watch


class Whole(Encoder, Protocol):
    """An encoder whose only frame is the last one; `status` is right once that was made."""

    status: int


class WholeResponse(WatchResponse):
    """Keeps its headers back until there is something to send, which is the body, as a rule.

    Only where nothing was sent for 15 s do they go with a heartbeat, as 200: an error is then told
    by the body alone. `refused`: further headers of an error.
    """

    def __init__(
        self, watch: Watch, encoder: Whole, headers: dict[str, str], refused: dict[str, str]
    ) -> None:
        super().__init__(watch, encoder, "application/json", headers)
        self._whole = encoder
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self._close_on_leaving(receive))
        loop = asyncio.get_running_loop()
        begun, ended, spoke = False, False, loop.time()

        async def begin() -> None:
            nonlocal begun
            begun = True
            start = {"status": self.status_code, "headers": self.raw_headers}
            await send({"type": "http.response.start", **start})

        async def write(entries: Sequence[Entry]) -> None:
            nonlocal ended, spoke
            body = b"".join([entry.frame(self._whole) for entry in entries])
            ended = bool(entries) and isinstance(entries[-1].event, End)
            if ended:
                if not begun:
                    self._settle(len(body))
                    await begin()
            elif loop.time() - spoke < HEARTBEAT_SECONDS:
                return
            else:  # the model may well speak, but the caller was told nothing
                body, spoke = self._whole.heartbeat, loop.time()
                if not begun:
                    await begin()
            await send({"type": "http.response.body", "body": body, "more_body": not ended})

        try:
            await self._watch.pipe(write)
            if begun and not ended:  # the caller has left
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._watch.close()
            leaving.cancel()

    def _settle(self, length: int) -> None:
        """The body is known before the headers have gone."""
        self.headers["content-length"] = str(length)
        self.status_code = self._whole.status
        if self.status_code >= 400:
            self.headers.update(self._refused)
