"""Deletion for good: promised, committed, cleared away; for callers, the sweep and retention.

    intent    a row that promises it; never taken back once a caller's deletion wrote it
    commit    one transaction: the head becomes a tombstone, the list's row and a running answer go
    clearing  messages and turns by pages, the intent last

Whoever meets an intent finishes it, from wherever it was broken off. An intent of retention says
before which time the last turn must have begun; where that does not hold any more, it is dropped.
"""

from collections.abc import Callable
from contextlib import suppress

from shared.errors import NotFound, StoreUnavailable
from shared.history import keys
from shared.history.base import Answer, Conflict, Head, Place
from shared.history.keys import Spot
from shared.history.records import TOMBSTONE, WHATEVER_ITS_AGE, intent_values, read_cut, read_head
from shared.history.rows import (
    ANY,
    MAX_OPERATIONS,
    Delete,
    Insert,
    Merge,
    Operation,
    Replace,
    Row,
    Rows,
)
from shared.history.views import required, view

MAX_TRIES = 10
"""Of a write that others keep overtaking: each conflict means that one of them succeeded."""

type TimeLeft = Callable[[], bool]
"""Asked between requests; what is false once stays so."""


class Deletions:
    """How conversations go. Every method may be broken off anywhere, and begun again by anybody."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def delete(self, place: Place) -> str | None:
        """Promise the deletion, then commit it; gives the turn that was running.

        An intent, once written, is never taken back: whoever meets it finishes it. So a
        conversation that turns out empty after it is deleted all the same. Raises `NotFound`.
        """
        spot = keys.spot(place)
        promised = False
        for _ in range(MAX_TRIES):
            head, newest = await self._read(spot)
            if head is None:
                raise no_conversation()
            if head.deleted and promised:
                return None
            if head.deleted or not (head.next or promised):
                raise no_conversation()
            if not promised:
                promised = await self._promise(spot)
                continue
            try:
                return await self._commit(spot, head, newest)
            except Conflict:
                continue
        raise overtaken()

    async def purge(self, place: Place) -> None:
        """Remove what is left of a deleted conversation; a living one stays as it is."""
        spot = keys.spot(place)
        row = await self._rows.get(spot.partition, keys.head(spot.conversation))
        if row is not None and required(read_head, row).deleted:
            await self._clear(spot, lambda: True)

    async def retire(self, spot: Spot, before: int, now: int, time_left: TimeLeft) -> bool:
        """Delete a conversation whose last turn began before then; gives whether it is gone."""
        with suppress(Conflict):  # a promise is there already: what that says is done
            await self._rows.write(keys.INTENTS, [Insert(spot.intent, intent_values(before))])
        return await self.finish(spot, now, time_left)

    async def finish(self, spot: Spot, now: int, time_left: TimeLeft) -> bool:
        """Do what the intent says; gives whether the conversation is gone with it.

        Not gone: there is no such intent (any more), it was retention's and the conversation is
        in use, or the time is over.
        """
        tries = 0
        while time_left():
            if (tries := tries + 1) > MAX_TRIES:
                raise overtaken()
            intent = await self._rows.get(keys.INTENTS, spot.intent)
            if intent is None:
                return False
            cut = required(read_cut, intent)
            head, newest = await self._read(spot)
            if head is not None and head.deleted:
                return await self._clear(spot, time_left)
            try:
                if head is None or not _due(head, newest, cut, now):
                    # By its version: a caller may have made it a promise meanwhile.
                    await self._rows.write(keys.INTENTS, [Delete(spot.intent, intent.etag)])
                    return False
                await self._commit(spot, head, newest)
            except Conflict:
                continue
            return await self._clear(spot, time_left)
        return False

    async def _read(self, spot: Spot) -> tuple[Head | None, Answer | None]:
        """The head, and the newest answer where there is one that can be read."""
        head_key = keys.head(spot.conversation)
        end = keys.messages_end(spot.conversation)
        rows = await self._rows.range(spot.partition, head_key, end, limit=3)
        if not rows or rows[0].key != head_key:
            return None, None
        head = required(read_head, rows[0])
        answers = view(None, rows[1:], limit=2).answers
        return head, next((a for a in answers if a.number == head.next - 1), None)

    async def _commit(self, spot: Spot, head: Head, newest: Answer | None) -> str | None:
        """The transaction, on what one read says; gives the turn that ran. Raises `Conflict`."""
        operations: list[Operation] = [Replace(keys.head(spot.conversation), TOMBSTONE, head.etag)]
        if head.indexed:
            operations.append(Delete(keys.index(head.indexed, spot.conversation)))
        running = newest if newest and newest.running else None
        if running:
            operations.append(Delete(keys.message(spot.conversation, running.number)))
        await self._rows.write(spot.partition, operations)
        return running.turn_id if running else None

    async def _clear(self, spot: Spot, time_left: TimeLeft) -> bool:
        """What is left behind a tombstone, by pages, then the intent; gives whether all is gone."""
        conversation = spot.conversation
        messages = keys.behind(keys.head(conversation)), keys.messages_end(conversation)
        more = True
        while more:
            if not time_left():
                return False
            left: list[Row] = []
            for first, last in (messages, keys.turns(conversation)):
                if room := MAX_OPERATIONS - len(left):
                    left += await self._rows.page(spot.partition, first, last, room, keys_only=True)
            await self._rows.remove(spot.partition, [row.key for row in left])
            more = len(left) == MAX_OPERATIONS
        with suppress(Conflict):  # somebody else removed it
            await self._rows.write(keys.INTENTS, [Delete(spot.intent)])
        return True

    async def _promise(self, spot: Spot) -> bool:
        """Write the intent, or a new version of the one that is there: False where it just went."""
        key, values = spot.intent, intent_values(WHATEVER_ITS_AGE)
        for operation in (Insert(key, values), Merge(key, values, ANY)):
            try:
                await self._rows.write(keys.INTENTS, [operation])
            except Conflict:
                continue
            return True
        return False


def _due(head: Head, newest: Answer | None, cut: int, now: int) -> bool:
    """Whether what an intent says holds: a caller's always does, retention's for what is unused."""
    if cut == WHATEVER_ITS_AGE:
        return True
    in_use = newest is not None and newest.running and not newest.over(now)
    return head.next > 0 and head.updated < cut and not in_use


def no_conversation() -> NotFound:
    return NotFound("There is no such conversation.")


def overtaken() -> StoreUnavailable:
    return StoreUnavailable("The conversation is being changed by others all the time. Try again.")
