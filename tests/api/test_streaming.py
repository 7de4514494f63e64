"""A response that tells a turn, as a web server drives it (ASGI)."""

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from shared.api.streaming import WatchResponse, unless_left
from shared.events import BEGINNING, Delta, End, Start
from shared.messages import Usage
from shared.protocols.native.accept import Form
from shared.protocols.native.encoders import make_encoder
from shared.turns.buffer import TurnBuffer, Watch
from tests.turns.clock_loop import in_virtual_time, settle

END = End("stop", Usage(1, 2, 3), "Hi")


class Exchange:
    """One response, and the caller's side of it."""

    def __init__(self, form: Form = "text", heartbeat: float = 15.0) -> None:
        self.buffer = TurnBuffer()
        self.buffer.append(Start("c", "t", "default", "gpt", True))
        self.left: list[Watch] = []
        self.watch = Watch(self.buffer, BEGINNING, heartbeat, self.left.append)
        self.sent: list[Message] = []
        self.door = asyncio.Event()
        self.door.set()
        self.broken: Exception | None = None
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        self.incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        encoder = make_encoder(form, "response")
        response = WatchResponse(self.watch, encoder, "text/x", {"x-turn-id": "t"})
        self.task = asyncio.ensure_future(response({}, self.incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        if self.broken is not None:
            raise self.broken
        self.sent.append(message)
        await self.door.wait()

    def leave(self) -> None:
        self.incoming.put_nowait({"type": "http.disconnect"})

    @property
    def bodies(self) -> list[bytes]:
        return [m["body"] for m in self.sent if m["type"] == "http.response.body"]


@in_virtual_time
async def test_head_then_text_as_it_comes_then_the_end() -> None:
    exchange = Exchange()
    await settle()
    head: dict[str, Any] = dict(exchange.sent[0])
    headers = dict(head["headers"])
    assert (head["type"], head["status"]) == ("http.response.start", 200)
    assert headers == {b"content-type": b"text/x", b"x-turn-id": b"t"}
    exchange.buffer.append(Delta("H"))
    exchange.buffer.append(Delta("i"))
    exchange.buffer.append(END)
    await exchange.task
    assert exchange.bodies == [b"H", b"i", b""]
    assert [m.get("more_body") for m in exchange.sent] == [None, True, True, False]
    assert exchange.left == [exchange.watch]


@in_virtual_time
async def test_what_gathered_while_a_write_waited_goes_together() -> None:
    exchange = Exchange("ndjson")
    await settle()
    exchange.door.clear()
    for event in (Delta("H"), Delta("i"), END):
        exchange.buffer.append(event)
    exchange.door.set()
    await exchange.task
    assert [body.count(b"\n") for body in exchange.bodies] == [1, 1, 2]
    assert [m.get("more_body") for m in exchange.sent] == [None, True, True, False]


@pytest.mark.parametrize(
    ("form", "beat"),
    [("sse", b": keep-alive\n\n"), ("ndjson", b"\n"), ("json", b" ")],
)
@in_virtual_time
async def test_silence_is_filled(form: Form, beat: bytes) -> None:
    exchange = Exchange(form)
    await asyncio.sleep(31)
    assert exchange.bodies[-2:] == [beat, beat]
    exchange.buffer.append(END)
    await exchange.task


@in_virtual_time
async def test_plain_text_has_nothing_to_fill_it_with() -> None:
    exchange = Exchange("text")
    await asyncio.sleep(100)
    assert exchange.bodies == []
    exchange.buffer.append(END)
    await exchange.task


@pytest.mark.parametrize("slow", [True, False])
@in_virtual_time
async def test_a_caller_who_leaves_is_noticed_even_while_a_write_waits(slow: bool) -> None:
    exchange = Exchange()
    await settle()
    if slow:
        exchange.door.clear()
        exchange.buffer.append(Delta("H"))
    exchange.leave()
    await settle()
    assert exchange.left == [exchange.watch]
    exchange.door.set()
    await exchange.task
    exchange.buffer.append(Delta("i"))
    assert exchange.bodies == ([b"H", b""] if slow else [b""])


@in_virtual_time
async def test_a_broken_connection_leaves_too() -> None:
    exchange = Exchange()
    await settle()
    exchange.broken = OSError("gone")
    exchange.buffer.append(Delta("H"))
    with pytest.raises(OSError, match="gone"):
        await exchange.task
    assert exchange.left == [exchange.watch]


@in_virtual_time
async def test_a_connection_that_breaks_before_the_head() -> None:
    exchange = Exchange()
    exchange.broken = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await exchange.task
    assert exchange.left == [exchange.watch]


@in_virtual_time
async def test_a_server_that_cancels_the_response_leaves() -> None:
    exchange = Exchange()
    await settle()
    exchange.task.cancel()
    await asyncio.wait({exchange.task})
    assert exchange.left == [exchange.watch]


def waiting_request(incoming: asyncio.Queue[Message]) -> Request:
    return Request({"type": "http", "headers": []}, incoming.get)


@in_virtual_time
async def test_work_for_a_caller_who_stays() -> None:
    async def work(error: Exception | None = None) -> str:
        await asyncio.sleep(3)
        if error:
            raise error
        return "done"

    incoming: asyncio.Queue[Message] = asyncio.Queue()
    incoming.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    assert await unless_left(waiting_request(incoming), work()) == "done"
    with pytest.raises(KeyError):
        await unless_left(waiting_request(incoming), work(KeyError()))


@pytest.mark.parametrize("how", ["leaves", "is cut off"])
@in_virtual_time
async def test_a_caller_who_leaves_takes_the_work_along(how: str) -> None:
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    incoming: asyncio.Queue[Message] = asyncio.Queue()
    working = asyncio.ensure_future(unless_left(waiting_request(incoming), work()))
    await settle()
    if how == "leaves":
        incoming.put_nowait({"type": "http.disconnect"})
    else:
        working.cancel()
    with pytest.raises((ClientDisconnect, asyncio.CancelledError)):
        await working
    await settle()
    assert cancelled.is_set()


@in_virtual_time
async def test_a_form_that_keeps_all_for_the_end_says_that_it_is_there() -> None:
    exchange = Exchange("json")
    for _ in range(100):
        await asyncio.sleep(1)
        exchange.buffer.append(Delta("x"))
    exchange.buffer.append(END)
    await exchange.task
    assert len(exchange.bodies[:-1]) in (6, 7)  # the first at once, then one in 15 s
    assert set(exchange.bodies[:-1]) == {b" "}
