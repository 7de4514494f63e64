"""A server in front of the table service: it counts what passes, and fails as it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

_TYPES = {b"{": "application/json", b"<?xml": "application/xml", b"\0": "application/octet-stream"}
_OWN = frozenset({"host", "content-length", "transfer-encoding", "connection", "keep-alive"})


@dataclass
class Between:
    """`fault` is what happens to the requests from now on; None: they pass.

    A number is answered as a status with `body`; "lost": it passes, and the reply is lost;
    "refused": the connection is cut before the request passes; "silent": no answer comes.
    """

    port: int = 0
    fault: int | str | None = None
    body: bytes = b"<html>secret of the vendor</html>"
    requests: list[str] = field(default_factory=list)
    """`METHOD path` of each, without the query."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def standing_between(upstream: str) -> AsyncIterator[Between]:
    between = Between()
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            between.requests.append(f"{request.method} {request.path}")
            body = await request.read()
            if isinstance(between.fault, int):
                return web.Response(
                    status=between.fault, body=between.body, content_type=_type_of(between.body)
                )
            if between.fault == "silent":
                await between.ended.wait()
            if between.fault == "refused":
                _cut(request)
            headers = {n: v for n, v in request.headers.items() if n.lower() not in _OWN}
            url = URL(f"{upstream}{request.raw_path}", encoded=True)
            async with session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                content = await answer.read()
                if between.fault == "lost":
                    _cut(request)
                kept = {n: v for n, v in answer.headers.items() if n.lower() not in _OWN}
                return web.Response(status=answer.status, body=content, headers=kept)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        between.port = runner.addresses[0][1]
        try:
            yield between
        finally:
            between.ended.set()
            await runner.cleanup()


def _type_of(body: bytes) -> str:
    return next((t for b, t in _TYPES.items() if body.startswith(b)), "text/html")


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
