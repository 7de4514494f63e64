"""Limits that protect the bill: requests and tokens, counted in the store for all instances.

A count belongs to a window, a minute or a day of UTC, and is overwritten once the window has
changed, so that nothing grows. Within its window a count only grows: what was seen as used up stays
so, and what was seen as free is true once a write has landed that was conditional on it.

A write whose answer is lost is made once more, so it may count twice; nothing is ever counted less.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from shared.errors import RateLimited, StoreUnavailable
from shared.history import keys
from shared.history.base import Conflict
from shared.history.rows import Insert, Merge, Operation, Row, Rows, Value
from shared.settings import Allowance

SUM_SECONDS = 2.0
"""How long an instance goes by what it read of the app's count."""
ADMIT_SECONDS = 10.0
"""Of conflicts and lost answers, before the store counts as unavailable."""
SPEND_SECONDS = 20.0
"""For so long tokens are tried to be counted; then the log says how many were not."""
PAUSE_SECONDS = 0.02
"""After a conflict, which means that another instance has counted."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Window:
    """A count that begins anew with every window. `ms`: how long one is."""

    name: str
    """The property that says which window the count is of, numbered since 1970."""
    count: str
    ms: int

    def used(self, row: Row | None, now: int) -> int:
        """What of the present window is used."""
        return _number(row, self.count) if _number(row, self.name) >= now // self.ms else 0

    def more(self, row: Row | None, now: int, amount: int) -> dict[str, Value]:
        """The properties that say so much more. The window of a faster clock stays."""
        window = max(_number(row, self.name), now // self.ms)
        return {self.name: window, self.count: self.used(row, now) + amount}

    def left(self, row: Row | None, now: int) -> float:
        """Seconds to the end of the window that the count is of."""
        window = max(_number(row, self.name), now // self.ms)
        return max(1.0, ((window + 1) * self.ms - now) / 1000)


MINUTE = _Window("minute", "requests", 60_000)
DAY = _Window("day", "tokens", 86_400_000)


@dataclass(slots=True, weakref_slot=True)
class _Gate:
    """One owner's admissions on this instance, one at a time."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    row: Row | None = None
    """The owner's count as it was last seen, while anybody waits."""


class Counters:
    """Implements `turns.budget.Budget` on rows. `clock`: milliseconds since 1970."""

    def __init__(self, rows: Rows, allowance: Allowance, clock: Callable[[], int]) -> None:
        self._rows = rows
        self._allowance = allowance
        self._clock = clock
        self._gates: WeakValueDictionary[str, _Gate] = WeakValueDictionary()
        self._sum: tuple[float, asyncio.Task[list[Row]]] | None = None
        self._owed: dict[str | None, int] = {}
        """Tokens that are not counted yet, by owner; None: the app's."""
        self._paying: dict[str | None, asyncio.Task[None]] = {}

    async def admit(self, owner: str | None) -> None:
        """Count one turn that is about to begin. Raises `RateLimited`, `StoreUnavailable`."""
        allowance = self._allowance
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                if allowance.daily_tokens is not None:
                    await self._check_app(allowance.daily_tokens)
                if owner is None:
                    return
                if allowance.requests_per_minute is not None:
                    await self._count_request(owner)
                elif allowance.daily_tokens_per_owner is not None:
                    row = await self._rows.get(keys.owner_partition(owner), keys.COUNT)
                    self._check_owner(row, self._clock())
        except TimeoutError as exc:
            raise StoreUnavailable(
                "The limits could not be counted in time. Try again.", retry_after=2
            ) from exc

    def spend(self, owner: str | None, tokens: int) -> None:
        """Count what an ended turn has used, apart from whoever says so."""
        if self._allowance.daily_tokens is not None:
            self._owe(None, tokens)
        if owner is not None and self._allowance.daily_tokens_per_owner is not None:
            self._owe(owner, tokens)

    async def aclose(self) -> None:
        """Wait until what was spent is counted, or given up."""
        pending = [*self._paying.values(), *([self._sum[1]] if self._sum else [])]
        if pending:
            await asyncio.wait(pending)

    async def _check_app(self, limit: int) -> None:
        """Whether the app has tokens left, by a sum that is at most 2 s old."""
        now = asyncio.get_running_loop().time()
        if self._sum is None or now - self._sum[0] > SUM_SECONDS or _failed(self._sum[1]):
            reading = self._rows.range(keys.COUNTS, *keys.ALL_SHARDS, keys.SHARDS)
            self._sum = now, asyncio.create_task(reading)
            self._sum[1].add_done_callback(_failed)  # nobody may be waiting for it any more
        # Shared by all who ask meanwhile: one that leaves does not end it for the others.
        shards = await asyncio.shield(self._sum[1])
        clock = self._clock()
        if sum(DAY.used(shard, clock) for shard in shards) >= limit:
            raise RateLimited(
                "This chat has used up its tokens for today. Try again after midnight UTC.",
                retry_after=DAY.left(None, clock),
            )

    async def _count_request(self, owner: str) -> None:
        """Count a request, if the owner has one left: true once the write has landed."""
        partition = keys.owner_partition(owner)
        gate = self._gates.setdefault(owner, _Gate())
        async with gate.lock:
            while True:
                # What was seen before is enough: "used up" stays true, and else the write tells.
                row = gate.row = gate.row or await self._rows.get(partition, keys.COUNT)
                now = self._clock()
                self._check_owner(row, now)
                gate.row = None
                try:
                    gate.row = await self._change(partition, keys.COUNT, row, MINUTE, now, 1)
                except Conflict:
                    await asyncio.sleep(PAUSE_SECONDS)
                except StoreUnavailable:
                    await asyncio.sleep(FIRST_RETRY_SECONDS)
                else:
                    return

    def _check_owner(self, row: Row | None, now: int) -> None:
        allowance = self._allowance
        tokens, requests = allowance.daily_tokens_per_owner, allowance.requests_per_minute
        if tokens is not None and DAY.used(row, now) >= tokens:
            raise RateLimited(
                "You have used up your tokens for today. Try again after midnight UTC.",
                retry_after=DAY.left(row, now),
            )
        if requests is not None and MINUTE.used(row, now) >= requests:
            raise RateLimited(
                "You have asked as often as you may within one minute. Try again in the next one.",
                retry_after=MINUTE.left(row, now),
            )

    def _owe(self, who: str | None, tokens: int) -> None:
        self._owed[who] = self._owed.get(who, 0) + tokens
        if who not in self._paying:
            self._paying[who] = asyncio.create_task(self._pay(who))

    async def _pay(self, who: str | None) -> None:
        """Count what is owed, and what comes to it meanwhile: one write at a time."""
        try:
            while tokens := self._owed.pop(who, 0):
                try:
                    async with asyncio.timeout(SPEND_SECONDS):
                        await self._add(who, tokens)
                except Exception as exc:
                    whose = "the app" if who is None else "an owner"
                    _log.error("%d tokens of %s are not counted", tokens, whose, exc_info=exc)
        finally:
            del self._paying[who]

    async def _add(self, who: str | None, tokens: int) -> None:
        partition = keys.COUNTS if who is None else keys.owner_partition(who)
        pause = FIRST_RETRY_SECONDS
        while True:
            key = keys.shard(secrets.randbelow(keys.SHARDS)) if who is None else keys.COUNT
            try:
                row = await self._rows.get(partition, key)
                await self._change(partition, key, row, DAY, self._clock(), tokens)
            except Conflict:
                await asyncio.sleep(PAUSE_SECONDS)
            except StoreUnavailable:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_RETRY_SECONDS)
            else:
                return

    async def _change(
        self, partition: str, key: str, row: Row | None, window: _Window, now: int, amount: int
    ) -> Row:
        """Add to a count as it was read; gives the row as it is then. Raises `Conflict`."""
        values = window.more(row, now, amount)
        operation: Operation = Merge(key, values, row.etag) if row else Insert(key, values)
        [etag] = await self._rows.write(partition, [operation])
        return Row(key, etag, {**(row.values if row else {}), **values})


def _number(row: Row | None, name: str) -> int:
    """A whole number of the row; 0 where it says none."""
    value = row.values.get(name) if row else None
    return value if type(value) is int and value > 0 else 0


def _failed(reading: "asyncio.Task[list[Row]]") -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
