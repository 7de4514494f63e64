"""A row that cannot be read spoils itself, never the conversation."""

import logging
from collections.abc import Mapping

import pytest

from shared.errors import StoreUnavailable
from shared.history import keys
from shared.history.rows import Insert, Merge, Replace, Rows, Value
from shared.history.store import Store
from tests.contracts.acting import MINE, NOW, begin, head_of, turn_ids, whole_turn

ANSWERS: dict[str, Mapping[str, Value]] = {
    "no size": {"turn": "t2"},
    "wrong type": {"created": "yesterday"},
    "flag as a number": {"running": 1},
    "negative": {"size": -1},
    "too long": {"size": 10**9},
    "missing part": {"size": 60_001},
    "not UTF-8": {"size": 4, "b0": b"\xffd\xc3\x28"},
    "no run": {"size": 1, "b0": b"x"},
    "unknown kind": {"size": 2, "b0": b"\xffz"},
    "not JSON": {"size": 3, "b0": b"\xffc{"},
    "empty run": {"size": 2, "b0": b"\xffd"},
    "text in two runs": {"size": 6, "b0": b"\xffda\xffdb"},
    "unknown reason": {"reason": "boredom"},
    "body as text": {"b0": "text"},
}


@pytest.mark.parametrize("junk", ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_that_cannot_be_read(
    store: Store, rows: Rows, junk: Mapping[str, Value], caplog: pytest.LogCaptureFixture
) -> None:
    for n in (1, 2, 3):
        await whole_turn(store, f"t{n}", now=NOW + n)
    key = keys.message("c1", 3)
    if "turn" in junk:
        await rows.write(keys.partition(MINE), [Replace(key, junk, "*")])
    else:
        await rows.write(keys.partition(MINE), [Merge(key, junk, "*")])
    with caplog.at_level(logging.WARNING):
        view = await store.read(MINE, 40)
    assert turn_ids(view) == ["t3", "t1"]
    assert [q.turn_id for q in view.questions] == ["t3", "t1"]
    assert key in caplog.text
    with pytest.raises(StoreUnavailable):
        await store.answer(MINE, 3)
    assert (await whole_turn(store, "t4", now=NOW + 4)).answer.number == 7
    await store.rename(MINE, "new")
    await store.delete(MINE)
    await store.purge(MINE)


async def test_a_question_that_cannot_be_read_takes_its_answer_with_it(
    store: Store, rows: Rows
) -> None:
    for n in (1, 2):
        await whole_turn(store, f"t{n}", now=NOW + n)
    junks: list[Mapping[str, Value]] = [
        {"size": 2, "b0": b"\xc3\x28"},
        {"size": "x"},
        {"results": True, "size": 2, "b0": b"[{"},
        {"results": True, "size": 11, "b0": b'[{"id":"a"}'},
        {"results": True, "size": 2, "b0": b"{}"},
        {"results": 1, "size": 2, "b0": b"[]"},
    ]
    for junk in junks:
        await rows.write(keys.partition(MINE), [Merge(keys.message("c1", 0), junk, "*")])
        view = await store.read(MINE, 40)
        assert turn_ids(view) == ["t2"]
        assert [q.turn_id for q in view.questions] == ["t2"]


async def test_rows_of_nobodys_are_passed_over(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    junk = [
        Insert("v,c1,mjunk", {}),
        Insert("v,c1,m00000000001", {"a": 1}),
        Insert("i,!", {}),
        Insert("i,0000000000000,c0", {"title": 5}),
    ]
    await rows.write(keys.partition(MINE), junk)
    assert turn_ids(await store.read(MINE, 40)) == ["t1"]
    assert [c.id for c in (await store.conversations("me", 10, None)).items] == ["c1"]
    await store.delete(MINE)
    await store.purge(MINE)
    left = await rows.range(keys.partition(MINE), "v", "w", 10)
    assert [row.key for row in left] == [keys.head("c1")]


async def test_a_head_that_cannot_be_read_is_said_so(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    await whole_turn(store, "t2", place=type(MINE)("me", "c2"), now=NOW + 1)
    await rows.write(keys.partition(MINE), [Merge(keys.head("c1"), {"next": "many"}, "*")])
    for attempt in (store.read(MINE, 40), store.head(MINE), store.rename(MINE, "x")):
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            await attempt
    assert len((await store.conversations("me", 10, None)).items) == 2


async def test_a_turn_row_that_cannot_be_read_is_said_so(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    await rows.write(keys.partition(MINE), [Merge(keys.turn("c1", "t1"), {"number": "x"}, "*")])
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await store.find(MINE, "t1")


async def test_half_a_turn_at_an_edge_of_what_was_read_stays(store: Store) -> None:
    for n in (1, 2):
        await whole_turn(store, f"t{n}", now=NOW + n)
    view = await store.read(MINE, 1)
    assert (turn_ids(view), view.questions, view.lowest) == (["t2"], (), 3)
    view = await store.read_below(MINE, 3, 1)
    assert (view.answers, [q.turn_id for q in view.questions], view.lowest) == ((), ["t2"], 2)


async def test_a_running_turn_is_the_newest(store: Store) -> None:
    await whole_turn(store)
    begun = await begin(store, "t2", now=NOW + 1)
    assert (await store.read(MINE, 40)).answers[0] == begun.answer
    assert (await head_of(store, MINE)).next == begun.answer.number + 1
