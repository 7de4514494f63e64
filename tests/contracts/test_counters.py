"""Limits that protect the bill, counted for all instances, in every store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest

from shared.errors import RateLimited
from shared.history import keys
from shared.history.counters import Counters
from shared.history.rows import Row, Rows
from shared.history.store import Store
from shared.settings import Allowance
from tests.contracts.acting import MINE, NOW, whole_turn
from tests.contracts.backends import Backend
from tests.contracts.faulty_rows import FaultyRows

MINUTE = 60_000
DAY = 86_400_000
MIDNIGHT = NOW // DAY * DAY
ME = "me"


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, now: int = MIDNIGHT) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def allowance(
    *, tokens: int | None = None, own_tokens: int | None = None, requests: int | None = None
) -> Allowance:
    return Allowance(
        daily_tokens=tokens, daily_tokens_per_owner=own_tokens, requests_per_minute=requests
    )


@pytest.fixture
async def pair(rows: Rows, backend: Backend) -> AsyncIterator[tuple[FaultyRows, FaultyRows]]:
    """The same rows, as two instances reach them."""
    other = backend.open()
    yield FaultyRows(rows), FaultyRows(other)
    await other.aclose()


async def admitted(*admissions: Awaitable[None]) -> int:
    """How many of them were let in; the others were told to come again."""
    results = await asyncio.gather(*admissions, return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert all(isinstance(result, RateLimited) for result in refused), refused
    return len(results) - len(refused)


async def spend(counters: Counters, owner: str | None, tokens: int) -> None:
    counters.spend(owner, tokens)
    await counters.aclose()


async def own(rows: Rows, owner: str = ME) -> Row:
    row = await rows.get(keys.owner_partition(owner), keys.COUNT)
    assert row is not None
    return row


async def shards(rows: Rows) -> list[Row]:
    return await rows.range(keys.COUNTS, "!", "z", 1000)


async def test_exactly_the_limit_is_admitted_whoever_asks_at_once(
    pair: tuple[FaultyRows, FaultyRows],
) -> None:
    both = [Counters(rows, allowance(requests=10), Clock()) for rows in pair]
    asking = [both[number % 2].admit(ME) for number in range(40)]
    assert await admitted(*asking, both[0].admit("you")) == 10 + 1
    assert (await own(pair[0])).values["requests"] == 10


async def test_the_next_minute_begins_anew_in_the_same_row(rows: Rows) -> None:
    clock = Clock(MIDNIGHT + 12 * MINUTE + 59_400)
    counters = Counters(rows, allowance(requests=2), clock)
    assert await admitted(*(counters.admit(ME) for _ in range(4))) == 2
    with pytest.raises(RateLimited, match="within one minute") as raised:
        await counters.admit(ME)
    assert raised.value.retry_after == 1.0
    clock.now = MIDNIGHT + 13 * MINUTE + 500
    assert await admitted(*(counters.admit(ME) for _ in range(4))) == 2
    with pytest.raises(RateLimited) as raised:
        await counters.admit(ME)
    assert raised.value.retry_after == 59.5
    assert (await own(rows)).values == {"minute": MIDNIGHT // MINUTE + 13, "requests": 2}
    assert [r.key for r in await rows.range(keys.owner_partition(ME), "!", "z", 9)] == ["c,!"]


async def test_an_instance_whose_clock_is_behind_opens_no_window_again(rows: Rows) -> None:
    ahead = Counters(rows, allowance(requests=1, own_tokens=10), Clock(MIDNIGHT + 1000))
    behind = Counters(rows, allowance(requests=1, own_tokens=10), Clock(MIDNIGHT - 1000))
    await ahead.admit(ME)
    with pytest.raises(RateLimited, match="minute") as raised:
        await behind.admit(ME)
    assert raised.value.retry_after == 61
    await spend(ahead, ME, 6)
    await spend(behind, ME, 6)
    with pytest.raises(RateLimited, match="midnight"):
        await ahead.admit(ME)
    assert (await own(rows)).values["tokens"] == 12


async def test_the_tokens_of_an_owner(pair: tuple[FaultyRows, FaultyRows]) -> None:
    clock = Clock(MIDNIGHT + DAY - 90_500)
    one, two = [Counters(rows, allowance(own_tokens=100), clock) for rows in pair]
    await one.admit(ME)
    assert "write" not in pair[0].calls
    await spend(one, ME, 99)
    await two.admit(ME)
    await spend(two, ME, 300)
    for counters in (one, two):
        with pytest.raises(RateLimited, match="You have used up your tokens") as raised:
            await counters.admit(ME)
        assert raised.value.retry_after == 90.5
    await one.admit("you")
    await one.admit(None)
    assert await shards(pair[0]) == []
    clock.now += 90_500
    await one.admit(ME)
    await spend(one, ME, 7)
    assert (await own(pair[0])).values == {"day": MIDNIGHT // DAY + 1, "tokens": 7}


async def test_requests_and_tokens_of_an_owner_share_a_row(rows: Rows) -> None:
    counters = Counters(rows, allowance(own_tokens=5, requests=2), Clock())
    await spend(counters, ME, 4)
    await counters.admit(ME)
    await spend(counters, ME, 4)
    with pytest.raises(RateLimited, match="tokens"):
        await counters.admit(ME)
    day, minute = MIDNIGHT // DAY, MIDNIGHT // MINUTE
    assert (await own(rows)).values == {
        "minute": minute,
        "requests": 1,
        "day": day,
        "tokens": 8,
    }


async def test_the_apps_tokens_are_the_sum_of_its_shards(
    pair: tuple[FaultyRows, FaultyRows],
) -> None:
    clock = Clock()
    both = [Counters(rows, allowance(tokens=2**33), clock) for rows in pair]
    for number in range(60):
        await spend(both[number % 2], "me" if number % 3 else None, 2**31 // 15)
    found = await shards(pair[0])
    assert 1 < len(found) <= keys.SHARDS
    assert {row.values["day"] for row in found} == {MIDNIGHT // DAY}
    used = sum(int(row.values["tokens"]) for row in found)
    assert used == 60 * (2**31 // 15)
    assert await pair[0].get(keys.owner_partition("me"), keys.COUNT) is None
    await Counters(pair[0], allowance(tokens=used + 1), clock).admit(None)
    for owner in (None, ME):
        with pytest.raises(RateLimited, match="This chat has used up its tokens") as raised:
            await Counters(pair[0], allowance(tokens=used), clock).admit(owner)
        assert raised.value.retry_after == DAY / 1000
    clock.now += DAY
    await Counters(pair[0], allowance(tokens=1), clock).admit(None)
    await spend(both[0], None, 1)
    assert len(await shards(pair[0])) <= keys.SHARDS
    with pytest.raises(RateLimited):
        await Counters(pair[0], allowance(tokens=1), clock).admit(None)
    await Counters(pair[0], allowance(tokens=2), clock).admit(None)


async def test_no_tokens_get_lost_where_many_turns_end_at_once(
    pair: tuple[FaultyRows, FaultyRows],
) -> None:
    limits = allowance(tokens=10**6, own_tokens=10**6, requests=100)
    both = [Counters(rows, limits, Clock()) for rows in pair]

    async def turn(number: int) -> None:
        counters = both[number % 2]
        await counters.admit(ME)
        counters.spend(ME, number)

    await asyncio.gather(*(turn(number) for number in range(30)))
    for counters in both:
        await counters.aclose()
    spent = sum(range(30))
    row = await own(pair[0])
    assert (row.values["requests"], row.values["tokens"]) == (30, spent)
    assert sum(int(row.values["tokens"]) for row in await shards(pair[0])) == spent


async def test_a_lost_answer_may_count_twice_and_never_too_little(
    pair: tuple[FaultyRows, FaultyRows],
) -> None:
    rows = pair[0]
    counters = Counters(rows, allowance(tokens=100, own_tokens=100, requests=4), Clock())
    rows.script("write", "lost", "pass", "down", "pass")
    assert await admitted(*(counters.admit(ME) for _ in range(2))) == 2
    assert (await own(rows)).values["requests"] == 3
    rows.script("write", "lost")
    assert await admitted(*(counters.admit(ME) for _ in range(3))) == 0
    assert (await own(rows)).values["requests"] == 4
    rows.script("write", "lost", "lost")
    await spend(counters, ME, 10)
    assert (await own(rows)).values["tokens"] in (10, 20)
    used = sum(int(row.values["tokens"]) for row in await shards(rows))
    assert 10 <= used <= 30


async def test_counts_are_in_nobodys_conversations_and_outlive_them(
    rows: Rows, store: Store
) -> None:
    counters = Counters(rows, allowance(tokens=5, own_tokens=5, requests=1), Clock())
    await whole_turn(store)
    await whole_turn(store, "t2")
    before = await store.read(MINE, 40), await store.conversations(ME, 50, None)
    await counters.admit(ME)
    await spend(counters, ME, 5)
    assert (await store.read(MINE, 40), await store.conversations(ME, 50, None)) == before
    kept = await own(rows), await shards(rows)
    await store.delete(MINE)
    await store.purge(MINE)
    assert (await own(rows), await shards(rows)) == kept
    assert (await store.conversations(ME, 50, None)).items == ()
    with pytest.raises(RateLimited):
        await Counters(rows, allowance(requests=1), Clock()).admit(ME)
    with pytest.raises(RateLimited):
        await Counters(rows, allowance(own_tokens=5), Clock()).admit(ME)


async def test_an_anonymous_caller_has_no_count_of_its_own(rows: Rows) -> None:
    counters = Counters(rows, allowance(tokens=9, own_tokens=1, requests=1), Clock())
    for _ in range(3):
        await counters.admit(None)
        await spend(counters, None, 1)
    assert sum(int(row.values["tokens"]) for row in await shards(rows)) == 3
