"""Streaming is real: what the model has said is here while the model is still held."""

import pytest

from local.simulator import Simulator
from tests.e2e.client import NDJSON, SSE, TEXT, Api

HELD = '[simulate: say text="one two three"] [simulate: hold after=2]'


@pytest.mark.parametrize("accept", [SSE, NDJSON])
async def test_events_arrive_while_the_model_is_held(
    api: Api, model: Simulator, accept: str
) -> None:
    async with api.chatting(HELD, accept) as stream:
        await stream.until_text("one two")
        await model.wait_for(state="held")
        assert stream.events[0]["type"] == "start"
        await model.release()
        assert (await stream.rest())[-1]["result"] == {"response": "one two three"}


@pytest.mark.parametrize("accept", [TEXT, "application/octet-stream"])
async def test_text_arrives_while_the_model_is_held(
    api: Api, model: Simulator, accept: str
) -> None:
    async with api.chatting(HELD, accept) as stream:
        assert await stream.bytes_until(b"one two") == b"one two"
        await model.wait_for(state="held")
        await model.release()
        assert await stream.rest_of_bytes() == b" three"


async def test_the_end_comes_after_it_is_stored(api: Api, conversation: str) -> None:
    for number in range(5):
        reply = await api.chat(f'[simulate: say text="{number}"]', conversationId=conversation)
        assert reply.end["finishReason"] == "stop"  # never busy with the one before
    said = [content for role, content in await api.messages(conversation) if role == "assistant"]
    assert said == ["0", "1", "2", "3", "4"]


async def test_the_first_event_is_told_at_once_where_the_model_thinks(
    api: Api, model: Simulator
) -> None:
    prompt = '[simulate: reasoning text="hm hm"] [simulate: say text="x"] [simulate: hold after=0]'
    async with api.chatting(prompt) as stream:
        await stream.until(lambda event: event["type"] == "reasoning")
        await model.wait_for(state="held")
        await model.release()
        assert (await stream.rest())[-1]["finishReason"] == "stop"


async def test_a_model_that_is_silent_begins_after_five_seconds(
    api: Api, model: Simulator, conversation: str
) -> None:
    """The one test that takes as long as what it is about."""
    prompt = "[simulate: hold before] [simulate: status code=401]"
    async with api.chatting(prompt, conversationId=conversation, turnId="t") as stream:
        start = await stream.until(lambda event: event["type"] == "start")
        assert start["turnId"] == "t"
        [held] = await model.requests(state="held")
        assert held.outcome is None
        await model.release()
        events = await stream.rest()
    assert [event["type"] for event in events] == ["start", "error", "end"]
    assert events[1]["code"] == "model_refused"
    assert events[1]["retryable"] is False
    assert events[2]["finishReason"] == "error"
    state = await api.turn(conversation, "t")
    assert state.json()["finishReason"] == "error"
