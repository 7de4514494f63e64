"""Messages by pages and the export: everything visible once, whatever was replaced or damaged."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest, NotFound
from shared.events import Delta
from shared.history import keys
from shared.history.base import Answer, NewTurn, Place, Replaced
from shared.history.codec import encode_runs
from shared.history.memory import MemoryRows
from shared.history.reading import ROWS_A_READ, export_messages, read_messages
from shared.history.rows import Merge
from shared.history.store import Store
from shared.messages import Usage
from tests.contracts.acting import Visible

PLACE = Place("me", "c1")
USAGE = Usage(1, 2, 3)


async def conversation(
    replacing: Sequence[int],
    damaged: set[int] = frozenset(),  # type: ignore[assignment]
) -> Store:
    """Turn n has the messages 2n and 2n + 1; it replaces so many of those before."""
    shown = Visible()
    rows = MemoryRows()
    store = Store(rows)
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
    for number in damaged:
        merge = Merge(keys.message("c1", number), {"size": "damaged"}, "*")
        await rows.write(keys.partition(PLACE), [merge])
    return store


def visible(replacing: Sequence[int]) -> list[str]:
    """Newest first: every answer that is not replaced, and its question."""
    turns = Visible(replacing).turns
    return [text for number in reversed(turns) for text in (f"a{number}", f"q{number}")]


async def pages(store: Store, limit: int) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: str | None = None
    while not found or cursor is not None:
        page = await read_messages(store, PLACE, limit, cursor)
        found.append([message.text for message in page.items])
        cursor = page.cursor
        assert len(found) < 1000
    return found


def together(found: list[list[str]]) -> list[str]:
    return [text for page in found for text in page]


replaced = st.lists(st.sampled_from((0, 0, 1, 2, 5)), min_size=1, max_size=15)


@given(replaced, st.integers(1, 12))
def test_every_visible_message_once_with_any_limit(replacing: list[int], limit: int) -> None:
    async def check() -> None:
        found = await pages(await conversation(replacing), limit)
        assert together(found) == visible(replacing)
        assert all(len(page) == limit for page in found[:-1])

    asyncio.run(check())


@given(st.integers(1, 10), st.sets(st.integers(0, 19), max_size=6), st.integers(1, 9))
def test_unreadable_rows_spoil_their_own_turns_only(
    turns: int, damaged: set[int], limit: int
) -> None:
    damaged = {number for number in damaged if number < 2 * turns}

    async def check() -> None:
        found = together(await pages(await conversation([False] * turns, damaged), limit))
        whole = [
            text
            for text in visible([False] * turns)
            if not {2 * int(text[1:]), 2 * int(text[1:]) + 1} & damaged
        ]
        assert [text for text in found if text in whole] == whole
        # A page may show the readable half of a turn whose other half it did not read.
        readable = {text for text in found if 2 * int(text[1:]) + (text[0] == "a") not in damaged}
        assert set(found) == readable
        assert len(set(found)) == len(found)

    asyncio.run(check())


async def test_a_long_conversation_with_long_chains() -> None:
    replacing = [False] * 3 + [True] * 250 + [False] * 2
    store = await conversation(replacing)
    for limit in (1, 5, 100):
        assert together(await pages(store, limit)) == visible(replacing)


async def test_nothing_but_unreadable_rows() -> None:
    store = await conversation([False] * 6, set(range(12)))
    assert together(await pages(store, 3)) == []


async def test_new_turns_do_not_move_the_pages() -> None:
    store = await conversation([False] * 3)
    first = await read_messages(store, PLACE, 3, None)
    view = await store.read(PLACE, 2)
    newest = Replaced.one(view.answers[0])
    turn = NewTurn(
        turn_id="new",
        nonce="n",
        digest="d",
        action="a",
        model="m",
        result_name="r",
        question="new",
        title="t",
        replaces=newest,
    )
    await store.begin(PLACE, view.head, turn, 10)
    rest = await read_messages(store, PLACE, 10, first.cursor)
    assert [m.text for m in (*first.items, *rest.items)] == visible([False] * 3)
    again = await read_messages(store, PLACE, 2, None)
    running, asked = again.items
    assert isinstance(running, Answer)
    assert (running.running, asked.text) == (True, "new")


@pytest.mark.parametrize(
    "cursor",
    ["x", "MS4", "ä", "====", "MTIz", "Mi41", "OTk5OTk5OTk5OTk5LjE=", "LTEuLTM=", "MS4y" * 100],
)
async def test_a_cursor_that_is_none(cursor: str) -> None:
    store = await conversation([False])
    with pytest.raises(InvalidRequest) as raised:
        await read_messages(store, PLACE, 10, cursor)
    assert raised.value.problems[0].field == "cursor"


async def test_a_cursor_beyond_the_conversation_is_harmless() -> None:
    store = await conversation([False])
    page = await read_messages(store, PLACE, 10, "OTk5OTk5OTk5OS45OTk5OTk5OTk3")
    assert [message.text for message in page.items] == ["a0", "q0"]


async def test_a_conversation_that_is_none() -> None:
    store = Store(MemoryRows())
    with pytest.raises(NotFound):
        await read_messages(store, PLACE, 10, None)
    store = await conversation([False])
    await store.delete(PLACE)
    with pytest.raises(NotFound):
        await read_messages(store, PLACE, 10, None)


async def exported(store: Store) -> list[tuple[str, bool]]:
    head = await store.head(PLACE)
    assert head is not None
    return [(one.message.text, one.replaced) async for one in export_messages(store, PLACE, head)]


@given(replaced)
def test_the_export_has_everything_oldest_first_and_marks_what_was_replaced(
    replacing: list[int],
) -> None:
    async def check() -> None:
        shown = set(visible(replacing))
        expected = [f"{kind}{number}" for number in range(len(replacing)) for kind in "qa"]
        assert await exported(await conversation(replacing)) == [
            (text, text not in shown) for text in expected
        ]

    asyncio.run(check())


async def test_the_export_of_a_long_conversation_goes_by_pages() -> None:
    turns = ROWS_A_READ // 2
    replacing = [number == turns for number in range(turns + 20)]
    found = await exported(await conversation(replacing))
    assert [text for text, hidden in found if hidden] == [f"q{turns - 1}", f"a{turns - 1}"]
    assert len(found) == 2 * len(replacing)


async def test_the_export_marks_a_chain_that_is_longer_than_a_read() -> None:
    replacing = [*[0] * (ROWS_A_READ + 5), ROWS_A_READ + 2, 0, 1]
    found = await exported(await conversation(replacing))
    shown = set(visible(replacing))
    assert len(shown) == 10
    assert found == [
        (f"{kind}{number}", f"{kind}{number}" not in shown)
        for number in range(len(replacing))
        for kind in "qa"
    ]


async def test_the_export_leaves_out_what_cannot_be_read() -> None:
    store = await conversation([False, False, False], {2})
    assert [text for text, _ in await exported(store)] == ["q0", "a0", "q2", "a2"]


async def test_only_what_a_turn_replaced_is_marked_where_that_cannot_be_read() -> None:
    store = await conversation([False, False, True], {2})
    assert await exported(store) == [("q0", False), ("a0", False), ("q2", False), ("a2", False)]


async def test_the_export_has_a_running_answer_as_far_as_it_is_stored() -> None:
    store = await conversation([False])
    view = await store.read(PLACE, 2)
    turn = NewTurn(
        turn_id="new",
        nonce="n",
        digest="d",
        action="a",
        model="m",
        result_name="r",
        question="new",
        title="t",
    )
    begun = await store.begin(PLACE, view.head, turn, 10)
    await store.save(begun, encode_runs([Delta("so far")]), 1)
    assert [text for text, _ in await exported(store)] == ["q0", "a0", "new", "so far"]
