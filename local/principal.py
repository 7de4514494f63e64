"""A proxy between the web emulator and the host that says who is calling, as Azure would.

In Azure, Static Web Apps sets `x-ms-client-principal`, and nobody else can. Its emulator does so
only after a log-in, and passes on what a caller made up. Behind this proxy a caller who has not
logged in is the local developer, whatever they sent.

Every request to the API passes here, so whoever wants to see them, or to serve something beside the
host, gives the proxy an `Onlooker`.
"""

import base64
import json
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    StreamReader,
    TCPConnector,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from local.hop_by_hop import end_to_end
from local.loopback import serving
from local.problems import problem

HEADER = "x-ms-client-principal"
# The emulator's log-in keeps itself in this cookie, and its principal comes from nowhere else.
LOGIN_COOKIE = "StaticWebAppsAuthCookie"
LOCAL_DEVELOPER = {
    "identityProvider": "local",
    "userId": "local-developer",
    "userDetails": "Local developer",
    "userRoles": ["anonymous", "authenticated"],
}
_HOST: web.AppKey[str] = web.AppKey("host", str)
_SESSION: web.AppKey[ClientSession] = web.AppKey("session", ClientSession)
_EVENTS = "text/event-stream"


class Exchange(Protocol):
    """One request on its way through, as an onlooker sees it."""

    def upload(self, body: StreamReader) -> AsyncIterable[bytes]:
        """The request's body, as it is to go to the host."""
        ...

    def answered(self, response: ClientResponse) -> None:
        """The host's response has begun. Closing it is for the caller as if the host broke off."""
        ...

    def over(self, *, whole: bool) -> None:
        """Nothing more will come; `whole`: the host ended the response, and all was passed on."""
        ...


class Onlooker(Protocol):
    """Who sees what passes, and what the proxy serves itself."""

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """What is answered here and never forwarded."""
        ...

    def watch(self, request: web.Request) -> Exchange | None:
        """A request arrives; None: it is of no interest."""
        ...


_ONLOOKER: web.AppKey[Onlooker | None] = web.AppKey("onlooker")


def encode(principal: Mapping[str, object]) -> str:
    """The header's value for a principal: base64 of its JSON."""
    return base64.b64encode(json.dumps(principal).encode()).decode("ascii")


@asynccontextmanager
async def principal_proxy(
    host: str, *, port: int = 0, onlooker: Onlooker | None = None
) -> AsyncIterator[str]:
    """Serves the proxy to `host` (an http address) while the block runs; yields its own address.

    Bodies pass through as they come, in both directions. A caller who leaves takes the request
    to the host along. Raises OSError where the port is taken.
    """
    # A kept connection may be closed by the host just when a POST, never sent twice, goes out.
    connector = TCPConnector(limit=0, force_close=True)
    # A stream may be silent, and long: the host decides when it is over.
    timeout = ClientTimeout(total=None, sock_connect=10)
    async with ClientSession(
        connector=connector, timeout=timeout, cookie_jar=DummyCookieJar(), auto_decompress=False
    ) as session:
        app = web.Application()
        app[_HOST] = host.rstrip("/")
        app[_SESSION] = session
        app[_ONLOOKER] = onlooker
        if onlooker:
            app.add_routes(onlooker.routes())
        app.router.add_route("*", "/{path:.*}", _forward)
        async with serving(app, port=port) as address:
            yield address


async def _forward(request: web.Request) -> web.StreamResponse:
    if not request.raw_path.startswith("/"):
        return problem(400, "The request's target must be a path.")
    onlooker = request.app[_ONLOOKER]
    exchange = onlooker.watch(request) if onlooker else None
    whole = False
    try:
        response, whole = await _exchange(request, exchange)
        return response
    finally:
        if exchange:
            exchange.over(whole=whole)


async def _exchange(
    request: web.Request, exchange: Exchange | None
) -> tuple[web.StreamResponse, bool]:
    """The response, and whether the host ended it."""
    target = URL(request.app[_HOST] + request.raw_path, encoded=True)
    body = exchange.upload(request.content) if exchange else request.content
    try:
        received = await request.app[_SESSION].request(
            request.method,
            target,
            headers=_request_headers(request),
            data=body if request.body_exists else None,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        )
    except (ClientError, TimeoutError) as exc:
        return problem(502, f"The Functions host does not answer: {exc}"), False
    try:
        if exchange:
            exchange.answered(received)
        return await _relay(request, received)
    finally:
        # Whatever is left unread, by a caller who has gone, is not waited for.
        received.close()


async def _relay(request: web.Request, received: ClientResponse) -> tuple[web.StreamResponse, bool]:
    response = web.StreamResponse(
        status=received.status, reason=received.reason, headers=end_to_end(received.headers)
    )
    await response.prepare(request)
    if request.method == "HEAD":
        return response, True
    whole = True
    try:
        async for chunk in received.content.iter_any():
            await response.write(chunk)
    except ClientError:
        whole = False
        if received.content_type != _EVENTS or received.content_length is not None:
            # Cut short by the host: cut short for the caller too, never made a proper end.
            if request.transport is not None:
                request.transport.abort()
            return response, whole
        # But these say their end by an event of its own, so that a missing one is seen; and the
        # web emulator keeps a stream open for ever whose response is broken off behind it.
    await response.write_eof()
    return response, whole


def _request_headers(request: web.Request) -> CIMultiDict[str]:
    headers = end_to_end(request.headers)
    logged_in = any(name.partition("_")[0] == LOGIN_COOKIE for name in request.cookies)
    if not (logged_in and HEADER in headers):
        headers[HEADER] = encode(LOCAL_DEVELOPER)
    return headers
