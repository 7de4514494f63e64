"""The Static Web Apps emulator in front of page, proxy and an API."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

from local.loopback import serving
from local.ports import is_free
from local.principal import HEADER, LOCAL_DEVELOPER, LOGIN_COOKIE, encode, principal_proxy
from local.web import running_web

SECONDS = 30
SOMEBODY = {
    "identityProvider": "github",
    "userId": "42",
    "userDetails": "somebody",
    "userRoles": ["anonymous", "authenticated"],
}


@dataclass
class Front:
    """The emulator's address, a client of it, and what lets the API's stream go on."""

    url: str
    client: ClientSession
    go_on: asyncio.Event


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    go_on = asyncio.Event()

    async def who(request: web.Request) -> web.Response:
        return web.json_response(json.loads(base64.b64decode(request.headers[HEADER])))

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": request.query["type"]})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.wait_for(go_on.wait(), SECONDS)
        await response.write(b"data: 2\n\n")
        return response

    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    (tmp_path / "index.html").write_text("<h1>the page</h1>")
    app = web.Application()
    app.router.add_get("/api/who", who)
    app.router.add_get("/api/stream", stream)
    app.router.add_get("/api/broken", broken)
    async with (
        serving(app) as host,
        principal_proxy(host) as proxy,
        running_web(tmp_path, proxy) as running,
        ClientSession() as client,
    ):
        yield Front(running.url, client, go_on)
    assert is_free(running.port)


async def test_the_page_and_who_is_calling(front: Front):
    async with front.client.get(front.url) as response:
        assert "the page" in await response.text()
    async with front.client.get(f"{front.url}/api/who") as response:
        assert await response.json() == LOCAL_DEVELOPER
    async with front.client.get(
        f"{front.url}/api/who", headers={HEADER: encode(SOMEBODY)}
    ) as response:
        assert await response.json() == LOCAL_DEVELOPER
    # What the emulated log-in leaves in the browser.
    login = {"Cookie": f"{LOGIN_COOKIE}={encode(SOMEBODY)}"}
    async with front.client.get(f"{front.url}/api/who", headers=login) as response:
        assert await response.json() == SOMEBODY
    async with front.client.get(f"{front.url}/.auth/me", headers=login) as response:
        told = await response.json(content_type=None)
        assert told["clientPrincipal"]["userId"] == "42"


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream"])
async def test_streams_unbuffered(front: Front, kind: str):
    async with front.client.get(f"{front.url}/api/stream", params={"type": kind}) as response:
        assert response.content_type == kind
        assert await response.content.readexactly(9) == b"data: 1\n\n"
        front.go_on.set()
        assert await response.content.read() == b"data: 2\n\n"


async def test_events_that_the_host_breaks_off_end(front: Front):
    async with front.client.get(f"{front.url}/api/broken") as response:
        assert await asyncio.wait_for(response.read(), SECONDS) == b"data: 1\n\n"
