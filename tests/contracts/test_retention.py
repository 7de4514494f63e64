"""Retention: what began last before the cut-off goes, and nothing that is used."""

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence

import pytest

from shared.errors import StoreUnavailable
from shared.history import keys
from shared.history.base import Head, Place
from shared.history.records import head_values
from shared.history.rows import Delete, Insert, Merge, Operation, Replace, Rows, Scan
from shared.history.store import Store
from tests.contracts.acting import (
    ANONYMOUS,
    MINE,
    NOW,
    begin,
    head_of,
    new_turn,
    outcomes,
    turn_ids,
    whole_turn,
)
from tests.contracts.instance_rows import Died, InstanceRows
from tests.contracts.sweeping import DAY, OLD, done, gone, intents, rows_of, sweep

CURSOR = keys.SWEEP, keys.CURSOR
LAST = Place("zoe", "the-last-one")
"""Its partition comes behind all others."""


def times(number: int) -> Callable[[], bool]:
    """Time for so many steps."""
    steps = itertools.count()
    return lambda: next(steps) < number


async def undone(rows: Rows, number: int) -> None:
    """So many heads of conversations that are none: old, and they stay."""
    values = head_values(Head("", created=OLD, updated=OLD))
    for some in itertools.batched(range(number), 100, strict=False):
        await rows.write("u,AA", [Insert(keys.head(f"n{n:05d}"), values) for n in some])


@pytest.mark.parametrize("place", [MINE, ANONYMOUS], ids=["owned", "anonymous"])
async def test_what_began_last_before_the_cut_off_goes(
    store: Store, rows: Rows, place: Place
) -> None:
    young, edge, used = (Place(place.owner, f"{place.conversation}-{n}") for n in "yeu")
    await whole_turn(store, "t1", place, NOW - 30 * DAY - 1)
    await whole_turn(store, "t1", edge, NOW - 30 * DAY)
    await whole_turn(store, "t1", young, NOW - DAY)
    await whole_turn(store, "t1", used, OLD)
    await whole_turn(store, "t2", used, NOW - DAY)
    before = [await rows_of(rows, kept) for kept in (young, edge, used)]
    assert await sweep(store, None) == done()
    assert await sweep(store, 31) == done()
    assert await sweep(store, 30) == done(retired=1)
    assert await gone(rows, place)
    assert [await rows_of(rows, kept) for kept in (young, edge, used)] == before
    assert await intents(rows) == []
    assert await rows.get(*CURSOR) is None
    if place.owner:
        page = await store.conversations(place.owner, 9, None)
        assert {item.id for item in page.items} == {p.conversation for p in (young, edge, used)}
    assert await sweep(store, 1) == done(retired=1)
    assert await gone(rows, edge)


async def test_a_conversation_of_any_length_and_an_owner_of_any_name(
    store: Store, rows: Rows
) -> None:
    place = Place("ö" * 300, "c1")
    for n in range(60):
        await whole_turn(store, f"t{n}", place, OLD + n)
    assert await sweep(store) == done(retired=1)
    assert await gone(rows, place)


async def test_a_turn_that_runs_keeps_its_conversation(store: Store, rows: Rows) -> None:
    await whole_turn(store, "t1", now=OLD)
    running = await begin(store, "t2", now=OLD + 1)
    running = await store.save(running, b"", NOW + 20_000)
    assert await sweep(store) == done()
    assert (await store.read(MINE, 9)).answers[0] == running.answer
    assert await intents(rows) == []
    assert await sweep(store, now=NOW + 25_000) == done()
    assert await sweep(store, now=NOW + 25_001) == done(retired=1)
    assert await gone(rows, MINE)


@pytest.mark.parametrize("place", [MINE, ANONYMOUS], ids=["owned", "anonymous"])
async def test_a_turn_that_begins_just_before_the_commit_survives(
    store: Store, rows: Rows, place: Place
) -> None:
    await whole_turn(store, "t1", place, OLD)

    async def begin_once(partition: str, operations: Sequence[Operation]) -> None:
        if isinstance(operations[0], Replace) and (await head_of(store, place)).next == 2:
            await whole_turn(store, "t2", place, NOW)

    assert await sweep(Store(InstanceRows(rows, meddling=begin_once))) == done()
    assert turn_ids(await store.read(place, 9)) == ["t2", "t1"]
    listed = (await store.conversations("me", 9, None)).items
    assert [item.id for item in listed] == (["c1"] if place.owner else [])
    assert await intents(rows) == []
    await whole_turn(store, "t3", place, NOW + 1)


async def test_a_new_title_makes_nothing_young(store: Store, rows: Rows) -> None:
    await whole_turn(store, now=OLD)

    async def rename_once(partition: str, operations: Sequence[Operation]) -> None:
        if isinstance(operations[0], Replace):
            await store.rename(MINE, "new")

    assert await sweep(Store(InstanceRows(rows, meddling=rename_once))) == done(retired=1)
    assert await gone(rows, MINE)


async def test_a_callers_promise_wins_over_what_retention_takes_back(
    store: Store, rows: Rows
) -> None:
    await whole_turn(store, now=NOW)
    await rows.write(keys.INTENTS, [Insert(keys.intent(MINE), {"cut": NOW - DAY})])

    async def promise_once(partition: str, operations: Sequence[Operation]) -> None:
        if isinstance(operations[0], Delete) and not (await head_of(store, MINE)).deleted:
            with pytest.raises(Died):
                await Store(InstanceRows(rows, 1, "after")).delete(MINE)

    assert await sweep(Store(InstanceRows(rows, meddling=promise_once))) == done(resumed=1)
    assert await gone(rows, MINE)


async def test_an_intent_of_retention_does_not_outlive_its_reason(store: Store, rows: Rows) -> None:
    await whole_turn(store, now=OLD)
    with pytest.raises(Died):
        await sweep(Store(InstanceRows(rows, 0, "after")))
    assert await intents(rows) == [keys.intent(MINE)]
    begun = await whole_turn(store, "t2", now=NOW)
    assert await sweep(store) == done()
    assert await head_of(store, MINE) == begun.head
    assert await intents(rows) == []


async def test_conversations_that_are_none_stay_as_they_are(store: Store, rows: Rows) -> None:
    await store.undo(await begin(store, now=OLD))
    before = await rows_of(rows, MINE)
    assert await sweep(store) == done()
    await rows.write(keys.INTENTS, [Insert(keys.intent(MINE), {"cut": NOW - DAY})])
    assert await sweep(store) == done()
    assert await intents(rows) == []
    assert await rows_of(rows, MINE) == before
    await whole_turn(store)


async def test_a_thousand_conversations(store: Store, rows: Rows) -> None:
    owners = [None, *(f"owner{n}" for n in range(7))]
    places = [Place(owners[n % 8], f"conversation-{n:05}") for n in range(1000)]
    kept = [Place(place.owner, f"{place.conversation}-kept") for place in places[::50]]
    times_of = [(place, OLD) for place in places] + [(place, NOW) for place in kept]
    for some in itertools.batched(times_of, 50, strict=False):
        turn = new_turn("t")
        await asyncio.gather(*(store.begin(place, None, turn, now) for place, now in some))
    sweeps = [await store.sweep(NOW, 30 * DAY, times(2000))]
    while not sweeps[-1].complete:
        sweeps.append(await store.sweep(NOW, 30 * DAY, times(2000)))
    assert len(sweeps) > 1
    assert sum(swept.resumed + swept.retired for swept in sweeps) == 1000
    assert not any(swept.failed for swept in sweeps)
    for some in itertools.batched(times_of, 50, strict=False):
        heads = await asyncio.gather(*(head_of(store, place) for place, _ in some))
        assert [head.deleted for head in heads] == [time == OLD for _, time in some]
    for owner in filter(None, owners):
        listed = (await store.conversations(owner, 100, None)).items
        assert {item.id for item in listed} == {p.conversation for p in kept if p.owner == owner}
    assert await intents(rows) == []
    assert await rows.get(*CURSOR) is None


async def test_two_sweeps_at_once(store: Store, rows: Rows) -> None:
    places = [Place("me", f"c{n}") for n in range(30)]
    for place in places:
        await whole_turn(store, "t1", place, OLD)
    results = await outcomes(*(sweep(Store(InstanceRows(rows))) for _ in range(2)))
    assert [swept.failed for swept in results] == [0, 0]
    for place in places:
        assert await gone(rows, place)


async def test_the_next_run_goes_on_where_time_was_over(store: Store, rows: Rows) -> None:
    await undone(rows, 150)
    await whole_turn(store, place=LAST, now=OLD)
    # One step each for the promises, the choice to go on, and the page; none is left behind it.
    assert await store.sweep(NOW, 30 * DAY, times(4)) == done(complete=False)
    assert not await gone(rows, LAST)
    cursor = await rows.get(*CURSOR)
    assert cursor is not None
    assert cursor.values["before"] == NOW - 30 * DAY
    instance = InstanceRows(rows)
    later = NOW + 3_600_000
    assert await sweep(Store(instance), now=later) == done(retired=1)
    assert instance.scanned_after[0] == cursor.values["after"]
    assert await rows.get(*CURSOR) is None
    instance = InstanceRows(rows)
    assert await sweep(Store(instance)) == done()
    assert instance.scanned_after[0] is None


@pytest.mark.parametrize(
    "values",
    [
        {"before": OLD, "after": 5},
        {"after": "x"},
        {"before": NOW, "after": "zzz"},  # conversations were kept for a shorter time then
    ],
)
async def test_a_cursor_that_says_nothing_is_not_gone_by(
    store: Store, rows: Rows, values: dict[str, str | int]
) -> None:
    await whole_turn(store, place=LAST, now=OLD)
    await whole_turn(store, now=NOW - DAY)
    await rows.write(keys.SWEEP, [Insert(keys.CURSOR, values)])
    assert await sweep(store) == done(retired=1)
    assert await gone(rows, LAST)
    assert await rows.get(*CURSOR) is None


class _Scanning(InstanceRows):
    """The first pages are empty, as a large table's may be; then `fails` cursors are refused."""

    fails: frozenset[str | None] = frozenset()

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        if after in self.fails:
            raise StoreUnavailable("The table service refused a request.")
        if after in (None, "empty 1"):
            return Scan((), "empty 1" if after is None else "empty 2")
        return await super().scan(name, before, also, limit, None if after == "empty 2" else after)


async def test_empty_pages_are_not_the_end(store: Store, rows: Rows) -> None:
    await whole_turn(store, now=OLD)
    assert await sweep(Store(_Scanning(rows))) == done(retired=1)
    assert await gone(rows, MINE)


async def test_a_page_that_cannot_be_read_is_tried_again_once(store: Store, rows: Rows) -> None:
    await whole_turn(store, now=OLD)
    instance = _Scanning(rows)
    instance.fails = frozenset({"empty 2"})
    with pytest.raises(StoreUnavailable):
        await sweep(Store(instance))
    cursor = await rows.get(*CURSOR)
    assert cursor is not None
    assert cursor.values["after"] == "empty 2"
    with pytest.raises(StoreUnavailable):
        await sweep(Store(instance))
    assert await rows.get(*CURSOR) is None
    assert await sweep(store) == done(retired=1)


async def test_what_cannot_be_read_is_passed_over(
    store: Store, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    spoilt = Place("me", "spoilt")
    for place in (MINE, spoilt, LAST):
        await whole_turn(store, place=place, now=OLD)
    change: list[Operation] = [
        Merge(keys.head("spoilt"), {"title": b"x"}, "*"),
        Merge(keys.head("c1"), {"next": "many"}, "*"),
        Insert("odd", {"updated": OLD}),
    ]
    await rows.write(keys.partition(MINE), change)
    with caplog.at_level(logging.WARNING):
        assert await sweep(store) == done(retired=1, failed=3)
    assert await gone(rows, LAST)
    for key in (keys.head("spoilt"), keys.head("c1"), "odd"):
        assert key in caplog.text
