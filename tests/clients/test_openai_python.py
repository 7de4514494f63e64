"""openai-python, unmodified."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import openai
import pytest
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import BaseModel

from local.principal import encode
from local.simulator import Simulator

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Looks something up.",
            "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}},
        },
    }
]
CALL = '[simulate: tool name=look arguments="{\\"x\\": 1}"]'


@pytest.fixture
async def client(backend: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{backend}/v1", api_key="any", max_retries=0) as client:
        yield client


def user(content: str) -> ChatCompletionMessageParam:
    return {"role": "user", "content": content}


async def text_of(stream: AsyncStream[ChatCompletionChunk]) -> str:
    return "".join(
        [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    )


async def test_one_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="default",
        messages=[{"role": "system", "content": "Be brief."}, user("[simulate: say text=Hello]")],
        max_completion_tokens=50,
        seed=1,
    )
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "chat"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_a_stream(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="chat",
        messages=[user('[simulate: say text="Hello, world"]')],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(c.choices[0].delta.content or "" for c in chunks[:-1]) == "Hello, world"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert len({chunk.id for chunk in chunks}) == 1


async def test_the_streaming_helper(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="default", messages=[user(f"[simulate: say text=Look] {CALL}")], tools=TOOLS
    ) as stream:
        kinds = [event.type async for event in stream]
        done = await stream.get_final_completion()
    assert "content.done" in kinds
    assert "tool_calls.function.arguments.done" in kinds
    assert done.choices[0].message.content == "Look"
    assert done.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_round_trip_of_tools(client: AsyncOpenAI, model: Simulator, stream: bool) -> None:
    messages: list[Any] = [user(CALL)]
    if stream:
        async with client.chat.completions.stream(
            model="default", messages=messages, tools=TOOLS
        ) as streamed:
            answer: Any = (await streamed.get_final_completion()).choices[0].message
    else:
        whole = await client.chat.completions.create(
            model="default", messages=messages, tools=TOOLS
        )
        answer = whole.choices[0].message
    [call] = answer.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("look", {"x": 1})
    messages += [answer, {"role": "tool", "tool_call_id": call.id, "content": "forty-two"}]
    last = await client.chat.completions.create(model="default", messages=messages, tools=TOOLS)
    assert "forty-two" in str(last.choices[0].message.content)
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[2]["tool_calls"][0]["id"] == call.id


async def test_structured_output(client: AsyncOpenAI, model: Simulator) -> None:
    class Place(BaseModel):
        name: str

    parsed = await client.chat.completions.parse(
        model="default",
        messages=[user('[simulate: say text="{\\"name\\": \\"Rome\\"}"]')],
        response_format=Place,
    )
    assert parsed.choices[0].message.parsed == Place(name="Rome")
    assert (await model.requests())[-1].body["response_format"]["type"] == "json_schema"


ERRORS: list[tuple[type[openai.APIStatusError], dict[str, Any], int, str]] = [
    (openai.BadRequestError, {"temperature": 3}, 400, "invalid_request"),
    (openai.BadRequestError, {"extra_body": {"colour": 1}}, 400, "invalid_request"),
    (
        openai.BadRequestError,
        {"messages": [user("[simulate: filtered_prompt]")]},
        400,
        "content_filtered",
    ),
    (openai.NotFoundError, {"model": "nonesuch"}, 404, "model_not_found"),
    (
        openai.RateLimitError,
        {"messages": [user("[simulate: status code=429 retry_after=30]")]},
        429,
        "rate_limited",
    ),
    (
        openai.InternalServerError,
        {"messages": [user("[simulate: status code=401]")]},
        502,
        "model_refused",
    ),
    (
        openai.InternalServerError,
        {"messages": [user("[simulate: say text=a] [simulate: cut after=1]")]},
        503,
        "incomplete",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "status", "code"), ERRORS)
async def test_errors(
    client: AsyncOpenAI,
    kind: type[openai.APIStatusError],
    fields: dict[str, Any],
    status: int,
    code: str,
) -> None:
    asked: Any = {"model": "default", "messages": [user("Hello")], **fields}
    with pytest.raises(kind) as caught:
        await client.chat.completions.create(**asked)
    assert type(caught.value) is kind
    assert (caught.value.status_code, caught.value.code) == (status, code)
    body = cast("dict[str, Any]", caught.value.body)
    assert body["message"] in str(caught.value)
    if kind is openai.RateLimitError:
        assert caught.value.response.headers["retry-after"] == "30"


async def test_an_error_inside_a_stream_is_raised(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="default",
        messages=[user('[simulate: say text="a b"] [simulate: error after=1]')],
        stream=True,
    )
    assert (await anext(stream)).choices[0].delta.content == ""
    assert (await anext(stream)).choices[0].delta.content == "a"
    with pytest.raises(openai.APIError, match="in the middle of its answer") as caught:
        await anext(stream)
    assert caught.value.code == "model_unavailable"


async def test_who_may_not(locked_backend: str) -> None:
    async with AsyncOpenAI(base_url=f"{locked_backend}/v1", api_key="any") as client:
        with pytest.raises(openai.AuthenticationError):
            await client.models.list()
        # The platform checks the token, and says by this header who it is.
        claims = [{"typ": "tid", "val": "t"}, {"typ": "oid", "val": "o"}]
        principal = encode({"auth_typ": "aad", "claims": claims, "name_typ": "n", "role_typ": "r"})
        known = client.with_options(default_headers={"x-ms-client-principal": principal})
        assert [one.id async for one in known.models.list()] == ["default", "chat"]
        with pytest.raises(openai.PermissionDeniedError, match="CHAT_CALLER_FIELDS"):
            await known.chat.completions.create(
                model="default",
                messages=[{"role": "system", "content": "Obey."}, user("Hello")],
            )


async def test_leaving_a_stream_lets_the_model_go(client: AsyncOpenAI, model: Simulator) -> None:
    stream = await client.chat.completions.create(
        model="default",
        messages=[user('[simulate: say text="a b"] [simulate: hold after=1]')],
        stream=True,
    )
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await model.wait_for(state="held")
    await stream.close()
    await model.wait_for(state="aborted")


async def test_a_conversation(client: AsyncOpenAI, model: Simulator, conversation: str) -> None:
    for text in ("One", "Two"):
        answer = await client.chat.completions.create(
            model="default",
            messages=[user(f"[simulate: say text={text}]")],
            metadata={"conversation_id": conversation},
        )
        assert answer.choices[0].message.content == text
    said = [message["content"] for message in (await model.requests())[-1].body["messages"][1:]]
    assert said == ["[simulate: say text=One]", "One", "[simulate: say text=Two]"]


async def test_a_retry_that_asks_once(
    client: AsyncOpenAI, model: Simulator, conversation: str
) -> None:
    headers = {"x-conversation-id": conversation, "Idempotency-Key": "my-key"}
    for stream in (False, True):
        raw = await client.chat.completions.with_raw_response.create(
            model="default",
            messages=[user("[simulate: say text=Once]")],
            extra_headers=headers,
            stream=stream,
        )
        assert raw.headers["x-conversation-id"] == conversation
        assert raw.headers["x-turn-id"] == "my-key"
        answer: Any = raw.parse()
        if stream:
            assert await text_of(answer) == "Once"
        else:
            assert answer.choices[0].message.content == "Once"
            assert answer.id == "chatcmpl-my-key"
    assert len(await model.requests()) == 1
    with pytest.raises(openai.ConflictError) as caught:
        await client.with_options(max_retries=2).chat.completions.create(
            model="default", messages=[user("Something else")], extra_headers=headers
        )
    assert caught.value.code == "turn_mismatch"


async def test_its_own_retries(client: AsyncOpenAI, model: Simulator) -> None:
    # What breaks off before its end is asked again, where nothing of it is kept.
    await model.script({"kind": "say", "text": "a b"}, {"kind": "cut", "after": 1})
    answer = await client.with_options(max_retries=1).chat.completions.create(
        model="default", messages=[user("[simulate: say text=Well]")]
    )
    assert answer.choices[0].message.content == "Well"
    assert len(await model.requests()) == 2


async def test_models(client: AsyncOpenAI) -> None:
    listed = [one async for one in client.models.list()]
    assert [one.id for one in listed] == ["default", "chat", "AZURE_OPENAI/chat"]
    for one in listed:
        assert await client.models.retrieve(one.id) == one
        extra: Any = one.model_extra
        assert extra["default_temperature"] == 0.7
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("nonesuch")


async def test_several_answers_and_log_probabilities(client: AsyncOpenAI, model: Simulator) -> None:
    answer = await client.chat.completions.create(
        model="default",
        messages=[user("[simulate: say text=Hi]")],
        n=2,
        logprobs=True,
        top_logprobs=2,
        max_tokens=10,
    )
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.message.content == "Hi"
        assert choice.finish_reason == "stop"
        assert choice.logprobs is not None
        assert choice.logprobs.content
        assert "".join(token.token for token in choice.logprobs.content) == "Hi"
    sent = (await model.requests())[-1].body
    assert (sent["n"], sent["logprobs"], sent["top_logprobs"]) == (2, True, 2)
    assert sent["max_completion_tokens"] == 10
    stream = await client.chat.completions.create(
        model="default", messages=[user("[simulate: say text=Hi]")], n=2, stream=True
    )
    said = {0: "", 1: ""}
    reasons = {}
    async for chunk in stream:
        for part in chunk.choices:
            said[part.index] += part.delta.content or ""
            reasons[part.index] = part.finish_reason
    assert said == {0: "Hi", 1: "Hi"}
    assert reasons == {0: "stop", 1: "stop"}
    assert (await model.requests())[-1].body["max_completion_tokens"] == 16_384 // 2
