"""Limits that protect the bill, over two instances of the app on one store."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from local.simulator import Simulator
from local.storage import Storage as Emulator
from shared.history import keys
from shared.history.table import TableRows
from shared.settings import Storage
from tests.e2e.client import SSE, Api, Reply
from tests.e2e.conftest import GUARD_SECONDS, ORIGIN, StartHost

SAY = "[simulate: say text=x]"
HELD = f"{SAY} [simulate: hold after=1]"
MINUTE, DAY = 60, 86_400


@dataclass
class Pair:
    """Two workers of one host, on a table of their own."""

    workers: tuple[Api, Api]
    rows: TableRows

    def as_user(self, name: str) -> tuple[Api, Api]:
        one, two = self.workers
        return one.as_user(name), two.as_user(name)

    async def app_tokens(self) -> int:
        """What the store says that the whole app has used today."""
        shards = await self.rows.range(keys.COUNTS, *keys.ALL_SHARDS, keys.SHARDS)
        return sum(int(row.values["tokens"]) for row in shards)

    async def own_tokens(self, name: str) -> int:
        row = await self.rows.get(keys.owner_partition(f"swa,aad,{name}"), keys.COUNT)
        return int(row.values.get("tokens", 0)) if row else 0


@asynccontextmanager
async def limited(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator, **changes: str
) -> AsyncIterator[Pair]:
    table = f"limits{secrets.token_hex(8)}"
    signed_in = {"CHAT_AUTH": "staticwebapps", "WEBSITE_AUTH_ENABLED": "True"}
    storage = Storage(
        setting="CHAT_STORAGE", table=table, connection_string=emulator.connection_string
    )
    rows = TableRows(storage)
    settings = signed_in | {"CHAT_STORAGE_TABLE": table, "CHAT_ALLOWED_ORIGINS": ORIGIN} | changes
    try:
        async with start_host(workers=2, **settings) as host:
            api = Api(session, host.url)
            one, two = (api.with_headers(x_local_worker=str(n)) for n in range(2))
            yield Pair((one, two), rows)
    finally:
        await rows.aclose()


async def in_one_window[T](seconds: int, act: Callable[[], Awaitable[T]]) -> T:
    """Do it, again where the clock went into another window meanwhile."""
    while True:
        before = time.time() // seconds
        result = await act()
        if time.time() // seconds == before:
            return result


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Fails rather than hangs."""
    async with asyncio.timeout(GUARD_SECONDS):
        while not await holds():  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.01)


def refused(reply: Reply, words: str, most: int) -> None:
    problem = reply.problem(429, "rate_limited")
    assert words in problem["detail"]
    assert 1 <= int(reply.headers["retry-after"]) <= most


async def test_requests_a_minute_over_two_instances(
    start_host: StartHost,
    session: aiohttp.ClientSession,
    emulator: Emulator,
    model: Simulator,
) -> None:
    async with limited(start_host, session, emulator, CHAT_REQUESTS_PER_MINUTE="5") as pair:

        async def burst() -> tuple[str, list[Reply], Reply, Reply]:
            await model.reset()
            name = secrets.token_hex(8)
            both = pair.as_user(name)
            fields = {"conversationId": "first", "turnId": "t"}
            first = await both[0].chat(SAY, **fields)
            replies = await asyncio.gather(
                *(both[n % 2].chat(SAY, store=n % 3 > 0) for n in range(12))
            )
            again = await both[1].chat(SAY, **fields)
            other = await pair.as_user(f"{name}-other")[0].chat(SAY)
            assert (again.answer, again.end) == (first.answer, first.end)
            return name, replies, again, other

        name, replies, again, other = await in_one_window(MINUTE, burst)
        assert again.status == other.status == 200
        assert [reply.status for reply in replies].count(200) == 5 - 1
        for reply in replies:
            if reply.status != 200:
                refused(reply, "within one minute", MINUTE)
        assert len(await model.requests()) == 5 + 1
        [own] = await pair.rows.range(keys.owner_partition(f"swa,aad,{name}"), "c", "d", 9)
        assert (own.values["requests"], own.values.get("tokens")) == (5, None)
        assert await pair.app_tokens() == 0


async def test_the_daily_tokens_of_an_owner(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    async with limited(start_host, session, emulator, CHAT_DAILY_TOKENS_PER_OWNER="1") as pair:

        async def spend_all() -> list[Reply]:
            name = secrets.token_hex(8)
            both = pair.as_user(name)
            first = await both[0].chat(SAY, conversationId="first", turnId="t")

            async def counted() -> bool:
                return bool(await pair.own_tokens(name) == first.end["usage"]["totalTokens"])

            await until(counted)
            origin = both[1].with_headers(origin=ORIGIN)
            assert (await both[1].chat(SAY, conversationId="first", turnId="t")).end == first.end
            page = await both[0].call("GET", "/conversations")
            assert [item["id"] for item in page.json()["items"]] == ["first"]
            assert len(await both[1].messages("first")) == 2
            assert (await both[1].call("DELETE", "/conversations/first")).status == 204
            assert (await pair.as_user(f"{name}-other")[0].chat(SAY)).status == 200
            return [
                await both[0].chat(SAY, store=False),
                await both[0].chat(SAY, conversationId="new"),
                await origin.chat(SAY),
            ]

        replies = await in_one_window(DAY, spend_all)
        for reply in replies:
            refused(reply, "You have used up your tokens for today", DAY)
        assert "retry-after" in replies[-1].headers["access-control-expose-headers"]


async def test_the_daily_tokens_of_the_whole_app(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator, model: Simulator
) -> None:
    changes: dict[str, str] = {"CHAT_AUTH": "anonymous", "CHAT_DAILY_TOKENS": "1"}
    async with limited(start_host, session, emulator, **changes) as pair:
        one, two = pair.workers
        # What runs already goes on, though another turn uses up what there is.
        async with one.chatting(HELD, conversationId="a" * 16, turnId="t") as stream:
            await model.wait_for(state="held")
            short = await two.chat(SAY, store=False)

            async def reached() -> bool:
                return bool(await pair.app_tokens() >= short.end["usage"]["totalTokens"])

            async def over() -> bool:
                return (await one.chat(SAY)).status == 429 == (await two.chat(SAY)).status

            await until(reached)
            await until(over)
            await model.release()
            end = (await stream.rest())[-1]
        assert end["finishReason"] == "stop"
        for api in (one, two):
            refused(await api.chat(SAY), "This chat has used up its tokens for today", DAY)
            refused(await api.chat(SAY, store=False), "after midnight UTC", DAY)
        again = await two.chat(HELD, SSE, conversationId="a" * 16, turnId="t")
        assert again.end == end


async def test_nothing_is_counted_unless_it_is_limited(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    async with limited(start_host, session, emulator) as pair:
        api = pair.as_user("me")[0]
        await api.chat(SAY)
        await api.chat(SAY, store=False)
        assert await pair.rows.range(keys.COUNTS, "!", "z", 9) == []
        assert await pair.rows.get(keys.owner_partition("swa,aad,me"), keys.COUNT) is None


async def test_a_limit_that_anonymous_callers_would_not_feel_is_named(
    start_host: StartHost, session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    changes: dict[str, str] = {"CHAT_AUTH": "anonymous", "CHAT_REQUESTS_PER_MINUTE": "5"}
    async with limited(start_host, session, emulator, **changes) as pair:
        problem = (await pair.workers[0].chat(SAY)).problem(500, "misconfigured")
        assert "CHAT_REQUESTS_PER_MINUTE" in problem["detail"]
        assert "CHAT_DAILY_TOKENS" in problem["detail"]
