"""What the service refuses, and in which words."""

from typing import Any

import pytest

from local.simulator import Simulator, running_simulator
from local.simulator.models import parse_deployments
from tests.local.simulator.support import AZURE_DATED, AZURE_V1, OPENAI, ask, body_of

NOT_SUPPORTED = "is not supported with this model."


async def refusal(simulator: Simulator, **fields: Any) -> tuple[str | None, str | None, str]:
    """Give param, code and message of the 400 for these fields."""
    reply = await ask(simulator, {**body_of("Hi"), **fields})
    assert reply.status == 400, reply.body
    error = reply.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error["param"], error["code"], error["message"]


async def test_the_reasoning_model_wants_max_completion_tokens(simulator: Simulator) -> None:
    assert await refusal(simulator, model="reasoning", max_tokens=10) == (
        "max_tokens",
        "unsupported_parameter",
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead.",
    )


@pytest.mark.parametrize("value", [0.7, 0, 2])
async def test_the_reasoning_model_has_one_temperature(simulator: Simulator, value: float) -> None:
    assert await refusal(simulator, model="reasoning", temperature=value) == (
        "temperature",
        "unsupported_value",
        f"Unsupported value: 'temperature' does not support {value} with this model. "
        "Only the default (1) value is supported.",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 0.5),
        ("presence_penalty", 0.5),
        ("frequency_penalty", 0.5),
        ("logit_bias", {}),
        ("logprobs", True),
        ("top_logprobs", 2),
        ("stop", "x"),
    ],
)
async def test_the_reasoning_model_refuses(simulator: Simulator, name: str, value: Any) -> None:
    message = f"Unsupported parameter: '{name}' {NOT_SUPPORTED}"
    found = await refusal(simulator, model="reasoning", **{name: value})
    assert found == (name, "unsupported_parameter", message)


async def test_the_reasoning_model_gives_one_choice(simulator: Simulator) -> None:
    param, code, message = await refusal(simulator, model="reasoning", n=2)
    assert (param, code) == ("n", "unsupported_value")
    assert "'n' does not support 2" in message


async def test_the_reasoning_model_takes_the_rest(simulator: Simulator) -> None:
    fields = {"model": "reasoning", "temperature": 1, "reasoning_effort": "low", "seed": 1}
    reply = await ask(simulator, {**body_of("Hi"), **fields, "max_completion_tokens": 100})
    assert reply.status == 200


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_the_chat_model_takes_both_limits(simulator: Simulator, name: str) -> None:
    body = body_of('[simulate: say text="a b c d"]', temperature=0.2, top_p=0.5, **{name: 3})
    reply = await ask(simulator, body)
    assert (reply.text(), reply.finish_reason()) == ("a b c", "length")


async def test_thoughts_count_towards_the_limit(simulator: Simulator) -> None:
    options = {"include_usage": True}
    body = body_of("Hi", model="reasoning", max_completion_tokens=10, stream_options=options)
    reply = await ask(simulator, body)
    assert (reply.text(), reply.finish_reason()) == ("", "length")
    usage = reply.events()[-1]["usage"]
    assert usage["completion_tokens"] == 10
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 10


async def test_stop_sequences_end_the_answer(simulator: Simulator) -> None:
    body = body_of('[simulate: say text="one two three"]', stop=["thr", "two"])
    reply = await ask(simulator, body)
    assert (reply.text(), reply.finish_reason()) == ("one ", "stop")


async def test_unknown_fields_are_named(simulator: Simulator) -> None:
    found = await refusal(simulator, foo=1)
    assert found == (None, None, "Unrecognized request argument supplied: foo")
    found = await refusal(simulator, foo=1, reasoning_effort="low")
    assert found[2] == "Unrecognized request arguments supplied: foo, reasoning_effort"


@pytest.mark.parametrize(
    ("fields", "param", "code", "message"),
    [
        ({"messages": []}, "messages", "empty_array", "Invalid 'messages': empty array."),
        ({"messages": None}, "messages", "missing_required_parameter", "Missing required"),
        ({"messages": "Hi"}, "messages", "invalid_type", "expected an array of objects, but got a"),
        ({"messages": ["Hi"]}, "messages[0]", "invalid_type", "expected an object, but got a"),
        ({"messages": [{}]}, "messages[0].role", "missing_required_parameter", "Missing"),
        (
            {"messages": [{"role": "bot", "content": ""}]},
            "messages[0].role",
            "invalid_value",
            "Invalid value: 'bot'. Supported values are: 'system', 'assistant', 'user', 'function',"
            " 'tool', and 'developer'.",
        ),
        (
            {"messages": [{"role": "user", "content": None}]},
            "messages.[0].content",
            None,
            "expected a string, got null",
        ),
        (
            {"messages": [{"role": "user", "content": 1}]},
            "messages[0].content",
            "invalid_type",
            "but got an integer instead",
        ),
        ({"temperature": "hot"}, "temperature", "invalid_type", "expected a decimal"),
        ({"temperature": True}, "temperature", "invalid_type", "but got a boolean instead"),
        (
            {"temperature": 2.5},
            "temperature",
            "decimal_above_max_value",
            "Expected a value <= 2, but got 2.5 instead.",
        ),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value", "Expected a value >= 1"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type", "expected an integer"),
        ({"max_tokens": 99999}, "max_tokens", "invalid_value", "max_tokens is too large: 99999."),
        ({"stream": "yes"}, "stream", "invalid_type", "expected a boolean"),
        ({"stop": 1}, "stop", "invalid_type", "one of an array of strings or string"),
        ({"stop": ["1"] * 5}, "stop", "array_above_max_length", "array with length 5"),
        ({"n": 129}, "n", "integer_above_max_value", "Expected a value <= 128"),
        ({"top_logprobs": 2}, "top_logprobs", None, "only allowed when 'logprobs' is enabled"),
        ({"tools": [{"type": "x"}]}, "tools[0].function", "missing_required_parameter", "tools[0]"),
        (
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
            "does not match pattern",
        ),
        ({"tool_choice": "auto"}, "tool_choice", None, "only allowed when 'tools' are specified"),
        (
            {"max_tokens": 1, "max_completion_tokens": 1},
            None,
            "invalid_parameter_combination",
            "at the same time is not supported",
        ),
        (
            {"stream": False, "stream_options": {}},
            "stream_options",
            None,
            "only allowed when 'stream' is enabled",
        ),
        (
            {"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]},
            "messages.[0].role",
            None,
            "must be a response to a preceeding message with 'tool_calls'",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "c1"}]}]},
            "messages.[1].role",
            None,
            "did not have response messages: c1",
        ),
        (
            {"messages": [{"role": "user", "content": "[simulate: nonsense]"}]},
            "messages",
            "simulator_directive",
            "[simulate: nonsense]: unknown kind 'nonsense'; known are async_filter, crlf,",
        ),
    ],
)
async def test_bad_fields(
    simulator: Simulator, fields: dict[str, Any], param: str | None, code: str | None, message: str
) -> None:
    found = await refusal(simulator, **fields)
    assert (found[0], found[1]) == (param, code)
    assert message in found[2]


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"a":"\\ud800"}', b"\xff", b"[" * 100_000])
async def test_not_json(simulator: Simulator, raw: bytes) -> None:
    reply = await ask(simulator, raw)
    assert reply.status == 400
    assert "could not parse the JSON body" in reply.json()["error"]["message"]
    assert (await simulator.requests())[-1].outcome == "status 400"


async def test_context_window() -> None:
    deployments = parse_deployments("small=chat:50")
    async with running_simulator(deployments=deployments) as small:
        reply = await ask(small, body_of("word " * 100, model="small"))
        error = reply.json()["error"]
        assert (reply.status, error["code"]) == (400, "context_length_exceeded")
        assert error["message"] == (
            "This model's maximum context length is 50 tokens. However, your messages resulted in "
            "108 tokens. Please reduce the length of the messages."
        )
        reply = await ask(small, body_of("word", model="small", max_tokens=45))
        assert (
            "However, you requested 53 tokens (8 in the messages, 45 in the completion)"
            in (reply.json()["error"]["message"])
        )


async def test_unknown_deployment(simulator: Simulator) -> None:
    expected = {
        "error": {
            "code": "DeploymentNotFound",
            "message": "The API deployment for this resource does not exist. If you created the "
            "deployment within the last 5 minutes, please wait a moment and try again.",
        }
    }
    for path in (AZURE_V1, AZURE_DATED.format("nope")):
        reply = await ask(simulator, body_of("Hi", model="nope"), path=path)
        assert (reply.status, reply.json()) == (404, expected)
    reply = await ask(simulator, body_of("Hi", model="nope"), path=OPENAI)
    assert (reply.status, reply.json()["error"]["code"]) == (404, "model_not_found")


async def test_the_model_must_be_named(simulator: Simulator) -> None:
    reply = await ask(simulator, body_of("Hi", model=None))
    assert (reply.status, reply.json()["error"]["message"]) == (
        400,
        "you must provide a model parameter",
    )
    reply = await ask(simulator, body_of("Hi", model=None), path=AZURE_DATED.format("chat"))
    assert reply.status == 200


async def test_api_versions(simulator: Simulator) -> None:
    path = AZURE_DATED.format("chat").partition("?")[0]
    assert (await ask(simulator, body_of("Hi"), path=path)).status == 404
    for version in ("2019-01-01", "latest", "2024-13-01"):
        reply = await ask(simulator, body_of("Hi"), path=f"{path}?api-version={version}")
        assert (reply.status, reply.json()["error"]["message"]) == (
            400,
            "API version not supported",
        )
    reply = await ask(simulator, body_of("Hi"), path=f"{path}?api-version=2025-04-01-preview")
    assert reply.status == 200
    assert (await simulator.requests())[-1].api_version == "2025-04-01-preview"


async def test_unknown_paths(simulator: Simulator) -> None:
    reply = await ask(simulator, body_of("Hi"), path="/openai/v2/chat/completions")
    assert (reply.status, reply.json()) == (
        404,
        {"error": {"code": "404", "message": "Resource not found"}},
    )


@pytest.mark.parametrize("text", ["a=b", "chat", "=chat", "a=chat:0", "a=chat:x"])
def test_bad_deployments_say_what_is_right(text: str) -> None:
    with pytest.raises(ValueError, match=r"write name=kind|whole number"):
        parse_deployments(text)


def test_deployments() -> None:
    found = parse_deployments("a=chat, b=reasoning:4096,")
    assert {name: (m.kind, m.context_window) for name, m in found.items()} == {
        "a": ("chat", 128_000),
        "b": ("reasoning", 4096),
    }
