"""Nobody but the page itself may use the drawer."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web

from local.drawer import LocalParts, proxy_with_drawer
from local.loopback import serving
from tests.local.drawer.conftest import DRAWER


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The drawer before a host that must never be asked."""

    async def host(request: web.Request) -> web.Response:
        return web.Response(status=500, text=f"forwarded: {request.method} {request.path}")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host)
    async with serving(app) as address:
        parts = LocalParts(address, "func", None, None)
        async with proxy_with_drawer(parts) as proxy:
            yield f"{proxy}/api/local"


async def answer(
    url: str, method: str, path: str, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, str]]:
    async with (
        ClientSession() as client,
        client.request(method, f"{url}/{path}", headers=headers) as response,
    ):
        body = await response.json(content_type=None)
        return response.status, str(body.get("detail", "")), dict(response.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "cut"),
        ("POST", "release"),
        ("POST", "faults/cut"),
        ("DELETE", "faults"),
        ("POST", "workers/0/kill"),
        ("POST", "workers/0/terminate"),
        ("POST", "nothing"),
    ],
)
@pytest.mark.parametrize("header", [{}, {"x-local-drawer": "0"}])
async def test_what_changes_something_needs_the_header(
    url: str, method: str, path: str, header: dict[str, str]
):
    status, detail, _ = await answer(url, method, path, header)
    assert status == 403
    assert "x-local-drawer: 1" in detail


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1.evil.example", "null", "http://[::1", "http://"],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "cut"), ("GET", "state")])
async def test_pages_of_other_origins_are_refused(url: str, method: str, path: str, origin: str):
    status, detail, headers = await answer(url, method, path, DRAWER | {"Origin": origin})
    assert status == 403
    assert "other origins" in detail
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:4280", "http://localhost:4280", "http://[::1]:4280"]
)
async def test_the_pages_own_origin_is_not(url: str, origin: str):
    status, _, _ = await answer(url, "POST", "cut", DRAWER | {"Origin": origin})
    assert status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:4280"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example@127.0.0.1.nip.example"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Host": "127.0.0.1, evil.example"},
        {"x-ms-original-url": "http://evil.example/api/local/state"},
        {"x-ms-original-url": "nonsense"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "cut"), ("GET", "state"), ("GET", "last"), ("GET", "drawer.js")]
)
async def test_a_name_that_was_bound_to_loopback_is_refused(
    url: str, method: str, path: str, headers: dict[str, str]
):
    status, detail, _ = await answer(url, method, path, DRAWER | headers)
    assert status == 403
    assert "127.0.0.1 and localhost only" in detail


@pytest.mark.parametrize("path", ["cut", "state", "workers/0/kill"])
async def test_no_preflight_is_granted(url: str, path: str):
    asking = {
        "Origin": "http://127.0.0.1:9",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-local-drawer",
    }
    status, _, headers = await answer(url, "OPTIONS", path, asking)
    assert status == 403
    assert not [name for name in headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing"),
        ("GET", ""),
        ("GET", "drawer.py"),
        ("GET", "other.js"),
        ("PUT", "state"),
        ("POST", "workers/0/restart"),
        ("POST", "workers/x/kill"),
    ],
)
async def test_what_there_is_not_is_never_forwarded(url: str, method: str, path: str):
    status, detail, _ = await answer(url, method, path, DRAWER)
    assert status == 404
    assert detail.startswith("The drawer has no")


async def test_the_rest_of_the_api_is(url: str):
    async with ClientSession() as client:
        for path in ("api/localities", "api/chat"):
            async with client.get(f"{url.removesuffix('api/local')}{path}") as response:
                assert await response.text() == f"forwarded: GET /{path}"
