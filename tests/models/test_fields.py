"""The table of fields: walked against a simulator that refuses what each service refuses."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.simulator import Simulator, running_simulator
from local.simulator.models import CHAT, MISTRAL
from shared.errors import InvalidRequest, Misconfigured
from shared.messages import WholeOptions
from shared.models.fields import (
    FIELDS,
    Kept,
    Refused,
    Rule,
    Sent,
    contract_name,
    prepared,
    said_to,
)
from shared.settings import Kind
from tests.models.support import asking, events_of, opened

KEY = "the-key"
KINDS: tuple[Kind, ...] = ("azure_openai", "openai", "mistral")


@dataclass(frozen=True)
class Service:
    """A way to one of the services, by the simulator's paths."""

    kind: Kind
    path: str
    version: str | None = None
    model: str = "any"

    @property
    def chat(self) -> str:
        """Where it is asked, past this app."""
        if self.kind == "azure_openai":
            return f"/openai/deployments/{self.model}/chat/completions?api-version=2024-10-21"
        query = f"?api-version={self.version}" if self.version else ""
        return f"{self.path}/chat/completions{query}"


SERVICES = {
    "azure": Service("azure_openai", ""),
    "azure dated": Service("azure_openai", "", "2024-10-21"),
    "openai": Service("openai", "/v1"),
    "mistral": Service("mistral", "/mistral/v1"),
    "mistral on azure": Service("mistral", "/openai/v1", model="any-mistral"),
    "mistral on azure, dated": Service("mistral", "/models", "2024-05-01-preview", "any-mistral"),
}

FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": FUNCTION}]
SCHEMA = {"name": "answer", "schema": {"type": "object"}, "strict": True}
SAMPLES: dict[str, list[Any]] = {
    "model": ["nobody"],
    "messages": [[]],
    "stream": [False],
    "stream_options": [{"include_usage": False}],
    "temperature": [0, 0.7],
    "top_p": [0.5],
    "max_completion_tokens": [500],
    "max_tokens": [500],
    "stop": ["xyz", ["xyz", "zyx"]],
    "seed": [42],
    "random_seed": [42],
    "presence_penalty": [-0.5],
    "frequency_penalty": [1.5],
    "logit_bias": [{"42": -1.0}],
    "logprobs": [True],
    "top_logprobs": [3],
    "n": [1],
    "response_format": [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": SCHEMA},
    ],
    "tools": [TOOLS, [{"type": "function", "function": {"name": "look"}}]],
    "tool_choice": [
        "none",
        "auto",
        "any",
        "required",
        {"type": "function", "function": {"name": "look"}},
    ],
    "parallel_tool_calls": [False],
    "prediction": [{"type": "content", "content": "One two."}],
    "reasoning_effort": ["low"],
    "metadata": [{"project": "x"}],
    "prompt_mode": ["reasoning"],
    "safe_prompt": [True],
    "store": [True],
    "user": ["somebody"],
}
WITH: dict[str, dict[str, Any]] = {
    "tool_choice": {"tools": TOOLS},
    "parallel_tool_calls": {"tools": TOOLS},
    "top_logprobs": {"logprobs": True},
}
"""What a field makes no sense without."""
STILL_TAKEN = {("azure_openai", "max_tokens"), ("openai", "max_tokens")}
"""Old names that the service itself still takes."""


@pytest.fixture(scope="module")
async def simulator() -> AsyncIterator[Simulator]:
    models = {
        "any": replace(CHAT, refuses=frozenset(), unknown=frozenset()),
        "any-mistral": MISTRAL,
    }
    async with running_simulator(api_key=KEY, deployments=models) as running:
        yield running


async def asked_past_the_app(
    simulator: Simulator, service: Service, body: dict[str, Any]
) -> tuple[int, str]:
    """Status and body of a request that the app has no part in."""
    whole = {"model": service.model, "messages": [{"role": "user", "content": "Hello"}], **body}
    headers = {
        "api-key": KEY,
        "authorization": f"Bearer {KEY}",
        "extra-parameters": "pass-through",
    }
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(simulator.url + service.chat, json=whole, headers=headers) as response,
    ):
        return response.status, await response.text()


async def sent_by_the_app(
    simulator: Simulator, service: Service, parameters: dict[str, Any]
) -> dict[str, Any]:
    """The body of the one request that the app makes."""
    await simulator.reset()
    async with opened(
        simulator.url + service.path, kind=service.kind, api_key=KEY, api_version=service.version
    ) as model:
        request = asking(
            "[simulate: say text=Hi]",
            model=service.model,
            parameters=parameters,
            chosen=frozenset(parameters),
        )
        assert await events_of(model, request)
    (record,) = await simulator.requests()
    assert record.outcome == "stop"
    body: dict[str, Any] = record.body
    return body


def test_there_is_a_sample_for_every_field() -> None:
    assert set(SAMPLES) == set(FIELDS)
    assert set(WholeOptions.__struct_fields__) < set(FIELDS)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("name", SERVICES)
async def test_the_table(simulator: Simulator, name: str, field: str) -> None:
    service = SERVICES[name]
    rule = FIELDS[field].rule(service.kind)
    for value in SAMPLES[field]:
        parameters = {**WITH.get(field, {}), field: value}
        match rule:
            case Kept():
                body = await sent_by_the_app(simulator, service, parameters)
                assert body.get(field) != value
                assert (field in body) == bool(rule.instead)
            case Refused():
                await check_refused(simulator, service, field, value)
            case Sent():
                body = await sent_by_the_app(simulator, service, parameters)
                assert body[rule.name or field] == rule.value(value)
                if rule.name is not None:
                    assert field not in body
                    raw = {**WITH.get(field, {}), field: value}
                    status, text = await asked_past_the_app(simulator, service, raw)
                    if (service.kind, field) not in STILL_TAKEN:
                        assert status in (400, 422)
                        assert field in text


async def check_refused(simulator: Simulator, service: Service, field: str, value: Any) -> None:
    """The app refuses it by name and asks nobody; and rightly so: the service refuses it too."""
    await simulator.reset()
    async with opened(
        simulator.url + service.path, kind=service.kind, api_key=KEY, api_version=service.version
    ) as model:
        with pytest.raises(InvalidRequest, match=service.kind) as told:
            await events_of(model, asking(parameters={field: value}, chosen=frozenset({field})))
        assert [p.field for p in told.value.problems] == [contract_name(field)]
        with pytest.raises(Misconfigured, match=f"The action sets {contract_name(field)}"):
            await events_of(model, asking(parameters={field: value}))
    assert await simulator.requests() == []
    status, text = await asked_past_the_app(simulator, service, {field: value})
    assert status in (400, 422)
    assert field in text


async def test_words_that_only_the_others_know_are_refused_by_the_service(
    simulator: Simulator,
) -> None:
    raw = {"tools": TOOLS, "tool_choice": "any"}
    for name in ("azure", "openai"):
        status, text = await asked_past_the_app(simulator, SERVICES[name], raw)
        assert (status, "tool_choice" in text) == (400, True)
    bare = {"tools": [{"type": "function", "function": {"name": "look"}}]}
    status, text = await asked_past_the_app(simulator, SERVICES["mistral"], bare)
    assert (status, "parameters" in text) == (422, True)


async def test_azures_models_refuse_what_is_not_everybodys_unless_told_to_pass_it_on(
    simulator: Simulator,
) -> None:
    service = SERVICES["mistral on azure, dated"]
    body = await sent_by_the_app(simulator, service, {"safe_prompt": True, "seed": 1})
    assert (body["safe_prompt"], body["random_seed"]) == (True, 1)
    (record,) = await simulator.requests()
    assert record.headers["extra-parameters"] == "pass-through"
    assert (record.style, record.api_version) == ("azure-models", "2024-05-01-preview")


@pytest.mark.parametrize("kind", KINDS)
def test_the_conversations_id_is_never_passed_on(kind: Kind) -> None:
    own = {"metadata": {"conversation_id": "c"}}
    assert prepared(kind, asking(parameters=own, chosen=frozenset(own))).values == {}
    mixed = asking(parameters={"metadata": {"conversation_id": "c", "a": 1}})
    if kind == "mistral":
        assert prepared(kind, mixed).values == {"metadata": {"a": 1}}
    else:
        with pytest.raises(Misconfigured, match="only with store"):
            prepared(kind, mixed)


@pytest.mark.parametrize(
    ("kind", "both"),
    [
        ("openai", ("seed", "random_seed")),
        ("mistral", ("seed", "random_seed")),
        ("azure_openai", ("max_tokens", "max_completion_tokens")),
        ("mistral", ("max_tokens", "max_completion_tokens")),
    ],
)
def test_two_names_for_one_field_are_one_too_many(kind: Kind, both: tuple[str, str]) -> None:
    given = dict.fromkeys(both, 5)
    with pytest.raises(InvalidRequest, match="means the same") as told:
        prepared(kind, asking(parameters=given, chosen=frozenset(given)))
    assert [p.field for p in told.value.problems] == [contract_name(both[1])]


def test_what_is_in_no_row_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"options\.suffix"):
        prepared("openai", asking(parameters={"suffix": 1}, chosen=frozenset({"suffix"})))


def test_the_limit_goes_by_the_name_that_the_caller_knows() -> None:
    request = asking(parameters={"max_completion_tokens": 5}, chosen={"max_completion_tokens"})
    assert prepared("mistral", request).chosen == {"max_tokens": "maxCompletionTokens"}


CALL = {"id": "call_abc", "type": "function", "function": {"name": "look", "arguments": "{}"}}
DIALOGUE: tuple[dict[str, Any], ...] = (
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Q", "name": ""},
    {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "tool_calls": [CALL],
    },
    {"role": "tool", "tool_call_id": "call_abc", "content": "R"},
    {"role": "assistant", "content": "A", "tool_calls": []},
    {"role": "user", "content": "Q"},
)


def test_messages_for_the_others_go_as_they_are() -> None:
    request = asking(messages=DIALOGUE)
    assert said_to("openai", request) is request
    assert said_to("azure_openai", request) is request


def test_messages_for_mistral_have_its_members_and_its_ids() -> None:
    told = said_to("mistral", asking(messages=DIALOGUE)).messages
    made = told[3]["tool_call_id"]
    assert made.isalnum()
    assert len(made) == 9
    assert told == (
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": made}]},
        {"role": "tool", "tool_call_id": made, "content": "R"},
        {"role": "assistant", "content": "A"},
        {"role": "user", "content": "Q"},
    )
    assert said_to("mistral", asking(messages=told)).messages == told
    assert said_to("mistral", asking(messages=DIALOGUE)).messages == told


async def test_mistral_takes_a_dialogue_with_others_calls(simulator: Simulator) -> None:
    async with opened(simulator.mistral_url, kind="mistral", api_key=KEY) as model:
        assert await events_of(model, asking(model="azureai", messages=DIALOGUE))
    status, text = await asked_past_the_app(simulator, SERVICES["mistral"], {"messages": DIALOGUE})
    assert (status, "extra_forbidden" in text) == (422, True)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Q", "name": "Ann"},
        {"role": "assistant", "content": "A", "reasoning_content": "hm"},
    ],
)
def test_what_mistral_does_not_know_in_a_message_is_refused_by_name(
    message: dict[str, Any],
) -> None:
    extra = [name for name in message if name not in ("role", "content")]
    with pytest.raises(InvalidRequest, match=extra[0]) as told:
        said_to("mistral", asking(messages=(message,)))
    assert [p.field for p in told.value.problems] == ["messages"]
    assert said_to("openai", asking(messages=(message,))).messages == (message,)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "developer", "content": "S", "name": "x"},
        {"role": "assistant", "content": "", "tool_calls": [5, {"function": {}}]},
        {"role": "tool", "content": "R", "tool_call_id": None},
    ],
)
def test_what_cannot_be_helped_is_left_to_the_service(message: dict[str, Any]) -> None:
    assert said_to("mistral", asking(messages=(message,))).messages == (message,)


@pytest.mark.parametrize("tools", ["x", [5], [{"type": "function"}], TOOLS])
def test_tools_that_need_no_help_go_as_they_are(tools: Any) -> None:
    assert prepared("mistral", asking(parameters={"tools": tools})).values == {"tools": tools}


def shown(rule: Rule) -> str:
    """A rule as the documentation says it."""
    match rule:
        case Kept(instead=instead):
            return f"the app's own: {instead}" if instead else "not passed on"
        case Refused(why=why):
            return f"refused: {why}" if why else "refused"
        case Sent():
            words = [f"`{said}` → `{meant}`" for said, meant in rule.words.items()]
            parts = [f"→ `{rule.name}`"] if rule.name else []
            return ", ".join(parts + words + ([rule.note] if rule.note else [])) or "as it is"


def test_the_documentation_has_this_table() -> None:
    rows = ["| field | `azure_openai` | `openai` | `mistral` |", "|---|---|---|---|"]
    for field, row in FIELDS.items():
        cells = " | ".join(shown(row.rule(kind)) for kind in KINDS)
        rows.append(f"| `{field}` | {cells} |")
    page = Path(__file__).resolve().parents[2] / "docs" / "connections.md"
    assert "\n".join(rows) in page.read_text("utf-8"), "\n" + "\n".join(rows)
