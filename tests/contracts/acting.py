"""What the tests do to a store, in few words."""

import asyncio
from collections.abc import Iterable
from typing import Any

from shared.events import Delta, StoredEvent
from shared.history import keys
from shared.history.base import Answer, Begun, Head, HistoryStore, NewTurn, Place, Replaced, View
from shared.history.codec import encode_runs
from shared.history.rows import Rows, Value
from shared.messages import FinishReason, Usage

MINE = Place("me", "c1")
ANONYMOUS = Place(None, "an-unguessable-conversation")
NOW = 1_790_000_000_000
USAGE = Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)


def new_turn(turn_id: str = "t1", **fields: Any) -> NewTurn:
    return NewTurn(
        **{
            "turn_id": turn_id,
            "nonce": f"nonce-{turn_id}",
            "digest": "0" * 64,
            "action": "default",
            "model": "gpt",
            "result_name": "response",
            "question": f"question {turn_id}",
            "title": f"title {turn_id}",
            **fields,
        }
    )


class Visible:
    """Which turns of a conversation are visible, as turns are added that replace some."""

    def __init__(self, replacing: Iterable[int] = ()) -> None:
        self.turns: list[int] = []
        self._lowest: list[int] = []
        self._next = 0
        for turns in replacing:
            self.add(turns)

    def add(self, replacing: int) -> Replaced | None:
        """One more turn, in the place of so many of the newest, or of all that there are."""
        stay = max(0, len(self.turns) - replacing)
        hides, gone = self._lowest[stay:], self.turns[stay:]
        del self._lowest[stay:], self.turns[stay:]
        replaced = Replaced(hides[0], len(gone)) if gone else None
        self.turns.append(self._next)
        self._lowest.append(replaced.hides if replaced else 2 * self._next)
        self._next += 1
        return replaced


async def head_of(store: HistoryStore, place: Place) -> Head:
    head = await store.head(place)
    assert head is not None
    return head


async def answer_of(store: HistoryStore, begun: Begun) -> Answer:
    answer = await store.answer(begun.place, begun.answer.number)
    assert answer is not None
    return answer


async def begin(
    store: HistoryStore, turn_id: str = "t1", place: Place = MINE, now: int = NOW, **fields: Any
) -> Begun:
    """A turn, on what one read says."""
    view = await store.read(place, 40)
    return await store.begin(place, view.head, new_turn(turn_id, **fields), now)


async def finish(
    store: HistoryStore, begun: Begun, *runs: StoredEvent, reason: FinishReason = "stop"
) -> Begun:
    body = encode_runs(runs or (Delta(f"answer {begun.answer.turn_id}"),))
    return await store.finish(begun, body, reason, USAGE, 0)


async def whole_turn(
    store: HistoryStore, turn_id: str = "t1", place: Place = MINE, now: int = NOW, **fields: Any
) -> Begun:
    return await finish(store, await begin(store, turn_id, place, now, **fields))


async def stored(rows: Rows, place: Place) -> dict[str, dict[str, Value]]:
    """Everything in a place's partition, by key."""
    found = await rows.range(keys.partition(place), "!", "z", 100_000)
    return {row.key: dict(row.values) for row in found}


def turn_ids(view: View) -> list[str]:
    return [answer.turn_id for answer in view.answers]


async def outcomes(*awaitables: Any) -> list[Any]:
    """What each gave or raised, all at once."""
    return await asyncio.gather(*awaitables, return_exceptions=True)
