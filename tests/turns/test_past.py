"""Which turns the window is chosen from."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Delta
from shared.history import keys
from shared.history.base import NewTurn
from shared.history.codec import encode_runs
from shared.history.memory import MemoryRows
from shared.history.rows import Merge
from shared.turns.past import load_past
from tests.contracts.acting import Visible
from tests.turns.bench import PLACE
from tests.turns.clock_loop import in_virtual_time
from tests.turns.faulty import FaultyStore
from tests.turns.scripted import USAGE


async def conversation(store: FaultyStore, replacing: Sequence[int]) -> None:
    """Turn n asks `q<n>` and is answered `a<n>`; it replaces so many of those before."""
    shown = Visible()
    for number, replaces in enumerate(replacing):
        view = await store.read(PLACE, 2)
        turn = NewTurn(
            turn_id=f"t{number}",
            nonce="n",
            digest="d",
            action="a",
            model="m",
            result_name="r",
            question=f"q{number}",
            title="t",
            replaces=shown.add(replaces),
        )
        begun = await store.begin(PLACE, view.head, turn, 1 + number)
        await store.finish(begun, encode_runs([Delta(f"a{number}")]), "stop", USAGE, 0)


def visible(replacing: Sequence[int]) -> list[str]:
    """The questions that are not replaced, newest first."""
    return [f"q{number}" for number in reversed(Visible(replacing).turns)]


async def past(store: FaultyStore, messages: int, hides: int | None = None) -> list[str]:
    view = await store.read(PLACE, messages)
    store.calls.clear()
    turns = await load_past(store, PLACE, view, hides, messages)
    assert all(turn.answer == f"a{turn.question[1:]}" for turn in turns)
    return [turn.question for turn in turns]


@in_virtual_time
async def test_nothing_is_read_again_where_nothing_is_hidden() -> None:
    store = FaultyStore(MemoryRows())
    assert await past(store, 4) == []
    await conversation(store, [False] * 5)
    assert await past(store, 4) == ["q4", "q3"]
    assert store.calls == []


@in_virtual_time
async def test_one_more_read_where_replaced_turns_filled_the_first() -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [False, False, False, False, True, True])
    assert await past(store, 4) == ["q5", "q2", "q1"]
    assert store.calls == ["read_below"]
    assert await past(store, 12) == ["q5", "q2", "q1", "q0"]
    assert store.calls == []


@in_virtual_time
async def test_the_turn_that_is_being_replaced_is_left_out() -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [False, False, False, True])
    assert await past(store, 4, hides=4) == ["q1", "q0"]
    assert store.calls == ["read_below"]


@in_virtual_time
async def test_a_chain_that_is_being_replaced_may_be_longer_than_the_window() -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [0] * 9)
    assert await past(store, 4, hides=6) == ["q2", "q1"]
    assert store.calls == ["read_below"]
    assert await past(store, 4, hides=0) == []
    assert store.calls == []


@in_virtual_time
async def test_a_running_turn_and_one_that_cannot_be_read_are_left_out() -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [False, False, False])
    await store._rows.write(
        keys.partition(PLACE),
        [
            Merge(keys.message("c1", 2), {"size": "damaged"}, "*"),
            Merge(keys.message("c1", 5), {"running": True}, "*"),
        ],
    )
    assert await past(store, 40) == ["q0"]


@in_virtual_time
async def test_no_further_read_where_everything_was_read() -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [False, False, True])
    merge = Merge(keys.message("c1", 1), {"size": "damaged"}, "*")
    await store._rows.write(keys.partition(PLACE), [merge])
    assert await past(store, 40) == ["q2"]
    assert store.calls == []


@given(
    st.lists(st.sampled_from((0, 0, 1, 2, 5)), min_size=1, max_size=12),
    st.integers(2, 9),
    st.integers(0, 3),
)
def test_there_is_no_gap_whatever_is_replaced(
    replacing: list[int], messages: int, replaces: int
) -> None:
    @in_virtual_time
    async def check() -> None:
        store = FaultyStore(MemoryRows())
        await conversation(store, replacing)
        expected = visible(replacing)[replaces:]
        replaced = Visible(replacing).add(replaces)
        found = await past(store, messages, replaced.hides if replaced else None)
        assert found == expected[: len(found)]
        assert len(store.calls) <= 1
        hidden = replaces or any(replacing[1:])
        if not hidden:
            assert len(found) == min(len(expected), messages // 2)

    check()


@pytest.mark.parametrize("messages", [3, 5, 7])
@in_virtual_time
async def test_an_odd_limit_leaves_no_gap(messages: int) -> None:
    store = FaultyStore(MemoryRows())
    await conversation(store, [False] * 5 + [True])
    found = await past(store, messages)
    assert found == ["q5", "q3", "q2", "q1", "q0"][: len(found)]
    assert len(found) >= 2
