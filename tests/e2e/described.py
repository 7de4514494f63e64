"""Whether a response is one that the OpenAPI document describes."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator

from shared.api.openapi import document


def described(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Fails where status, content type, headers or body are none of the operation's.

    `path` as it was sent, without the prefix. What no operation describes is let through: a
    preflight, and the host's own answers, which have no content type.
    """
    template = next((found for found in _templates() if _matches(found, path)), None)
    operation = document()["paths"].get(template, {}).get(method.lower())
    if operation is None or "x-content-type-options" not in headers:
        return
    told = f"{method} {template}: {status}"
    assert str(status) in operation["responses"], told
    response = operation["responses"][str(status)]
    for name, header in response["headers"].items():
        if name in headers:
            value: Any = headers[name]
            value = int(value) if header["schema"].get("type") == "integer" else value
            assert _validator(json.dumps(header["schema"])).is_valid(value), f"{told}: {name}"
        else:
            assert not header.get("required"), f"{told}: {name} is missing"
    if "content" not in response:
        assert body == b"", told
        return
    media_type = headers["content-type"].partition(";")[0]
    assert media_type in response["content"], f"{told}: {media_type}"
    for schema, text in _documents(response["content"][media_type]["schema"], media_type, body):
        try:
            _validator(json.dumps(schema)).validate(json.loads(text))
        except ValueError as exc:
            raise AssertionError(f"{told}: {exc}: {text!r}") from exc


def _documents(
    schema: dict[str, Any], media_type: str, body: bytes
) -> Iterator[tuple[dict[str, Any], bytes]]:
    """The JSON that a body is made of, each with the schema that it must have."""
    if media_type in ("application/json", "application/problem+json"):
        yield schema, body
    elif "x-lines" in schema:
        yield from ((schema["x-lines"], line) for line in body.split(b"\n") if line)
    elif media_type == "text/event-stream":
        data = schema["properties"]["data"]
        event = next(one for one in data.get("anyOf", (data,)) if "contentSchema" in one)
        for line in body.split(b"\n"):
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                yield event["contentSchema"], line.removeprefix(b"data: ")


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(schema) | {"components": document()["components"]})


@cache
def _templates() -> list[str]:
    """Those with the most literal segments first."""
    return sorted(document()["paths"], key=lambda path: path.count("{"))


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path.partition("?")[0]) is not None
