"""Two instances of the app on one store."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.host import Host
from local.simulator import Simulator
from tests.e2e.client import SSE, TEXT, Api, Reply, end_of, text_of
from tests.e2e.conftest import StartHost

SAY = '[simulate: say text="one two three"]'
HELD = f"{SAY} [simulate: hold after=2]"


@pytest.fixture(scope="module")
async def pair(start_host: StartHost) -> AsyncIterator[Host]:
    async with start_host(workers=2) as host:
        yield host


@pytest.fixture
def both(pair: Host, session: aiohttp.ClientSession) -> tuple[Api, Api]:
    """The same caller, on each of them."""
    api = Api(session, pair.url)
    return api.with_headers(x_local_worker="0"), api.with_headers(x_local_worker="1")


async def test_exactly_one_of_two_wins(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    async def ask(number: int) -> Reply:
        fields = {"conversationId": conversation, "turnId": f"t-{number}"}
        return await both[number % 2].chat(HELD, **fields)

    ended: list[Reply] = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(number)) for number in range(10)]
        for task in asyncio.as_completed(tasks):
            ended.append(await task)
            if len(ended) == 9:
                await model.wait_for(state="held")
                await model.release()
    [winner] = [reply for reply in ended if reply.status == 200]
    assert winner.end["finishReason"] == "stop"
    for loser in ended[:9]:
        problem = loser.problem(409, "conversation_busy")
        assert problem["turnId"] == winner.headers["x-turn-id"]
    assert len(await model.requests()) == 1


async def test_an_ended_turn_is_replayed_by_the_other(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    first = await both[0].chat(SAY, **fields)
    again = await both[1].chat(SAY, **fields)
    assert again.answer == first.answer
    assert again.end == first.end
    assert again.events[0] == first.events[0]
    for position in [event["position"] for event in first.events[:-1]]:
        path = f"/conversations/{conversation}/turns/t/stream?after={position}"
        here, there = [(await api.call("GET", path, accept=SSE)).events for api in both]
        assert here == there
    assert len(await model.requests()) == 1
    (await both[1].chat("else", **fields)).problem(409, "turn_mismatch")


async def test_a_running_turn_is_followed_to_its_end(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    path = f"/conversations/{conversation}/turns/t/stream"
    async with both[0].chatting(HELD, **fields) as owner:
        await owner.until_text("one two")
        async with (
            both[1].opened("GET", path, accept=SSE) as attached,
            both[1].chatting(HELD, **fields) as joined,
        ):
            for follower in (attached, joined):
                await follower.until(lambda event: event["type"] == "start")
            await model.release()
            told = await asyncio.gather(owner.rest(), attached.rest(), joined.rest())
    for events in told:
        assert text_of(events) == "one two three"
        assert end_of(events) == end_of(told[0])
    assert len(await model.requests()) == 1


async def test_a_second_turn_is_busy_elsewhere_too(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    async with both[0].chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await model.wait_for(state="held")
        reply = await both[1].chat("x", conversationId=conversation)
        assert reply.problem(409, "conversation_busy")["turnId"] == "t"
        read = (await both[1].call("GET", f"/conversations/{conversation}")).json()
        assert read["runningTurnId"] == "t"
        await model.release()
        await stream.rest()
    assert (await both[1].chat(SAY, conversationId=conversation)).status == 200


async def test_a_conversation_goes_on_wherever_it_is_asked(
    both: tuple[Api, Api], conversation: str
) -> None:
    for number in range(6):
        prompt = f'[simulate: say text="{number}"]'
        reply = await both[number % 2].chat(prompt, TEXT, conversationId=conversation)
        assert reply.text == str(number)
    said = [text for role, text in await both[0].messages(conversation) if role == "assistant"]
    assert said == [str(number) for number in range(6)]


async def test_an_ended_turn_survives_its_instance(
    both: tuple[Api, Api], pair: Host, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    first = await both[0].chat(SAY, **fields)
    async with both[0].chatting(HELD, conversationId=conversation[::-1]) as stream:
        await stream.until_text("one two")
        await pair.kill(0)
        with pytest.raises(aiohttp.ClientError):
            await stream.rest()
    assert (await both[1].chat(SAY, **fields)).end == first.end
    await pair.ready()
    assert (await both[0].chat(SAY, **fields)).end == first.end
    assert len(await model.requests()) == 2
