"""`store: false`: a turn without any history."""

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, SSE, TEXT, Api

SAY = '[simulate: say text="one two"]'


async def test_nothing_has_an_id(api: Api) -> None:
    reply = await api.chat(SAY, SSE, store=False)
    assert "x-conversation-id" not in reply.headers
    assert "x-turn-id" not in reply.headers
    assert reply.headers["cache-control"] == "no-store"
    start = reply.events[0]
    assert start["type"] == "start"
    assert "conversationId" not in start
    assert "turnId" not in start
    assert reply.answer == "one two"
    whole = (await api.chat(SAY, JSON, store=False)).json()
    assert "conversationId" not in whole
    assert "turnId" not in whole
    assert whole["response"] == "one two"
    assert (await api.chat(SAY, TEXT, store=False)).text == "one two"


async def test_nothing_is_stored_or_read(alice: Api, model: Simulator) -> None:
    await alice.chat(SAY, store=False)
    await alice.chat(SAY, store=False)
    assert (await alice.call("GET", "/conversations")).json()["items"] == []
    for record in await model.requests():
        assert [message["role"] for message in record.body["messages"]] == ["system", "user"]


async def test_the_callers_own_history_counts(api: Api, model: Simulator) -> None:
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    await api.chat(SAY, store=False, history=history)
    [record] = await model.requests()
    assert record.body["messages"][1:3] == history


@pytest.mark.parametrize("field", ["conversationId", "turnId", "replaces"])
async def test_ids_are_refused(api: Api, model: Simulator, field: str) -> None:
    reply = await api.chat(SAY, store=False, **{field: "a" * 16})
    reply.problem(400, "invalid_request", field)
    assert await model.requests() == []


async def test_leaving_cancels(api: Api, model: Simulator) -> None:
    async with api.chatting(f"{SAY} [simulate: hold after=1]", store=False) as stream:
        await stream.until_text("one")
        await model.wait_for(state="held")
    await model.wait_for(state="aborted")


async def test_leaving_before_the_first_word_cancels(api: Api, model: Simulator) -> None:
    import asyncio

    asking = asyncio.create_task(api.chat("[simulate: hold before]", store=False))
    await model.wait_for(state="held")
    asking.cancel()
    await model.wait_for(state="aborted")


async def test_what_fails_has_its_status(api: Api) -> None:
    reply = await api.chat("[simulate: status code=401]", store=False)
    reply.problem(502, "model_refused")
    reply = await api.chat(f"{SAY} [simulate: error after=1]", store=False)
    assert reply.end["finishReason"] == "error"
