"""An instance that is killed in mid-answer, and one that sleeps until another has taken over."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import psutil
import pytest

from local.host import Host
from local.simulator import Simulator
from tests.e2e.client import Api, Reply, Stream, end_of, text_of
from tests.e2e.conftest import StartHost

NEXT = '[simulate: say text="four"]'
GUARD_SECONDS = 90.0
"""A lease lasts 25 s for others; nothing here waits for anything longer."""


@pytest.fixture
async def trio(start_host: StartHost) -> AsyncIterator[Host]:
    async with start_host(workers=3) as host:
        yield host


@pytest.fixture
async def each(trio: Host) -> AsyncIterator[list[Api]]:
    """The same caller, on each of them."""
    timeout = aiohttp.ClientTimeout(total=GUARD_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        api = Api(session, trio.url)
        yield [api.with_headers(x_local_worker=str(index)) for index in range(3)]


def held(conversation: str) -> str:
    """A question like no other, so that the model's journal tells them apart."""
    return f'[simulate: say text="one two three"] [simulate: hold after=2] {conversation}'


async def checkpointed(api: Api, conversation: str, text: str) -> None:
    """Until another instance reads what was said so far."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            messages = await api.messages(conversation)
            if messages[-1] == ("assistant", text):
                return
            await asyncio.sleep(0.1)


async def once_free(api: Api, conversation: str) -> Reply:
    """The first turn that is not told that the conversation is busy."""
    async with asyncio.timeout(GUARD_SECONDS):
        while True:
            reply = await api.chat(NEXT, conversationId=conversation)
            if reply.status == 200:
                return reply
            reply.problem(409, "conversation_busy")
            await asyncio.sleep(0.5)


async def check_taken_over(api: Api, model: Simulator, conversation: str, next_turn: Reply) -> None:
    """The partial answer is stored as one, was sent as one, and the next turn is whole."""
    state = (await api.turn(conversation, "t")).json()
    assert (state["state"], state["finishReason"]) == ("ended", "incomplete")
    assert state["usage"]["estimated"] is True
    assert state["usage"]["completionTokens"] > 0
    replayed = await api.chat(held(conversation), conversationId=conversation, turnId="t")
    assert replayed.answer == "one two"
    assert replayed.end["finishReason"] == "incomplete"
    assert replayed.end["usage"] == state["usage"]
    assert next_turn.answer == "four"
    assert next_turn.end["finishReason"] == "stop"
    assert await api.messages(conversation) == [
        ("user", held(conversation)),
        ("assistant", "one two"),
        ("user", NEXT),
        ("assistant", "four"),
    ]
    asked = [
        request.body["messages"]
        for request in await model.requests()
        if request.body["messages"][1]["content"] == held(conversation)
    ]
    assert len(asked) == 2
    assert [m["content"] for m in asked[1][2:]] == [
        "one two\n\n[This answer was interrupted and is incomplete.]",
        NEXT,
    ]


async def test_another_instance_takes_over_from_one_that_died_and_from_one_that_sleeps(
    trio: Host, each: list[Api], model: Simulator
) -> None:
    killed, asleep = secrets.token_hex(16), secrets.token_hex(16)
    sleeper = psutil.Process(trio.workers[1])
    async with AsyncExitStack() as stack:
        streams: list[Stream] = []
        for api, conversation in zip(each, (killed, asleep), strict=False):
            turn = api.chatting(held(conversation), conversationId=conversation, turnId="t")
            streams.append(await stack.enter_async_context(turn))
        for stream, conversation in zip(streams, (killed, asleep), strict=True):
            await stream.until_text("one two")
            await checkpointed(each[2], conversation, "one two")

        await trio.kill(0)
        with pytest.raises(aiohttp.ClientError):
            await streams[0].rest()
        sleeper.suspend()
        try:
            taken = await asyncio.gather(once_free(each[2], killed), once_free(each[2], asleep))
        finally:
            sleeper.resume()
        # Its model goes on where it stopped: nothing of that is shown, or stored.
        await model.release()
        told = await streams[1].rest()
    assert text_of(told) == "one two"
    assert end_of(told)["finishReason"] == "incomplete"
    for conversation, reply in zip((killed, asleep), taken, strict=True):
        await check_taken_over(each[2], model, conversation, reply)
