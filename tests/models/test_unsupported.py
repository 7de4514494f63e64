"""Parameters that a model does not take: found, left out, renamed, remembered, or refused."""

import json
from typing import Any

import pytest

from shared.errors import InvalidRequest, ModelRefused
from shared.models.failures import Answer
from shared.models.fields import contract_name
from shared.models.unsupported import Memory, fitted, unsupported
from tests.models.support import HELLO, SSE, STOP, answer, asking, error, events_of, opened, serving


def extra(*place: str | int) -> dict[str, Any]:
    """What pydantic says of a member that a model does not have."""
    words = "Extra inputs are not permitted"
    return {"type": "extra_forbidden", "loc": ["body", *place], "msg": words, "input": 1}


SENT = ["stream", "stream_options", "temperature", "max_completion_tokens", "seed", "tools"]


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (400, {"param": "temperature", "code": "unsupported_value"}, "temperature"),
        (400, {"param": "temperature", "code": "unsupported_parameter"}, "temperature"),
        (400, {"param": "stream_options.include_usage", "code": "unknown_parameter"}, SENT[1]),
        (
            400,
            {"message": "Unrecognized request argument supplied: max_completion_tokens"},
            "max_completion_tokens",
        ),
        (400, {"message": "Unrecognized request arguments supplied: x, seed"}, "seed"),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}, "seed"),
        (422, {"detail": [{"msg": "Extra inputs are not permitted", "loc": ["seed"]}]}, "seed"),
        (422, {"detail": [{"type": "missing", "loc": ["body", "seed"]}]}, None),
        (422, {"detail": [5, {"type": "extra_forbidden", "loc": None}]}, None),
        (422, {"message": {"detail": [extra("seed")]}, "type": "invalid_request_error"}, "seed"),
        (422, {"message": [extra("seed")], "detail": [extra("seed")], "code": 3001}, "seed"),
        (422, {"message": json.dumps({"detail": [extra("seed")]}), "code": "1000"}, "seed"),
        (422, {"detail": [extra("stream"), extra("seed")]}, "seed"),
        (422, {"message": {"detail": [extra("tools", 0, "function", "strict")]}}, None),
        (422, {"message": {"detail": [extra("messages", 0, "user", "seed")]}}, None),
        (422, {"message": {"detail": "seed"}}, None),
        (400, {"param": "top_p", "code": "unsupported_parameter"}, None),
        (400, {"param": "stream", "code": "unsupported_value"}, None),
        (400, {"message": "Unrecognized request argument supplied: top_p"}, None),
        (400, {"message": "Invalid schema for tools: 'allOf' is not permitted"}, None),
        (400, {"param": "temperature", "code": "invalid_type"}, None),
        (400, {"message": "temperature is too high"}, None),
        (
            400,
            {"message": "Timeout while downloading https://x.example/unsupported/temperature."},
            None,
        ),
        (400, {"message": "unknown: temperature", "code": "invalid_image_url"}, None),
        (400, {"message": "Unknown argument: temperature", "code": "BadRequest"}, "temperature"),
        (500, {"param": "temperature", "code": "unsupported_value"}, None),
        (400, "temperature is not supported", None),
        (400, None, None),
    ],
)
def test_what_an_answer_calls_unsupported(status: int, body: Any, name: str | None) -> None:
    assert unsupported(Answer(status, {}, body), SENT) == name


def test_what_a_model_refuses_is_left_out() -> None:
    parameters = {"temperature": 0.7, "seed": 1}
    assert fitted(parameters, frozenset(), ()) is parameters
    assert fitted(parameters, frozenset({"temperature"}), ()) == {"seed": 1}
    assert fitted(parameters, frozenset({"temperature"}), {"temperature"}) == parameters


def test_the_old_name_of_the_limit_is_tried_first() -> None:
    limit = {"max_completion_tokens": 5}
    for chosen in ((), ("max_completion_tokens", "max_tokens")):
        assert fitted(limit, frozenset(limit), chosen) == {"max_tokens": 5}
    both = frozenset({"max_completion_tokens", "max_tokens"})
    assert fitted(limit, both, ()) == {}
    assert fitted(limit, both, ("max_completion_tokens",)) == limit


def test_the_memory_is_bounded_and_forgets_the_least_used() -> None:
    memory = Memory(models=2)
    memory.learn("a", "seed")
    memory.learn("a", "stop")
    memory.learn("b", "seed")
    assert memory.refused("a") == {"seed", "stop"}
    memory.learn("c", "seed")
    assert memory.refused("b") == frozenset()
    assert memory.refused("a") == {"seed", "stop"}
    assert memory.refused("c") == {"seed"}


async def test_a_lesson_is_learned_once_for_each_model() -> None:
    refusal = error(400, param="temperature", code="unsupported_value")
    good = SSE + HELLO + STOP
    async with serving(refusal, good) as service, opened(service.url) as model:
        request = asking(parameters={"temperature": 0.7, "seed": 1})
        await events_of(model, request)
        await events_of(model, request)
        await events_of(model, asking(model="other", parameters={"temperature": 0.7}))
    assert ["temperature" in body for body in service.bodies] == [True, False, False, True]
    assert all(body["seed"] == 1 for body in service.bodies[:3])


async def test_several_lessons_in_one_ask() -> None:
    refusals = [
        error(400, param=name, code="unsupported_parameter")
        for name in ("temperature", "max_completion_tokens", "stream_options")
    ]
    async with serving(*refusals, SSE + HELLO + STOP) as service, opened(service.url) as model:
        parameters = {"temperature": 0.7, "max_completion_tokens": 9}
        await events_of(model, asking(parameters=parameters))
    assert set(service.bodies[-1]) == {"model", "messages", "stream", "max_tokens"}


async def test_a_service_that_refuses_for_ever_is_given_up() -> None:
    refusal = error(400, param="temperature", code="unsupported_value")
    async with serving(refusal) as service, opened(service.url) as model:
        with pytest.raises(ModelRefused, match="the request's temperature"):
            await events_of(model, asking(parameters={"temperature": 0.7}))
        assert len(service.bodies) == 2


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("temperature", "temperature"),
        ("max_completion_tokens", "maxCompletionTokens"),
        ("top_p", "options.top_p"),
        ("random_seed", "options.random_seed"),
    ],
)
async def test_what_the_caller_chose_is_refused_by_name_and_not_remembered(
    name: str, field: str
) -> None:
    sent = {"random_seed": "seed"}.get(name, name)
    refusals = [error(400, param=sent, code="unsupported_parameter")]
    if name == "max_completion_tokens":
        refusals.append(error(400, param="max_tokens", code="unsupported_parameter"))
    async with serving(*refusals, SSE + HELLO + STOP) as service, opened(service.url) as model:
        with pytest.raises(InvalidRequest) as told:
            await events_of(model, asking(parameters={name: 1}, chosen=frozenset({name})))
        assert [problem.field for problem in told.value.problems] == [field]
        await events_of(model, asking(parameters={"top_p": 0.5, "temperature": 0.5}))
    assert {"top_p", "temperature"} <= set(service.bodies[-1])


@pytest.mark.parametrize("chosen", [frozenset[str](), frozenset({"max_completion_tokens"})])
async def test_a_service_of_before_2024_09_gets_the_limit_by_its_old_name(
    chosen: frozenset[str],
) -> None:
    refusal = error(400, message="Unrecognized request argument supplied: max_completion_tokens")
    async with serving(refusal, SSE + HELLO + STOP) as service, opened(service.url) as model:
        request = asking(parameters={"max_completion_tokens": 5}, chosen=chosen)
        await events_of(model, request)
        await events_of(model, request)
    limits = [{k: v for k, v in body.items() if k.startswith("max")} for body in service.bodies]
    assert limits == [{"max_completion_tokens": 5}, {"max_tokens": 5}, {"max_tokens": 5}]


async def test_a_validators_refusal_is_a_lesson_too() -> None:
    refusal = answer(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"]}]})
    async with serving(refusal, SSE + HELLO + STOP) as service, opened(service.url) as model:
        await events_of(model, asking(parameters={"temperature": 0.7}))
    assert ["temperature" in body for body in service.bodies] == [True, False]


def test_the_contracts_names() -> None:
    names = {name: contract_name(name) for name in ("max_tokens", "seed", "model")}
    assert names == {"max_tokens": "maxCompletionTokens", "seed": "options.seed", "model": "model"}


async def test_a_refusal_that_leaving_out_does_not_help_teaches_nothing() -> None:
    refusal = error(400, message="Unknown: temperature")
    other = error(400, message="The image is none.", param="messages")
    answers = (refusal, other, SSE + HELLO + STOP)
    async with serving(*answers) as service, opened(service.url) as model:
        with pytest.raises(ModelRefused):
            await events_of(model, asking(parameters={"temperature": 0.7}))
        await events_of(model, asking(parameters={"temperature": 0.7}))
    assert ["temperature" in body for body in service.bodies] == [True, False, True]
