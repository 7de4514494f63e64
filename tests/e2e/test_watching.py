"""Attaching to turns, live and ended: exactly the missing rest, for any number of watchers."""

import asyncio

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, NDJSON, SSE, TEXT, Api, Event, end_of, text_of

SAY = '[simulate: reasoning text="hm ja"] [simulate: say text="eins 🙂 drei"]'


def path(conversation: str, turn: str = "t") -> str:
    return f"/conversations/{conversation}/turns/{turn}/stream"


def positions(events: list[Event]) -> list[str]:
    return [event["position"] for event in events]


async def test_leaving_does_not_stop_the_turn(
    api: Api, model: Simulator, conversation: str
) -> None:
    prompt = f"{SAY} [simulate: hold after=1]"
    async with api.chatting(prompt, conversationId=conversation, turnId="t") as stream:
        await stream.until_text("eins")
        seen = list(stream.events)
    [record] = await model.wait_for(state="held")
    await model.release()
    [record] = await model.wait_for(state="finished")
    assert record.outcome == "stop"
    rest = await api.call("GET", path(conversation), accept=SSE, last_event_id=positions(seen)[-1])
    assert text_of(seen) + rest.answer == "eins 🙂 drei"
    assert rest.end["result"] == {"response": "eins 🙂 drei"}
    assert rest.end["finishReason"] == "stop"


async def test_every_position_gives_exactly_the_rest(api: Api, conversation: str) -> None:
    context = [{"content": "c", "title": "T"}]
    whole = (await api.chat(SAY, context=context, conversationId=conversation, turnId="t")).events
    kinds = [event["type"] for event in whole]
    assert kinds[:3] == ["start", "citations", "reasoning"]
    for number, event in enumerate(whole[:-1]):
        rest = whole[number + 1 :]
        by_header = await api.call(
            "GET", path(conversation), accept=SSE, last_event_id=event["position"]
        )
        by_query = await api.call(
            "GET", f"{path(conversation)}?after={event['position']}", accept=NDJSON
        )
        assert by_header.events == by_query.events
        assert text_of(by_header.events) == text_of(rest)
        assert [e for e in by_header.events if e["type"] not in ("delta", "reasoning")] == [
            e for e in rest if e["type"] not in ("delta", "reasoning")
        ]
        thoughts = [e["text"] for e in rest if e["type"] == "reasoning"]
        assert "".join(e["text"] for e in by_header.events if e["type"] == "reasoning") == "".join(
            thoughts
        )


async def test_positions_inside_a_character_pair_count_code_points(
    api: Api, conversation: str
) -> None:
    prompt = '[simulate: say text="🙂🙂🙂"] [simulate: split size=1]'
    await api.chat(prompt, conversationId=conversation, turnId="t")
    reply = await api.call("GET", f"{path(conversation)}?after=1.2", accept=SSE)
    assert reply.answer == "🙂"


async def test_the_header_wins_over_the_query(api: Api, conversation: str) -> None:
    whole = (await api.chat(SAY, conversationId=conversation, turnId="t")).events
    last_delta, first = positions(whole)[-2], positions(whole)[0]
    reply = await api.call(
        "GET", f"{path(conversation)}?after={first}", accept=SSE, last_event_id=last_delta
    )
    assert [event["type"] for event in reply.events] == ["end"]


async def test_the_position_of_the_end_is_204(api: Api, conversation: str) -> None:
    end = (await api.chat(SAY, conversationId=conversation, turnId="t")).end
    for accept in (SSE, TEXT, NDJSON, JSON):
        reply = await api.call(
            "GET", path(conversation), accept=accept, last_event_id=end["position"]
        )
        assert (reply.status, reply.body) == (204, b"")


@pytest.mark.parametrize("position", ["x", "1", "1.2.3", "-1.0", "1.0x", "٣.١", "1e3.0", " 1.0 x"])
async def test_malformed_positions(api: Api, conversation: str, position: str) -> None:
    await api.chat(SAY, conversationId=conversation, turnId="t")
    reply = await api.call("GET", f"{path(conversation)}?after={position}", accept=SSE)
    reply.problem(400, "invalid_request", "after")
    if position.isascii():
        reply = await api.call("GET", path(conversation), accept=SSE, last_event_id=position)
        reply.problem(400, "invalid_request")


async def test_a_malformed_position_is_one_beside_a_header_too(api: Api, conversation: str) -> None:
    await api.chat(SAY, conversationId=conversation, turnId="t")
    where = f"{path(conversation)}?after=one"
    reply = await api.call("GET", where, accept=SSE, last_event_id="0.1")
    reply.problem(400, "invalid_request", "after")


async def test_a_position_beyond_the_text_still_gets_the_end(api: Api, conversation: str) -> None:
    await api.chat('[simulate: say text="abc"]', conversationId=conversation, turnId="t")
    reply = await api.call("GET", f"{path(conversation)}?after=1.900", accept=SSE)
    assert reply.answer == ""
    assert reply.end["result"] == {"response": "abc"}


async def test_an_ended_turn_in_every_form(api: Api, conversation: str) -> None:
    await api.chat(SAY, conversationId=conversation, turnId="t")
    text = await api.call("GET", path(conversation), accept=TEXT)
    assert text.text == "eins 🙂 drei"
    assert text.headers["x-turn-id"] == "t"
    whole = await api.call("GET", path(conversation), accept=JSON)
    assert whole.json()["response"] == "eins 🙂 drei"
    assert whole.json()["conversationId"] == conversation
    again = await api.call("GET", path(conversation), accept=JSON, last_event_id="1.2")
    assert again.json() == whole.json()
    refused = await api.call("GET", path(conversation), accept="text/html")
    refused.problem(406, "not_acceptable")


async def test_two_watchers_see_the_same(api: Api, model: Simulator, conversation: str) -> None:
    prompt = f"{SAY} [simulate: hold after=2]"
    async with api.chatting(prompt, conversationId=conversation, turnId="t") as first:
        await model.wait_for(state="held")
        async with api.opened("GET", path(conversation), accept=SSE) as second:
            await second.until_text("eins 🙂")
            await model.release()
            seen = await asyncio.gather(first.rest(), second.rest())
    assert text_of(seen[0]) == text_of(seen[1]) == "eins 🙂 drei"
    assert end_of(seen[0]) == end_of(seen[1])
    assert seen[0][0] == seen[1][0]


async def test_a_slow_watcher_slows_nobody(api: Api, model: Simulator, conversation: str) -> None:
    long = "lorem ipsum dolor " * 1000
    prompt = f"[simulate: repeat n=25 text={'"' + long + '"'}]"
    async with api.chatting(prompt, conversationId=conversation, turnId="t") as slow:
        [record] = await model.wait_for(state="finished", timeout=30)
        assert record.outcome == "stop"
        quick = await api.call("GET", path(conversation), accept=SSE)
        assert quick.answer == long * 25
        assert text_of(await slow.rest()) == long * 25


async def test_an_unread_response_holds_nobody_up(
    api: Api, model: Simulator, conversation: str
) -> None:
    prompt = f"{SAY} [simulate: hold after=1]"
    async with api.chatting(prompt, conversationId=conversation, turnId="t"):
        await model.wait_for(state="held")
        async with api.opened("GET", path(conversation), accept=SSE) as other:
            await other.until_text("eins")
            await model.release()
            assert end_of(await other.rest())["finishReason"] == "stop"


async def test_unknown_turns(api: Api, conversation: str) -> None:
    await api.chat(SAY, conversationId=conversation, turnId="t")
    for where in (path(conversation, "other"), path("0" * 32), path(conversation, "a.b")):
        (await api.call("GET", where, accept=SSE)).problem(404, "not_found")
        state = where.removesuffix("/stream")
        (await api.call("GET", state)).problem(404, "not_found")
        (await api.call("POST", f"{state}/stop")).problem(404, "not_found")
