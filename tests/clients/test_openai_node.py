"""openai-node, unmodified: `openai.mjs`."""

import asyncio
from typing import Any

from local.simulator import Simulator
from tests.clients.node import play


async def run(scenario: str, url: str, **given: Any) -> Any:
    return await play("openai.mjs", scenario, url, **given)


async def test_one_answer(backend: str) -> None:
    text, reason, usage = await run("whole", backend)
    assert (text, reason) == ("Hello", "stop")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


async def test_a_stream(backend: str) -> None:
    text, reason, usage = await run("stream", backend)
    assert (text, reason) == ("Hello, world", "stop")
    assert usage["total_tokens"] > 0


async def test_a_round_trip_of_tools(backend: str, model: Simulator) -> None:
    called, text = await run("tools", backend)
    assert called["name"] == "look"
    assert called["arguments"] == '{"x": 1}'
    assert "forty-two" in text
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]


async def test_its_own_loop_of_tools(backend: str, model: Simulator) -> None:
    assert "found 42" in await run("runTools", backend)
    assert len(await model.requests()) == 2


async def test_errors(backend: str, model: Simulator) -> None:
    cases: list[tuple[dict[str, Any], tuple[str, int, str]]] = [
        ({"temperature": 3}, ("BadRequestError", 400, "invalid_request")),
        ({"colour": 1}, ("BadRequestError", 400, "invalid_request")),
        (said("filtered_prompt"), ("BadRequestError", 400, "content_filtered")),
        ({"model": "nonesuch"}, ("NotFoundError", 404, "model_not_found")),
        (said("status code=429 retry_after=30"), ("RateLimitError", 429, "rate_limited")),
        (said("status code=401"), ("InternalServerError", 502, "model_refused")),
        (said("cut after=1"), ("InternalServerError", 503, "incomplete")),
    ]
    found = await run("errors", backend, asked=[fields for fields, _ in cases])
    assert [(e["kind"], e["status"], e["code"]) for e in found] == [told for _, told in cases]
    assert found[1]["param"] == "colour"
    assert found[4]["retryAfter"] == "30"


async def test_who_may_not(locked_backend: str) -> None:
    [error] = await run("errors", locked_backend, asked=[{}])
    assert (error["kind"], error["code"]) == ("AuthenticationError", "unauthenticated")


async def test_an_error_inside_a_stream_is_thrown(backend: str) -> None:
    pieces, error = await run("errorInStream", backend)
    assert pieces == ["", "a"]
    assert (error["kind"], error["code"]) == ("APIError", "model_unavailable")


async def test_aborting_lets_the_model_go(backend: str, model: Simulator) -> None:
    aborting = asyncio.create_task(run("abort", backend))
    await model.wait_for(state="aborted")
    assert await aborting is True


async def test_a_conversation(backend: str, model: Simulator, conversation: str) -> None:
    assert await run("conversation", backend, id=conversation) == [
        [key, f"chatcmpl-{key}", key] for key in ("first", "second", "second")
    ]
    asked = await model.requests()
    assert len(asked) == 2
    assert [message["role"] for message in asked[-1].body["messages"]] == [
        "system",
        "user",
        "assistant",
        "user",
    ]


async def test_models(backend: str) -> None:
    ids, one, error = await run("models", backend)
    assert ids == ["default", "chat", "AZURE_OPENAI/chat"]
    assert one == "AZURE_OPENAI/chat"
    assert (error["kind"], error["code"]) == ("NotFoundError", "model_not_found")


def said(directive: str) -> dict[str, Any]:
    content = f'[simulate: say text="a b"] [simulate: {directive}]'
    return {"messages": [{"role": "user", "content": content}]}
