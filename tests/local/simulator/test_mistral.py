"""Mistral's form: the very bytes, what is refused and how, and Mistral's own clients."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mistralai.azure.client import MistralAzure
from mistralai.client import Mistral
from mistralai.client.errors import HTTPValidationError, SDKError
from mistralai.client.models import (
    BaseModelCard,
    ChatCompletionStreamRequest,
    Function,
    Tool,
    UserMessage,
)

from local.identity.tokens import SYSTEM_ASSIGNED, make_token
from local.simulator import Simulator, running_simulator
from local.simulator.mistral_requests import MISTRAL_FIELDS
from tests.local.simulator.support import Reply, ask, body_of

MISTRAL = "/mistral/v1/chat/completions"
MODELS = "/models/chat/completions?api-version=2024-05-01-preview"
KEY = {"Authorization": "Bearer k"}
PAINTER = "Who is the best French painter? Answer in one short sentence."
USAGE = '"usage":{"prompt_tokens":15,"total_tokens":17,"completion_tokens":2}'


async def tell(simulator: Simulator, prompt: str, path: str = MISTRAL, **fields: Any) -> Reply:
    return await ask(simulator, body_of(prompt, **{"model": "mistral"} | fields), path=path)


def normalised(body: bytes) -> str:
    text = re.sub(r'"id":"[\w-]{28}"', '"id":"ID"', body.decode())
    text = re.sub(r'"created":[1-9]\d+', '"created":TIME', text)
    return re.sub(r'"id":"[A-Za-z0-9]{9}"', '"id":"CALL"', text)


def chunk(delta: str, reason: str = "null", more: str = "", model: str = "mistral-medium") -> str:
    return (
        f'data: {{"id":"ID","object":"chat.completion.chunk","created":TIME,"model":"{model}-25XX",'
        f'"choices":[{{"index":0,"delta":{delta},"finish_reason":{reason}}}]{more}}}\n\n'
    )


def bytes_of(reply: Reply) -> str:
    return re.sub(r"-25\d\d", "-25XX", normalised(reply.body))


@pytest.mark.parametrize("path", [MISTRAL, "/openai/v1/chat/completions", MODELS])
async def test_a_stream(simulator: Simulator, path: str) -> None:
    reply = await tell(simulator, '[simulate: say text="Hi."]', path)
    assert bytes_of(reply) == (
        chunk('{"role":"assistant","content":""}')
        + chunk('{"content":"Hi"}')
        + chunk('{"content":"."}')
        + chunk('{"content":""}', '"stop"', "," + USAGE)
        + "data: [DONE]\n\n"
    )


async def test_thoughts_are_parts_of_the_content(simulator: Simulator) -> None:
    told = "[simulate: reasoning text=Hm] [simulate: say text=Hi] [simulate: no_usage]"
    reply = await tell(simulator, told)
    thought = '{"type":"thinking","thinking":[{"type":"text","text":"Hm"}]}'
    assert bytes_of(reply) == (
        chunk('{"role":"assistant","content":""}')
        + chunk(f'{{"content":[{thought}]}}')
        + chunk('{"content":"Hi"}')
        + chunk('{"content":""}', '"stop"')
        + "data: [DONE]\n\n"
    )
    whole = (await tell(simulator, told, stream=False)).json()
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": [json.loads(thought), {"type": "text", "text": "Hi"}],
    }


TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {}}}]


async def test_a_call_comes_whole(simulator: Simulator) -> None:
    prompt = '[simulate: tool name=look arguments="{\\"a\\":1}"]'
    reply = await tell(simulator, prompt + " [simulate: no_usage]", tools=TOOLS)
    call = '{"id":"CALL","function":{"name":"look","arguments":"{\\"a\\":1}"},"index":0}'
    assert bytes_of(reply) == (
        chunk('{"role":"assistant","content":""}')
        + chunk(f'{{"content":"","tool_calls":[{call}]}}')
        + chunk('{"content":""}', '"tool_calls"')
        + "data: [DONE]\n\n"
    )
    bare = await tell(simulator, prompt.replace("]", " bare]"), tools=TOOLS)
    assert b'{"id":"null","function":{"name":"look","arguments":{"a":1}},"index":0}' in bare.body
    whole = (await tell(simulator, prompt, tools=TOOLS, stream=False)).json()["choices"][0]
    assert whole["finish_reason"] == "tool_calls"
    assert whole["message"]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


async def test_an_error_inside_a_stream_has_no_error(simulator: Simulator) -> None:
    reply = await tell(simulator, "[simulate: say text=Hi] [simulate: error after=1 message=No]")
    assert reply.events()[-1] == {
        "object": "error",
        "message": "No",
        "type": "internal_server_error",
        "param": None,
        "code": "1000",
    }
    assert not reply.done


@pytest.mark.parametrize(
    ("fields", "kind", "place"),
    [
        ({"seed": 1}, "extra_forbidden", ["seed"]),
        ({"max_completion_tokens": 1}, "extra_forbidden", ["max_completion_tokens"]),
        ({"stream_options": {}}, "extra_forbidden", ["stream_options"]),
        ({"logit_bias": {}}, "extra_forbidden", ["logit_bias"]),
        ({"user": "x"}, "extra_forbidden", ["user"]),
        ({"store": True}, "extra_forbidden", ["store"]),
        ({"temperature": 1.6}, "less_than_equal", ["temperature"]),
        ({"temperature": -1}, "greater_than_equal", ["temperature"]),
        ({"temperature": True}, "number_type", ["temperature"]),
        ({"temperature": "x"}, "number_type", ["temperature"]),
        ({"random_seed": 1.5}, "number_type", ["random_seed"]),
        ({"stream": "yes"}, "boolean_type", ["stream"]),
        ({"stop": 5}, "string_type", ["stop"]),
        ({"stop": ["a", 5]}, "string_type", ["stop", 1]),
        ({"safe_prompt": "yes"}, "boolean_type", ["safe_prompt"]),
        ({"prompt_mode": "deep"}, "enum", ["prompt_mode"]),
        ({"metadata": "x"}, "dictionary_type", ["metadata"]),
        ({"response_format": {"type": "yaml"}}, "enum", ["response_format", "type"]),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            "missing",
            ["response_format", "json_schema", "schema"],
        ),
        ({"tools": {}}, "list_type", ["tools"]),
        ({"tools": ["x"]}, "model_type", ["tools", 0]),
        (
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "missing",
            ["tools", 0, "function", "parameters"],
        ),
        ({"tool_choice": "must"}, "enum", ["tool_choice"]),
        (
            {"tool_choice": {"type": "function", "function": {}}},
            "missing",
            ["tool_choice", "function", "name"],
        ),
        ({"messages": None}, "missing", ["messages"]),
        ({"messages": []}, "too_short", ["messages"]),
        (
            {"messages": [{"role": "developer", "content": "x"}]},
            "union_tag_invalid",
            ["messages", 0],
        ),
        ({"messages": ["x"]}, "union_tag_invalid", ["messages", 0]),
        ({"messages": [{"role": "user"}]}, "missing", ["messages", 0, "user", "content"]),
        (
            {"messages": [{"role": "user", "content": 5}]},
            "string_type",
            ["messages", 0, "user", "content"],
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "x"}]}]},
            "union_tag_invalid",
            ["messages", 0, "user", "content", 0],
        ),
        (
            {"messages": [{"role": "user", "content": "x", "name": "Ann"}]},
            "extra_forbidden",
            ["messages", 0, "user", "name"],
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": 1}}],
                    }
                ]
            },
            "string_type",
            ["messages", 0, "assistant", "tool_calls", 0, "function", "arguments"],
        ),
    ],
)
async def test_what_does_not_fit_is_422(
    simulator: Simulator, fields: dict[str, Any], kind: str, place: list[str | int]
) -> None:
    reply = await tell(simulator, "Hi", **fields)
    assert reply.status == 422, reply.body
    body = reply.json()
    assert (body["object"], body["type"]) == ("error", "invalid_request_error")
    found = [(finding["type"], finding["loc"]) for finding in body["message"]["detail"]]
    assert (kind, ["body", *place]) in found


ASKED = {"role": "user", "content": "Q"}
CALLED = {
    "role": "assistant",
    "tool_calls": [{"id": "abcdefghi", "function": {"name": "look", "arguments": "{}"}}],
}
LONG = json.loads(json.dumps(CALLED).replace("abcdefghi", "call_abcdefghi"))
RESULT = {"role": "tool", "tool_call_id": "abcdefghi", "content": "R"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([ASKED, {"role": "assistant", "content": "A"}], "3230"),
        ([ASKED, CALLED], "3230"),
        ([ASKED, CALLED, ASKED], "3230"),
        ([ASKED, RESULT], "3230"),
        ([ASKED, LONG], "3280"),
        ([ASKED, CALLED, RESULT | {"tool_call_id": None}], "3280"),
    ],
)
async def test_messages_in_the_wrong_order_or_with_others_ids(
    simulator: Simulator, messages: list[dict[str, Any]], code: str
) -> None:
    reply = await tell(simulator, "", messages=messages)
    assert (reply.status, reply.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    "messages",
    [
        [ASKED, CALLED, RESULT],
        [ASKED, {"role": "assistant", "content": "A", "prefix": True}],
        [{"role": "user", "content": [{"type": "text", "text": "Q"}]}],
    ],
)
async def test_messages_in_order(simulator: Simulator, messages: list[dict[str, Any]]) -> None:
    assert (await tell(simulator, "", messages=messages)).status == 200


async def test_several_choices_tell_their_usage_with_the_last(simulator: Simulator) -> None:
    reply = await tell(simulator, '[simulate: say text="Hi."]', n=2)
    events = reply.events()
    choices = [choice for event in events for choice in event["choices"]]
    assert [choice["index"] for choice in choices] == [0, 1] * 4
    assert [event["usage"]["completion_tokens"] for event in events if "usage" in event] == [4]
    assert events[-1]["usage"]


async def test_other_refusals(simulator: Simulator) -> None:
    reply = await tell(simulator, "Hi", model="nobody")
    assert (reply.status, reply.json()["type"]) == (400, "invalid_model")
    reply = await tell(simulator, "Hi", model=None)
    assert (reply.status, reply.json()["message"]["detail"][0]["loc"]) == (422, ["body", "model"])
    reply = await tell(simulator, "word " * 50_000, model="magistral")
    assert "too large for model with 40000 maximum context length" in reply.json()["message"]
    reply = await ask(simulator, b"{", path=MISTRAL)
    assert (reply.status, reply.json()["message"]["detail"][0]["type"]) == (422, "json_invalid")
    reply = await tell(simulator, "Hi", model="reasoning-open", top_logprobs=2)
    assert (reply.status, "top_logprobs" in reply.json()["message"]) == (400, True)


@pytest.mark.parametrize("status", [400, 401, 422, 429, 500, 503])
async def test_statuses_have_no_error_either(simulator: Simulator, status: int) -> None:
    reply = await tell(simulator, f"[simulate: status code={status} retry_after=3]")
    assert reply.status == status
    assert "error" not in reply.json()
    assert reply.headers["retry-after"] == "3"


async def test_who_may_ask() -> None:
    async with running_simulator(api_key="right") as simulator:
        refused: list[dict[str, str]] = [{}, {"Authorization": "Bearer wrong"}]
        for headers in refused:
            reply = await ask(simulator, body_of("Hi"), path=MISTRAL, headers=headers)
            assert (reply.status, reply.json()) == (401, {"detail": "Unauthorized"})
            reply = await ask(simulator, body_of("Hi"), path=MODELS, headers=headers)
            assert reply.status == 401
        right = {"Authorization": "Bearer right"}
        assert (await ask(simulator, body_of("Hi"), path=MISTRAL, headers=right)).status == 200
        body = body_of("Hi", model="azureai")
        assert (await ask(simulator, body, path=MODELS, headers=right)).status == 200
        token = make_token("https://cognitiveservices.azure.com", SYSTEM_ASSIGNED, 9_999_999_999)
        signed = {"Authorization": f"Bearer {token}"}
        assert (await ask(simulator, body, path=MODELS, headers=signed)).status == 200


async def test_azures_models_want_a_version_and_know_only_what_all_know(
    simulator: Simulator,
) -> None:
    bare = MODELS.partition("?")[0]
    assert (await tell(simulator, "Hi", bare)).status == 404
    reply = await tell(simulator, "Hi", MODELS, safe_prompt=True)
    assert (reply.status, reply.json()["error"]["code"]) == (400, "extra_parameters_not_allowed")
    body = body_of("Hi", model="mistral", safe_prompt=True)
    headers = KEY | {"extra-parameters": "pass-through"}
    assert (await ask(simulator, body, path=MODELS, headers=headers)).status == 200
    reply = await tell(simulator, "Hi", MODELS, model="nobody")
    assert reply.json()["error"]["code"] == "DeploymentNotFound"


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[Mistral]:
    async with Mistral(api_key="k", server_url=f"{simulator.url}/mistral") as made:
        yield made


async def test_mistrals_own_client(simulator: Simulator, client: Mistral) -> None:
    answer = await client.chat.complete_async(
        model="azureai", messages=[UserMessage(content=PAINTER)]
    )
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content
    prompt = "[simulate: reasoning text=Hm] [simulate: say text=Monet.]"
    stream = await client.chat.stream_async(
        model="magistral-medium-latest",
        messages=[UserMessage(content=prompt)],
        temperature=0.3,
        random_seed=1,
        prompt_mode="reasoning",
        safe_prompt=False,
        metadata={"a": 1},
    )
    thought, said, reasons, usage = "", "", [], None
    async with stream:
        async for event in stream:
            usage = event.data.usage or usage
            choice = event.data.choices[0]
            reasons.append(choice.finish_reason)
            content = choice.delta.content
            if isinstance(content, str):
                said += content
            for part in content if isinstance(content, list) else ():
                assert part.type == "thinking"
                thought += "".join(p.text for p in part.thinking if p.type == "text")
    assert (thought, said) == ("Hm", "Monet.")
    assert [reason for reason in reasons if reason] == ["stop"]
    assert usage is not None
    assert usage.completion_tokens == 3
    record = (await simulator.requests())[-1]
    # What it sends is what the simulator knows, and the other way round.
    assert set(record.body) < set(MISTRAL_FIELDS)


async def test_its_client_and_tools(client: Mistral) -> None:
    for bare in ("", " bare"):
        prompt = f'[simulate: tool name=look arguments="{{\\"a\\": 1}}"{bare}]'
        stream = await client.chat.stream_async(
            model="mistral-small-latest",
            messages=[UserMessage(content=prompt)],
            tools=[Tool(function=Function(name="look", parameters={}))],
            tool_choice="any",
        )
        async with stream:
            calls = [
                call
                async for event in stream
                for call in event.data.choices[0].delta.tool_calls or ()
            ]
        assert [call.function.name for call in calls] == ["look"]
        assert calls[0].function.arguments == ({"a": 1} if bare else '{"a": 1}')
        assert (calls[0].id == "null") == bool(bare)


async def test_its_client_and_errors(client: Mistral) -> None:
    async def told(directive: str, **fields: Any) -> None:
        await client.chat.complete_async(
            model="mistral", messages=[UserMessage(content=directive)], **fields
        )

    with pytest.raises(HTTPValidationError, match="less_than_equal"):
        await told("Hi", temperature=1.9)
    with pytest.raises(SDKError) as busy:
        await told("[simulate: status code=429]")
    assert busy.value.status_code == 429


def test_every_field_of_its_client_is_known() -> None:
    assert set(ChatCompletionStreamRequest.model_fields) == set(MISTRAL_FIELDS)


async def test_its_models(client: Mistral) -> None:
    listed = await client.models.list_async()
    assert listed.data is not None
    assert {"mistral", "magistral"} <= {
        card.id for card in listed.data if isinstance(card, BaseModelCard)
    }


async def test_its_client_for_azure(simulator: Simulator) -> None:
    async with MistralAzure(api_key="k", server_url=simulator.url) as client:
        answer = await client.chat.complete_async(messages=[{"role": "user", "content": PAINTER}])
    assert answer is not None
    assert answer.choices[0].message.content
    [record] = await simulator.requests()
    assert (record.style, record.deployment) == ("azure-models", "azureai")
    assert record.api_version == "2024-05-01-preview"
