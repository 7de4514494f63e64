"""A proxy between the web emulator and the host that says who is calling, as Azure would.

In Azure, Static Web Apps sets `x-ms-client-principal`, and nobody else can. Its emulator does so
only after a log-in, and passes on what a caller made up. Behind this proxy a caller who has not
logged in is the local developer, whatever they sent.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    web,
)
from multidict import CIMultiDict
from yarl import URL

from local.hop_by_hop import end_to_end
from local.loopback import serving

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


def encode(principal: Mapping[str, object]) -> str:
    """The header's value for a principal: base64 of its JSON."""
    return base64.b64encode(json.dumps(principal).encode()).decode("ascii")


@asynccontextmanager
async def principal_proxy(host: str, *, port: int = 0) -> AsyncIterator[str]:
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
        app.router.add_route("*", "/{path:.*}", _forward)
        async with serving(app, port=port) as address:
            yield address


async def _forward(request: web.Request) -> web.StreamResponse:
    if not request.raw_path.startswith("/"):
        return _problem(400, "Bad Request", "The request's target must be a path.")
    target = URL(request.app[_HOST] + request.raw_path, encoded=True)
    try:
        received = await request.app[_SESSION].request(
            request.method,
            target,
            headers=_request_headers(request),
            data=request.content if request.body_exists else None,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            allow_redirects=False,
        )
    except (ClientError, TimeoutError) as exc:
        return _problem(502, "Bad Gateway", f"The Functions host does not answer: {exc}")
    try:
        return await _relay(request, received)
    finally:
        # Whatever is left unread, by a caller who has gone, is not waited for.
        received.close()


async def _relay(request: web.Request, received: ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(
        status=received.status, reason=received.reason, headers=end_to_end(received.headers)
    )
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        async for chunk in received.content.iter_any():
            await response.write(chunk)
    except ClientError:
        # Cut short by the host: cut short for the caller too, never made a proper end.
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


def _request_headers(request: web.Request) -> CIMultiDict[str]:
    headers = end_to_end(request.headers)
    logged_in = any(name.partition("_")[0] == LOGIN_COOKIE for name in request.cookies)
    if not (logged_in and HEADER in headers):
        headers[HEADER] = encode(LOCAL_DEVELOPER)
    return headers


def _problem(status: int, title: str, detail: str) -> web.Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")
