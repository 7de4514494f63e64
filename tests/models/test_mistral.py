"""The adapter against the simulator as Mistral: thoughts, calls, usage, faults, credentials."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.identity import running_identity
from local.simulator import Simulator, running_simulator
from shared.errors import (
    ChatError,
    ContextLengthExceeded,
    InvalidRequest,
    ModelBrokeOff,
    ModelRefused,
    ModelUnavailable,
    RateLimited,
)
from shared.events import Delta, Finish, ModelEvent, Reasoning, ToolCall
from shared.identity.credentials import credential
from shared.settings import COGNITIVE_SERVICES_SCOPE, IdentitySettings
from tests.models.support import asking, collect, events_of, opened

SAY = '[simulate: say text="One two three."]'
PAINTER = {
    "role": "user",
    "content": "Who is the best French painter? Answer in one short sentence.",
}
TOOLS = [{"type": "function", "function": {"name": "look"}}]


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(api_key="the-key") as running:
        yield running


def mistral(simulator: Simulator, path: str = "/mistral/v1", **fields: Any) -> Any:
    return opened(simulator.url + path, kind="mistral", name="OTHER", **fields)


def text_of(events: list[ModelEvent], kind: type[Delta | Reasoning] = Delta) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


async def test_the_painter(simulator: Simulator) -> None:
    async with mistral(simulator) as model:
        events = await events_of(model, asking(model="azureai", messages=(PAINTER,)))
    assert text_of(events)
    finish = events[-1]
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
    assert finish.usage is not None
    assert finish.usage.completion_tokens > 0
    (record,) = await simulator.requests()
    assert record.body == {"model": "azureai", "messages": [PAINTER], "stream": True}


@pytest.mark.parametrize(
    ("path", "version", "model", "style"),
    [
        ("/mistral/v1", None, "mistral", "mistral"),
        ("/openai/v1", None, "mistral", "azure-v1"),
        ("/models", None, "azureai", "azure-models"),
        ("", "2024-05-01-preview", "azureai", "azure-models"),
    ],
)
async def test_every_way_there(
    simulator: Simulator, path: str, version: str | None, model: str, style: str
) -> None:
    async with mistral(simulator, path, api_version=version) as opened_model:
        await opened_model.warm()
        assert text_of(await events_of(opened_model, asking(SAY, model=model))) == "One two three."
    (record,) = await simulator.requests()
    assert (record.style, record.authentication.kind) == (style, "key")


@pytest.mark.parametrize(("path", "model"), [("/models", "azureai"), ("/openai/v1", "mistral")])
async def test_a_managed_identity(monkeypatch: pytest.MonkeyPatch, path: str, model: str) -> None:
    async with running_identity() as identity, running_simulator(require_token=True) as simulator:
        for name, value in identity.env().items():
            monkeypatch.setenv(name, value)
        async with credential(IdentitySettings(managed=True)) as tokens:

            async def token() -> str:
                return await tokens.token(COGNITIVE_SERVICES_SCOPE)

            async with mistral(simulator, path, token=token) as opened_model:
                events = await events_of(opened_model, asking(SAY, model=model))
        assert text_of(events) == "One two three."
        (record,) = await simulator.requests()
        assert record.authentication.kind == "token"


async def test_thoughts_are_reasoning(simulator: Simulator) -> None:
    told = f'{SAY} [simulate: reasoning text="Hm, so."] [simulate: split size=7]'
    async with mistral(simulator) as model:
        events = await events_of(model, asking(told, model="mistral"))
    assert text_of(events, Reasoning) == "Hm, so."
    assert text_of(events) == "One two three."
    kinds = [type(event) for event in events]
    assert kinds == sorted(kinds, key=[Reasoning, Delta, Finish].index)


@pytest.mark.parametrize("bare", ["", " bare"])
async def test_calls(simulator: Simulator, bare: str) -> None:
    told = "".join(
        f'[simulate: tool name=look arguments="{{\\"at\\":\\"{at}\\"}}"{bare}]'
        for at in ("sky", "sea", "sea")
    )
    request = asking(told, model="mistral", parameters={"tools": TOOLS, "tool_choice": "required"})
    async with mistral(simulator) as model:
        *calls, finish = await events_of(model, request)
    arguments = [call.arguments for call in calls if isinstance(call, ToolCall)]
    assert arguments == ['{"at":"sky"}', '{"at":"sea"}', '{"at":"sea"}']
    ids = {call.id for call in calls if isinstance(call, ToolCall)}
    assert len(ids) == 3
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)
    assert isinstance(finish, Finish)
    assert finish.reason == "tool_calls"
    (record,) = await simulator.requests()
    assert record.body["tool_choice"] == "any"
    assert record.body["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {},
    }


@pytest.mark.parametrize(
    ("directive", "kind"),
    [
        ("status code=429 retry_after=30", RateLimited),
        ("status code=401", ModelRefused),
        ("status code=422", ModelRefused),
        ("status code=500", ModelUnavailable),
        ("html", ModelUnavailable),
        ("cut after=1", ModelBrokeOff),
        ("error after=1", ModelUnavailable),
        ("error after=1 code=rate_limit_exceeded", RateLimited),
        ("junk after=1", ModelUnavailable),
    ],
)
async def test_faults(simulator: Simulator, directive: str, kind: type[ChatError]) -> None:
    told: list[ModelEvent] = []
    request = asking(f"{SAY} [simulate: {directive}]", model="mistral")
    async with mistral(simulator) as model:
        with pytest.raises(ChatError) as failure:
            async with model.ask(request) as stream:
                await collect(stream, told)
    assert type(failure.value) is kind


async def test_a_prompt_that_is_too_long(simulator: Simulator) -> None:
    async with mistral(simulator) as model:
        with pytest.raises(ContextLengthExceeded):
            await events_of(model, asking("word " * 50_000, model="magistral"))


async def test_a_model_that_is_none(simulator: Simulator) -> None:
    async with mistral(simulator) as model:
        with pytest.raises(ModelRefused, match=r"no model nobody.*OTHER__model"):
            await events_of(model, asking(model="nobody"))
        with pytest.raises(InvalidRequest, match="no model nobody") as told:
            await events_of(model, asking(model="nobody", chosen=frozenset({"model"})))
        assert [p.field for p in told.value.problems] == ["model"]


async def test_a_wrong_key_names_its_setting(simulator: Simulator) -> None:
    async with mistral(simulator, api_key="wrong") as model:
        with pytest.raises(ModelRefused, match="OTHER__apiKey") as told:
            await events_of(model, asking(model="mistral"))
    assert "wrong" not in told.value.message


async def test_a_value_out_of_its_range_names_the_callers_field(simulator: Simulator) -> None:
    request = asking(
        model="mistral", parameters={"temperature": 1.8}, chosen=frozenset({"temperature"})
    )
    async with mistral(simulator) as model:
        with pytest.raises(InvalidRequest) as told:
            await events_of(model, request)
    assert [p.field for p in told.value.problems] == ["temperature"]
