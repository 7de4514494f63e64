"""A question asked once more by a client that does not know which turn that replaces."""

from collections.abc import Awaitable, Callable

from shared.errors import TurnMismatch
from shared.history.base import Answer, HistoryStore, Place
from shared.messages import ChatRequest
from shared.protocols.ui_messages.request import Again
from shared.turns.chain import chain_of, replaced_last

ROWS = 20
"""Read to find the question of the conversation's last turn; more only behind 9 rounds of calls."""


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
    before = await replaced_last(store, place, view, newest)
    if before is not None:
        same = again.instead_of(request, before.turn_id)
        if newest.turn_id == same.turn_id and _repeats(again, same, before, newest):
            return same
    async for link in chain_of(store, place, view, newest):
        first = link.answer
    asked = first.turn_id == again.asked
    if not asked and (earlier := await replaced_last(store, place, view, first)):
        asked = again.instead_of(request, earlier.turn_id).turn_id == first.turn_id
    if not asked:
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


def _not_the_last() -> TurnMismatch:
    return TurnMismatch(
        "Only the conversation's last question can be asked again. Give its message the id of the "
        "turn that asked it."
    )
