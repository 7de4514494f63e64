"""langchain-openai's `ChatOpenAI`, unmodified."""

from typing import Any

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

from local.simulator import Simulator

CALL = '[simulate: tool name=look arguments="{\\"x\\": 1}"]'


class Place(BaseModel):
    """A place."""

    name: str


@tool
def look(x: int) -> str:
    """Looks something up."""
    return f"found {x + 41}"


def make(backend: str, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{backend}/v1",
        api_key=SecretStr("any"),
        model="default",
        max_retries=0,
        **fields,
    )


@pytest.fixture
def chat(backend: str) -> ChatOpenAI:
    return make(backend)


async def test_invoke(backend: str, model: Simulator) -> None:
    chat = make(backend, temperature=0.1, max_tokens=40)
    answer = await chat.ainvoke([SystemMessage("Be brief."), "[simulate: say text=Hello]"])
    assert answer.content == "Hello"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"
    sent = (await model.requests())[-1].body
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (sent["temperature"], sent["max_completion_tokens"]) == (0.1, 40)


async def test_stream(chat: ChatOpenAI) -> None:
    chunks = [c async for c in chat.astream('[simulate: say text="Hello, world"]')]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.content == "Hello, world"
    assert whole.response_metadata["finish_reason"] == "stop"


async def test_usage_of_a_stream(backend: str) -> None:
    chat = make(backend, stream_usage=True)
    chunks = [c async for c in chat.astream("[simulate: say text=Hello]")]
    [usage] = [c.usage_metadata for c in chunks if c.usage_metadata]
    assert usage["total_tokens"] > 0


@pytest.mark.parametrize("stream", [True, False])
async def test_tools(chat: ChatOpenAI, model: Simulator, stream: bool) -> None:
    bound = chat.bind_tools([look], tool_choice="any")
    messages: list[Any] = [HumanMessage(CALL)]
    answer: Any
    if stream:
        chunks: list[Any] = [c async for c in bound.astream(messages)]
        answer = chunks[0]
        for chunk in chunks[1:]:
            answer += chunk
    else:
        answer = await bound.ainvoke(messages)
    [call] = answer.tool_calls
    assert (call["name"], call["args"]) == ("look", {"x": 1})
    result = await look.ainvoke(call)
    assert isinstance(result, ToolMessage)
    last = await chat.bind_tools([look]).ainvoke([*messages, answer, result])
    assert "found 42" in str(last.content)
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output(chat: ChatOpenAI, method: Any) -> None:
    name = '{\\"name\\": \\"Rome\\"}'
    prompt = {
        "json_schema": f'[simulate: say text="{name}"]',
        "function_calling": f'[simulate: tool name=Place arguments="{name}"]',
    }[method]
    place = await chat.with_structured_output(Place, method=method).ainvoke(prompt)
    assert place == Place(name="Rome")


async def test_errors(chat: ChatOpenAI, backend: str) -> None:
    with pytest.raises(openai.BadRequestError, match="content filter"):
        await chat.ainvoke("[simulate: filtered_prompt]")
    with pytest.raises(openai.InternalServerError, match="broke off"):
        await chat.ainvoke("[simulate: say text=a] [simulate: cut after=1]")
    with pytest.raises(openai.NotFoundError):
        await make(backend).bind(model="nonesuch").ainvoke("Hello")
    stream = chat.astream("[simulate: say text=a] [simulate: error after=1]")
    with pytest.raises(openai.APIError, match="in the middle of its answer"):
        _ = [chunk async for chunk in stream]


async def test_leaving_a_stream_lets_the_model_go(chat: ChatOpenAI, model: Simulator) -> None:
    stream = chat.astream('[simulate: say text="a b"] [simulate: hold after=1]')
    async for chunk in stream:
        if chunk.content:
            break
    await model.wait_for(state="held")
    await stream.aclose()  # type: ignore[attr-defined]
    await model.wait_for(state="aborted")


async def test_a_conversation(backend: str, model: Simulator, conversation: str) -> None:
    chat = make(backend, metadata=None, extra_body={"metadata": {"conversation_id": conversation}})
    for text in ("One", "Two"):
        assert (await chat.ainvoke(f"[simulate: say text={text}]")).content == text
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
