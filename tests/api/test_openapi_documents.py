"""The examples of docs/api.md, and the document's own, are what its schemas say."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from shared.api.openapi import document

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text("utf-8")
USAGE = '{"promptTokens": 1, "completionTokens": 1, "totalTokens": 2, "estimated": false}'
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_CODES = re.compile(r"^\| `(\w+)` \| ([0-9]{3}) \|", re.M)
_ENDPOINTS = re.compile(r"^\| ((?:`[A-Z]+[^`]*`(?:, )?)+) \|", re.M)


def blocks(kind: str) -> list[str]:
    return [found[2] for found in _BLOCK.finditer(PAGE) if found[1] == kind]


def check(schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator(schema | {"components": document()["components"]}).validate(value)


def operation(method: str, path: str) -> dict[str, Any]:
    """The one that a path means, with ids in it."""
    for template, operations in document()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method in operations:
            found: dict[str, Any] = operations[method]
            return found
    raise AssertionError(f"{method} {path} is not described")


def commands() -> list[list[str]]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.startswith("curl")]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[-1][:40])
def test_a_command(command: list[str]) -> None:
    address = next(word for word in command if word.startswith("http"))
    path, _, query = address.partition("/api")[2].partition("?")
    body = command[command.index("-d") + 1] if "-d" in command else None
    method = command[command.index("-X") + 1] if "-X" in command else "POST" if body else "GET"
    found = operation(method.lower(), path)
    assert {part.partition("=")[0] for part in query.split("&") if part} <= {
        parameter["name"] for parameter in found.get("parameters", ())
    }
    assert (body is None) == ("requestBody" not in found)
    if body is not None:
        check(found["requestBody"]["content"]["application/json"]["schema"], json.loads(body))


def test_the_json_form() -> None:
    [text] = blocks("json")
    check({"$ref": "#/components/schemas/Answer"}, json.loads(text.replace("…", "x")))


def test_the_events() -> None:
    [text] = blocks("")
    text = text.replace("{…}", USAGE).replace('"position":"…"', '"position":"1.1"')
    events = [json.loads(line) for line in text.replace("…", "x").splitlines()]
    kinds = document()["components"]["schemas"]["Event"]["oneOf"]
    assert [event["type"] for event in events] == [
        kind["properties"]["type"]["const"] for kind in kinds
    ]
    for event in events:
        check({"$ref": "#/components/schemas/Event"}, event)


def test_the_table_of_endpoints() -> None:
    table = PAGE.partition("## Endpoints")[2].partition("## Ask a question")[0]
    told = {
        path.replace("models/{id}", "models/{model}")
        for row in _ENDPOINTS.findall(table)
        for path in re.findall(r"/api(/[^`]*)", row)
    }
    assert told == document()["paths"].keys()


def test_the_table_of_errors() -> None:
    told = {(code, int(status)) for code, status in _CODES.findall(PAGE)}
    described = {
        (code, schema["properties"]["status"]["const"])
        for operations in document()["paths"].values()
        for name, operation in operations.items()
        if name != "parameters"
        for response in operation["responses"].values()
        for schema in _parts(response)
        for code in schema["properties"]["code"]["enum"]
    }
    assert described == told


def _parts(response: dict[str, Any]) -> list[dict[str, Any]]:
    media = response.get("content", {}).get("application/problem+json")
    return [part for part in media["schema"]["allOf"] if "$ref" not in part] if media else []


def examples() -> list[tuple[str, Any, Any]]:
    return [
        (f"{operation['operationId']} {name}", media["schema"], example["value"])
        for operations in document()["paths"].values()
        for method, operation in operations.items()
        if method != "parameters"
        for media in operation.get("requestBody", {}).get("content", {}).values()
        for name, example in media.get("examples", {}).items()
    ]


@pytest.mark.parametrize(("name", "schema", "value"), examples(), ids=lambda value: str(value)[:30])
def test_an_example(name: str, schema: dict[str, Any], value: Any) -> None:
    check(schema, value)
