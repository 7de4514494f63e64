"""The sweep finishes every deletion that was broken off, wherever that was."""

import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import pytest

from shared.errors import NotFound, StoreUnavailable
from shared.history import keys
from shared.history.base import Conflict, Place
from shared.history.rows import Insert, Merge, Operation, Replace, Rows
from shared.history.store import Store
from tests.contracts.acting import (
    ANONYMOUS,
    MINE,
    NOW,
    begin,
    finish,
    head_of,
    new_turn,
    outcomes,
    whole_turn,
)
from tests.contracts.instance_rows import Died, InstanceRows
from tests.contracts.sweeping import DAY, OLD, always, done, gone, intents, rows_of, sweep

type Act = Callable[[Store, Place], Awaitable[object]]


async def delete(store: Store, place: Place) -> None:
    await store.delete(place)
    await store.purge(place)


async def resume(store: Store, place: Place) -> None:
    await store.sweep(NOW, None, always)


async def retain(store: Store, place: Place) -> None:
    await store.sweep(NOW, 30 * DAY, always)


async def promise(rows: Rows, place: Place) -> None:
    """A deletion whose instance died as soon as it had promised it."""
    with pytest.raises(Died):
        await Store(InstanceRows(rows, 0, "after")).delete(place)


@pytest.mark.parametrize("running", [False, True], ids=["ended", "running"])
@pytest.mark.parametrize("owner", ["me", None], ids=["owned", "anonymous"])
@pytest.mark.parametrize(("act", "writes"), [(delete, 4), (resume, 3), (retain, 4)])
@pytest.mark.parametrize("dies", ["before", "after"])
async def test_a_deletion_that_dies_anywhere_is_finished(
    store: Store,
    rows: Rows,
    dies: Literal["before", "after"],
    act: Act,
    writes: int,
    owner: str | None,
    running: bool,
) -> None:
    for number in itertools.count():
        place = Place(owner, f"an-unguessable-conversation-{number}")
        for n in range(3):
            await whole_turn(store, f"t{n}", place, OLD + n)
        if running:
            await begin(store, "t3", place, OLD + 3)
        before = await rows_of(rows, place)
        if act is resume:
            await promise(rows, place)
        try:
            await act(Store(InstanceRows(rows, number, dies)), place)
        except Died:
            pass
        else:
            assert await gone(rows, place)
            assert number == writes
            return
        promised = keys.intent(place) in await intents(rows) or await gone(rows, place)
        swept = await sweep(store, 30 if act is retain else None)
        assert swept.failed == 0
        if promised or act is retain:
            assert await gone(rows, place)
        else:
            assert (number, dies) == (0, "before")
            assert await rows_of(rows, place) == before
            await delete(store, place)


async def test_a_promise_is_finished_even_where_the_head_lives(store: Store, rows: Rows) -> None:
    for place in (MINE, ANONYMOUS):
        await whole_turn(store, place=place)
        await promise(rows, place)
        assert not (await head_of(store, place)).deleted
    assert await sweep(store, None) == done(resumed=2)
    for place in (MINE, ANONYMOUS):
        assert await gone(rows, place)
    assert (await store.conversations("me", 9, None)).items == ()
    assert await sweep(store, None) == done()


async def test_a_promise_whose_only_turn_was_undone_is_kept(store: Store, rows: Rows) -> None:
    begun = await begin(store)
    await promise(rows, MINE)
    await store.undo(begun)
    assert await sweep(store, None) == done(resumed=1)
    assert await gone(rows, MINE)


async def test_a_promise_about_nothing_is_dropped(store: Store, rows: Rows) -> None:
    await rows.write(keys.INTENTS, [Insert(keys.intent(MINE), {"cut": 0})])
    assert await sweep(store, None) == done()
    assert await intents(rows) == []


async def test_a_turn_that_goes_on_meanwhile_meets_the_deletion(store: Store, rows: Rows) -> None:
    await whole_turn(store, "t1")
    running = await begin(store, "t2", now=NOW + 1)
    await promise(rows, MINE)
    running = await store.save(running, b"\xffdhalf", NOW + 20_000)  # it is not committed yet
    assert await sweep(store, None) == done(resumed=1)
    for write in (finish(store, running), store.undo(running)):
        with pytest.raises(Conflict):
            await write
    assert await gone(rows, MINE)


async def test_whoever_repeats_a_turn_of_a_deleted_conversation_learns_it(
    store: Store, rows: Rows
) -> None:
    begun = await whole_turn(store)
    await promise(rows, MINE)
    await sweep(store, None)
    assert (await head_of(store, MINE)).deleted
    assert await store.find(MINE, "t1") is None
    for head in (None, begun.head, await head_of(store, MINE)):
        with pytest.raises(Conflict):
            await store.begin(MINE, head, new_turn("t1"), NOW)
    with pytest.raises(NotFound):
        await store.rename(MINE, "title")
    with pytest.raises(NotFound):
        await store.delete(MINE)
    assert await gone(rows, MINE)


async def test_sweeps_and_deletions_at_once_agree(store: Store, rows: Rows) -> None:
    places = [Place("me", f"c{n}") for n in range(12)]
    for n, place in enumerate(places):
        await whole_turn(store, "t1", place, OLD)
        await begin(store, "t2", place, OLD + n)
        if n % 3 == 0:
            await promise(rows, place)
    results = await outcomes(
        *(sweep(Store(InstanceRows(rows))) for _ in range(3)),
        *(delete(Store(InstanceRows(rows)), place) for place in places),
    )
    assert {type(r) for r in results if isinstance(r, Exception)} <= {NotFound}
    assert [swept.failed for swept in results[:3]] == [0, 0, 0]
    await sweep(store)
    for place in places:
        assert await gone(rows, place)


async def test_a_sweep_meets_a_head_that_others_keep_changing(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    await whole_turn(store, place=Place("me", "c2"))
    await promise(rows, MINE)
    await promise(rows, Place("me", "c2"))

    async def rename(partition: str, operations: Sequence[Operation]) -> None:
        if isinstance(operations[0], Replace) and operations[0].key == keys.head("c1"):
            head = await head_of(store, MINE)
            await store.rename(MINE, f"{head.title}!")

    swept = await sweep(Store(InstanceRows(rows, meddling=rename)), None)
    assert swept == done(resumed=1, failed=1)
    assert await gone(rows, Place("me", "c2"))
    assert await sweep(store, None) == done(resumed=1)
    assert await gone(rows, MINE)


async def test_what_cannot_be_read_never_ends_the_sweep(
    store: Store, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    cut, head, whole = (Place("me", name) for name in ("c-cut", "d-head", "e-whole"))
    for place in (cut, head, whole):
        await whole_turn(store, place=place)
        await promise(rows, place)
    await rows.write(keys.INTENTS, [Insert("junk", {})])
    await rows.write(keys.INTENTS, [Merge(keys.intent(cut), {"cut": "soon"}, "*")])
    await rows.write(keys.partition(head), [Merge(keys.head("d-head"), {"next": "many"}, "*")])
    with caplog.at_level(logging.WARNING):
        assert await sweep(store, None) == done(resumed=1, failed=3)
    assert await gone(rows, whole)
    assert "junk" in caplog.text
    assert keys.head("d-head") in caplog.text
    assert len(await intents(rows)) == 3


async def test_promises_are_found_behind_pages_of_others(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    await promise(rows, MINE)
    for some in itertools.batched(range(200), 100, strict=True):
        await rows.write(keys.INTENTS, [Insert(f"junk-{n:03}", {}) for n in some])
    assert await sweep(store, None) == done(resumed=1, failed=200)
    assert await gone(rows, MINE)


async def test_a_sweep_of_a_store_that_is_down(store: Store, rows: Rows) -> None:
    async def down(partition: str, operations: Sequence[Operation]) -> None:
        raise StoreUnavailable("The store is down.")

    await whole_turn(store)
    await promise(rows, MINE)
    assert await sweep(Store(InstanceRows(rows, meddling=down)), None) == done(failed=1)
    assert await sweep(store, None) == done(resumed=1)
