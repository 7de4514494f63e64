"""`@microsoft/ai-chat-protocol`, unmodified, against the app."""

import json
from typing import Any

import aiohttp
import pytest

from local.simulator import Simulator
from shared.events import Delta, End, Event, Position, Start
from shared.messages import Usage
from shared.protocols.ai_chat.encoders import CompletionEncoder, DeltaEncoder
from tests.clients.node_scripts import run_script
from tests.e2e.client import Api

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


@pytest.fixture
def api(backend: str, session: aiohttp.ClientSession) -> Api:
    """A caller without a client, to look at what the others did."""
    return Api(session, backend.removesuffix("/api"))


@pytest.fixture
def run(backend: str, model: Simulator) -> Any:
    async def run(function: str, **given: Any) -> Any:
        return await run_script("ai_chat", function, {"url": backend, **given})

    return run


async def test_a_conversation(run: Any, api: Api) -> None:
    prompts = ['[simulate: say text="Grüße, Ada."] I am Ada.', "[simulate: echo] Who am I?"]
    result = await run("conversation", prompts=prompts)
    first, second = result["first"], result["second"]
    assert first["message"] == {"role": "assistant", "content": "Grüße, Ada."}
    assert first["context"]["finishReason"] == "stop"
    assert first["context"]["usage"]["totalTokens"] > 0
    assert second["role"] == "assistant"
    assert second["sessionState"] == first["sessionState"]
    assert second["context"]["finishReason"] == "stop"
    assert "error" not in second
    echoed = [message["content"] for message in json.loads(second["content"])]
    assert echoed[2] == "Grüße, Ada."
    stored = await api.messages(first["sessionState"]["conversationId"])
    assert [content for _, content in stored] == [
        prompts[0],
        "Grüße, Ada.",
        prompts[1],
        second["content"],
    ]


@pytest.mark.parametrize("function", ["complete", "stream"])
async def test_context(run: Any, model: Simulator, function: str) -> None:
    context = {
        "context": [{"content": "ground", "title": "A", "url": "https://example.com/"}],
        "temperature": 0.2,
        "systemPrompt": "Be short.",
    }
    prompt = '[simulate: say text="ok"] [simulate: reasoning text="Hm"]'
    result = (await run(function, prompt=prompt, context=context))["value"]
    assert result["context"]["citations"] == [{"title": "A", "url": "https://example.com/"}]
    if function == "stream":
        assert (result["content"], result["reasoning"]) == ("ok", "Hm")
    else:
        assert result["message"]["content"] == "ok"
        assert result["message"]["context"] == {"reasoning": "Hm"}
    [asked] = await model.requests()
    assert asked.body["temperature"] == 0.2
    assert asked.body["messages"][0]["content"] == "Be short."


async def test_calls(run: Any, model: Simulator) -> None:
    await model.script({"kind": "tool", "name": "weather", "arguments": '{"city":"Rome"}'})
    context = {"options": {"tools": TOOLS}}
    told = (await run("stream", prompt="x", context=context))["value"]["context"]
    assert told["finishReason"] == "tool_calls"
    assert told["toolCalls"][0]["arguments"] == '{"city":"Rome"}'


@pytest.mark.parametrize("function", ["complete", "stream"])
async def test_refusals_are_thrown(run: Any, model: Simulator, function: str) -> None:
    error = (await run(function, prompt=" "))["error"]
    assert error["code"] == "invalid_request"
    assert error["message"].startswith("messages[0].content must not be blank")
    error = (await run(function, prompt="x", context={"nonsense": 1}))["error"]
    assert error["message"].startswith("There is no field context.nonsense")
    error = (await run(function, prompt="x", sessionState="mine"))["error"]
    assert "sessionState" in error["message"]
    assert await model.requests() == []
    error = (await run(function, prompt="[simulate: filtered_prompt]"))["error"]
    assert error["code"] == "content_filtered"


async def test_what_fails_in_the_middle_is_thrown(run: Any) -> None:
    prompt = '[simulate: say text="a b"] [simulate: end after=1]'
    result = (await run("stream", prompt=prompt))["value"]
    assert result["content"].strip() == "a"
    assert result["error"] == {"code": "incomplete", "message": "The answer broke off."}
    result = (await run("complete", prompt=prompt))["value"]
    assert result["error"]["code"] == "incomplete"
    assert result["context"]["finishReason"] == "incomplete"


async def test_an_answer_that_is_too_long(run: Any) -> None:
    prompt = '[simulate: say text="a b"] [simulate: length after=1]'
    result = (await run("stream", prompt=prompt))["value"]
    assert result["context"]["finishReason"] == "length"
    assert "error" not in result


async def test_files_are_refused(run: Any) -> None:
    for result in await run("files"):
        assert result["error"]["code"] == "unsupported_media_type"
        assert "No files are taken" in result["error"]["message"]


async def test_leaving(run: Any, model: Simulator) -> None:
    await model.script({"kind": "say", "text": "a b c"}, {"kind": "hold", "after": 1})
    result = await run("abort", prompt="x")
    assert result["error"] == {"name": "Error", "message": "aborted"}
    await model.wait_for(state="aborted")


async def test_heartbeats(run: Any) -> None:
    said: list[Event] = [
        Start("c1", "t1", "default", "gpt", True),
        Delta("a"),
        End("stop", Usage(1, 2, 3), "a"),
    ]
    bodies = []
    for encoder in (DeltaEncoder(), CompletionEncoder()):
        chunks = [encoder.encode(event, Position(n, 1)).decode() for n, event in enumerate(said)]
        beat = encoder.heartbeat.decode()
        bodies.append([beat, *(part for chunk in chunks for part in (chunk, beat, beat))])
    lines, completion = bodies
    result = await run("heartbeats", lines=lines, completion=completion)
    assert result["stream"]["value"]["content"] == "a"
    assert result["stream"]["value"]["context"]["finishReason"] == "stop"
    assert result["complete"]["value"]["message"]["content"] == "a"
