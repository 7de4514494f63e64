"""Parameters that a model may not take, and those that a caller may not set."""

from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import Api
from tests.e2e.conftest import StartApi

LOCKED: dict[str, Any] = {
    "connection": "AZURE_OPENAI",
    "model": "small",
    "deploymentName": "small",
    "systemPrompt": "S",
    "promptTemplate": "@@userPrompt",
    "options": {"top_p": 1},
}


@pytest.mark.parametrize("field", LOCKED)
async def test_locked_fields(api: Api, alice: Api, model: Simulator, field: str) -> None:
    named = "model" if field == "deploymentName" else field
    refused = await api.chat("P", **{field: LOCKED[field]})
    problem = refused.problem(403, "field_locked", named)
    assert "CHAT_CALLER_FIELDS" in problem["detail"]
    assert await model.requests() == []
    assert (await alice.chat("P", **{field: LOCKED[field]})).status == 200
    absent: dict[str, Any] = {field: None}
    assert (await api.chat("P", **absent)).status == 200


async def test_one_open_field_opens_no_other(start_api: StartApi, model: Simulator) -> None:
    async with start_api(CHAT_CALLER_FIELDS="systemPrompt, options") as api:
        assert (await api.chat("P", systemPrompt="S", options={"seed": 1})).status == 200
        for field in ("connection", "model", "promptTemplate"):
            (await api.chat("P", **{field: LOCKED[field]})).problem(403, "field_locked", field)
    assert len(await model.requests()) == 1


async def test_a_reasoning_model_is_learned_once(start_api: StartApi, model: Simulator) -> None:
    changes = {"CHAT_CALLER_FIELDS": "model", "AZURE_OPENAI_CHAT_DEPLOYMENT": "reasoning"}
    async with start_api(**changes) as api:
        for _ in range(2):
            reply = await api.chat("[simulate: say text=x]", maxCompletionTokens=500)
            assert reply.answer == "x"
            assert reply.end["finishReason"] == "stop"
        first, retried, second = await model.requests()
        assert first.body["temperature"] == 0.7
        assert first.outcome == "status 400"
        for record in (retried, second):
            assert "temperature" not in record.body
            assert record.body["max_completion_tokens"] == 500
            assert record.outcome == "stop"
        # What another model takes is another matter.
        await api.chat("P", model="chat")
        assert (await model.requests())[-1].body["temperature"] == 0.7
        # What the caller set is never dropped.
        reply = await api.chat("P", temperature=0.3)
        reply.problem(400, "invalid_request", "temperature")
        assert (await api.chat("P", temperature=1)).status == 200


@pytest.mark.parametrize("name", ["top_p", "presence_penalty", "stop"])
async def test_an_option_that_the_model_refuses(alice: Api, name: str) -> None:
    value = "x" if name == "stop" else 0.5
    reply = await alice.chat("P", model="reasoning", options={name: value})
    reply.problem(400, "invalid_request", f"options.{name}")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"n": 2}, "options.n"),
        ({"logprobs": True}, "options.logprobs"),
        ({"stream": False}, "options.stream"),
        ({"messages": []}, "options.messages"),
        ({"temperature": 1}, "options.temperature"),
        ({"top_p": "x"}, "options.top_p"),
        ({"top_p": 2}, "options.top_p"),
        ({"tools": {}}, "options.tools"),
        ({"safe_prompt": True}, "options.safe_prompt"),
        ([], "options"),
    ],
)
async def test_the_list_of_options_is_closed(
    alice: Api, model: Simulator, options: object, field: str
) -> None:
    (await alice.chat("P", options=options)).problem(400, "invalid_request", field)
    assert await model.requests() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", "warm"),
        ("maxCompletionTokens", 0),
        ("maxCompletionTokens", 1.5),
        ("maxCompletionTokens", 16385),
        ("maxCompletionTokens", True),
    ],
)
async def test_numbers_out_of_range(api: Api, field: str, value: Any) -> None:
    (await api.chat("P", **{field: value})).problem(400, "invalid_request", field)


async def test_the_cap_is_a_setting(start_api: StartApi, model: Simulator) -> None:
    async with start_api(CHAT_MAX_COMPLETION_TOKENS="10") as api:
        reply = await api.chat('[simulate: repeat n=50 text="x "]', maxCompletionTokens=10)
        assert reply.end["finishReason"] == "length"
        assert reply.end["usage"]["completionTokens"] == 10
        too_many = await api.chat("P", maxCompletionTokens=11)
        assert "10" in too_many.problem(400, "invalid_request", "maxCompletionTokens")["detail"]


async def test_an_unknown_model_of_the_callers_choice(alice: Api) -> None:
    (await alice.chat("P", model="nonesuch")).problem(400, "invalid_request", "model")


async def test_an_unknown_connection(alice: Api) -> None:
    reply = await alice.chat("P", connection="NONESUCH")
    assert "AZURE_OPENAI" in reply.problem(400, "invalid_request", "connection")["detail"]
