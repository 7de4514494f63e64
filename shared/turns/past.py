"""The conversation's visible turns, newest first, from what the one read gave."""

from collections.abc import Sequence

from shared.history.base import HistoryStore, Place, View
from shared.prompts.window import PastTurn


async def load_past(
    store: HistoryStore, place: Place, view: View, hides: int | None, messages: int
) -> Sequence[PastTurn]:
    """Turns that are ended and not replaced. Where hidden rows filled the read, one more.

    `hides`: the lowest message number that the turn which is about to run replaces.
    """
    start = view.answers[0].number if view.answers else -1
    if hides is not None:
        start = hides - 1
    turns, wanted, hid = _visible(view, start)
    hid = hid or hides is not None
    if hid and view.lowest > 0 and wanted > 0 and 2 * len(turns) < messages:
        more = await store.read_below(place, wanted + 1, messages)
        turns += _visible(more, wanted)[0]
    return turns


def _visible(view: View, start: int) -> tuple[list[PastTurn], int, bool]:
    """The turns from number `start` down, the number that comes next, whether any are hidden."""
    turns: list[PastTurn] = []
    hid = False
    for answer in view.answers:
        if answer.number > start:
            continue
        if answer.number == view.lowest:  # the read ends between it and its question
            break
        question = view.question(answer.number - 1)
        start = answer.below
        hid = hid or answer.hides is not None
        if question is not None and not answer.running:
            turns.append(
                PastTurn(
                    question.text,
                    answer.text,
                    answer.finish_reason,
                    answer.usage,
                    answer.reasoning_tokens,
                    question.results,
                    answer.calls,
                )
            )
    return turns, start, hid
