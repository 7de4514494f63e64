"""Conversations between turns: the list, and a new title."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace

from shared.errors import InvalidRequest
from shared.history import keys
from shared.history.base import Conflict, Conversation, Head, Page, Place
from shared.history.codec import Undecodable
from shared.history.deletion import MAX_TRIES, no_conversation, overtaken
from shared.history.records import clean_title, read_head, read_index
from shared.history.rows import ANY, Merge, Operation, Rows
from shared.history.views import report, required

MAX_PAGE = 100

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
                raise no_conversation()
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
        raise overtaken()


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
