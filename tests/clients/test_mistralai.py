"""mistralai, unmodified, with `server_url`: it appends `/v1/chat/completions`."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import ResponseValidationError, SDKError

from local.simulator import Simulator

TOOLS: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
CALL = '[simulate: tool name=look arguments="{\\"x\\": 1}"]'


@pytest.fixture
async def client(backend: str) -> AsyncIterator[Mistral]:
    async with Mistral(api_key="any", server_url=backend) as client:
        yield client


def asked(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_the_request_as_it_stands(client: Mistral) -> None:
    question = "Who is the best French painter? Answer in one short sentence."
    answer = await client.chat.complete_async(model="default", messages=asked(question))
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"


async def test_its_own_names(client: Mistral, model: Simulator) -> None:
    await client.chat.complete_async(
        model="chat",
        messages=[{"role": "system", "content": "Be brief."}, *asked("[simulate: say text=Hi]")],
        temperature=0.2,
        top_p=0.9,
        max_tokens=20,
        stop=["x"],
        random_seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        parallel_tool_calls=True,
        tools=TOOLS,
        tool_choice="any",
        response_format={"type": "text"},
    )
    sent = (await model.requests())[-1].body
    assert (sent["seed"], sent["max_completion_tokens"], sent["stop"]) == (7, 20, ["x"])
    assert sent["tool_choice"] == "required"
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_a_stream(client: Mistral) -> None:
    stream = await client.chat.stream_async(
        model="default", messages=asked('[simulate: say text="Hello, world"]')
    )
    async with stream:
        chunks = [event.data async for event in stream]
    assert "".join(str(c.choices[0].delta.content or "") for c in chunks) == "Hello, world"
    assert chunks[-1].choices[0].finish_reason == "stop"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_round_trip_of_tools(client: Mistral, model: Simulator, stream: bool) -> None:
    answer: Any
    if stream:
        streamed = await client.chat.stream_async(
            model="default", messages=asked(CALL), tools=TOOLS, tool_choice="any"
        )
        async with streamed:
            deltas = [event.data.choices[0].delta async for event in streamed]
        [call] = [call for delta in deltas for call in delta.tool_calls or ()]
        answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    else:
        whole = await client.chat.complete_async(
            model="default", messages=asked(CALL), tools=TOOLS, tool_choice="any"
        )
        answer = whole.choices[0].message
        [call] = answer.tool_calls
    assert call.function.name == "look"
    assert json.loads(str(call.function.arguments)) == {"x": 1}
    result = {"role": "tool", "name": "look", "tool_call_id": call.id, "content": "forty-two"}
    last = await client.chat.complete_async(
        model="default", messages=[*asked(CALL), answer, result], tools=TOOLS
    )
    assert last.choices[0].message is not None
    assert "forty-two" in str(last.choices[0].message.content)
    sent = (await model.requests())[-1].body["messages"]
    assert sent[-1] == {"role": "tool", "tool_call_id": call.id, "content": "forty-two"}


async def test_structured_output(client: Mistral, model: Simulator) -> None:
    from pydantic import BaseModel

    class Place(BaseModel):
        name: str

    parsed = await client.chat.parse_async(
        Place,
        model="default",
        messages=asked('[simulate: say text="{\\"name\\": \\"Rome\\"}"]'),
    )
    assert parsed.choices is not None
    assert parsed.choices[0].message is not None
    assert parsed.choices[0].message.parsed == Place(name="Rome")
    assert (await model.requests())[-1].body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("name", "text", "status", "code"),
    [
        ("nonesuch", "Hello", 404, "model_not_found"),
        ("default", "[simulate: filtered_prompt]", 400, "content_filtered"),
        ("default", "[simulate: status code=429 retry_after=30]", 429, "rate_limited"),
        ("default", "[simulate: say text=a] [simulate: cut after=1]", 503, "incomplete"),
    ],
)
async def test_errors(client: Mistral, name: str, text: str, status: int, code: str) -> None:
    with pytest.raises(SDKError) as caught:
        await client.chat.complete_async(model=name, messages=asked(text))
    assert caught.value.status_code == status
    assert json.loads(caught.value.body)["error"]["code"] == code


async def test_an_error_inside_a_stream_is_raised(client: Mistral) -> None:
    stream = await client.chat.stream_async(
        model="default", messages=asked("[simulate: say text=a] [simulate: error after=1]")
    )
    async with stream:
        assert (await anext(stream)).data.choices[0].delta.content == ""
        assert (await anext(stream)).data.choices[0].delta.content == "a"
        with pytest.raises(ResponseValidationError, match="model_unavailable"):
            await anext(stream)


async def test_leaving_a_stream_lets_the_model_go(client: Mistral, model: Simulator) -> None:
    stream = await client.chat.stream_async(
        model="default", messages=asked('[simulate: say text="a b"] [simulate: hold after=1]')
    )
    async with stream:
        await anext(stream)
        await model.wait_for(state="held")
    await model.wait_for(state="aborted")


async def test_a_conversation(client: Mistral, model: Simulator, conversation: str) -> None:
    for _ in range(2):
        answer = await client.chat.complete_async(
            model="default",
            messages=asked("[simulate: say text=One]"),
            metadata={"conversation_id": conversation},
            http_headers={"Idempotency-Key": "a key"},
        )
        assert answer.choices[0].message is not None
        assert answer.choices[0].message.content == "One"
    assert len(await model.requests()) == 1


async def test_models(client: Mistral) -> None:
    listed = (await client.models.list_async()).data or []
    cards: Any = {card.id: card for card in listed if card.type == "base"}
    assert list(cards) == ["default", "chat", "AZURE_OPENAI/chat"]
    assert cards["default"].default_model_temperature == 0.7
    one: Any = await client.models.retrieve_async(model_id="AZURE_OPENAI/chat")
    assert one.id == "AZURE_OPENAI/chat"
