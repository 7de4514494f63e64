"""`@ai-sdk/openai-compatible` with `ai`, unmodified: `ai_sdk.mjs`."""

import asyncio
from typing import Any

from local.simulator import Simulator
from tests.clients.node import play


async def run(scenario: str, url: str, **given: Any) -> Any:
    return await play("ai_sdk.mjs", scenario, url, **given)


async def test_generate_text(backend: str, model: Simulator) -> None:
    text, reason, usage, thought = await run("generate", backend)
    assert (text, reason, thought) == ("Hello", "stop", "hm")
    assert usage["totalTokens"] > 0
    sent = (await model.requests())[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert sent["max_completion_tokens"] == 50


async def test_stream_text(backend: str) -> None:
    text, reason, usage, thought = await run("stream", backend)
    assert (text, reason, thought) == ("Hello, world", "stop", "hm")
    assert usage["totalTokens"] > 0


async def test_tools(backend: str, model: Simulator) -> None:
    steps, text = await run("tools", backend)
    assert steps == 2
    assert "found 42" in text
    assert len(await model.requests()) == 2


async def test_tools_in_a_stream(backend: str) -> None:
    kinds, text = await run("streamedTools", backend)
    assert {"tool-call", "tool-result"} <= set(kinds)
    assert kinds.count("finish-step") == 2
    assert "found 42" in text


async def test_errors(backend: str) -> None:
    prompts = [
        "[simulate: filtered_prompt]",
        "[simulate: status code=429 retry_after=30]",
        "[simulate: say text=a] [simulate: cut after=1]",
    ]
    assert await run("errors", backend, prompts=prompts) == [
        ["AI_APICallError", 400, "content_filtered"],
        ["AI_APICallError", 429, "rate_limited"],
        ["AI_APICallError", 503, "incomplete"],
    ]


async def test_an_error_inside_a_stream(backend: str) -> None:
    text, errors = await run("errorInStream", backend)
    assert text == "a"
    assert errors == ["The model service reported an error in the middle of its answer."]


async def test_aborting_lets_the_model_go(backend: str, model: Simulator) -> None:
    aborting = asyncio.create_task(run("abort", backend))
    await model.wait_for(state="aborted")
    assert (await aborting)[-1] == "abort"


async def test_a_conversation(backend: str, model: Simulator, conversation: str) -> None:
    headers = {"x-conversation-id": conversation}
    assert await run("conversation", backend, headers=headers) == ["One", "Two"]
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
