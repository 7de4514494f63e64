"""Conversations as a whole: listed, renamed, deleted for good."""

import asyncio
from base64 import urlsafe_b64encode
from dataclasses import replace

import pytest

from shared.errors import InvalidRequest, NotFound, StoreUnavailable
from shared.history import keys
from shared.history.base import Conflict, Place
from shared.history.rows import Insert, Rows
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
    stored,
    whole_turn,
)


async def listed(store: Store, limit: int = 100) -> list[str]:
    """Every conversation of "me", page by page."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await store.conversations("me", limit, cursor)
        assert len(page.items) <= limit
        ids += [item.id for item in page.items]
        if (cursor := page.cursor) is None:
            return ids


async def test_the_list_is_newest_first(store: Store) -> None:
    assert await listed(store) == []
    for n in range(5):
        await whole_turn(store, "t1", Place("me", f"c{n}"), NOW + n)
    await whole_turn(store, "t2", Place("me", "c1"), NOW + 9)
    await whole_turn(store, "t1", Place("other", "c9"), NOW)
    expected = ["c1", "c4", "c3", "c2", "c0"]
    for limit in range(1, 7):
        assert await listed(store, limit) == expected
    (first, *_) = (await store.conversations("me", 5, None)).items
    assert (first.title, first.created, first.updated, first.count) == (
        "title t1",
        NOW + 1,
        NOW + 9,
        4,
    )


async def test_a_page_that_holds_everything_is_the_last(store: Store) -> None:
    for n in range(3):
        await whole_turn(store, "t1", Place("me", f"c{n}"), NOW + n)
    assert (await store.conversations("me", 3, None)).cursor is None
    assert (await store.conversations("me", 2, None)).cursor is not None


async def test_paging_survives_changes_between_pages(store: Store) -> None:
    for n in range(6):
        await whole_turn(store, "t1", Place("me", f"c{n}"), NOW + n)
    page = await store.conversations("me", 2, None)
    assert [item.id for item in page.items] == ["c5", "c4"]
    await store.delete(Place("me", "c3"))
    await whole_turn(store, "t2", Place("me", "c2"), NOW + 9)
    page = await store.conversations("me", 2, page.cursor)
    assert [item.id for item in page.items] == ["c1", "c0"]
    assert page.cursor is None


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "nonsense!",
        "ü",
        "A" * 300,
        urlsafe_b64encode(b"v,c1,!").decode(),
        urlsafe_b64encode(b"i,123,c1").decode(),
        urlsafe_b64encode(b"i,1234567890123,c' or '").decode(),
        urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
    ],
)
async def test_a_cursor_of_somebody_elses_is_refused_by_name(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await store.conversations("me", 10, cursor)
    assert [p.field for p in caught.value.problems] == ["cursor"]


@pytest.mark.parametrize("limit", [0, -1, 101])
async def test_a_page_has_a_size(store: Store, limit: int) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await store.conversations("me", limit, None)
    assert [p.field for p in caught.value.problems] == ["limit"]


async def test_a_cursor_is_of_one_owner_only_in_name(store: Store) -> None:
    for owner in ("me", "other"):
        for n in range(3):
            await whole_turn(store, "t1", Place(owner, f"{owner}{n}"), NOW + n)
    cursor = (await store.conversations("me", 1, None)).cursor
    page = await store.conversations("other", 10, cursor)
    assert {item.id[:5] for item in page.items} == {"other"}


async def test_rename_is_in_head_and_list(store: Store) -> None:
    await whole_turn(store)
    head = await store.rename(MINE, "Ein neuer\x00\nTitel \u202e😀")
    assert head.title == "Ein neuer  Titel \u202e😀"
    assert await head_of(store, MINE) == head
    (line,) = (await store.conversations("me", 5, None)).items
    assert line.title == head.title
    assert await store.rename(MINE, head.title) == head
    begun = await whole_turn(store, "t2", now=NOW + 1)
    assert begun.head.title == head.title


async def test_an_anonymous_conversation_is_renamed_and_never_listed(
    store: Store, rows: Rows
) -> None:
    await whole_turn(store, place=ANONYMOUS)
    assert (await store.rename(ANONYMOUS, "new")).title == "new"
    assert not [key for key in await stored(rows, ANONYMOUS) if key.startswith("i,")]
    assert (await store.conversations(ANONYMOUS.conversation, 5, None)).items == ()


async def test_renames_and_turns_at_once_all_succeed(store: Store) -> None:
    begun = await whole_turn(store, "t0")

    async def turns() -> None:
        for n in range(1, 4):
            while True:
                try:
                    await finish(store, await begin(store, f"t{n}", now=NOW + n))
                except Conflict:
                    continue
                break

    results = await outcomes(turns(), *(store.rename(MINE, f"title {n}") for n in range(4)))
    assert [r for r in results if isinstance(r, BaseException)] == []
    head = await head_of(store, MINE)
    assert (head.next, head.count, head.created) == (8, 8, begun.head.created)
    (line,) = (await store.conversations("me", 5, None)).items
    assert (line.title, line.count, line.updated) == (head.title, 8, NOW + 3)


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    await store.undo(await begin(store, place=Place("me", "undone")))
    await whole_turn(store, place=Place("other", "theirs"))
    await whole_turn(store, place=Place("me", "gone"))
    await store.delete(Place("me", "gone"))
    for name in ("never", "undone", "theirs", "gone"):
        with pytest.raises(NotFound):
            await store.rename(Place("me", name), "title")
        with pytest.raises(NotFound):
            await store.delete(Place("me", name))
    assert (await head_of(store, Place("other", "theirs"))).next == 2


@pytest.mark.parametrize("place", [MINE, ANONYMOUS], ids=["owned", "anonymous"])
async def test_a_deleted_conversation_is_gone_for_good(
    store: Store, rows: Rows, place: Place
) -> None:
    for n in range(3):
        await whole_turn(store, f"t{n}", place, NOW + n)
    running = await begin(store, "t3", place, NOW + 4)
    assert await store.delete(place) == "t3"
    view = await store.read(place, 40)
    assert view.head is not None
    assert (view.head.deleted, view.answers, view.questions) == (True, (), ())
    assert await store.answer(place, running.answer.number) is None
    for write in (finish(store, running), store.undo(running)):
        with pytest.raises(Conflict):
            await write
    with pytest.raises(Conflict):
        await store.begin(place, running.head, new_turn("t4"), NOW)
    assert (await store.conversations("me", 5, None)).items == ()
    await store.purge(place)
    assert list(await stored(rows, place)) == [keys.head(place.conversation)]
    assert await rows.range(keys.INTENTS, "!", "z", 9) == []
    assert await store.find(place, "t0") is None
    with pytest.raises(NotFound):
        await store.delete(place)
    assert (await head_of(store, place)).deleted
    await store.purge(place)
    assert (await head_of(store, place)).deleted


async def test_deleting_what_does_not_run_names_no_turn(store: Store) -> None:
    await whole_turn(store)
    assert await store.delete(MINE) is None


async def test_a_deletion_that_was_broken_off_goes_on(store: Store, rows: Rows) -> None:
    for n in range(120):
        await whole_turn(store, f"t{n}", now=NOW + n)
    await store.delete(MINE)
    assert [row.key for row in await rows.range(keys.INTENTS, "!", "z", 9)] == [keys.intent(MINE)]
    broken = Store(_Breaking(rows, after=1))
    with pytest.raises(StoreUnavailable):
        await broken.purge(MINE)
    left = await stored(rows, MINE)
    assert 1 < len(left) < 361
    assert await rows.range(keys.INTENTS, "!", "z", 9)
    await asyncio.gather(store.purge(MINE), store.purge(MINE))
    assert list(await stored(rows, MINE)) == [keys.head("c1")]
    assert await rows.range(keys.INTENTS, "!", "z", 9) == []


async def test_a_promise_whose_maker_died_is_kept_by_the_next(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    await rows.write(keys.INTENTS, [Insert(keys.intent(MINE), {"cut": 5})])
    assert await store.delete(MINE) is None
    (intent,) = await rows.range(keys.INTENTS, "!", "z", 9)
    assert intent.values == {"cut": 0}
    await store.purge(MINE)
    assert list(await stored(rows, MINE)) == [keys.head("c1")]


async def test_deletions_at_once_agree(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    results = await outcomes(*(store.delete(MINE) for _ in range(4)))
    assert None in results
    assert {type(r) for r in results} <= {type(None), NotFound}
    await store.purge(MINE)
    assert list(await stored(rows, MINE)) == [keys.head("c1")]


async def test_a_living_conversation_is_never_purged(store: Store, rows: Rows) -> None:
    await whole_turn(store)
    before = await stored(rows, MINE)
    await store.purge(MINE)
    await store.purge(Place("me", "never"))
    assert await stored(rows, MINE) == before


async def test_a_write_that_is_always_overtaken_gives_up(rows: Rows) -> None:
    store = Store(rows)
    await whole_turn(store)
    overtaken = Store(_Overtaking(rows))
    unpromised = Store(_Overtaking(rows, intents=True))
    for attempt in (
        overtaken.rename(MINE, "never"),
        overtaken.delete(MINE),
        unpromised.delete(MINE),
    ):
        with pytest.raises(StoreUnavailable):
            await attempt
    assert (await head_of(store, MINE)).title == "title t1"


async def test_a_stale_list_row_is_never_left(store: Store, rows: Rows) -> None:
    begun = await begin(store, "t1")
    await finish(store, begun)
    second = await begin(store, "t2", now=NOW + 1)
    head = await store.rename(MINE, "b")
    await store.undo(replace(second, head=head))
    await whole_turn(store, "t3", now=NOW + 2)
    assert [key for key in await stored(rows, MINE) if key.startswith("i,")] == [
        keys.index(NOW + 2, "c1")
    ]


class _Passing:
    """Rows that pass everything on."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __getattr__(self, name):
        return getattr(self._rows, name)


class _Breaking(_Passing):
    """Breaks after so many removals."""

    def __init__(self, rows: Rows, after: int) -> None:
        super().__init__(rows)
        self._left = after

    async def remove(self, partition, keys) -> None:
        if not self._left:
            raise StoreUnavailable("down")
        self._left -= 1
        await self._rows.remove(partition, keys)


class _Overtaking(_Passing):
    """Somebody else is always faster at this owner's rows, or at the intents too."""

    def __init__(self, rows: Rows, intents: bool = False) -> None:
        super().__init__(rows)
        self._intents = intents

    async def write(self, partition, operations) -> list[str]:
        if partition == keys.INTENTS and not self._intents:
            return await self._rows.write(partition, operations)
        raise Conflict
