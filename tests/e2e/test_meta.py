"""Health, actions, OpenAPI, and what every response says to web pages."""

import pytest

from local.simulator import Simulator
from tests.e2e.client import SSE, Api
from tests.e2e.conftest import ORIGIN, StartApi

SAFE = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


async def test_health(api: Api) -> None:
    alive = await api.call("GET", "/health")
    assert (alive.status, alive.json()) == (200, {"status": "ok"})
    ready = await api.call("GET", "/health?probe=ready")
    assert (ready.status, ready.json()) == (200, {"status": "ready"})
    other = await api.call("GET", "/health?probe=nonsense")
    other.problem(400, "invalid_request", "probe")


async def test_actions(api: Api) -> None:
    listed = (await api.call("GET", "/actions")).json()
    assert listed["items"][0]["name"] == "default"
    assert all(set(action) == {"name", "title", "description"} for action in listed["items"])


async def test_openapi(api: Api) -> None:
    reply = await api.call("GET", "/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    document = reply.json()
    assert document["openapi"].startswith("3.1")
    assert "/chat" in "".join(document["paths"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health"), ("GET", "/actions"), ("POST", "/chat"), ("GET", "/conversations")],
)
async def test_every_response_is_safe(api: Api, method: str, path: str) -> None:
    reply = await api.call(method, path)
    assert {name: reply.headers.get(name) for name in SAFE} == SAFE


ROUTES = {
    "/chat": "POST",
    "/actions": "GET",
    "/health": "GET",
    "/openapi.json": "GET",
    "/conversations": "GET",
    "/conversations/c": "GET, PATCH, DELETE",
    "/conversations/c/messages": "GET",
    "/conversations/c/export": "GET",
    "/conversations/c/turns/t": "GET",
    "/conversations/c/turns/t/stream": "GET",
    "/conversations/c/turns/t/stop": "POST",
}


@pytest.mark.parametrize("path", ROUTES)
async def test_preflights(api: Api, path: str) -> None:
    reply = await api.call("OPTIONS", path, origin=ORIGIN, access_control_request_method="POST")
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    assert reply.headers["access-control-allow-credentials"] == "true"
    allowed = reply.headers["access-control-allow-methods"]
    assert set(ROUTES[path].split(", ")) <= set(allowed.split(", "))
    headers = {name.strip() for name in reply.headers["access-control-allow-headers"].split(",")}
    assert {"content-type", "last-event-id"} <= headers
    assert "origin" in reply.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", f"{ORIGIN}.evil.com", "http://pages.example.com"]
)
async def test_other_origins(api: Api, origin: str) -> None:
    for method, path in (("OPTIONS", "/chat"), ("GET", "/health")):
        reply = await api.call(method, path, origin=origin)
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]
        assert "origin" in reply.headers["vary"].lower()


async def test_origins_see_the_headers_of_answers_and_errors(
    api: Api, model: Simulator, conversation: str
) -> None:
    caller = api.with_headers(origin=ORIGIN)
    good = await caller.chat("[simulate: say text=x]", SSE)
    bad = await caller.chat("", SSE)
    missing = await caller.call("GET", f"/conversations/{conversation}")
    locked = await caller.chat("x", model="small")
    none = await caller.chat("x", "image/png")
    for reply, status in ((good, 200), (bad, 400), (missing, 404), (locked, 403), (none, 406)):
        assert reply.status == status
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert reply.headers["access-control-allow-credentials"] == "true"
        exposed = reply.headers["access-control-expose-headers"]
        assert {name.strip() for name in exposed.split(",")} == {
            "x-conversation-id",
            "x-turn-id",
            "retry-after",
        }


async def test_no_origin_is_allowed_by_default(stranger: Api) -> None:
    reply = await stranger.call("OPTIONS", "/chat", origin=ORIGIN)
    assert "access-control-allow-origin" not in reply.headers


SETTINGS = {
    "AZURE_OPENAI_CHAT_DEPLOYMENT": "<insert the deployment>",
    "CHAT_MAX_BODY_BYTES": "lots",
}


async def test_an_app_without_any_setting_starts_and_says_what_it_needs(
    start_api: StartApi,
) -> None:
    empty: dict[str, str | None] = dict.fromkeys(
        (
            "AZURE_OPENAI_ENDPOINT",
            "AZURE_OPENAI_CHAT_DEPLOYMENT",
            "AZURE_OPENAI_API_KEY",
            "CHAT_STORAGE",
            "CHAT_AUTH",
        )
    )
    async with start_api(**empty) as api:
        assert (await api.call("GET", "/health")).status == 200
        reply = await api.call("GET", "/health?probe=ready")
        assert reply.status == 503
        failures = {failure["part"]: failure for failure in reply.json()["failures"]}
        assert "CHAT_STORAGE" in failures["store"]["detail"]
        assert "AZURE_OPENAI_ENDPOINT" in failures["model"]["detail"]
        assert {failure["code"] for failure in failures.values()} == {"misconfigured"}
        detail = (await api.chat("x")).problem(500, "misconfigured")["detail"]
        assert "AZURE_OPENAI_ENDPOINT" in detail


@pytest.mark.parametrize("name", SETTINGS)
async def test_a_wrong_setting_is_named(start_api: StartApi, model: Simulator, name: str) -> None:
    async with start_api(**{name: SETTINGS[name]}) as api:
        reply = await api.chat("x")
        assert name in reply.problem(500, "misconfigured")["detail"]
        assert (await api.call("GET", "/health")).status == 200
    assert await model.requests() == []


async def test_a_wrong_origin_is_told_and_opens_nothing(start_api: StartApi) -> None:
    async with start_api(CHAT_ALLOWED_ORIGINS="*") as api:
        reply = await api.call("OPTIONS", "/chat", origin=ORIGIN)
        assert "access-control-allow-origin" not in reply.headers
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        assert "CHAT_ALLOWED_ORIGINS" in ready.text
