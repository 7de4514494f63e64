"""Turns by their ids: replay, join, busy, mismatch, replaces, and no history at all."""

import asyncio

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, NDJSON, SSE, TEXT, Api, Reply, end_of, text_of

SAY = '[simulate: say text="one two three"]'
HELD = f"{SAY} [simulate: hold after=2]"


@pytest.mark.parametrize("accept", [TEXT, NDJSON, SSE, JSON])
async def test_a_replay_gives_the_same_bytes(
    api: Api, model: Simulator, conversation: str, accept: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    first = await api.chat(SAY, accept, **fields)
    assert len(await model.requests()) == 1
    again = [await api.chat(SAY, accept, **fields) for _ in range(2)]
    assert len(await model.requests()) == 1
    assert again[0].body == again[1].body
    if accept in (TEXT, JSON):
        assert again[0].body == first.body
    else:
        assert again[0].answer == first.answer
        assert again[0].events[0] == first.events[0]
        assert again[0].end == first.end


@pytest.mark.parametrize("fault", ["length after=2", "error after=1", "end after=1"])
async def test_a_bad_end_is_replayed_as_it_was(
    api: Api, model: Simulator, conversation: str, fault: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    first = await api.chat(f"{SAY} [simulate: {fault}]", **fields)
    again = await api.chat(f"{SAY} [simulate: {fault}]", **fields)
    assert again.end == first.end
    assert [e for e in again.events if e["type"] == "error"] == [
        e for e in first.events if e["type"] == "error"
    ]
    assert len(await model.requests()) == 1


async def test_an_old_turn_is_replayed_beyond_the_window(
    api: Api, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "first"}
    first = await api.chat(SAY, TEXT, **fields)
    for number in range(24):
        await api.chat(f'[simulate: say text="{number}"]', TEXT, conversationId=conversation)
    asked = len(await model.requests())
    assert (await api.chat(SAY, TEXT, **fields)).body == first.body
    (await api.chat("other", **fields)).problem(409, "turn_mismatch")
    assert len(await model.requests()) == asked


async def test_a_running_turn_is_joined(api: Api, model: Simulator, conversation: str) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    async with api.chatting(HELD, **fields) as first:
        await model.wait_for(state="held")
        async with api.chatting(HELD, NDJSON, **fields, resultVariableName="x") as second:
            await second.until_text("one two")
            await model.release()
            events = await asyncio.gather(first.rest(), second.rest())
    assert text_of(events[0]) == text_of(events[1]) == "one two three"
    assert end_of(events[1])["result"] == {"x": "one two three"}
    assert len(await model.requests()) == 1


async def test_twenty_at_once_with_one_id_ask_once(
    api: Api, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    replies = await asyncio.gather(*(api.chat(SAY, TEXT, **fields) for _ in range(20)))
    assert {reply.body for reply in replies} == {b"one two three"}
    assert len(await model.requests()) == 1
    assert len(await api.messages(conversation)) == 2


async def test_twenty_at_once_of_which_one_runs(
    api: Api, model: Simulator, conversation: str
) -> None:
    running: list[str] = []

    async def ask(number: int) -> Reply:
        return await api.chat(HELD, conversationId=conversation, turnId=f"t-{number}")

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(number)) for number in range(20)]
        await model.wait_for(state="held")
        for losers in asyncio.as_completed(tasks):
            reply = await losers
            if reply.status == 200:
                assert reply.end["finishReason"] == "stop"
                running.append(reply.headers["x-turn-id"])
                continue
            problem = reply.problem(409, "conversation_busy")
            running.append(problem["turnId"])
            if len(running) == 19:
                await model.release()
    assert len(running) == 20
    assert len(set(running)) == 1
    assert len(await model.requests()) == 1
    assert len(await api.messages(conversation)) == 2


async def test_a_second_turn_is_busy(api: Api, model: Simulator, conversation: str) -> None:
    async with api.chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await model.wait_for(state="held")
        busy = await api.chat("other", conversationId=conversation)
        problem = busy.problem(409, "conversation_busy")
        assert problem["turnId"] == "t"
        assert int(busy.headers["retry-after"]) >= 1
        assert len(await model.requests()) == 1
        read = await api.call("GET", f"/conversations/{conversation}")
        assert read.json()["runningTurnId"] == "t"
        state = (await api.turn(conversation, "t")).json()
        assert (state["turnId"], state["state"]) == ("t", "running")
        await model.release()
        await stream.rest()
    read = await api.call("GET", f"/conversations/{conversation}")
    assert "runningTurnId" not in read.json()
    state = (await api.turn(conversation, "t")).json()
    assert (state["state"], state["finishReason"]) == ("ended", "stop")
    assert state["usage"] == end_of(stream.events)["usage"]


async def test_an_old_turn_is_replayed_while_another_runs(
    api: Api, model: Simulator, conversation: str
) -> None:
    old = {"conversationId": conversation, "turnId": "old"}
    await api.chat(SAY, **old)
    async with api.chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await model.wait_for(state="held")
        assert (await api.chat(SAY, TEXT, **old)).text == "one two three"
        (await api.chat("else", **old)).problem(409, "turn_mismatch")
        await model.release()
        await stream.rest()


@pytest.mark.parametrize(
    "other",
    [
        {"userPrompt": "something else"},
        {"context": "ground"},
        {"temperature": 0.1},
        {"history": []},
        {"maxCompletionTokens": 5},
    ],
)
async def test_another_body_is_a_mismatch(
    api: Api, model: Simulator, conversation: str, other: dict[str, object]
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    await api.chat(SAY, **fields)
    body = {"userPrompt": SAY, **fields, **other}
    reply = await api.call("POST", "/chat", body)
    reply.problem(409, "turn_mismatch")
    assert len(await model.requests()) == 1


async def test_a_mismatch_while_it_runs(api: Api, model: Simulator, conversation: str) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    async with api.chatting(HELD, **fields) as stream:
        await model.wait_for(state="held")
        (await api.chat("else", **fields)).problem(409, "turn_mismatch")
        await model.release()
        await stream.rest()


async def test_what_is_no_part_of_the_question_may_differ(
    api: Api, model: Simulator, conversation: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    await api.chat(SAY, **fields)
    again = await api.chat(
        SAY, JSON, **fields, onDisconnect="cancel", resultVariableName="x", action=None
    )
    assert again.json()["x"] == "one two three"
    assert len(await model.requests()) == 1


async def test_a_turn_takes_the_place_of_the_last(
    api: Api, model: Simulator, conversation: str
) -> None:
    await api.chat('[simulate: say text="a"]', conversationId=conversation, turnId="t1")
    await api.chat('[simulate: say text="b"]', conversationId=conversation, turnId="t2")
    fields = {"conversationId": conversation, "replaces": "t2", "turnId": "t3"}
    reply = await api.chat("[simulate: echo]", **fields)
    sent = [message["content"] for message in (await model.requests())[-1].body["messages"]]
    assert [text for text in sent if "say" in text] == ['[simulate: say text="a"]']
    listed = await api.messages(conversation)
    assert [content for _, content in listed] == [
        '[simulate: say text="a"]',
        "a",
        "[simulate: echo]",
        reply.answer,
    ]
    read = (await api.call("GET", f"/conversations/{conversation}")).json()
    assert read["messageCount"] == 4
    again = await api.chat("[simulate: say text=c]", conversationId=conversation, replaces="t3")
    assert again.answer == "c"
    assert [content for _, content in await api.messages(conversation)][2:] == [
        "[simulate: say text=c]",
        "c",
    ]
    replay = await api.chat("[simulate: echo]", **fields)
    assert replay.answer == reply.answer


async def test_only_the_last_turn_can_be_replaced(
    api: Api, model: Simulator, conversation: str
) -> None:
    for turn in ("t1", "t2"):
        await api.chat(SAY, conversationId=conversation, turnId=turn)
    asked = len(await model.requests())
    for wrong in ("t1", "unknown"):
        reply = await api.chat("x", conversationId=conversation, replaces=wrong)
        reply.problem(409, "turn_mismatch")
    new = await api.chat("x", conversationId="n" * 32, replaces="t1")
    new.problem(409, "turn_mismatch")
    (await api.call("GET", f"/conversations/{'n' * 32}")).problem(404, "not_found")
    assert len(await model.requests()) == asked


async def test_a_running_turn_cannot_be_replaced(
    api: Api, model: Simulator, conversation: str
) -> None:
    async with api.chatting(HELD, conversationId=conversation, turnId="t") as stream:
        await model.wait_for(state="held")
        reply = await api.chat("x", conversationId=conversation, replaces="t")
        assert reply.problem(409, "conversation_busy")["turnId"] == "t"
        await model.release()
        await stream.rest()
