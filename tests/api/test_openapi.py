"""The OpenAPI document says what the code does."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from shared.api.openapi import document
from shared.errors import InvalidRequest
from shared.prompts.template import check_template
from shared.protocols.ai_chat.request import parse as parse_ai_chat
from shared.protocols.native.request import parse
from shared.protocols.openai.request import parse as parse_completion
from shared.protocols.ui_messages.request import parse as parse_ui_chat

SCHEMAS: dict[str, Any] = document()["components"]["schemas"]
RESULTS: dict[str, Any] = {
    "conversationId": "c",
    "toolResults": [{"id": "a", "content": "18°"}],
}


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            if name == "$ref":
                yield member
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    used = {reference.removeprefix("#/components/schemas/") for reference in references(document())}
    assert used == SCHEMAS.keys()


def test_patterns_are_ecmascripts() -> None:
    patterns = re.findall(r'"pattern": ("[^"]*")', json.dumps(document()))
    assert patterns
    assert not [pattern for pattern in patterns if re.search(r"\\[AZzs]", json.loads(pattern))]


def test_the_body_of_a_question() -> None:
    body = SCHEMAS["ChatBody"]
    assert [way["required"] for way in body["oneOf"]] == [
        ["userPrompt"],
        ["toolResults", "conversationId"],
    ]
    assert {"$ref": "#/components/schemas/Options"} in body["properties"]["options"]["anyOf"]
    assert body["properties"]["history"]["anyOf"][0]["items"] == {
        "$ref": "#/components/schemas/Message"
    }


@pytest.mark.parametrize(
    "body",
    [
        {"userPrompt": "Hello"},
        {"userPrompt": "Hello", "toolResults": None, "history": [], "store": False},
        {"userPrompt": ""},
        {"userPrompt": None},
        {},
        RESULTS,
        RESULTS | {"userPrompt": None, "history": None, "store": True},
        RESULTS | {"userPrompt": "Hello"},
        RESULTS | {"conversationId": None},
        RESULTS | {"store": False},
        RESULTS | {"context": "c"},
        RESULTS | {"context": []},
        RESULTS | {"promptTemplate": "@@userPrompt"},
        RESULTS | {"history": []},
        RESULTS | {"toolResults": []},
        RESULTS | {"toolResults": [{"id": "a"}]},
        {"toolResults": RESULTS["toolResults"]},
        {"userPrompt": " \t\n\u0085\u3000\x1f"},
        {"userPrompt": " \ufeff"},
        {"userPrompt": "Hello", "store": False, "conversationId": "c"},
        {"userPrompt": "Hello", "store": False, "turnId": "t"},
        {"userPrompt": "Hello", "store": False, "replaces": "t"},
        {"userPrompt": "Hello", "store": False, "conversationId": None},
        {"userPrompt": "Hello", "resultVariableName": "usage"},
        {"userPrompt": "Hello", "resultVariableName": "usages"},
        {"userPrompt": "Hello", "options": {"seed": 1, "random_seed": None, "colour": None}},
        {"userPrompt": "Hello", "options": {"top_p": "1"}},
        {"userPrompt": "Hello", "options": {"colour": 1}},
    ],
    ids=json.dumps,
)
def test_a_question_or_results_as_the_code_takes_them(body: dict[str, Any]) -> None:
    assert is_valid("ChatBody", body) == taken(parse, body)


def is_valid(name: str, body: dict[str, Any]) -> bool:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    return Draft202012Validator(schema).is_valid(body)


def taken(parse: Callable[[bytes], object], body: dict[str, Any]) -> bool:
    try:
        parse(json.dumps(body).encode())
    except InvalidRequest:
        return False
    return True


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({"promptTemplate": "Say @@userPrompt"}, True),
        ({"promptTemplate": "Say it"}, False),
        ({"promptTemplate": "@@userPrompt", "context": "c"}, False),
        ({"promptTemplate": "@@userPrompt", "context": [{"content": "c"}]}, False),
        ({"promptTemplate": "@@userPrompt @@context", "context": "c"}, True),
        ({"promptTemplate": "@@userPrompt", "context": []}, True),
        ({"promptTemplate": "@@userPrompt", "context": ""}, True),
        ({"promptTemplate": None, "context": "c"}, True),
    ],
    ids=str,
)
def test_a_template_has_its_markers(fields: dict[str, Any], right: bool) -> None:
    body = {"userPrompt": "Hello", **fields}
    request = parse(json.dumps(body).encode())
    template, context = request.prompt_template, request.context
    if right and template is not None:
        check_template(template, has_context=bool(context))
    elif not right:
        assert template is not None
        with pytest.raises(InvalidRequest):
            check_template(template, has_context=bool(context))
    assert is_valid("ChatBody", body) == right
    assert is_valid("Chosen", fields) == right


@pytest.mark.parametrize(
    "fields",
    [
        {"logprobs": True, "top_logprobs": 2},
        {"logprobs": False, "top_logprobs": 2},
        {"top_logprobs": 2},
        {"top_logprobs": None, "colour": None},
        {"colour": 1},
        {"metadata": {"conversation_id": "c"}, "n": 2},
        {"metadata": {"conversation_id": "c"}, "n": 1, "logprobs": False},
        {"metadata": {"conversation_id": "c"}, "logprobs": True},
        {"metadata": {"conversation_id": None}, "n": 2},
        {"metadata": {"conversation_id": "c d"}},
        {"metadata": {"colour": 1}},
        {"tool_choice": "any"},
        {"tool_choice": "some"},
        {"messages": [{"role": "system", "content": "Be brief."}]},
        {"messages": []},
    ],
    ids=json.dumps,
)
def test_a_completion_as_the_code_takes_it(fields: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    assert is_valid("CompletionBody", body) == taken(lambda raw: parse_completion(raw, {}), body)


@pytest.mark.parametrize("name", ["Options", "CompletionBody"])
def test_one_name_of_the_seed(name: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}]} if name != "Options" else {}
    assert is_valid(name, body | {"seed": 1, "random_seed": None})
    assert not is_valid(name, body | {"seed": 1, "random_seed": 1})


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "Hi", "files": [], "context": {}},
        {"role": "user", "content": " "},
        {"role": "user", "content": "Hi", "files": ["f"]},
        {"role": "user", "content": "Hi", "context": {"a": 1}},
        {"role": "assistant", "content": "Hi"},
    ],
    ids=json.dumps,
)
def test_an_ai_chat_as_the_code_takes_it(message: dict[str, Any]) -> None:
    body = {"messages": [message]}
    assert is_valid("AiChatBody", body) == taken(parse_ai_chat, body)


TEXT = {"type": "text", "text": "Hi"}
RESULT = {"type": "tool-x", "toolCallId": "a", "state": "output-available", "output": 1}


@pytest.mark.parametrize(
    ("role", "parts"),
    [
        ("user", [TEXT]),
        ("user", [TEXT, {"type": "data-x"}]),
        ("user", [TEXT, {"type": "file"}]),
        ("user", [TEXT, {"type": "text", "text": None}]),
        ("user", [{"type": "text", "text": " "}]),
        ("user", []),
        ("assistant", [RESULT]),
        ("assistant", [TEXT, RESULT | {"type": "dynamic-tool", "state": "output-error"}]),
        ("assistant", [RESULT | {"state": "input-available"}]),
        ("assistant", [TEXT]),
        ("system", [TEXT]),
    ],
    ids=str,
)
@pytest.mark.parametrize("trigger", [None, "submit-message", "regenerate-message"])
def test_a_ui_chat_as_the_code_takes_it(
    role: str, parts: list[dict[str, Any]], trigger: str | None
) -> None:
    message = {"id": "m", "role": role, "parts": parts}
    body: dict[str, Any] = {"id": "c", "message": message, "trigger": trigger}
    assert is_valid("UiChatBody", body) == taken(parse_ui_chat, body)
    # Which message is the last one no schema can say: one has to be such a one.
    body = {"id": "c", "messages": [message]}
    assert is_valid("UiChatBody", body) == taken(parse_ui_chat, body)


def test_a_message_of_a_callers_own_is_not_a_stored_one() -> None:
    assert set(SCHEMAS["Message"]["properties"]) == {"role", "content"}
    assert "turnId" in SCHEMAS["StoredMessage"]["required"]


def test_a_stored_answer_has_its_thoughts_and_its_error() -> None:
    stored = SCHEMAS["StoredMessage"]
    assert stored["properties"]["reasoning"] == {"type": "string"}
    assert stored["properties"]["error"]["required"] == ["code", "message", "retryable"]
    assert stored["properties"]["error"] == SCHEMAS["Answer"]["properties"]["error"]
    assert not {"reasoning", "error"}.intersection(stored["required"])
