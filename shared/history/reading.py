"""Reading a conversation as people see it: messages by pages, newest first, and the export.

What the calls of a turn gave is one message here, however many results it holds: pages do not part
them.
"""

import base64
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.errors import InvalidRequest, NotFound
from shared.history.base import Answer, Head, HistoryStore, Page, Place, Question, View

ROWS_A_READ = 200
_CURSOR = re.compile(r"([0-9]{1,10})\.(-?[0-9]{1,10})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exported:
    """One message of an export."""

    message: Question | Answer
    replaced: bool


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The next message to show, and the number below what its turn hides."""

    number: int
    below: int

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.number}.{self.below}".encode()).decode()

    @classmethod
    def at(cls, number: int) -> "_Cursor":
        """At a message of which nothing is known but its number."""
        return cls(number, number - 2 if number % 2 else number - 1)

    @classmethod
    def parse(cls, text: str) -> "_Cursor":
        try:
            raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            found = _CURSOR.fullmatch(raw.decode("ascii"))
        except ValueError:
            found = None
        if found is None or not int(found[2]) < int(found[1]):
            raise InvalidRequest("cursor must be a nextCursor of this list.", field="cursor")
        return cls(int(found[1]), int(found[2]))


async def read_messages(
    store: HistoryStore, place: Place, limit: int, cursor: str | None
) -> Page[Question | Answer]:
    """A page, newest first, without replaced turns. Raises `NotFound`, `InvalidRequest`."""
    head = await store.head(place)
    if head is None or head.deleted or not head.next:
        raise NotFound("There is no such conversation.")
    at = _Cursor.parse(cursor) if cursor else _Cursor.at(head.next - 1)
    items: list[Question | Answer] = []
    while len(items) < limit and at.number >= 0:
        # Two more than are missing: the turn that an odd limit cuts, and its other half.
        rows = min(ROWS_A_READ, limit - len(items) + 2)
        view = await store.read_below(place, at.number + 1, rows)
        if not view.answers and not view.questions:
            at = _Cursor.at(view.lowest - 1)
            continue
        if at.number % 2 == 0 and not any(q.number == at.number for q in view.questions):
            at = _Cursor.at(at.below)  # its question cannot be read
            continue
        for message in _in_order(view):
            if len(items) == limit:
                break
            if message.number > at.number:
                continue  # hidden
            items.append(message)
            at = _after(message, at)
    return Page(tuple(items), str(at) if at.number >= 0 else None)


async def export_messages(store: HistoryStore, place: Place, head: Head) -> AsyncIterator[Exported]:
    """Every message below the head's next one, oldest first, replaced ones too; a few at a time."""
    # What replaces may come long after what it hides, so that is looked for first.
    hidden = await _hidden(store, place, head.next) if head.count < head.next else []
    for bottom in range(0, head.next, ROWS_A_READ):
        top = min(bottom + ROWS_A_READ, head.next)
        view = await store.read_below(place, top, top - bottom)
        for message in reversed(_in_order(view)):
            while hidden and hidden[-1].stop <= message.number:
                hidden.pop()
            yield Exported(message, bool(hidden) and message.number in hidden[-1])


async def _hidden(store: HistoryStore, place: Place, top: int) -> list[range]:
    """The numbers of replaced messages below `top`, newest first."""
    hidden: list[range] = []
    number = top - 1
    while number >= 0:
        view = await store.read_below(place, number + 1, ROWS_A_READ)
        for answer in view.answers:
            if answer.number <= number:
                if answer.hides is not None:
                    hidden.append(range(answer.hides, answer.number - 1))
                number = answer.below
        number = min(number, view.lowest - 1)
    return hidden


def _in_order(view: View) -> list[Question | Answer]:
    """Newest first."""
    messages: list[Question | Answer] = [*view.answers, *view.questions]
    return sorted(messages, key=lambda message: -message.number)


def _after(message: Question | Answer, at: _Cursor) -> _Cursor:
    if isinstance(message, Question):
        return _Cursor.at(at.below if at.number == message.number else message.number - 1)
    return _Cursor(message.number - 1, message.below)
