"""Conversations as a whole: the list, a new title, deletion for good."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

from shared.errors import InvalidRequest, NotFound, StoreUnavailable
from shared.history import keys
from shared.history.base import Conflict, Conversation, Head, Page, Place
from shared.history.codec import Undecodable
from shared.history.records import TOMBSTONE, clean_title, read_head, read_index
from shared.history.rows import ANY, MAX_OPERATIONS, Delete, Insert, Merge, Operation, Replace, Rows
from shared.history.views import report, required, view

MAX_PAGE = 100
MAX_TRIES = 10
"""Of a write that others keep overtaking: each conflict means that one of them succeeded."""

_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Conversations:
    """What happens to conversations between turns."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def page(self, owner: str, limit: int, cursor: str | None) -> Page[Conversation]:
        """The owner's conversations, newest first. Raises `InvalidRequest`."""
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit must be from 1 to {MAX_PAGE}.", field="limit")
        first, last = keys.INDEXES
        if cursor is not None:
            first = _read_cursor(cursor)
        rows = await self._rows.page(keys.owner_partition(owner), first, last, limit + 1)
        items = []
        for row in rows[:limit]:
            try:
                items.append(read_index(row))
            except Undecodable as exc:
                report(row, exc)
        more = _make_cursor(rows[limit].key) if len(rows) > limit else None
        return Page(tuple(items), more)

    async def rename(self, place: Place, title: str) -> Head:
        """Set the title in head and list; gives the head as it is now. Raises `NotFound`."""
        partition, conversation = keys.partition(place), place.conversation
        for _ in range(MAX_TRIES):
            row = await self._rows.get(partition, keys.head(conversation))
            head = required(read_head, row) if row else None
            if head is None or head.deleted or not head.next:
                raise _no_conversation()
            new = replace(head, title=clean_title(title))
            if new == head:
                return head
            operations: list[Operation] = [
                Merge(keys.head(conversation), {"title": new.title}, head.etag)
            ]
            if head.indexed:
                key = keys.index(head.indexed, conversation)
                operations.append(Merge(key, {"title": new.title}, ANY))
            try:
                etags = await self._rows.write(partition, operations)
            except Conflict:
                continue
            return replace(new, etag=etags[0])
        raise _overtaken()

    async def delete(self, place: Place) -> str | None:
        """Promise the deletion, then commit it; gives the turn that was running.

        An intent, once written, is never taken back: whoever meets it finishes it. So a
        conversation that turns out empty after it is deleted all the same. Raises `NotFound`.
        """
        partition, conversation = keys.partition(place), place.conversation
        promised = False
        for _ in range(MAX_TRIES):
            head_key = keys.head(conversation)
            rows = await self._rows.range(
                partition, head_key, keys.messages_end(conversation), limit=3
            )
            if not rows or rows[0].key != head_key:
                raise _no_conversation()
            head = required(read_head, rows[0])
            if head.deleted and promised:
                return None
            if head.deleted or not (head.next or promised):
                raise _no_conversation()
            if not promised:
                promised = await self._promise(place)
                continue
            newest = [a for a in view(None, rows[1:], limit=2).answers if a.number == head.next - 1]
            running = newest[0].turn_id if newest and newest[0].running else None
            operations: list[Operation] = [Replace(head_key, TOMBSTONE, head.etag)]
            if head.indexed:
                operations.append(Delete(keys.index(head.indexed, conversation)))
            if running is not None:
                operations.append(Delete(keys.message(conversation, head.next - 1)))
            try:
                await self._rows.write(partition, operations)
            except Conflict:
                continue
            return running
        raise _overtaken()

    async def purge(self, place: Place) -> None:
        """Remove what is left of a deleted conversation, by pages; then its intent.

        May be broken off anywhere and begun again by anybody; a living conversation stays.
        """
        partition, conversation = keys.partition(place), place.conversation
        row = await self._rows.get(partition, keys.head(conversation))
        if row is None or not required(read_head, row).deleted:
            return
        messages = f"{keys.head(conversation)}!", keys.messages_end(conversation)
        for first, last in (messages, keys.turns(conversation)):
            while rows := await self._rows.page(
                partition, first, last, MAX_OPERATIONS, keys_only=True
            ):
                await self._rows.remove(partition, [row.key for row in rows])
        await self._rows.remove(keys.INTENTS, [keys.intent(place)])

    async def _promise(self, place: Place) -> bool:
        """Write the intent, or a new version of the one that is there: False where it just went."""
        key, whatever_its_age = keys.intent(place), {"cut": 0}
        for operation in (Insert(key, whatever_its_age), Merge(key, whatever_its_age, ANY)):
            try:
                await self._rows.write(keys.INTENTS, [operation])
            except Conflict:
                continue
            return True
        return False


def _make_cursor(key: str) -> str:
    """The next item's key: it keeps its meaning where items before it come and go."""
    return urlsafe_b64encode(key.encode()).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> str:
    if _CURSOR.fullmatch(cursor):
        try:
            key = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        except ValueError:
            key = ""
        if keys.index_parts(key):
            return key
    raise InvalidRequest("cursor must be a nextCursor that this list gave.", field="cursor")


def _no_conversation() -> NotFound:
    return NotFound("There is no such conversation.")


def _overtaken() -> StoreUnavailable:
    return StoreUnavailable("The conversation is being changed by others all the time. Try again.")
