"""The sweep: finishes deletions that were broken off, and removes what retention does not keep.

It keeps nothing between its runs but a cursor, which is safe to lose: without it the next run
begins at the table's beginning. Two sweeps at once do some work twice, and nothing wrong.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

from shared.errors import StoreUnavailable
from shared.history import keys
from shared.history.base import Conflict, Swept
from shared.history.codec import Undecodable
from shared.history.deletion import Deletions, TimeLeft
from shared.history.keys import Spot
from shared.history.records import cursor_values, read_cursor, read_next
from shared.history.rows import Insert, Operation, Replace, Row, Rows
from shared.history.views import report

PAGE = 100
"""So many promises, or old conversations, are read at once."""
AT_ONCE = 4
"""So many conversations go at the same time: turns use the same processor."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Count:
    gone: int = 0
    failed: int = 0


class Sweep:
    """One run. `now` and `keep_ms` are ms; `keep_ms` None: everything is kept."""

    def __init__(self, rows: Rows, now: int, keep_ms: int | None, time_left: TimeLeft) -> None:
        self._rows = rows
        self._deletions = Deletions(rows)
        self._now = now
        self._before = None if keep_ms is None else now - keep_ms
        self._time_left = time_left
        self._resumed = _Count()
        self._retired = _Count()

    async def run(self) -> Swept:
        """Promises first, then retention. Raises `StoreUnavailable` where nothing can be read."""
        await self._resume()
        if self._before is not None and self._time_left():
            await self._retire(self._before)
        return Swept(
            resumed=self._resumed.gone,
            retired=self._retired.gone,
            failed=self._resumed.failed + self._retired.failed,
            complete=self._time_left(),
        )

    async def _resume(self) -> None:
        """Finish every intent, by pages; those that cannot be finished today are passed over."""

        async def finish(spot: Spot) -> bool:
            return await self._deletions.finish(spot, self._now, self._time_left)

        first, last = keys.INTENTS_RANGE
        while self._time_left():
            rows = await self._rows.page(keys.INTENTS, first, last, PAGE, keys_only=True)
            spots = [self._known(keys.spot_of_intent(row.key), row, self._resumed) for row in rows]
            await self._each(spots, finish, self._resumed)
            if len(rows) < PAGE:
                return
            first = keys.behind(rows[-1].key)

    async def _retire(self, before: int) -> None:
        """Remove what began last before then, from where the last run stopped."""
        left = await self._rows.get(keys.SWEEP, keys.CURSOR)
        before, after = _go_on(left, before)
        trusted = after is None

        async def retire(spot: Spot) -> bool:
            return await self._deletions.retire(spot, before, self._now, self._time_left)

        while self._time_left():
            try:
                page = await self._rows.scan("updated", before, ("next",), PAGE, after)
            except StoreUnavailable:
                with suppress(StoreUnavailable):
                    await self._leave(left, before, after if trusted else None)
                raise
            trusted = True
            await self._each([self._old(*found) for found in page.rows], retire, self._retired)
            if not self._time_left():
                break
            after = page.cursor
            if after is None:
                break
        await self._leave(left, before, after)

    async def _leave(self, left: Row | None, before: int, after: str | None) -> None:
        """Where the next run goes on, in the place of what the last one left."""
        if after is None:
            if left is not None:
                await self._rows.remove(keys.SWEEP, [keys.CURSOR])
            return
        values = cursor_values(before, after)
        operation: Operation = Insert(keys.CURSOR, values)
        if left is not None:
            operation = Replace(keys.CURSOR, values, left.etag)
        with suppress(Conflict):  # another sweep left its own
            await self._rows.write(keys.SWEEP, [operation])

    def _old(self, partition: str, row: Row) -> Spot | None:
        """The conversation of a head; None: there is none, or none any more."""
        spot = self._known(keys.spot_of_head(partition, row.key), row, self._retired)
        try:
            return spot if spot and read_next(row) else None
        except Undecodable as exc:
            report(row, exc)
            self._retired.failed += 1
            return None

    def _known(self, spot: Spot | None, row: Row, count: _Count) -> Spot | None:
        if spot is None:
            report(row)
            count.failed += 1
        return spot

    async def _each(
        self,
        spots: Iterable[Spot | None],
        work: Callable[[Spot], Awaitable[bool]],
        count: _Count,
    ) -> None:
        """A few at a time, while there is time; one that fails is left for the next run."""

        async def one(spot: Spot) -> None:
            try:
                is_gone = await work(spot)
            except StoreUnavailable as exc:
                count.failed += 1
                _log.warning("A conversation could not be removed: %s", exc.message)
            else:
                count.gone += is_gone

        for some in batched(filter(None, spots), AT_ONCE, strict=False):
            if not self._time_left():
                return
            await asyncio.gather(*map(one, some))


def _go_on(left: Row | None, before: int) -> tuple[int, str | None]:
    """The cut-off and the cursor to go on with: those of the run before, if they still hold."""
    if left is not None:
        try:
            its_before, after = read_cursor(left)
        except Undecodable as exc:
            report(left, exc)
        else:
            # Later than today's: it is kept longer now than it was then.
            if its_before <= before:
                return its_before, after
    return before, None
