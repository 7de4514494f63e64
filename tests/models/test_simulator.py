"""The adapter against the model simulator: URL styles, credentials, faults, leaving."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.identity import running_identity
from local.simulator import Simulator, running_simulator
from shared.errors import (
    ChatError,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidRequest,
    Misconfigured,
    ModelBrokeOff,
    ModelRefused,
    ModelUnavailable,
    RateLimited,
)
from shared.events import Delta, Finish, ModelEvent, Piece, Reasoning, ToolCall
from shared.identity.credentials import credential
from shared.settings import COGNITIVE_SERVICES_SCOPE, IdentitySettings
from tests.models.support import asking, collect, events_of, opened

SAY = '[simulate: say text="One two three."]'


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator(token_ms=0, api_key="the-key") as running:
        yield running


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def finish_of(events: list[ModelEvent]) -> Finish:
    last = events[-1]
    assert isinstance(last, Finish)
    return last


@pytest.mark.parametrize(
    ("connection", "path", "style"),
    [
        ({}, "", "azure-v1"),
        ({}, "/", "azure-v1"),
        ({}, "/openai", "azure-v1"),
        ({}, "/openai/v1", "azure-v1"),
        ({}, "/openai/v1/", "azure-v1"),
        ({"api_version": "preview"}, "", "azure-v1"),
        ({"api_version": "2024-10-21"}, "", "azure-dated"),
        ({"api_version": "2024-10-21"}, "/openai", "azure-dated"),
        ({"kind": "openai"}, "/v1", "openai"),
        ({"kind": "openai"}, "/v1/", "openai"),
    ],
)
async def test_every_style_of_url(
    simulator: Simulator, connection: dict[str, Any], path: str, style: str
) -> None:
    name = "gpt-4o-mini" if style == "openai" else "chat"
    async with opened(simulator.url + path, **connection) as model:
        await model.warm()
        events = await events_of(model, asking(SAY, model=name))
    assert text_of(events) == "One two three."
    finish = finish_of(events)
    assert finish.reason == "stop"
    assert finish.usage is not None
    assert finish.usage.completion_tokens > 0
    (record,) = await simulator.requests()
    assert record.style == style
    assert record.api_version == connection.get("api_version")
    assert record.authentication.kind == "key"
    assert record.body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize("version", [None, "2024-10-21"])
async def test_a_managed_identity_over_http(
    monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    async with running_identity() as identity, running_simulator(require_token=True) as simulator:
        for name, value in identity.env().items():
            monkeypatch.setenv(name, value)
        async with credential(IdentitySettings(managed=True)) as tokens:

            async def token() -> str:
                return await tokens.token(COGNITIVE_SERVICES_SCOPE)

            async with opened(simulator.url, token=token, api_version=version) as model:
                asked = await asyncio.gather(*(events_of(model, asking(SAY)) for _ in range(20)))
        assert {text_of(events) for events in asked} == {"One two three."}
        assert len(await identity.requests()) == 1
        assert {r.authentication.kind for r in await simulator.requests()} == {"token"}


@pytest.mark.parametrize("connection", [{}, {"api_version": "2024-10-21"}, {"kind": "openai"}])
async def test_a_wrong_key(simulator: Simulator, connection: dict[str, Any]) -> None:
    path = "/v1" if connection.get("kind") == "openai" else ""
    async with opened(simulator.url + path, api_key="wrong", **connection) as model:
        with pytest.raises(ModelRefused, match="AZURE_OPENAI_API_KEY") as told:
            await events_of(model, asking(model="gpt-4o-mini" if path else "chat"))
    assert "wrong" not in told.value.message


@pytest.mark.parametrize("connection", [{}, {"api_version": "2024-10-21"}])
async def test_an_unknown_deployment(simulator: Simulator, connection: dict[str, Any]) -> None:
    async with opened(simulator.url, **connection) as model:
        with pytest.raises(ModelRefused, match="deployment nothing"):
            await events_of(model, asking(model="nothing"))
        await model.warm()


async def test_an_unknown_model_of_openais(simulator: Simulator) -> None:
    async with opened(simulator.url + "/v1", kind="openai", name="OTHER") as model:
        with pytest.raises(ModelRefused, match=r"model nothing.*OTHER__model.*OTHER__endpoint"):
            await events_of(model, asking(model="nothing"))


@pytest.mark.parametrize(
    ("directive", "kind"),
    [
        ("[simulate: status code=429 retry_after=30]", RateLimited),
        ("[simulate: status code=500]", ModelUnavailable),
        ("[simulate: status code=503]", ModelUnavailable),
        ("[simulate: html]", ModelUnavailable),
        ("[simulate: html code=200]", ModelUnavailable),
        ("[simulate: filtered_prompt]", ContentFiltered),
    ],
)
async def test_faults_before_the_stream(
    simulator: Simulator, directive: str, kind: type[ChatError]
) -> None:
    async with opened(simulator.url) as model:
        with pytest.raises(ChatError) as told:
            await events_of(model, asking(f"Hi {directive}"))
    assert type(told.value) is kind


async def test_a_prompt_that_is_too_long() -> None:
    async with running_simulator() as simulator, opened(simulator.url) as model:
        with pytest.raises(ContextLengthExceeded):
            await events_of(model, asking("word " * 200_000))


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("length after=2", "length"),
        ("filtered_output after=2", "content_filter"),
        ("async_filter", "stop"),
        ("crlf", "stop"),
        ("nospace", "stop"),
        ("split size=1", "stop"),
        ("split size=7", "stop"),
        ("no_usage", "stop"),
        ("slow headers=1ms first=1ms", "stop"),
    ],
)
async def test_streams_that_end(simulator: Simulator, directive: str, reason: str) -> None:
    words = "Ünï cödé \u2028 \U0001f600 and some more words to say"
    async with opened(simulator.url) as model:
        events = await events_of(
            model, asking(f'[simulate: say text="{words}"] [simulate: {directive}]')
        )
    finish = finish_of(events)
    assert finish.reason == reason
    assert (finish.usage is None) == (directive == "no_usage")
    if reason == "stop":
        assert text_of(events) == words
    else:
        assert text_of(events)
        assert words.startswith(text_of(events).rstrip())


async def test_a_stream_that_ends_without_a_reason(simulator: Simulator) -> None:
    async with opened(simulator.url) as model:
        events = await events_of(model, asking(f"{SAY} [simulate: end after=2]"))
    assert text_of(events)
    assert not any(isinstance(event, Finish) and event.reason for event in events)


@pytest.mark.parametrize(
    ("directive", "kind"),
    [
        ("cut after=2", ModelBrokeOff),
        ("cut after=2 reset", ModelBrokeOff),
        ("error after=2", ModelUnavailable),
        ("error after=2 code=rate_limit_exceeded", RateLimited),
        ("junk after=2", ModelUnavailable),
    ],
)
async def test_streams_that_fail_keep_what_came(
    simulator: Simulator, directive: str, kind: type[ChatError]
) -> None:
    told: list[ModelEvent] = []
    prompt = f"{SAY} [simulate: hold after=2] [simulate: {directive}]"
    async with (
        opened(simulator.url, retry_seconds=60) as model,
        model.ask(asking(prompt)) as stream,
    ):
        while not told:  # What came before the fault has been read before it happens.
            told += await anext(aiter(stream))
        await simulator.wait_for(state="held")
        await simulator.release()
        with pytest.raises(ChatError) as failure:
            await collect(stream, told)
    assert type(failure.value) is kind
    assert text_of(told)
    assert len(await simulator.requests()) == 1


async def test_reasoning_and_tool_calls(simulator: Simulator) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    async with opened(simulator.url) as model:
        events = await events_of(model, asking(f'{SAY} [simulate: reasoning text="Hm, so."]'))
        thoughts = [event.text for event in events if isinstance(event, Reasoning)]
        assert "".join(thoughts) == "Hm, so."
        assert text_of(events) == "One two three."
        calling = r'[simulate: tool name=look arguments="{\"at\": \"sky \\ud83d\\ude00\"}"]'
        events = await events_of(model, asking(calling, parameters={"tools": tools}))
    (call,) = [event for event in events if isinstance(event, ToolCall)]
    assert (call.index, call.name, call.arguments) == (0, "look", '{"at": "sky \\ud83d\\ude00"}')
    assert call.id
    assert finish_of(events).reason == "tool_calls"
    assert events.index(call) < events.index(finish_of(events))


async def test_a_reasoning_model_works_with_an_apps_defaults(simulator: Simulator) -> None:
    parameters = {"temperature": 0.7, "max_completion_tokens": 500}
    async with opened(simulator.url) as model:
        for _ in range(2):
            events = await events_of(model, asking(SAY, model="reasoning", parameters=parameters))
            assert text_of(events) == "One two three."
            assert finish_of(events).reasoning_tokens > 0
    bodies = [record.body for record in await simulator.requests()]
    assert ["temperature" in body for body in bodies] == [True, False, False]
    assert all("max_completion_tokens" in body for body in bodies)


@pytest.mark.parametrize(("name", "field"), [("temperature",) * 2, ("top_p", "options.top_p")])
async def test_a_reasoning_model_refuses_what_the_caller_chose(
    simulator: Simulator, name: str, field: str
) -> None:
    async with opened(simulator.url) as model:
        with pytest.raises(InvalidRequest) as told:
            await events_of(
                model,
                asking(model="reasoning", parameters={name: 0.5}, chosen=frozenset({name})),
            )
    assert [problem.field for problem in told.value.problems] == [field]
    assert len(await simulator.requests()) == 1


async def test_an_option_of_the_action_is_never_dropped_silently(simulator: Simulator) -> None:
    parameters = {"temperature": 0.7, "top_p": 0.9}
    async with opened(simulator.url) as model:
        for _ in range(2):
            with pytest.raises(Misconfigured, match=r"^The action sets options\.top_p: "):
                await events_of(model, asking(model="reasoning", parameters=parameters))
    assert all("top_p" in record.body for record in await simulator.requests())


async def test_attempts_are_counted_by_the_service(simulator: Simulator) -> None:
    await simulator.script({"kind": "status", "code": 503}, times=2)
    await simulator.script({"kind": "status", "code": 429, "retry_after_ms": 1}, times=1)
    async with opened(simulator.url, retry_seconds=60) as model:
        assert text_of(await events_of(model, asking(SAY))) == "One two three."
    assert len(await simulator.requests()) == 4


async def test_leaving_early_stops_the_model(simulator: Simulator) -> None:
    async with opened(simulator.url) as model:
        async with model.ask(asking("[simulate: repeat n=9] [simulate: stall after=3]")) as stream:
            assert await anext(aiter(stream))
            await simulator.wait_for(chunks=3)
        await simulator.wait_for(state="aborted")


async def test_leaving_before_the_first_event_stops_the_model(simulator: Simulator) -> None:
    async with opened(simulator.url) as model:
        async with model.ask(asking("[simulate: stall]")):
            pass
        await simulator.wait_for(state="aborted")


@pytest.mark.parametrize("fault", ["stall after=3", "stall before"])
async def test_cancelling_stops_the_model_at_once(simulator: Simulator, fault: str) -> None:
    async with opened(simulator.url) as model:
        prompt = f"[simulate: repeat n=9] [simulate: {fault}]"
        task = asyncio.create_task(events_of(model, asking(prompt)))
        await simulator.wait_for(chunks=0 if "before" in fault else 3)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        await simulator.wait_for(state="aborted")


@pytest.mark.parametrize("kind", ["azure_openai", "openai", "mistral"])
async def test_pieces_of_several_choices(simulator: Simulator, kind: str) -> None:
    url = simulator.url + {"openai": "/v1", "mistral": "/mistral/v1"}.get(kind, "")
    wanted: dict[str, Any] = {"n": 3, "logprobs": True, "top_logprobs": 1}
    if kind != "mistral":
        wanted["logit_bias"] = {"5": 1.0}
    name = "mistral" if kind == "mistral" else "chat"
    request = asking(SAY, model=name, pieces=True, parameters=wanted, chosen=frozenset(wanted))
    async with opened(url, kind=kind) as model:
        events = await events_of(model, request)
    pieces = [event for event in events if isinstance(event, Piece)]
    for index in range(3):
        told = [piece for piece in pieces if piece.index == index]
        assert "".join(piece.delta.get("content", "") for piece in told) == "One two three."
        assert (told[-1].finish_reason, told[-1].logprobs) == ("stop", None)
        assert [bool(piece.logprobs) for piece in told] == [False, True, True, True, True, False]
    finish = finish_of(events)
    assert finish.reason == "stop"
    assert finish.usage is not None
    assert finish.usage.completion_tokens == 12
    assert len([event for event in events if isinstance(event, Finish)]) in (1, 2)
    (record,) = await simulator.requests()
    assert {name: record.body[name] for name in wanted} == wanted


async def test_pieces_that_the_filter_stops(simulator: Simulator) -> None:
    prompt = f"{SAY} [simulate: filtered_output after=1]"
    async with opened(simulator.url) as model:
        events = await events_of(model, asking(prompt, pieces=True))
    assert [event for event in events if isinstance(event, Piece)][-1].finish_reason == (
        "content_filter"
    )
    assert finish_of(events).reason == "content_filter"


async def test_images_by_url_are_passed_on(simulator: Simulator) -> None:
    content = [
        {"type": "text", "text": f"What is this? {SAY}"},
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
    ]
    messages = ({"role": "user", "content": content},)
    async with opened(simulator.url) as model:
        assert text_of(await events_of(model, asking(messages=messages))) == "One two three."
    (record,) = await simulator.requests()
    assert record.body["messages"] == list(messages)
