"""The relay does to an exchange what it is told, and says truly what it did."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from chaos.history import World
from chaos.http import Request
from chaos.ledger import ModelNotes, StoreNotes
from chaos.relay import Relay, running_relay
from chaos.weather import FINE, Fate, Weather
from local.loopback import serving

SECONDS = 10
ANSWER = b"x" * 100


@dataclass
class Noted:
    """Has every exchange meet the same fate."""

    fate: Fate
    passes: int = 0
    statuses: list[int] = field(default_factory=list)
    overs: int = 0

    def begin(self, request: Request) -> "tuple[Fate, Noted]":
        return self.fate, self

    def refused(self, status: int) -> bytes:
        return b"made up"

    def passed(self) -> None:
        self.passes += 1

    def told(self, status: int, body: bytes) -> None:
        self.statuses.append(status)

    def over(self) -> None:
        self.overs += 1


class Server:
    """What is behind the relay: it counts, answers 100 bytes, or streams until it is let go."""

    def __init__(self) -> None:
        self.heard = 0
        self.left = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.heard += 1
        await request.read()
        return web.Response(body=ANSWER)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return response

    async def broken(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        assert request.transport is not None
        request.transport.close()
        return response


@dataclass
class Around:
    server: Server
    relay: Relay
    noted: Noted
    session: aiohttp.ClientSession

    async def ask(self, path: str = "/") -> tuple[int, bytes]:
        url = f"http://127.0.0.1:{self.relay.port}{path}"
        async with self.session.post(url, data=b"question") as response:
            return response.status, await response.read()


@asynccontextmanager
async def around(fate: Fate) -> AsyncIterator[Around]:
    server, noted = Server(), Noted(fate)
    app = web.Application()
    app.router.add_post("/", server.answer)
    app.router.add_post("/stream", server.stream)
    app.router.add_post("/broken", server.broken)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with (
        serving(app) as url,
        running_relay(URL(url).port or 0, noted) as relay,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Around(server, relay, noted, session)


async def test_what_passes_is_untouched_on_one_kept_connection() -> None:
    async with around(FINE) as it:
        for _ in range(3):
            assert await it.ask() == (200, ANSWER)
        assert len(it.relay.connections) == 1
        assert (it.server.heard, it.noted.passes, it.noted.overs) == (3, 3, 3)
        assert set(it.noted.statuses) == {200}


@pytest.mark.parametrize(
    ("fate", "heard"),
    [
        (Fate("reset"), 0),
        (Fate("lost"), 1),
        (Fate("cut", share=0.5), 1),
        (Fate("cut", share=0.0), 1),
    ],
)
async def test_a_broken_exchange_is_broken_before_or_after_the_server_did_it(
    fate: Fate, heard: int
) -> None:
    async with around(fate) as it:
        with pytest.raises(aiohttp.ClientError):
            await it.ask()
        await it.relay.quiet()
        assert (it.server.heard, it.noted.passes, it.noted.overs) == (heard, heard, 1)


@pytest.mark.parametrize(("kind", "heard"), [("refuse", 0), ("false", 1)])
async def test_an_error_is_told_whether_the_server_did_it_or_not(kind: str, heard: int) -> None:
    async with around(Fate(kind, status=503)) as it:
        assert await it.ask() == (503, b"made up")
        assert it.server.heard == heard
        assert it.noted.statuses == [503]
        it.noted.fate = FINE  # the connection can be used again
        assert await it.ask() == (200, ANSWER)
        assert len(it.relay.connections) == 1


async def test_what_is_late_arrives_though_its_sender_has_given_up() -> None:
    async with around(Fate("late", delay=0.3)) as it:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await it.ask()
        assert it.server.heard == 0
        await it.relay.quiet()
        assert it.server.heard == 1


async def test_what_is_only_slow_is_dropped_with_its_sender() -> None:
    async with around(Fate(delay=30.0)) as it:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await it.ask()
        await it.relay.quiet()
        assert it.server.heard == 0


async def test_a_hiccup_delays_and_loses_nothing() -> None:
    async with around(Fate("hiccup", delay=0.05, share=0.3)) as it:
        assert await it.ask() == (200, ANSWER)


async def test_who_leaves_a_stream_is_seen_leaving_behind_the_relay() -> None:
    async with around(FINE) as it:
        url = f"http://127.0.0.1:{it.relay.port}/stream"
        async with it.session.post(url) as response:
            assert await response.content.readexactly(5) == b"first"
        async with asyncio.timeout(SECONDS):
            await it.server.left.wait()


async def test_what_a_server_said_before_it_broke_off_still_arrives() -> None:
    async with around(FINE) as it:
        url = f"http://127.0.0.1:{it.relay.port}/broken"
        async with it.session.post(url) as response:
            assert await response.content.readexactly(5) == b"first"
            with pytest.raises(aiohttp.ClientError):
                await response.content.read()


async def test_nobody_behind_the_relay_is_a_broken_connection() -> None:
    async with around(FINE) as it:
        it.relay.upstream = 9
        with pytest.raises(aiohttp.ClientError):
            await it.ask()


def request(body: bytes = b"", target: bytes = b"/", method: str = "POST") -> Request:
    return Request(method=method, target=target, body=bytearray(body))


def test_the_model_is_noted_by_marker_status_and_what_it_said() -> None:
    world = World(3.0)
    notes = ModelNotes(Weather("model", 1, "s"), world, lambda: 7.0)
    fate, exchange = notes.begin(request(b'{"messages": [{"content": "m1 [simulate: x]"}]}'))
    assert fate == FINE
    [ask] = world.asks
    assert (ask.marker, ask.instance, ask.at, ask.passed) == ("m1", 1, 7.0, False)
    exchange.passed()
    exchange.told(200, b'{"delta":{"content":""},"finish_reason":null}')
    assert (ask.passed, ask.status, ask.spoke, ask.finished) == (True, 200, False, False)
    exchange.told(200, b'{"delta":{"cont')
    exchange.told(200, b'ent":"word"},"finish_rea')
    assert (ask.spoke, ask.finished) == (True, False)
    exchange.told(200, b'son":"stop"}')
    exchange.over()
    assert (ask.finished, ask.closed) == (True, 7.0)
    notes.begin(request(method="GET"))
    assert len(world.asks) == 1
    assert world.faults == []


def test_faults_are_noted_with_whose_request_they_hit() -> None:
    world, times = World(3.0), iter((1.0, 2.5))
    weather = Weather("store", 0, "s")
    weather.level = 1.0
    notes = StoreNotes(weather, world, lambda: next(times))
    row = b"/devstoreaccount1/conversations(PartitionKey='p',RowKey='v,trip,m9999999998')"
    _, exchange = notes.begin(request(b"{}", row, "PATCH"))
    exchange.over()
    [fault] = world.faults
    assert (fault.where, fault.subject, fault.what) == ("store", "trip", "checkpoint: merge")
    assert (fault.at, fault.until) == (1.0, 2.5)
    assert b"ServerBusy" in notes.refused(503)
    assert b"InternalError" in notes.refused(500)
