"""The proxy that says who is calling: what it adds, what it leaves, and that it never buffers."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientPayloadError, ClientResponse, ClientSession, StreamReader, web
from aiohttp.typedefs import Handler
from yarl import URL

from local.loopback import serving
from local.ports import HOST, free_ports
from local.principal import HEADER, LOCAL_DEVELOPER, LOGIN_COOKIE, encode, principal_proxy

SECONDS = 30
SOMEBODY = {
    "identityProvider": "github",
    "userId": "42",
    "userDetails": "Zoë",
    "userRoles": ["anonymous", "authenticated"],
}


@asynccontextmanager
async def proxied(handler: Handler) -> AsyncIterator[tuple[ClientSession, str]]:
    """A host with one handler, the proxy before it; a client, and the proxy's address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with serving(app) as host, principal_proxy(host) as proxy, ClientSession() as client:
        yield client, proxy


async def echo(request: web.Request) -> web.Response:
    """Tells what arrived."""
    return web.json_response(
        {
            "method": request.method,
            "target": request.raw_path,
            "principal": json.loads(base64.b64decode(request.headers[HEADER])),
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": (await request.read()).decode(),
        }
    )


async def test_a_caller_without_a_login_is_the_local_developer():
    async with proxied(echo) as (client, proxy), client.get(f"{proxy}/api/chat") as response:
        assert (await response.json())["principal"] == LOCAL_DEVELOPER


async def test_a_made_up_principal_does_not_count():
    async with proxied(echo) as (client, proxy):
        headers = {HEADER: encode(SOMEBODY)}
        async with client.get(proxy, headers=headers) as response:
            assert (await response.json())["principal"] == LOCAL_DEVELOPER


@pytest.mark.parametrize("cookie", [LOGIN_COOKIE, f"{LOGIN_COOKIE}_0"])
async def test_a_login_keeps_its_own_principal(cookie: str):
    async with proxied(echo) as (client, proxy):
        headers = {HEADER: encode(SOMEBODY), "Cookie": f"a=b; {cookie}=x"}
        async with client.get(proxy, headers=headers) as response:
            assert (await response.json())["principal"] == SOMEBODY


async def test_request_and_response_pass_as_they_are():
    async with proxied(echo) as (client, proxy):
        target = "/api/caf%C3%A9%2F..%2Fx//y?q=a%20b+c&q=%26"
        headers = {"X-Own": "1", "Connection": "X-Hop, keep-alive", "X-Hop": "1", "Host": "page:1"}
        request = client.patch(URL(proxy + target, encoded=True), data="ü" * 9, headers=headers)
        async with request as response:
            told = await response.json()
    assert told["method"] == "PATCH"
    assert told["target"] == target
    assert told["body"] == "ü" * 9
    assert told["headers"]["host"] == "page:1"
    assert told["headers"]["x-own"] == "1"
    assert "x-hop" not in told["headers"]


async def test_status_reason_and_repeated_headers_come_back():
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(status=418, reason="Short and stout", text="tea")
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        return response

    async with proxied(handler) as (client, proxy), client.get(proxy) as response:
        assert (response.status, response.reason) == (418, "Short and stout")
        assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
        assert await response.text() == "tea"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_responses_without_a_body_end(method: str, status: int):
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, text="unseen" if status == 200 else None)

    async with proxied(handler) as (client, proxy), client.request(method, proxy) as response:
        assert response.status == status
        assert await response.read() == b""


@pytest.mark.parametrize("kind", ["text/event-stream", "application/octet-stream", "text/plain"])
async def test_a_stream_is_passed_on_as_it_comes(kind: str):
    seen = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        await response.write(b"first")
        # Waits for ever, if the proxy waits for more before it passes this on.
        await asyncio.wait_for(seen.wait(), SECONDS)
        await response.write(b"second")
        return response

    async with proxied(handler) as (client, proxy), client.get(proxy) as response:
        assert await response.content.read(5) == b"first"
        seen.set()
        assert await response.content.read() == b"second"


async def test_a_request_is_passed_on_as_it_comes():
    arrived = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        first = await request.content.read(5)
        arrived.set()
        return web.Response(body=first + await request.content.read())

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.wait_for(arrived.wait(), SECONDS)
        yield b"second"

    async with proxied(handler) as (client, proxy), client.post(proxy, data=body()) as response:
        assert await response.read() == b"firstsecond"


async def test_a_caller_who_leaves_takes_the_request_to_the_host_along():
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with proxied(handler) as (client, proxy):
        async with client.get(proxy) as response:
            assert await response.content.read(5) == b"first"
            response.close()
        await asyncio.wait_for(left.wait(), SECONDS)


def cut_short(headers: dict[str, str], body: bytes = b"half") -> Handler:
    """A host that breaks its response off."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.abort()
        return response

    return handler


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/octet-stream"},
        {"Content-Type": "application/x-ndjson"},
        {"Content-Type": "text/event-stream", "Content-Length": "100"},
    ],
)
async def test_a_stream_that_the_host_cuts_is_cut_for_the_caller(headers: dict[str, str]):
    async with proxied(cut_short(headers)) as (client, proxy), client.get(proxy) as response:
        with pytest.raises(ClientPayloadError):
            await response.read()


async def test_events_that_the_host_cuts_end_for_the_caller():
    handler = cut_short({"Content-Type": "text/event-stream; charset=utf-8"}, b"data: 1\n\ndata: ")
    async with proxied(handler) as (client, proxy), client.get(proxy) as response:
        # Half an event is none (WHATWG HTML, 9.2.6), and the event that says the end is missing.
        assert await response.read() == b"data: 1\n\ndata: "


@dataclass
class Seen:
    """An onlooker that notes what it sees of every request but those for `/plain`."""

    noted: list[str] = field(default_factory=list)
    responses: list[ClientResponse] = field(default_factory=list)

    def routes(self) -> list[web.RouteDef]:
        async def own(request: web.Request) -> web.Response:
            return web.Response(text="the onlooker's own")

        return [web.get("/own", own)]

    def watch(self, request: web.Request) -> "Seen | None":
        return None if request.path == "/plain" else self

    async def upload(self, body: StreamReader) -> AsyncIterator[bytes]:
        async for chunk in body.iter_any():
            self.noted.append(chunk.decode())
            yield chunk

    def answered(self, response: ClientResponse) -> None:
        self.noted.append(str(response.status))
        self.responses.append(response)

    def over(self, *, whole: bool) -> None:
        self.noted.append("whole" if whole else "broken")


async def test_an_onlooker_sees_what_passes_and_answers_what_is_its_own():
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    seen = Seen()
    async with (
        serving(app) as host,
        principal_proxy(host, onlooker=seen) as proxy,
        ClientSession() as client,
    ):
        async with client.post(f"{proxy}/x", data="question") as response:
            assert (await response.json())["body"] == "question"
        assert seen.noted == ["question", "200", "whole"]
        async with client.get(f"{proxy}/plain") as response:
            assert response.status == 200
        async with client.get(f"{proxy}/own") as response:
            assert await response.text() == "the onlooker's own"
    assert seen.noted == ["question", "200", "whole"]


async def test_an_onlooker_may_end_a_response():
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await asyncio.Event().wait()
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    seen = Seen()
    async with (
        serving(app) as host,
        principal_proxy(host, onlooker=seen) as proxy,
        ClientSession() as client,
        client.get(proxy) as response,
    ):
        assert await response.content.readexactly(9) == b"data: 1\n\n"
        seen.responses[0].close()
        assert await asyncio.wait_for(response.read(), SECONDS) == b""
        assert seen.noted == ["200", "broken"]


async def test_a_host_that_is_down_is_a_bad_gateway():
    nowhere = f"http://{HOST}:{next(free_ports())}"
    seen = Seen()
    async with (
        principal_proxy(nowhere, onlooker=seen) as proxy,
        ClientSession() as client,
        client.get(proxy) as response,
    ):
        assert response.status == 502
        assert response.content_type == "application/problem+json"
        assert "host does not answer" in (await response.json(content_type=None))["detail"]
        assert seen.noted == ["broken"]


async def test_a_target_that_is_no_path_goes_nowhere():
    async with proxied(echo) as (_, proxy):
        reader, writer = await asyncio.open_connection(HOST, URL(proxy).port)
        writer.write(b"GET http://elsewhere/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        status = await asyncio.wait_for(reader.readline(), SECONDS)
        writer.close()
        await writer.wait_closed()
        assert b" 400 " in status
