"""Mistral through the whole app: its own service with a key, and on Azure with an identity."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.certificates import make_certificate
from local.identity import running_identity
from local.simulator import Simulator, running_simulator
from tests.e2e.client import JSON, TEXT, Api, end_of
from tests.e2e.conftest import MODEL_KEY, StartApi

PAINTER = "Who is the best French painter? Answer in one short sentence."
COGNITIVE = "https://cognitiveservices.azure.com"
TOOLS = [{"type": "function", "function": {"name": "look"}}]


@pytest.fixture(scope="module")
async def started(start_api: StartApi, simulator: Simulator) -> AsyncIterator[Api]:
    """An app that has the default connection and Mistral, and callers who may choose."""
    changes = {
        "CHAT_CALLER_FIELDS": "*",
        "CHAT_CONNECTIONS": "MISTRAL",
        "MISTRAL__kind": "mistral",
        "MISTRAL__endpoint": simulator.mistral_url,
        "MISTRAL__apiKey": MODEL_KEY,
        "MISTRAL__model": "azureai",
    }
    async with start_api(**changes) as api:
        yield api


@pytest.fixture
def api(started: Api, model: Simulator) -> Api:
    """The same, and the simulator's journal empty."""
    return started


async def last_body(model: Simulator) -> Any:
    return (await model.requests())[-1].body


async def test_the_painter(api: Api, model: Simulator) -> None:
    reply = await api.chat(PAINTER, connection="MISTRAL")
    assert reply.answer
    assert reply.events[0]["model"] == "azureai"
    assert reply.end["finishReason"] == "stop"
    usage = reply.end["usage"]
    assert (usage["estimated"], usage["completionTokens"] > 0) == (False, True)
    (record,) = await model.requests()
    assert (record.style, record.deployment) == ("mistral", "azureai")
    assert record.body["messages"][-1] == {"role": "user", "content": PAINTER}
    assert set(record.body) == {"model", "messages", "stream", "temperature"}


async def test_every_option_goes_by_mistrals_names(api: Api, model: Simulator) -> None:
    options = {
        "top_p": 0.9,
        "stop": ["xyz"],
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "response_format": {"type": "json_object"},
        "tools": TOOLS,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "prediction": {"type": "content", "content": "x"},
        "metadata": {"project": "p", "conversation_id": "c"},
        "reasoning_effort": "low",
        "prompt_mode": "reasoning",
        "safe_prompt": True,
    }
    reply = await api.chat(
        PAINTER, connection="MISTRAL", options=options, temperature=0.2, maxCompletionTokens=100
    )
    assert reply.status == 200, reply.text
    body = await last_body(model)
    assert body["random_seed"] == 7
    assert body["max_tokens"] == 100
    assert body["tool_choice"] == "any"
    assert body["metadata"] == {"project": "p"}
    assert (body["prompt_mode"], body["safe_prompt"]) == ("reasoning", True)
    assert not {"seed", "max_completion_tokens", "stream_options"} & set(body)
    # What only Mistral takes is refused for the default connection, and nobody is asked.
    for name in ("metadata", "prompt_mode", "safe_prompt"):
        refused = await api.chat(PAINTER, options={name: options[name]})
        refused.problem(400, "invalid_request", f"options.{name}")
    assert len(await model.requests()) == 1


async def test_a_service_that_refuses_a_value_names_the_field(api: Api) -> None:
    reply = await api.chat(PAINTER, connection="MISTRAL", temperature=1.8)
    reply.problem(400, "invalid_request", "temperature")
    reply = await api.chat(PAINTER, connection="MISTRAL", options={"prompt_mode": "deep"})
    reply.problem(400, "invalid_request", "options.prompt_mode")
    reply = await api.chat(PAINTER, connection="MISTRAL", model="nobody")
    reply.problem(400, "invalid_request", "model")


async def test_thoughts_are_reasoning_events(api: Api) -> None:
    prompt = '[simulate: reasoning text="Hm, so."] [simulate: say text="Monet."]'
    reply = await api.chat(prompt, connection="MISTRAL", model="magistral")
    thoughts = [event["text"] for event in reply.events if event["type"] == "reasoning"]
    assert ("".join(thoughts), reply.answer) == ("Hm, so.", "Monet.")
    plain = await api.chat(prompt, TEXT, connection="MISTRAL", model="magistral")
    assert plain.text == "Monet."


@pytest.mark.parametrize("bare", ["", " bare"])
async def test_calls_have_ids(api: Api, bare: str) -> None:
    prompt = f'[simulate: tool name=look arguments="{{\\"at\\":\\"sky\\"}}"{bare}]' * 2
    reply = await api.chat(prompt, JSON, connection="MISTRAL", options={"tools": TOOLS})
    told = reply.json()
    assert told["finishReason"] == "tool_calls"
    assert [(c["name"], json.loads(c["arguments"])) for c in told["toolCalls"]] == [
        ("look", {"at": "sky"})
    ] * 2
    ids = {call["id"] for call in told["toolCalls"]}
    assert len(ids) == 2
    assert "null" not in ids


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [
        ("status code=429 retry_after=30", 429, "rate_limited"),
        ("status code=401", 502, "model_refused"),
        ("status code=400", 502, "model_refused"),
    ],
)
async def test_refusals(api: Api, directive: str, status: int, code: str) -> None:
    reply = await api.chat(f"[simulate: {directive}]", connection="MISTRAL")
    problem = reply.problem(status, code)
    assert MODEL_KEY not in reply.text
    if code == "model_refused":
        assert "MISTRAL__" in problem["detail"]
    else:
        assert reply.headers["retry-after"] == "30"


async def test_an_error_in_mid_stream(api: Api, model: Simulator) -> None:
    prompt = '[simulate: say text="One two"] [simulate: hold after=1] [simulate: error after=1]'
    async with api.chatting(prompt, connection="MISTRAL") as stream:
        await stream.until_text("One")
        await model.wait_for(state="held")
        await model.release()
        events = await stream.rest()
    assert [event["code"] for event in events if event["type"] == "error"] == ["model_unavailable"]
    assert end_of(events)["finishReason"] == "error"


async def test_mistral_as_the_default_connection(start_api: StartApi, model: Simulator) -> None:
    changes = {
        "AZURE_OPENAI__kind": "mistral",
        "AZURE_OPENAI_ENDPOINT": model.mistral_url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "azureai",
    }
    async with start_api(**changes) as api:
        assert (await api.call("GET", "/health?probe=ready")).json() == {"status": "ready"}
        assert (await api.chat(PAINTER)).answer
    async with start_api(**changes, AZURE_OPENAI_API_KEY="wrong") as api:
        detail = (await api.chat(PAINTER)).problem(502, "model_refused")["detail"]
        assert "AZURE_OPENAI_API_KEY" in detail


async def test_mistral_on_azure_with_an_identity(
    start_api: StartApi, model: Simulator, tmp_path: Path
) -> None:
    certificate = make_certificate(tmp_path)
    async with (
        running_identity() as identity,
        running_simulator(require_token=True, certificate=certificate) as azure,
    ):
        changes = {
            "AZURE_OPENAI__kind": "mistral",
            "AZURE_OPENAI_ENDPOINT": azure.azure_models_url,
            "AZURE_OPENAI_API_KEY": None,
            "AZURE_OPENAI__credential": "managedidentity",
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "azureai",
            "CHAT_CALLER_FIELDS": "*",
            "CHAT_CONNECTIONS": "OTHER",
            "OTHER__kind": "mistral",
            "OTHER__endpoint": azure.azure_v1_url,
            "OTHER__credential": "managedidentity",
            "OTHER__scope": "https://ai.azure.com/.default",
            "OTHER__model": "mistral",
            **identity.env(),
            **certificate.env(),
        }
        async with start_api(**changes) as api:
            ready = await api.call("GET", "/health?probe=ready")
            assert ready.json() == {"status": "ready"}, ready.text
            assert (await api.chat(PAINTER, options={"safe_prompt": True})).answer
            assert (await api.chat(PAINTER, connection="OTHER")).answer
            first, second = await azure.requests()
            assert (first.style, first.api_version) == ("azure-models", "2024-05-01-preview")
            assert (second.style, second.api_version) == ("azure-v1", None)
            assert first.authentication.audience == COGNITIVE
            assert second.authentication.audience == "https://ai.azure.com"
            await azure.script({"kind": "status", "code": 403})
            detail = (await api.chat(PAINTER)).problem(502, "model_refused")["detail"]
            assert "the role Cognitive Services User on the resource" in detail
            assert "AZURE_OPENAI__credential" in detail


async def test_a_mistral_connection_without_its_address(start_api: StartApi) -> None:
    changes = {
        "CHAT_CALLER_FIELDS": "*",
        "CHAT_CONNECTIONS": "MISTRAL",
        "MISTRAL__kind": "mistral",
        "MISTRAL__model": "azureai",
    }
    async with start_api(**changes) as api:
        detail = (await api.chat("P", connection="MISTRAL")).problem(500, "misconfigured")["detail"]
        assert "MISTRAL__endpoint is missing" in detail
        assert "https://api.mistral.ai/v1" in detail


@pytest.mark.parametrize("stream", [False, True])
async def test_several_answers_are_told_in_openais_form(api: Api, stream: bool) -> None:
    prompt = (
        '[simulate: reasoning text=hm] [simulate: say text="The answer"] '
        '[simulate: tool name=look arguments="{\\"x\\": 1}" bare]'
    )
    reply = await api.call(
        "POST",
        "/v1/chat/completions",
        {
            "model": "MISTRAL/azureai",
            "n": 2,
            "stream": stream,
            "tools": TOOLS,
            "messages": [{"role": "user", "content": prompt}],
        },
    )
    assert reply.status == 200, reply.text
    said = said_in_chunks(reply.text) if stream else said_whole(reply.json())
    assert said.keys() == {0, 1}
    for thought, text, calls in said.values():
        assert (thought, text) == ("hm", "The answer")
        [(call_id, name, arguments)] = calls
        assert (len(call_id), name, json.loads(arguments)) == (9, "look", {"x": 1})


type Said = tuple[str, str, list[tuple[str, str, str]]]


def said_whole(body: Any) -> dict[int, Said]:
    """Thought, text and calls of each choice."""
    return {choice["index"]: said_by(choice["message"]) for choice in body["choices"]}


def said_by(message: Any) -> Said:
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message["tool_calls"]
    ]
    return message["reasoning_content"], message["content"], calls


def said_in_chunks(text: str) -> dict[int, Said]:
    """The same of a stream, as OpenAI's SDK puts it together."""
    found: dict[int, dict[str, Any]] = {}
    *frames, done, _ = text.split("\n\n")
    assert done == "data: [DONE]"
    for frame in frames:
        [choice] = json.loads(frame.removeprefix("data: "))["choices"]
        message = found.setdefault(
            choice["index"], {"content": "", "reasoning_content": "", "tool_calls": []}
        )
        for name in ("content", "reasoning_content"):
            message[name] += choice["delta"].get(name) or ""
        message["tool_calls"] += choice["delta"].get("tool_calls", [])
    return {index: said_by(message) for index, message in found.items()}
