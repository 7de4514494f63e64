"""What a caller who leaves means, and stopping on purpose."""

import asyncio
from contextlib import AsyncExitStack

from local.simulator import Simulator
from tests.e2e.client import SSE, Api, end_of, text_of
from tests.e2e.conftest import StartApi

HELD = '[simulate: say text="one two three"] [simulate: hold after=2]'


async def ended(api: Api, conversation: str, turn: str) -> dict[str, object]:
    """The turn's `end`, which an attached caller is told when it comes."""
    path = f"/conversations/{conversation}/turns/{turn}/stream"
    return (await api.call("GET", path, accept=SSE)).end


async def test_cancel_ends_the_turn_at_once(api: Api, model: Simulator, conversation: str) -> None:
    fields = {"conversationId": conversation, "turnId": "t", "onDisconnect": "cancel"}
    async with api.chatting(HELD, **fields) as stream:
        await stream.until_text("one two")
        await model.wait_for(state="held")
    await model.wait_for(state="aborted")
    end = await ended(api, conversation, "t")
    assert end["finishReason"] == "disconnected"
    assert end["result"] == {"response": "one two"}
    text = await api.call("GET", f"/conversations/{conversation}/turns/t/stream")
    assert text.text.startswith("one two\nERROR: ")
    assert (await api.chat("next", conversationId=conversation)).status == 200


async def test_cancel_waits_for_the_last_watcher(
    api: Api, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t", "onDisconnect": "cancel"}
    path = f"/conversations/{conversation}/turns/t/stream"
    async with AsyncExitStack() as stack:
        async with api.chatting(HELD, **fields) as first:
            await first.until_text("one two")
            second = await stack.enter_async_context(api.opened("GET", path, accept=SSE))
            await second.until_text("one two")
        async with api.opened("GET", path, accept=SSE) as third:
            await third.until_text("one two")
        await model.release()
        assert end_of(await second.rest())["finishReason"] == "stop"


async def test_who_comes_back_within_the_grace_keeps_it_alive(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    path = f"/conversations/{conversation}/turns/t/stream"
    async with start_api(CHAT_DISCONNECT_GRACE_SECONDS="2") as api:
        async with api.chatting(HELD, conversationId=conversation, turnId="t") as stream:
            await stream.until_text("one two")
        async with api.opened("GET", path, accept=SSE) as back:
            await back.until_text("one two")
            # A second turn here leaves later, and so outlives the first one's grace for sure.
            other = conversation[::-1]
            async with api.chatting(
                f"{HELD} [simulate: hold after=2 name=other]", conversationId=other, turnId="o"
            ) as second:
                await second.until_text("one two")
            await model.wait_for(state="aborted")
            assert (await ended(api, other, "o"))["finishReason"] == "disconnected"
            await model.release()
            assert end_of(await back.rest())["finishReason"] == "stop"


async def test_stop_keeps_what_was_said(api: Api, model: Simulator, conversation: str) -> None:
    path = f"/conversations/{conversation}/turns/t"
    async with api.chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await stream.until_text("one two")
        stopped = await api.call("POST", f"{path}/stop")
        assert stopped.status == 200
        body = stopped.json()
        assert (body["turnId"], body["state"]) == ("t", "ended")
        assert body["finishReason"] == "cancelled"
        assert body["usage"]["estimated"] is True
        await model.wait_for(state="aborted")
        events = await stream.rest()
    assert text_of(events) == "one two"
    assert end_of(events)["finishReason"] == "cancelled"
    assert end_of(events)["usage"] == body["usage"]
    again = await api.call("POST", f"{path}/stop")
    assert (again.status, again.json()) == (200, body)
    assert (await api.messages(conversation))[1] == ("assistant", "one two")


async def test_stop_without_a_body_or_with_one(api: Api, conversation: str) -> None:
    await api.chat("[simulate: say text=x]", conversationId=conversation, turnId="t")
    path = f"/conversations/{conversation}/turns/t/stop"
    bodies: list[dict[str, str] | None] = [None, {}]
    for body in bodies:
        stopped = await api.call("POST", path, body)
        assert stopped.status == 200
        assert stopped.json()["finishReason"] == "stop"


async def test_stop_before_the_first_word(api: Api, model: Simulator, conversation: str) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(api.chat("[simulate: hold before]", **fields))
        await model.wait_for(state="held")
        stopped = await api.call("POST", f"/conversations/{conversation}/turns/t/stop")
        assert stopped.json()["finishReason"] == "cancelled"
        await model.wait_for(state="aborted")
    assert asking.result().end["finishReason"] == "cancelled"
    assert asking.result().answer == ""


async def test_leaving_before_the_first_word_cancels_at_once(
    api: Api, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t", "onDisconnect": "cancel"}
    asking = asyncio.create_task(api.chat("[simulate: hold before]", **fields))
    await model.wait_for(state="held")
    asking.cancel()
    await model.wait_for(state="aborted", timeout=4)
    assert (await ended(api, conversation, "t"))["finishReason"] == "disconnected"
