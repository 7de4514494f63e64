"""What every endpoint does alike, where only a mistake of ours would show it."""

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azurefunctions.extensions.http.fastapi import Request, Response
from starlette.requests import ClientDisconnect

from shared.api.endpoints import add_endpoint, identifier, json_response, read_json, whole_number
from shared.api.problems import problem_response
from shared.errors import (
    ConversationBusy,
    InvalidRequest,
    Misconfigured,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from shared.services import Services
from shared.settings import Settings

ORIGIN = "https://pages.example.com"
INVOCATION: Any = SimpleNamespace(
    invocation_id="an-invocation", trace_context=SimpleNamespace(trace_parent="")
)
"""What the runtime hands to a function besides the request."""


def request(
    method: str = "GET",
    body: bytes = b"",
    query: str = "",
    path: dict[str, str] | None = None,
    **headers: str,
) -> Request:
    scope = {
        "type": "http",
        "method": method,
        "path": "/",
        "query_string": query.encode(),
        "path_params": path or {},
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }
    parts = [body[: len(body) // 2], body[len(body) // 2 :]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    return Request(scope, receive)


async def call(
    work: Callable[[Request], Awaitable[Response]], asked: Request, **settings: str
) -> Response:
    """What the endpoint answers whose GET does this work."""
    blueprint = func.Blueprint()
    add_endpoint(blueprint, Services(Settings(settings), Path()), "it", "it", {"GET": work})
    app = func.FunctionApp()
    app.register_functions(blueprint)
    (function,) = app.get_functions()
    response: Response = await function.get_user_function()(asked, INVOCATION)
    return response


async def well(_: Request) -> Response:
    return json_response({"fine": True})


async def test_safe_headers() -> None:
    response = await call(well, request())
    assert (response.status_code, response.body) == (200, b'{"fine":true}')
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "vary" not in response.headers


async def test_a_preflight_and_an_allowed_origin() -> None:
    response = await call(well, request("OPTIONS", origin=ORIGIN), CHAT_ALLOWED_ORIGINS=ORIGIN)
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "GET, OPTIONS"
    response = await call(well, request(origin=ORIGIN), CHAT_ALLOWED_ORIGINS=ORIGIN)
    assert "x-turn-id" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-methods" not in response.headers


@pytest.mark.parametrize("origins", ["https://other.example.com", "*", ""])
async def test_another_origin_and_a_wrong_setting_allow_nothing(origins: str) -> None:
    response = await call(well, request(origin=ORIGIN), CHAT_ALLOWED_ORIGINS=origins)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["vary"] == "origin"


async def test_a_mistake_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_: Request) -> Response:
        raise KeyError("secret")

    response = await call(fail, request(origin=ORIGIN), CHAT_ALLOWED_ORIGINS=ORIGIN)
    assert response.status_code == 500
    assert b"secret" not in response.body
    assert json.loads(bytes(response.body))["code"] == "internal_error"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "secret" in caplog.text


async def test_a_caller_who_left_in_mid_body_is_no_mistake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def leave(_: Request) -> Response:
        raise ClientDisconnect

    assert (await call(leave, request())).status_code == 400
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("error", "logged"), [(Misconfigured("X is missing."), True), (NotFound("No."), False)]
)
async def test_only_what_the_app_is_to_blame_for_is_logged(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def fail(_: Request) -> Response:
        raise error

    response = await call(fail, request())
    assert json.loads(bytes(response.body))["detail"] == str(error)
    assert bool(caplog.text) == logged


def test_problems() -> None:
    response = problem_response(InvalidRequest("limit is wrong.", field="limit"))
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "The request is not valid",
        "status": 400,
        "detail": "limit is wrong.",
        "code": "invalid_request",
        "errors": [{"field": "limit", "message": "limit is wrong."}],
    }
    busy = problem_response(ConversationBusy("t1"))
    assert json.loads(bytes(busy.body))["turnId"] == "t1"
    assert busy.headers["retry-after"] == "2"
    assert problem_response(Overloaded("x", retry_after=0.2)).headers["retry-after"] == "1"
    assert problem_response(Overloaded("x", retry_after=2.1)).headers["retry-after"] == "3"
    assert "retry-after" not in problem_response(Overloaded("x")).headers


async def test_a_body() -> None:
    for kind in ("application/json", "Application/JSON; charset=utf-8"):
        assert await read_json(request("POST", b"12345678", content_type=kind), 8) == b"12345678"


@pytest.mark.parametrize("kind", ["text/plain", "application/jsonx", ""])
async def test_a_body_of_another_type(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        await read_json(request("POST", b"{}", content_type=kind), 8)


@pytest.mark.parametrize("declared", [None, "9", "9" * 5000, "0", "-1", "x", "٩"])
async def test_a_body_that_is_too_large_whatever_it_declares(declared: str | None) -> None:
    kind = "application/json"
    asked = request("POST", b"123456789", content_type=kind)
    if declared is not None:
        asked = request("POST", b"123456789", content_type=kind, content_length=declared)
    with pytest.raises(PayloadTooLarge, match="8 bytes"):
        await read_json(asked, 8)


def test_identifiers_and_numbers() -> None:
    assert identifier(request(path={"id": "a-Z_9"}), "id") == "a-Z_9"
    for wrong in ("", "a b", "a\n", "ä", "a" * 65):
        with pytest.raises(NotFound):
            identifier(request(path={"id": wrong}), "id")
    assert whole_number(request(), "limit", 50, 1, 100) == 50
    assert whole_number(request(query="limit=100"), "limit", 50, 1, 100) == 100
    for text in ("0", "101", "-1", "1.5", "x", "", "9" * 10):
        with pytest.raises(InvalidRequest, match="from 1 to 100") as raised:
            whole_number(request(query=f"limit={text}"), "limit", 50, 1, 100)
        assert raised.value.problems[0].field == "limit"
