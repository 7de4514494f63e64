"""One body at the end: its headers wait for it, as long as nothing has to be sent before."""

import asyncio
import json

import pytest
from starlette.types import Message

from shared.api.whole import WholeResponse
from shared.events import BEGINNING, Delta, End, Error, Start
from shared.messages import Usage
from shared.protocols.openai.encoders import WholeEncoder
from shared.turns.buffer import TurnBuffer, Watch
from tests.turns.clock_loop import in_virtual_time, settle

END = End("stop", Usage(1, 2, 3), "Hi")
FAILED = Error("model_timeout", "Silent.", True)


class Exchange:
    """One response, and the caller's side of it."""

    def __init__(self) -> None:
        self.buffer = TurnBuffer()
        self.buffer.append(Start(None, None, "default", "gpt", True))
        self.left: list[Watch] = []
        self.watch = Watch(self.buffer, BEGINNING, 15.0, self.left.append)
        self.sent: list[Message] = []
        self.incoming: asyncio.Queue[Message] = asyncio.Queue()
        encoder = WholeEncoder("chatcmpl-1", 7)
        response = WholeResponse(self.watch, encoder, {"x-a": "b"}, {"x-should-retry": "false"})
        self.task = asyncio.ensure_future(response({}, self.incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)

    def head(self) -> tuple[int, dict[bytes, bytes]]:
        assert self.sent[0]["type"] == "http.response.start"
        return self.sent[0]["status"], dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        assert self.sent[-1]["more_body"] is False
        return b"".join(message["body"] for message in self.sent[1:])


@in_virtual_time
async def test_headers_wait_for_the_body() -> None:
    exchange = Exchange()
    exchange.buffer.append(Delta("Hi"))
    await asyncio.sleep(14)
    assert exchange.sent == []
    exchange.buffer.append(END)
    await exchange.task
    status, headers = exchange.head()
    assert status == 200
    assert headers == {
        b"x-a": b"b",
        b"content-type": b"application/json",
        b"content-length": str(len(exchange.body)).encode(),
    }
    assert len(exchange.sent) == 2
    assert json.loads(exchange.body)["choices"][0]["message"]["content"] == "Hi"


@in_virtual_time
async def test_what_fails_late_still_has_its_status() -> None:
    exchange = Exchange()
    await asyncio.sleep(14)
    exchange.buffer.extend((FAILED, End("error", Usage(1, 2, 3), "")))
    await exchange.task
    status, headers = exchange.head()
    assert (status, headers[b"x-should-retry"]) == (504, b"false")
    assert json.loads(exchange.body)["error"]["code"] == "model_timeout"


@pytest.mark.parametrize("talking", [True, False])
@in_virtual_time
async def test_a_caller_who_was_told_nothing_gets_heartbeats(talking: bool) -> None:
    exchange = Exchange()
    for _ in range(32):
        await asyncio.sleep(1)
        if talking:  # the model speaks, which nobody sees before the end
            exchange.buffer.append(Delta("x"))
    status, headers = exchange.head()
    assert status == 200
    assert b"content-length" not in headers
    assert [message["body"] for message in exchange.sent[1:]] == [b" ", b" "]
    exchange.buffer.extend((FAILED, End("error", Usage(1, 2, 3), "")))
    await exchange.task
    assert json.loads(exchange.body)["error"]["code"] == "model_timeout"
    assert exchange.head()[0] == 200


@pytest.mark.parametrize("begun", [True, False])
@in_virtual_time
async def test_a_caller_who_leaves(begun: bool) -> None:
    exchange = Exchange()
    await (asyncio.sleep(16) if begun else settle())
    exchange.incoming.put_nowait({"type": "http.disconnect"})
    await exchange.task
    assert exchange.left == [exchange.watch]
    assert (exchange.sent != []) == begun
    if begun:
        assert exchange.body == b" "
