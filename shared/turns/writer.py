"""The only writer of a running turn's row: it renews the lease, checkpoints, and writes the end.

No error code is a verdict. After a conflict or a lost reply the row is read: mine and running, the
write is built anew; ended, that is the turn's end; gone or another's, the conversation was deleted.
An owner that got nothing confirmed for as long as its lease must show nothing more.

The row is also the owner's letter box: others, who reach the turn nowhere else, write into it that
it is to stop, or until when they watch. Their write makes the owner's next one a conflict.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from shared.errors import ChatError, StoreUnavailable
from shared.history.base import LEASE_MS, Begun, Conflict, HistoryStore
from shared.messages import FinishReason, Usage

CHECKPOINT_SECONDS = 2.0
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0
BEYOND_SECONDS = 1.0
"""How long an attempt may last after the lease is over: a store that hangs is cut off."""


class StillWatched(Exception):
    """The turn was not ended, or taken back: somebody elsewhere watches it after all."""


@dataclass(frozen=True, slots=True)
class Mail:
    """What others have written into the turn's row."""

    stop: bool
    watched: float
    """For how many more seconds somebody says to watch elsewhere; 0: nobody does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the turn ended, as the store says, or as nobody can write any more."""

    reason: FinishReason
    usage: Usage | None = None
    text: str | None = None
    """The stored text; None: what was shown."""
    error: ChatError | None = None


class TurnWriter:
    """Writes one turn. `body` gives its runs as they are now, in the store's encoding."""

    def __init__(
        self,
        store: HistoryStore,
        begun: Begun,
        sent: float,
        clock: Callable[[], int],
        body: Callable[[], bytes],
    ) -> None:
        self._store = store
        self._begun = begun
        self._clock = clock
        self._body = body
        self._closing = asyncio.Event()
        self._lock = asyncio.Lock()
        self._verdict: Verdict | None = None
        self._ended = False
        self._hear: Callable[[Mail], None] = lambda mail: None
        self.model: str | None = None
        """Who answers, where that is another model than the turn began with."""
        self.fence = sent + LEASE_MS / 1000
        """Until when, by the loop's clock, the owner may show what it generates."""

    def listen(self, hear: Callable[[Mail], None]) -> None:
        """Call `hear` whenever the row was read, with what others wrote into it."""
        self._hear = hear

    async def keep(self) -> Verdict | None:
        """Checkpoint every 2 s until `close`. A verdict: the turn is no longer ours."""
        while not self._closing.is_set():
            try:
                async with asyncio.timeout(CHECKPOINT_SECONDS):
                    await self._closing.wait()
            except TimeoutError:
                if verdict := await self.save():
                    return verdict
        return None

    def close(self) -> None:
        """Let `keep` return, after the write that is under way."""
        self._closing.set()

    async def save(self) -> Verdict | None:
        async with self._lock:
            return await self._write(
                lambda begun: self._store.save(
                    begun, self._body(), self._clock() + LEASE_MS, model=self.model
                )
            )

    async def finish(
        self,
        reason: FinishReason,
        usage: Usage,
        reasoning_tokens: int,
        *,
        unless: Callable[[], bool] = lambda: False,
    ) -> Verdict | None:
        """Write the end, once. A verdict: it ended otherwise before.

        Raises `StillWatched`, and writes nothing, where `unless` says so before an attempt.
        """

        async def write(begun: Begun) -> Begun:
            if unless():
                raise StillWatched
            return await self._store.finish(
                begun, self._body(), reason, usage, reasoning_tokens, model=self.model
            )

        async with self._lock:
            verdict = await self._write(write)
            self._ended = True
            return verdict

    async def undo(self) -> Verdict | None:
        """Take the turn back. A verdict: there was nothing to take back.

        Raises `StillWatched` where somebody elsewhere has said to watch it: they were told of it.
        """

        async def write(begun: Begun) -> Begun:
            if begun.answer.watch:
                raise StillWatched
            await self._store.undo(begun)
            return begun

        async with self._lock:
            return await self._write(write)

    async def _write(self, write: Callable[[Begun], Awaitable[Begun]]) -> Verdict | None:
        """Write once, however often that takes; after a verdict, nothing is written any more."""
        if self._verdict is None and not self._ended:
            self._verdict = await self._try(write)
        return self._verdict

    async def _try(self, write: Callable[[Begun], Awaitable[Begun]]) -> Verdict | None:
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_SECONDS
        late = False
        while True:
            sent = loop.time()
            try:
                self._begun = await self._in_time(write(self._begun))
            except (Conflict, StoreUnavailable):
                verdict = await self._settle()
            else:
                self.fence = max(self.fence, sent + LEASE_MS / 1000)
                return None
            if verdict is not None:
                return verdict
            if late:
                return _GAVE_UP
            late = loop.time() > self.fence  # the store answers: it is asked once more
            await asyncio.sleep(pause)
            pause = min(2 * pause, LAST_RETRY_SECONDS)

    async def _settle(self) -> Verdict | None:
        """Whose row is it, and what does it say? None: mine, and running."""
        loop = asyncio.get_running_loop()
        pause = FIRST_RETRY_SECONDS
        mine, place = self._begun.answer, self._begun.place
        while True:
            try:
                row = await self._in_time(self._store.answer(place, mine.number))
                head = await self._in_time(self._store.head(place))
                break
            except StoreUnavailable:
                if loop.time() > self.fence:
                    return _GAVE_UP
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)
        if row is None or row.nonce != mine.nonce or head is None or head.deleted:
            return Verdict("cancelled")
        if not row.running:
            return Verdict(row.finish_reason or "incomplete", row.usage, row.text)
        self._begun = replace(self._begun, answer=row, head=head)
        self._hear(Mail(row.stop, max(0, row.watch - self._clock()) / 1000))
        return None

    async def _in_time[T](self, asking: Awaitable[T]) -> T:
        """The store's answer; one that does not come before the lease is over counts as lost."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(max(self.fence, now) + BEYOND_SECONDS):
                return await asking
        except TimeoutError as exc:
            raise StoreUnavailable("The history does not answer.") from exc


_GAVE_UP = Verdict(
    "error",
    error=StoreUnavailable(
        "The history could not be written for 20 seconds, so the answer ends here. What is stored "
        "of it can be read once the store is back."
    ),
)
