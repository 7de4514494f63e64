"""`ai`'s transports and chat, unmodified and without React, against the app."""

import json
from typing import Any

import aiohttp
import pytest

from local.simulator import Simulator
from shared.events import Delta, End, Event, Position, Start
from shared.messages import Usage
from shared.protocols.ui_messages.encoder import UiMessageEncoder
from tests.clients.node_scripts import run_script
from tests.e2e.client import Api

SAY = '[simulate: say text="Grüße, Welt"]'
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]
CALL = {"kind": "tool", "name": "weather", "arguments": '{"city": "Rome"}'}
HOLD = ({"kind": "say", "text": "one two three"}, {"kind": "hold", "after": 1})


@pytest.fixture
def api(backend: str, session: aiohttp.ClientSession) -> Api:
    """A caller without a client, to look at what the others did."""
    return Api(session, backend.removesuffix("/api"))


@pytest.fixture
def run(backend: str, model: Simulator, conversation: str) -> Any:
    async def run(function: str, **given: Any) -> Any:
        where = {"url": backend, "simulator": model.url, "id": conversation}
        return await run_script("ui_chat", function, {**where, **given})

    return run


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def types_of(message: dict[str, Any]) -> list[str]:
    return [part["type"] for part in message["parts"]]


async def test_a_conversation(run: Any, api: Api, conversation: str) -> None:
    result = await run("send", prompts=[SAY, "[simulate: echo]"])
    assert (result["status"], result["finishReason"]) == ("ready", "stop")
    asked, answered, _, echoed = result["messages"]
    assert text_of(answered) == "Grüße, Welt"
    assert types_of(answered) == ["step-start", "text"]
    assert answered["metadata"]["conversationId"] == conversation
    assert answered["metadata"]["turnId"] == asked["id"]
    assert answered["metadata"]["finishReason"] == "stop"
    assert answered["metadata"]["usage"]["totalTokens"] > 0
    assert [message["content"] for message in json.loads(text_of(echoed))][1:3] == [
        SAY,
        "Grüße, Welt",
    ]
    stored = await api.messages(conversation)
    assert [content for _, content in stored] == [text_of(each) for each in result["messages"]]


async def test_a_chat_with_an_id_of_its_own_making(run: Any, api: Api) -> None:
    result = await run("sendWithNewId", id=None, prompt=SAY)
    assert (result["status"], len(result["id"])) == ("ready", 16)
    assert [content for _, content in await api.messages(result["id"])] == [SAY, "Grüße, Welt"]


async def test_reading_the_stream(run: Any) -> None:
    context = [{"content": "x", "title": "A", "url": "https://example.com/"}, {"content": "y"}]
    prompt = f'{SAY} [simulate: reasoning text="Hm"]'
    result = await run("stream", prompt=prompt, body={"context": context})
    assert result["types"] == [
        "start",
        "start-step",
        "source-url",
        "source-document",
        "reasoning-start",
        "reasoning-delta",
        "reasoning-end",
        "text-start",
        "text-delta",
        "text-end",
        "finish-step",
        "finish",
    ]
    message = result["message"]
    assert types_of(message) == [
        "step-start",
        "source-url",
        "source-document",
        "reasoning",
        "text",
    ]
    assert message["parts"][1]["url"] == "https://example.com/"
    assert message["parts"][3]["text"] == "Hm"
    assert message["parts"][4]["text"] == "Grüße, Welt"
    assert message["id"] == "question-1-answer"


@pytest.mark.parametrize("named", [False, True])
async def test_regenerating(
    run: Any, api: Api, model: Simulator, conversation: str, named: bool
) -> None:
    await model.script({"kind": "say", "text": "first"})
    await model.script({"kind": "say", "text": "second"})
    result = await run("regenerate", prompt="x", named=named)
    assert [text_of(message) for message in result["before"]] == ["x", "first"]
    assert [text_of(message) for message in result["messages"]] == ["x", "second"]
    assert result["before"][1]["id"] != result["messages"][1]["id"]
    assert await api.messages(conversation) == [("user", "x"), ("assistant", "second")]


async def test_editing(run: Any, api: Api, model: Simulator, conversation: str) -> None:
    result = await run("edit", prompts=["x", SAY])
    assert [text_of(message) for message in result["messages"]] == [SAY, "Grüße, Welt"]
    assert await api.messages(conversation) == [("user", SAY), ("assistant", "Grüße, Welt")]


async def test_resuming_on_a_new_page(run: Any, api: Api, model: Simulator) -> None:
    await model.script(*HOLD)
    result = await run("resume", prompt="x")
    left, opened = result["left"], result["opened"]
    assert text_of(left["messages"][1]).strip() == "one"
    assert (opened["status"], opened["finishReason"]) == ("ready", "stop")
    assert [text_of(message) for message in opened["messages"]] == ["x", "one two three"]
    assert result["nothing"] is None
    assert len(await model.requests()) == 1


async def test_nothing_to_resume(run: Any) -> None:
    result = await run("resumeNothing")
    assert result == {"status": "ready", "messages": []}


async def test_resuming_after_a_lost_connection(run: Any, model: Simulator) -> None:
    await model.script(*HOLD)
    result = await run("reconnect", prompt="x")
    assert result["before"]["status"] == "error"
    assert text_of(result["before"]["messages"][1]).strip() == "one"
    assert result["status"] == "ready"
    assert [text_of(message) for message in result["messages"]] == ["x", "one two three"]
    assert len(await model.requests()) == 1


async def test_tools(run: Any, model: Simulator) -> None:
    await model.script(CALL)
    await model.script({"kind": "say", "text": "It is sunny."})
    options = {"options": {"tools": TOOLS}}
    result = await run("tools", prompt="Weather?", output={"sky": "blue"}, body=options)
    assert (result["status"], result["finishReason"]) == ("ready", "stop")
    [_, answered] = result["messages"]
    assert types_of(answered) == ["step-start", "tool-weather", "step-start", "text"]
    called = answered["parts"][1]
    assert (called["state"], called["input"]) == ("output-available", {"city": "Rome"})
    assert text_of(answered) == "It is sunny."
    _, asked = await model.requests()
    assert asked.body["messages"][-1]["content"] == '{"sky":"blue"}'


async def test_arguments_that_are_none(run: Any, model: Simulator) -> None:
    await model.script(CALL | {"arguments": '{"__proto__": {"a": 1}}'})
    await model.script({"kind": "say", "text": "Pity."})
    options = {"options": {"tools": TOOLS}}
    result = await run("tools", prompt="Weather?", output="unused", body=options)
    assert result["status"] == "ready"
    [_, answered] = result["messages"]
    assert answered["parts"][1]["state"] == "output-error"
    assert text_of(answered) == "Pity."


async def test_resuming_after_tools(run: Any, model: Simulator) -> None:
    await model.script(CALL)
    await model.script(*HOLD)
    options = {"options": {"tools": TOOLS}}
    result = await run("resumeAfterTools", prompt="x", output={"sky": "blue"}, body=options)
    [_, answered] = result["opened"]["messages"]
    assert types_of(answered) == ["step-start", "tool-weather", "step-start", "text"]
    assert answered["parts"][1]["output"] == {"sky": "blue"}
    assert text_of(answered) == "one two three"
    assert answered["id"] == result["left"]["messages"][1]["id"]


async def test_a_turn_that_is_stopped(run: Any, model: Simulator) -> None:
    await model.script(*HOLD)
    result = await run("stopped", prompt="x")
    assert (result["status"], result["finishReason"]) == ("ready", "other")
    assert result["messages"][1]["metadata"]["finishReason"] == "cancelled"
    assert text_of(result["messages"][1]).strip() == "one"


async def test_a_page_that_stops_reading(run: Any, model: Simulator) -> None:
    await model.script(*HOLD)
    result = await run("abort", prompt="x", body={"onDisconnect": "cancel"})
    assert (result["status"], result["isAbort"]) == ("ready", True)
    await model.wait_for(state="aborted")


async def test_a_refusal(run: Any, model: Simulator) -> None:
    result = await run("send", prompts=["x"], body={"nonsense": 1})
    assert result["status"] == "error"
    assert result["error"]["statusCode"] == 400
    assert json.loads(result["error"]["message"])["code"] == "invalid_request"
    assert await model.requests() == []


async def test_an_answer_that_breaks_off(run: Any) -> None:
    result = await run("send", prompts=['[simulate: say text="a b"] [simulate: end after=1]'])
    assert result["status"] == "error"
    assert result["error"]["message"] == "The answer broke off."
    answered = result["messages"][1]
    assert text_of(answered).strip() == "a"
    assert answered["metadata"]["finishReason"] == "incomplete"


async def test_plain_text(run: Any) -> None:
    result = await run("text", prompt=SAY)
    assert [text_of(message) for message in result["messages"]] == [SAY, "Grüße, Welt"]
    assert result["status"] == "ready"


async def test_resuming_plain_text(run: Any, model: Simulator) -> None:
    await model.script(*HOLD)
    result = await run("resumeText", prompt="x")
    assert [text_of(message) for message in result["messages"]] == ["x", "one two three"]
    assert len(await model.requests()) == 1


async def test_heartbeats(run: Any) -> None:
    said: list[Event] = [
        Start("c1", "t1", "default", "gpt", True),
        Delta("a"),
        End("stop", Usage(1, 2, 3), "a"),
    ]
    encoder = UiMessageEncoder()
    chunks = [encoder.encode(event, Position(n, 1)).decode() for n, event in enumerate(said)]
    beat = encoder.heartbeat.decode()
    result = await run("heartbeats", chunks=[beat, *(beat + chunk + beat for chunk in chunks)])
    assert (result["status"], result["finishReason"]) == ("ready", "stop")
    assert text_of(result["messages"][1]) == "a"
