"""Whether a response is one that the OpenAPI document describes."""

import json
import re
from collections.abc import Mapping
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
    if media_type.endswith("json"):
        schema = json.dumps(response["content"][media_type]["schema"])
        try:
            _validator(schema).validate(json.loads(body))
        except ValueError as exc:
            raise AssertionError(f"{told}: {exc}") from exc


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
