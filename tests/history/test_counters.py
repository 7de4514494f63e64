"""Counting where the store is slow, or away: what it costs, and when it gives up."""

import asyncio
import gc
from collections.abc import Awaitable

import pytest

from shared.errors import RateLimited, StoreUnavailable
from shared.history import keys
from shared.history.counters import ADMIT_SECONDS, SPEND_SECONDS, SUM_SECONDS, Counters
from shared.history.memory import MemoryRows
from shared.history.rows import Insert
from shared.settings import Allowance
from tests.contracts.faulty_rows import FaultyRows
from tests.turns.bench import now_ms
from tests.turns.clock_loop import in_virtual_time, settle

ME = "me"
OWN = keys.owner_partition(ME)


def now() -> float:
    return asyncio.get_running_loop().time()


def faulty(
    *, tokens: int | None = None, own_tokens: int | None = None, requests: int | None = None
) -> tuple[Counters, FaultyRows]:
    rows = FaultyRows(MemoryRows())
    limits = Allowance(
        daily_tokens=tokens, daily_tokens_per_owner=own_tokens, requests_per_minute=requests
    )
    return Counters(rows, limits, now_ms), rows


async def outcomes(*admissions: Awaitable[None]) -> list[type]:
    results = await asyncio.gather(*admissions, return_exceptions=True)
    return [type(result) for result in results]


@in_virtual_time
async def test_a_flood_of_one_owner_costs_one_read_and_what_is_admitted() -> None:
    counters, rows = faulty(requests=3)
    told = await outcomes(*(counters.admit(ME) for _ in range(50)))
    assert told.count(type(None)) == 3
    assert told.count(RateLimited) == 47
    assert rows.calls == ["get", "write", "write", "write"]
    await settle()
    gc.collect()
    assert len(counters._gates) == 0


@in_virtual_time
async def test_the_apps_sum_is_read_once_in_two_seconds_whoever_asks() -> None:
    counters, rows = faulty(tokens=10)
    await asyncio.gather(*(counters.admit(f"owner-{n}") for n in range(20)))
    counters.spend(None, 10)
    await counters.aclose()
    rows.calls.clear()
    await asyncio.sleep(SUM_SECONDS)
    await counters.admit(ME)
    assert rows.calls == []
    await asyncio.sleep(0.1)
    with pytest.raises(RateLimited):
        await counters.admit(ME)
    assert rows.calls == ["range"]


@in_virtual_time
async def test_a_sum_that_was_read_yesterday_is_not_todays() -> None:
    counters, rows = faulty(tokens=10)
    counters.spend(None, 10)
    await counters.aclose()
    with pytest.raises(RateLimited) as raised:
        await counters.admit(None)
    assert raised.value.retry_after is not None
    # Just before midnight the sum is read, and used just after.
    await asyncio.sleep(raised.value.retry_after - 0.5)
    with pytest.raises(RateLimited) as raised:
        await counters.admit(None)
    assert raised.value.retry_after == 1
    await asyncio.sleep(1)
    await counters.admit(None)
    assert rows.calls.count("range") == 2


@pytest.mark.parametrize("limits", [{"tokens": 9}, {"own_tokens": 9}, {"requests": 9}])
@in_virtual_time
async def test_a_store_that_is_away_lets_nobody_in(limits: dict[str, int]) -> None:
    counters, rows = faulty(**limits)
    rows.break_down()
    assert await outcomes(*(counters.admit(ME) for _ in range(5))) == 5 * [StoreUnavailable]
    assert now() == 0
    rows.always.clear()
    await counters.admit(ME)


@pytest.mark.parametrize("limits", [{"tokens": 9}, {"own_tokens": 9}, {"requests": 9}])
@in_virtual_time
async def test_a_store_that_hangs_is_given_up(limits: dict[str, int]) -> None:
    counters, rows = faulty(**limits)
    hanging = asyncio.Event()
    rows.always = {"range": hanging, "get": hanging, "write": hanging}
    assert await outcomes(*(counters.admit(ME) for _ in range(5))) == 5 * [StoreUnavailable]
    assert now() == ADMIT_SECONDS
    hanging.set()
    await counters.admit(ME)
    await counters.aclose()


@in_virtual_time
async def test_a_sum_that_fails_after_all_have_left_is_nobodys_trouble() -> None:
    counters, rows = faulty(tokens=9)
    hanging = asyncio.Event()
    rows.script("range", hanging)
    asking = asyncio.ensure_future(counters.admit(ME))
    await settle()
    asking.cancel()
    await asyncio.wait({asking})
    rows.always["range"] = "down"
    hanging.set()
    await counters.aclose()
    await asyncio.sleep(SUM_SECONDS + 1)
    with pytest.raises(StoreUnavailable):
        await counters.admit(ME)


@in_virtual_time
async def test_writes_that_nobody_confirms_are_given_up() -> None:
    counters, rows = faulty(requests=1000)
    rows.always["write"] = "down"
    with pytest.raises(StoreUnavailable, match="limits") as raised:
        await counters.admit(ME)
    assert raised.value.retry_after is not None
    assert now() == pytest.approx(ADMIT_SECONDS)


@in_virtual_time
async def test_what_cannot_be_counted_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    counters, rows = faulty(tokens=9, own_tokens=9)
    rows.break_down()
    counters.spend(ME, 1234)
    await asyncio.sleep(5)
    counters.spend(ME, 1)
    await counters.aclose()
    assert now() == 2 * SPEND_SECONDS
    said = [record.getMessage() for record in caplog.records]
    assert "1234 tokens of the app are not counted" in said
    assert "1234 tokens of an owner are not counted" in said
    assert "1 tokens of an owner are not counted" in said
    assert ME not in "".join(said)
    assert len(rows.calls) < 60
    rows.always.clear()
    counters.spend(ME, 5)
    await counters.aclose()
    row = await rows.get(OWN, keys.COUNT)
    assert row is not None
    assert row.values["tokens"] == 5


@in_virtual_time
async def test_a_store_that_comes_back_in_time_counts_all() -> None:
    counters, rows = faulty(own_tokens=9)
    rows.break_down()
    counters.spend(ME, 3)
    await asyncio.sleep(SPEND_SECONDS - 4)
    counters.spend(ME, 4)
    rows.always.clear()
    await counters.aclose()
    row = await rows.get(OWN, keys.COUNT)
    assert row is not None
    assert row.values["tokens"] == 7
    assert (counters._owed, counters._paying) == ({}, {})


@in_virtual_time
async def test_turns_that_end_together_are_counted_together() -> None:
    counters, rows = faulty(own_tokens=9)
    for _ in range(100):
        counters.spend(ME, 2)
    await counters.aclose()
    assert rows.calls == ["get", "write"]
    counters.spend(ME, 0)
    await counters.aclose()
    assert rows.calls == ["get", "write"]


@in_virtual_time
async def test_a_damaged_count_begins_anew() -> None:
    counters, rows = faulty(requests=1)
    await rows.write(OWN, [Insert(keys.COUNT, {"minute": "x", "requests": -5})])
    assert await outcomes(counters.admit(ME), counters.admit(ME)) == [type(None), RateLimited]
