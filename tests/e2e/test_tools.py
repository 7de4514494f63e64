"""Tools in native chat: the model's calls, what they gave, and what the model is sent of both."""

import asyncio
from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import SSE, Api, Reply
from tests.e2e.conftest import StartApi

FIND = {
    "type": "function",
    "function": {
        "name": "find",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    },
}
OPTIONS = {"tools": [FIND]}
ARGUMENTS = '{"what": "tea"}'


async def called(
    api: Api, model: Simulator, conversation: str, calls: int = 1, **fields: Any
) -> list[str]:
    """A turn that ends in so many calls; gives their ids."""
    call = {"kind": "tool", "name": "find", "arguments": ARGUMENTS}
    await model.script(*[call] * calls)
    reply = await api.chat("Find tea", conversationId=conversation, options=OPTIONS, **fields)
    assert reply.end["finishReason"] == "tool_calls"
    return [event["id"] for event in reply.events if event["type"] == "tool_call"]


async def give(
    api: Api, conversation: str, *ids: str, content: str = "green", **fields: Any
) -> Reply:
    """What the calls gave, as a turn."""
    body = {
        "conversationId": conversation,
        "toolResults": [{"id": id, "content": f"{content} {n}"} for n, id in enumerate(ids)],
        "options": OPTIONS,
        **fields,
    }
    return await api.call("POST", "/chat", body, accept=SSE)


def call_of(id: str) -> dict[str, Any]:
    """A call as the model is sent it."""
    function = {"name": "find", "arguments": ARGUMENTS}
    return {"id": id, "type": "function", "function": function}


async def messages_of(model: Simulator) -> list[Any]:
    """What the model was sent last, without the system prompt."""
    sent: list[Any] = (await model.requests())[-1].body["messages"]
    return sent[1:]


async def test_a_round_trip(alice: Api, model: Simulator, conversation: str) -> None:
    one, two = await called(alice, model, conversation, calls=2, turnId="t1")
    await model.script({"kind": "say", "text": "Green tea."})
    reply = await give(alice, conversation, one, two, turnId="t2")
    assert reply.answer == "Green tea."
    assert reply.end["finishReason"] == "stop"
    assert reply.events[0]["new"] is False
    chain = [
        {"role": "user", "content": "Find tea"},
        {"role": "assistant", "content": None, "tool_calls": [call_of(one), call_of(two)]},
        {"role": "tool", "tool_call_id": one, "content": "green 0"},
        {"role": "tool", "tool_call_id": two, "content": "green 1"},
    ]
    assert await messages_of(model) == chain
    # It stays in the window of later turns, whole.
    await alice.chat("Thanks", conversationId=conversation)
    expected = [
        *chain,
        {"role": "assistant", "content": "Green tea."},
        {"role": "user", "content": "Thanks"},
    ]
    assert await messages_of(model) == expected


async def test_calls_after_results(alice: Api, model: Simulator, conversation: str) -> None:
    [first] = await called(alice, model, conversation)
    await give(alice, conversation, first)
    [second] = await called(alice, model, conversation)
    await model.script({"kind": "say", "text": "Done."})
    assert (await give(alice, conversation, second)).answer == "Done."
    once = ["user", "assistant", "tool"]
    assert [m["role"] for m in await messages_of(model)] == [*once, "assistant", *once]


async def test_messages_and_export_show_results(
    alice: Api, model: Simulator, conversation: str
) -> None:
    one, two = await called(alice, model, conversation, calls=2, turnId="t1")
    await model.script({"kind": "say", "text": "Tea."})
    await give(alice, conversation, one, two, turnId="t2")
    path = f"/conversations/{conversation}"
    shown = (await alice.call("GET", f"{path}/messages")).json()["items"]
    assert [(m["role"], m["content"], m["turnId"]) for m in shown] == [
        ("assistant", "Tea.", "t2"),
        ("tool", "green 1", "t2"),
        ("tool", "green 0", "t2"),
        ("assistant", "", "t1"),
        ("user", "Find tea", "t1"),
    ]
    assert [m["toolCallId"] for m in shown[1:3]] == [two, one]
    assert set(shown[1]) == {"role", "content", "turnId", "createdAt", "toolCallId"}
    assert [call["id"] for call in shown[3]["toolCalls"]] == [one, two]
    exported = (await alice.call("GET", f"{path}/export")).json()
    assert exported["messages"] == shown[::-1]
    # What one turn brought is one message of the store.
    assert exported["conversation"]["messageCount"] == 4
    found = []
    cursor = ""
    for size in (1, 2, 1, 1):
        page = (await alice.call("GET", f"{path}/messages?limit=1{cursor}")).json()
        assert len(page["items"]) == size
        found += page["items"]
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert found == shown


async def test_a_question_replaces_what_led_to_the_results(
    alice: Api, model: Simulator, conversation: str
) -> None:
    [one] = await called(alice, model, conversation, turnId="t1")
    await give(alice, conversation, one, turnId="t2")
    await model.script({"kind": "say", "text": "Coffee."})
    await alice.chat("And coffee?", conversationId=conversation, turnId="t3", replaces="t2")
    assert [message["role"] for message in await messages_of(model)] == ["user"]
    assert await alice.messages(conversation) == [("user", "And coffee?"), ("assistant", "Coffee.")]
    path = f"/conversations/{conversation}"
    assert (await alice.call("GET", path)).json()["messageCount"] == 2
    exported = (await alice.call("GET", f"{path}/export")).json()["messages"]
    assert [(one["turnId"], "replaced" in one) for one in exported] == [
        *[("t1", True)] * 2,
        *[("t2", True)] * 2,
        *[("t3", False)] * 2,
    ]


async def test_replaced_results_are_only_in_the_export(
    alice: Api, model: Simulator, conversation: str
) -> None:
    [one] = await called(alice, model, conversation, turnId="t1")
    await give(alice, conversation, one, turnId="t2")
    await model.script({"kind": "say", "text": "Anew."})
    reply = await give(alice, conversation, one, content="black", turnId="t3", replaces="t2")
    assert reply.answer == "Anew."
    assert (await messages_of(model))[-1] == {
        "role": "tool",
        "tool_call_id": one,
        "content": "black 0",
    }
    assert await alice.messages(conversation) == [
        ("user", "Find tea"),
        ("assistant", ""),
        ("tool", "black 0"),
        ("assistant", "Anew."),
    ]
    exported = (await alice.call("GET", f"/conversations/{conversation}/export")).json()
    replaced = [m for m in exported["messages"] if m.get("replaced")]
    assert [(m["role"], m["turnId"]) for m in replaced] == [("tool", "t2"), ("assistant", "t2")]


async def test_the_window_keeps_calls_and_results_together_or_cuts_both(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    changes = {"CHAT_HISTORY_MAX_MESSAGES": "4", "CHAT_CALLER_FIELDS": "options"}
    async with start_api(**changes) as api:
        one, two = await called(api, model, conversation, calls=2)
        await give(api, conversation, one, two)
        # The chain has five messages, and the last turn with what belongs to it is always there.
        await api.chat("A", conversationId=conversation)
        assert [m["role"] for m in await messages_of(model)] == [
            "user",
            "assistant",
            "tool",
            "tool",
            "assistant",
            "user",
        ]
        await api.chat("B", conversationId=conversation)
        sent = await messages_of(model)
        assert [m["role"] for m in sent] == ["user", "assistant", "user"]
        assert sent[0]["content"] == "A"


async def refused(api: Api, model: Simulator, conversation: str, *ids: str, **fields: Any) -> str:
    """What is said of results that do not fit; the model is not asked."""
    asked = len(await model.requests())
    reply = await give(api, conversation, *ids, **fields)
    problem = reply.problem(400, "invalid_request", "toolResults")
    assert len(await model.requests()) == asked
    return str(problem["detail"])


async def test_results_that_answer_nothing(alice: Api, model: Simulator, conversation: str) -> None:
    assert "last turn" in await refused(alice, model, conversation, "call_1")
    assert (await alice.call("GET", f"/conversations/{conversation}")).status == 404
    one, two = await called(alice, model, conversation, calls=2)
    for ids in (("call_1",), (one,), (one, two, "call_1"), (one, "call_1")):
        detail = await refused(alice, model, conversation, *ids)
        assert one in detail
        assert two in detail
    await alice.chat("Never mind", conversationId=conversation)
    assert "without any" in await refused(alice, model, conversation, one, two)


async def test_results_after_an_interrupted_turn(
    alice: Api, model: Simulator, conversation: str
) -> None:
    await model.script(
        {"kind": "say", "text": "Let me look."},
        {"kind": "tool", "name": "find"},
        {"kind": "hold", "after": 1},
    )
    async with alice.chatting(
        "Find tea", conversationId=conversation, turnId="t1", options=OPTIONS
    ) as stream:
        await stream.until_text("Let")
        busy = await give(alice, conversation, "call_1")
        assert busy.problem(409, "conversation_busy")["turnId"] == "t1"
        await alice.call("POST", f"/conversations/{conversation}/turns/t1/stop")
        assert (await stream.rest())[-1]["finishReason"] == "cancelled"
    assert "without any" in await refused(alice, model, conversation, "call_1")


async def test_the_same_results_again(alice: Api, model: Simulator, conversation: str) -> None:
    [one] = await called(alice, model, conversation)
    first = await give(alice, conversation, one, turnId="t2")
    again = await give(alice, conversation, one, turnId="t2")
    # Not event by event: a replay tells text that was cut as it arrived in one piece.
    assert (again.events[0], again.answer, again.end) == (first.events[0], first.answer, first.end)
    other = await give(alice, conversation, one, content="other", turnId="t2")
    other.problem(409, "turn_mismatch")
    question = await alice.chat("Hello", conversationId=conversation, turnId="t2")
    question.problem(409, "turn_mismatch")
    assert len(await model.requests()) == 2


async def test_two_rivals_with_the_same_results(
    alice: Api, model: Simulator, conversation: str
) -> None:
    [one] = await called(alice, model, conversation)
    await model.script({"kind": "hold", "before": True}, times=2)
    rivals = [
        asyncio.create_task(give(alice, conversation, one, turnId=turn_id))
        for turn_id in ("t2", "t3")
    ]
    [loser], [winner] = await asyncio.wait(rivals, return_when=asyncio.FIRST_COMPLETED)
    loser.result().problem(409, "conversation_busy")
    await model.wait_for(state="held")
    await model.release()
    assert (await winner).status == 200
    assert len(await model.requests()) == 2


async def test_of_another_owners_calls_nothing_is_known(
    alice: Api, bob: Api, model: Simulator, conversation: str
) -> None:
    [one] = await called(alice, model, conversation)
    assert one not in await refused(bob, model, conversation, one)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"userPrompt": "Hello"}, "toolResults"),
        ({"toolResults": []}, "toolResults"),
        ({"toolResults": None}, "userPrompt"),
        ({"toolResults": [{"id": "a", "content": ""}] * 2}, "toolResults"),
        ({"context": "c"}, "context"),
        ({"promptTemplate": "@@userPrompt"}, "promptTemplate"),
        ({"history": []}, "history"),
        ({"conversationId": None}, "conversationId"),
        ({"conversationId": None, "store": False}, "toolResults"),
    ],
    ids=str,
)
async def test_fields_that_do_not_go_together(
    alice: Api, model: Simulator, conversation: str, fields: dict[str, Any], field: str
) -> None:
    reply = await give(alice, conversation, "a", **fields)
    reply.problem(400, "invalid_request", field)
    assert await model.requests() == []


async def test_results_count_as_input(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    changes = {"CHAT_MAX_INPUT_CHARS": "100", "CHAT_MAX_PROMPT_CHARS": "10"}
    async with start_api(CHAT_CALLER_FIELDS="options", **changes) as api:
        [one] = await called(api, model, conversation)
        reply = await give(api, conversation, one, content="x" * 100)
        reply.problem(413, "payload_too_large", "toolResults")
        # The limit of the prompt is none of theirs.
        assert (await give(api, conversation, one, content="x" * 20)).status == 200
