"""The OpenAPI document says what the code does."""

import json
import re
from collections.abc import Iterator
from typing import Any

from shared.api.openapi import document

SCHEMAS: dict[str, Any] = document()["components"]["schemas"]


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
    assert all(json.loads(pattern).endswith("$") for pattern in patterns)


def test_the_body_of_a_question() -> None:
    body = SCHEMAS["ChatBody"]
    assert body["required"] == ["userPrompt"]
    assert {"$ref": "#/components/schemas/Options"} in body["properties"]["options"]["anyOf"]
    assert body["properties"]["history"]["anyOf"][0]["items"] == {
        "$ref": "#/components/schemas/Message"
    }


def test_a_message_of_a_callers_own_is_not_a_stored_one() -> None:
    assert set(SCHEMAS["Message"]["properties"]) == {"role", "content"}
    assert "turnId" in SCHEMAS["StoredMessage"]["required"]


def test_a_stored_answer_has_its_thoughts_and_its_error() -> None:
    stored = SCHEMAS["StoredMessage"]
    assert stored["properties"]["reasoning"] == {"type": "string"}
    assert stored["properties"]["error"]["required"] == ["code", "message", "retryable"]
    assert stored["properties"]["error"] == SCHEMAS["Answer"]["properties"]["error"]
    assert not {"reasoning", "error"}.intersection(stored["required"])
