"""Turns that belong together: a question, and the rounds of calls that it led to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from shared.history.base import Answer, HistoryStore, Place, Question, Replaced, View

ROWS_A_READ = 40


@dataclass(frozen=True, slots=True)
class Link:
    """One turn of a chain. `question` None: it cannot be read."""

    answer: Answer
    question: Question | None


async def chain_of(
    store: HistoryStore, place: Place, view: View, answer: Answer
) -> AsyncIterator[Link]:
    """The turn, and below it those whose calls led to it: the last one has the question.

    What `view` does not hold is read, by pages. A turn that cannot be read ends the chain.
    Raises `StoreUnavailable`.
    """
    called: Answer | None = answer
    while called is not None:
        view = await _down_to(store, place, view, called.number - 1)
        question = view.question(called.number - 1)
        yield Link(called, question)
        if question is None or not question.results:
            return
        below = called.below
        view = await _down_to(store, place, view, below)
        called = _answer(view, below)


async def with_its_chain(store: HistoryStore, place: Place, view: View, answer: Answer) -> Replaced:
    """What a question in the place of that turn replaces. Raises `StoreUnavailable`."""
    below = [link.answer.below async for link in chain_of(store, place, view, answer)]
    return Replaced(below[-1] + 1, len(below))


async def replaced_last(
    store: HistoryStore, place: Place, view: View, answer: Answer
) -> Answer | None:
    """The turn that was the last one when this turn took its place. Raises `StoreUnavailable`."""
    if answer.hides is None:
        return None
    number = answer.number - 2
    return _answer(await _down_to(store, place, view, number, rows=2), number)


async def _down_to(
    store: HistoryStore, place: Place, view: View, number: int, rows: int = ROWS_A_READ
) -> View:
    """A view that holds what there is under that number."""
    if number >= view.lowest:
        return view
    return await store.read_below(place, number + 1, rows)


def _answer(view: View, number: int) -> Answer | None:
    return next((a for a in view.answers if a.number == number), None)
