"""A turn that does not run here, told from its row: replayed, or followed while it runs."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from shared.errors import InternalError, NotFound, StoreUnavailable
from shared.events import (
    Citations,
    Delta,
    End,
    Error,
    Event,
    Position,
    Reasoning,
    Start,
    StoredEvent,
)
from shared.history.base import LEASE_MARGIN_MS, Answer, Conflict, HistoryStore, Place
from shared.messages import Usage
from shared.turns.buffer import TurnBuffer, Watch
from shared.turns.usage import said_tokens

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
WATCH_MS = 20_000
"""For so long a watcher says to be there."""
WATCH_AGAIN_MS = 10_000
"""It says so again when no more than this is left."""
ANNOUNCEMENTS = 5
"""Attempts to say so the first time: what they meet is a write in 2 s."""
ANNOUNCE_SECONDS = 2.0
"""For all of them: then the response begins, and who follows goes on saying it."""


def start_event(place: Place, answer: Answer) -> Start:
    """The `start` of a turn that is stored."""
    return Start(
        place.conversation, answer.turn_id, answer.action, answer.model, answer.number == 1
    )


def end_event(answer: Answer) -> End:
    """The `end` of a turn that is stored as ended."""
    return End(answer.finish_reason or "incomplete", answer.usage or usage_of(answer), answer.text)


def usage_of(answer: Answer) -> Usage:
    """An estimate, for a turn whose model never said; its prompt is not stored."""
    tokens = said_tokens(answer.runs)
    return Usage(0, tokens, tokens, estimated=True)


def replay(place: Place, answer: Answer) -> TurnBuffer:
    """The events of an ended turn."""
    buffer = TurnBuffer()
    buffer.extend((start_event(place, answer), *answer.runs, end_event(answer)))
    return buffer


async def settled(
    store: HistoryStore,
    place: Place,
    number: int,
    turn_id: str,
    clock: Callable[[], int],
    *,
    stopped: bool = False,
) -> Answer:
    """The turn's row, reaped first where its instance died. Raises `NotFound`.

    `stopped`: a dead turn is reaped as one that was stopped.
    """
    while True:
        answer = await store.answer(place, number)
        if answer is None or answer.turn_id != turn_id:
            raise NotFound("There is no such turn.")
        if not answer.over(clock()):
            return answer
        try:
            await store.reap(place, answer, usage_of(answer), stopped=stopped)
        except Conflict:
            await asyncio.sleep(0)  # somebody else wrote: the row says what


async def lasting(
    store: HistoryStore,
    place: Place,
    answer: Answer,
    clock: Callable[[], int],
    respond_within: float,
) -> Answer:
    """The turn of that row, once it can no longer be undone. Raises `NotFound` if it was.

    A turn is undone only before its response began: before any of its text, and within
    `respond_within` seconds of its beginning.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + respond_within
    if clock() > answer.created + 1000 * respond_within + LEASE_MARGIN_MS:
        until = 0.0
    while answer.running and not _has_text(answer) and loop.time() < until:
        await asyncio.sleep(min(POLL_SECONDS, respond_within))
        now = await settled(store, place, answer.number, answer.turn_id, clock)
        if now.nonce != answer.nonce:
            raise NotFound("There is no such turn.")
        answer = now
    return answer


def _has_text(answer: Answer) -> bool:
    return any(not isinstance(run, Citations) for run in answer.runs)


class Follower:
    """Reads the row of a turn that runs on another instance, for one watcher."""

    def __init__(
        self, store: HistoryStore, place: Place, answer: Answer, clock: Callable[[], int]
    ) -> None:
        self._store = store
        self._place = place
        self._answer = answer
        self._clock = clock
        self._buffer = TurnBuffer()
        self._buffer.append(start_event(place, answer))
        self._shown: tuple[StoredEvent, ...] = ()
        self._gone = False
        self._show(answer)

    async def announce(self) -> None:
        """Say in the row that somebody watches, before a response says that they do.

        A turn without text might still be undone, so it is told only once that is in its row: it
        keeps the owner from undoing it. Raises `StoreUnavailable` where it could not be written,
        and `NotFound` where the turn is gone.
        """
        try:
            async with asyncio.timeout(ANNOUNCE_SECONDS):
                said = await self._announced()
        except (StoreUnavailable, TimeoutError):
            said = False
        if self._gone:
            raise NotFound("There is no such turn.")
        if not said and not _has_text(self._answer):
            raise StoreUnavailable("The turn runs elsewhere, and the history cannot be reached.")

    async def _announced(self) -> bool:
        for _ in range(ANNOUNCEMENTS):
            if self._buffer.end is not None:
                return True
            try:
                await self._say_watching()
            except Conflict:  # its owner, or another watcher, wrote meanwhile
                await self._look()
            else:
                return True
        return False

    def watch(self, position: Position, heartbeat: float) -> Watch:
        """Begin to follow; the watch's close ends it."""
        following = asyncio.create_task(self._run())

        def leave(_watch: Watch) -> None:
            following.cancel()

        return Watch(self._buffer, position, heartbeat, leave)

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception:  # whoever waits is told, whatever went wrong
            logger.exception("A turn could not be followed")
            error = InternalError("The turn could not be followed; the backend's log says more.")
            self._buffer.append(Error(error.code, error.message, error.retryable))
            answer = self._answer
            self._buffer.append(End("error", usage_of(answer), answer.text))

    async def _follow(self) -> None:
        while self._buffer.end is None:
            with contextlib.suppress(Conflict, StoreUnavailable):  # the next look tries again
                await self._say_watching()
            await asyncio.sleep(POLL_SECONDS)
            with contextlib.suppress(StoreUnavailable):
                await self._look()

    async def _look(self) -> None:
        """Show what the row says now."""
        try:
            answer = await settled(
                self._store, self._place, self._answer.number, self._answer.turn_id, self._clock
            )
            if answer.nonce != self._answer.nonce:
                raise NotFound("It was undone, and begun again.")
        except NotFound:
            self._gone = True
            self._buffer.append(End("cancelled", usage_of(self._answer), self._answer.text))
        else:
            self._show(answer)

    async def _say_watching(self) -> None:
        """Whoever is attached, on any instance, counts as a caller: its owner reads it here."""
        now = self._clock()
        if self._answer.watch <= now + WATCH_AGAIN_MS:
            await self._store.watch(self._place, self._answer, now + WATCH_MS)

    def _show(self, answer: Answer) -> None:
        self._answer = answer
        self._buffer.extend(_missing(self._shown, answer.runs))
        self._shown = answer.runs
        if not answer.running:
            self._buffer.append(end_event(answer))


def _missing(shown: tuple[StoredEvent, ...], runs: tuple[StoredEvent, ...]) -> list[Event]:
    """What `runs` has beyond `shown`, which is its beginning."""
    if not shown:
        return list(runs)
    last, now = shown[-1], runs[len(shown) - 1]
    grown: list[Event] = []
    if isinstance(now, Delta | Reasoning) and isinstance(last, Delta | Reasoning):
        rest = now.text[len(last.text) :]
        grown = [type(now)(rest)] if rest else []
    return [*grown, *runs[len(shown) :]]
