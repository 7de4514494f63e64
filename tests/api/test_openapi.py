"""The OpenAPI document says what the code does."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from shared.api.openapi import document
from shared.errors import InvalidRequest
from shared.protocols.native.request import parse

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
    ],
    ids=json.dumps,
)
def test_a_question_or_results_as_the_code_takes_them(body: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ChatBody", "components": {"schemas": SCHEMAS}}
    try:
        parse(json.dumps(body).encode())
    except InvalidRequest:
        taken = False
    else:
        taken = True
    assert Draft202012Validator(schema).is_valid(body) == taken


def test_a_message_of_a_callers_own_is_not_a_stored_one() -> None:
    assert set(SCHEMAS["Message"]["properties"]) == {"role", "content"}
    assert "turnId" in SCHEMAS["StoredMessage"]["required"]


def test_a_stored_answer_has_its_thoughts_and_its_error() -> None:
    stored = SCHEMAS["StoredMessage"]
    assert stored["properties"]["reasoning"] == {"type": "string"}
    assert stored["properties"]["error"]["required"] == ["code", "message", "retryable"]
    assert stored["properties"]["error"] == SCHEMAS["Answer"]["properties"]["error"]
    assert not {"reasoning", "error"}.intersection(stored["required"])
