"""One turn, followed to its end over as many connections as that takes."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from console.backend import Backend, EventStream
from console.errors import Unreachable
from console.events import End, Event

RETRY_PAUSES_SECONDS = (0.25, 1.0, 2.0, 4.0, 8.0, 8.0)


def new_id() -> str:
    """An unguessable id for a conversation or a turn: 32 hexadecimal digits."""
    return secrets.token_hex(16)


class Turn:
    """A turn with ids of our own, so that a request whose answer was lost is the same turn again.

    `fields` are those of `POST /api/chat` but for the ids; without them the turn is one that runs
    already, or has ended. `pauses`, in seconds, are those between attempts, give or take a quarter.
    """

    def __init__(
        self,
        backend: Backend,
        conversation: str,
        fields: Mapping[str, Any] | None,
        turn: str | None = None,
        *,
        pauses: Sequence[float] = RETRY_PAUSES_SECONDS,
    ) -> None:
        self.conversation = conversation
        self.id = turn or new_id()
        self.begun = asyncio.Event()
        """Set once the backend has told something of it."""
        self._backend = backend
        self._fields = fields
        self._pauses = pauses
        self._position: str | None = None
        self._failures = 0

    async def follow(self, take: Callable[[Event], None], retrying: Callable[[int], None]) -> End:
        """Hands every event to `take` as it arrives, once each, and returns the last.

        `retrying` is told of each new attempt after a connection was lost (1, 2, …), and 0 once
        one works again. Raises Refused, and Unreachable when the attempts are used up.
        """
        while True:
            try:
                return await self._connection(take, retrying)
            except Unreachable as error:
                # Nobody was there from the beginning: waiting for a program that does not run
                # helps nobody.
                first = not error.sent and not self._failures and not self.begun.is_set()
                if first or self._failures == len(self._pauses):
                    raise
                pause = self._pauses[self._failures] * random.uniform(0.75, 1.25)  # noqa: S311
            self._failures += 1
            retrying(self._failures)
            await asyncio.sleep(pause)

    async def _connection(
        self, take: Callable[[Event], None], retrying: Callable[[int], None]
    ) -> End:
        """One connection; it fails by raising Unreachable."""
        async with self._opened() as events:
            while event := await events.next():
                if self._failures:
                    retrying(0)
                self._failures = 0
                self._position = event.position
                self.begun.set()
                take(event)
                if isinstance(event, End):
                    return event
        raise Unreachable("The connection was lost: it ended before the answer did.")

    def _opened(self) -> AbstractAsyncContextManager[EventStream]:
        """Asks until something was seen of the answer; then attaches where that was."""
        if self._fields is None or self._position is not None:
            return self._backend.attached(self.conversation, self.id, self._position)
        body = {**self._fields, "conversationId": self.conversation, "turnId": self.id}
        return self._backend.asked(body)
