"""A turn of one instance that is stopped, or watched, on another; and an instance that goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from local.host import Host
from local.simulator import Simulator
from tests.e2e.client import SSE, Api, end_of, text_of
from tests.e2e.conftest import StartHost

SAY = '[simulate: say text="one two three"]'
HELD = f"{SAY} [simulate: hold after=2]"


@pytest.fixture(scope="module")
async def pair(start_host: StartHost) -> AsyncIterator[Host]:
    async with start_host(workers=2, CHAT_DISCONNECT_GRACE_SECONDS="0") as host:
        yield host


@pytest.fixture
def both(pair: Host, session: aiohttp.ClientSession) -> tuple[Api, Api]:
    """The same caller, on each of them."""
    api = Api(session, pair.url)
    return api.with_headers(x_local_worker="0"), api.with_headers(x_local_worker="1")


async def test_stop_from_the_other_instance(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    async with both[0].chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await stream.until_text("one two")
        stopped = await both[1].call("POST", f"/conversations/{conversation}/turns/t/stop")
        state = stopped.json()
        assert (stopped.status, state["state"]) == (200, "ended")
        assert state["finishReason"] == "cancelled"
        end = end_of(await stream.rest())
    assert end["finishReason"] == "cancelled"
    assert end["usage"] == state["usage"]
    await model.wait_for(state="aborted")
    assert (await both[1].chat(SAY, conversationId=conversation)).status == 200


@pytest.mark.parametrize("leaving", ["finish", "cancel"])
async def test_who_watches_on_the_other_instance_counts_as_a_caller(
    both: tuple[Api, Api], model: Simulator, conversation: str, leaving: str
) -> None:
    path = f"/conversations/{conversation}/turns/t/stream"
    fields = {"conversationId": conversation, "turnId": "t", "onDisconnect": leaving}
    async with AsyncExitStack() as watching:
        async with both[0].chatting(HELD, **fields) as owner:
            await owner.until_text("one two")
            watcher = await watching.enter_async_context(both[1].opened("GET", path, accept=SSE))
            await watcher.until_text("one two")
        # The last caller of its own has left the owner, and there is no grace.
        state = await both[1].call("GET", f"/conversations/{conversation}/turns/t")
        assert state.json()["state"] == "running"
        await model.release()
        told = await watcher.rest()
    assert end_of(told)["finishReason"] == "stop"
    assert text_of(told) == "one two three"
    assert [r.state for r in await model.requests()] == ["finished"]


async def test_deleted_on_the_other_instance(
    both: tuple[Api, Api], model: Simulator, conversation: str
) -> None:
    path = f"/conversations/{conversation}"
    async with both[0].chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await stream.until_text("one two")
        assert (await both[1].call("DELETE", path)).status == 204
        for api in both:  # also where it still runs
            attached = await api.call("GET", f"{path}/turns/t/stream", accept=SSE)
            attached.problem(404, "not_found")
            again = await api.chat(HELD, conversationId=conversation, turnId="t")
            again.problem(404, "not_found")
        end = end_of(await stream.rest())
    assert (end["finishReason"], end["result"]) == ("cancelled", {"response": "one two"})
    assert [r.state for r in await model.wait_for(state="aborted")] == ["aborted"]


async def test_an_instance_that_is_told_to_go_ends_its_turns_and_frees_the_conversation(
    both: tuple[Api, Api], pair: Host, model: Simulator, conversation: str
) -> None:
    async with both[0].chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await stream.until_text("one two")
        going = asyncio.ensure_future(pair.terminate(0))
        end = end_of(await stream.rest())
    await going
    assert (end["finishReason"], end["result"]) == ("incomplete", {"response": "one two"})
    await model.wait_for(state="aborted")
    again = await both[1].chat(HELD, conversationId=conversation, turnId="t")
    assert again.end["finishReason"] == "incomplete"
    assert (await both[1].chat(SAY, conversationId=conversation)).end["finishReason"] == "stop"
    await pair.ready()
    assert (await both[0].chat(SAY, conversationId=conversation)).end["finishReason"] == "stop"
