"""A question asked once more by a client that does not know which turn that replaces."""

from collections.abc import Awaitable, Callable

from shared.errors import TurnMismatch
from shared.history.base import Answer, HistoryStore, Place, View
from shared.messages import ChatRequest
from shared.protocols.ui_messages.request import Again

ROWS = 20
"""Read to find the question of the conversation's last turn: a turn with 9 rounds of tool calls."""


async def ask_again(
    store: HistoryStore,
    place: Place,
    request: ChatRequest,
    again: Again,
    fresh: Callable[[Place, Answer], Awaitable[Answer]],
) -> ChatRequest:
    """The request, with the turn that it replaces; as it is, where its question was never asked.

    A retry gives the same turn again while that runs, and after its end where the request tells
    it from one more wish for another answer. `fresh` gives the newest answer as it is to be told.
    Raises `TurnMismatch` where it is not the conversation's last question, `StoreUnavailable`.
    """
    view = await store.read(place, ROWS)
    head = view.head
    if head is None or head.deleted or not view.answers:
        return request  # whoever begins the turn says what is to be said
    newest = view.answers[0]
    if newest.number != head.next - 1:
        raise _not_the_last()
    newest = await fresh(place, newest)
    before = _replaced(view, newest)
    if before is not None:
        same = again.instead_of(request, before.turn_id)
        if newest.turn_id == same.turn_id and _repeats(again, same, before, newest):
            return same
    first, *_ = (*steps_before(view, newest), newest)
    if not _asks(view, first, request, again):
        if await store.find(place, again.asked) is None:
            return request  # it was refused, and left nothing behind
        raise _not_the_last()
    if again.named is not None and again.named not in (newest.turn_id, first.turn_id):
        raise _not_the_last()
    return again.instead_of(request, newest.turn_id)


def _repeats(again: Again, same: ChatRequest, before: Answer, newest: Answer) -> bool:
    """Whether the turn that was asked again is meant, not one more in its place."""
    if again.named is not None:
        return again.named == before.turn_id
    return newest.digest == same.digest() if again.edited else newest.running


def steps_before(view: View, answer: Answer) -> list[Answer]:
    """The turns whose calls led to this one, oldest first: the first has the question."""
    steps: list[Answer] = []
    while (question := view.question(answer.number - 1)) is not None and question.results:
        number = answer.below
        called = next((a for a in view.answers if a.number == number), None)
        if called is None:
            break
        steps.insert(0, called)
        answer = called
    return steps


def _asks(view: View, first: Answer, request: ChatRequest, again: Again) -> bool:
    """Whether that turn was asked by the message, at first or again."""
    if first.turn_id == again.asked:
        return True
    before = _replaced(view, first)
    return before is not None and again.instead_of(request, before.turn_id).turn_id == first.turn_id


def _replaced(view: View, answer: Answer) -> Answer | None:
    """The turn whose place it took: the last one at that time."""
    if answer.hides is None:
        return None
    return next((a for a in view.answers if a.number == answer.number - 2), None)


def _not_the_last() -> TurnMismatch:
    return TurnMismatch(
        "Only the conversation's last question can be asked again. Give its message the id of the "
        "turn that asked it."
    )
