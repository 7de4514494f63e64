"""One request, passed on to a worker's web server and its response passed back, unbuffered.

As the Functions host's reverse proxy does it: an idle limit instead of a time-out, connection
failures retried, the forward cancelled when the caller leaves, and a broken response broken for
the caller too. Failures before the response begins are a bare 502, 503 or 504.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace, TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import hdrs, web
from multidict import CIMultiDict
from yarl import URL

from local.hop_by_hop import end_to_end
from local.host.pool import NoWorker, WorkerPool
from local.host.process import WorkerProcess
from local.host.routes import Match

INVOCATION_HEADER: Final = "x-ms-invocation-id"
WORKER_HEADER: Final = "x-local-worker"

# The host's own figures (azure-functions-host, RetryProxyHandler).
_ATTEMPTS: Final = 10
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 0.25

_UNTYPED: Final = web.ResponseKey("untyped", bool)


class Forwarder:
    """Passes requests on to the workers of a pool; `idle_limit` in seconds."""

    def __init__(self, pool: WorkerPool, idle_limit: float, say: Callable[[str], None]) -> None:
        self._pool = pool
        self._idle_limit = idle_limit
        self._say = say
        tracing = aiohttp.TraceConfig()
        tracing.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(
            trace_configs=[tracing],
            # The worker's web server closes idle connections after 5 s: never use one that old.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2.0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=(
                hdrs.ACCEPT,
                hdrs.ACCEPT_ENCODING,
                hdrs.CONTENT_TYPE,
                hdrs.USER_AGENT,
            ),
        )

    async def close(self) -> None:
        """Close the connections to the workers."""
        await self._session.close()

    async def forward(
        self, request: web.Request, match: Match, index: int | None
    ) -> web.StreamResponse:
        """The function's response, as its worker streams it. Raises UnknownWorker."""
        exchange = _Exchange(request, match, self._session)
        try:
            async with _IdleLimit(self._idle_limit) as idle:
                exchange.touch = idle.touch
                try:
                    await self._connect(exchange, index)
                    return await exchange.pass_back()
                finally:
                    exchange.close()
        except TimeoutError:
            return self._failed(exchange, 504, f"nothing happened for {self._idle_limit:g} s")
        except NoWorker as exc:
            return self._failed(exchange, 503, str(exc))
        except (aiohttp.ClientError, ConnectionError) as exc:
            return self._failed(exchange, 502, f"the connection to the worker broke: {exc!r}")

    async def _connect(self, exchange: "_Exchange", index: int | None) -> None:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            worker = await self._pool.pick(index)
            exchange.announce(worker)
            try:
                await exchange.send(worker)
            except aiohttp.ClientConnectorError:
                # Once a worker may have begun with a request, no other gets it.
                if exchange.sent or attempt == _ATTEMPTS:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                return

    def _failed(self, exchange: "_Exchange", status: int, why: str) -> web.StreamResponse:
        self._say(f"{exchange.name}: {why}")
        if exchange.response is None:
            return web.Response(status=status)
        # The caller must see a broken response, never a clean end.
        if exchange.request.transport is not None:
            exchange.request.transport.abort()
        return exchange.response


async def untype(request: web.Request, response: web.StreamResponse) -> None:
    """Signal for `on_response_prepare`: no content type where the worker sent none."""
    if response.get(_UNTYPED):
        response.headers.pop(hdrs.CONTENT_TYPE, None)


class _Exchange:
    """One request on its way through."""

    def __init__(self, request: web.Request, match: Match, session: aiohttp.ClientSession) -> None:
        self.request = request
        self.name = match.function.name
        self.response: web.StreamResponse | None = None
        self.touch: Callable[[], None] = lambda: None
        self.sent = False
        self._match = match
        self._session = session
        self._invocation_id = str(uuid.uuid4())
        self._announced: WorkerProcess | None = None
        self._upstream: aiohttp.ClientResponse | None = None
        self._complete = False

    def announce(self, worker: WorkerProcess) -> None:
        """Tell a worker, once, that the request with this invocation id is on its way."""
        if worker is self._announced:
            return
        self._announced = worker
        headers = self.request.headers
        worker.invoke(
            {
                "id": self._invocation_id,
                "function": self._match.function.id,
                "name": self.name,
                "parameter": self._match.function.parameter,
                "method": self.request.method,
                "url": str(self.request.url),
                "params": self._match.params,
                "trace": [headers.get("traceparent", ""), headers.get("tracestate", "")],
            }
        )

    async def send(self, worker: WorkerProcess) -> None:
        """Send the request, body and all, and wait for the head of the response."""
        assert worker.uri is not None
        self._upstream = await self._session.request(
            self.request.method,
            URL(worker.uri + self.request.rel_url.raw_path_qs, encoded=True),
            headers=self._request_headers(),
            data=self._upload() if self.request.can_read_body else None,
            allow_redirects=False,
            trace_request_ctx=self,
        )

    async def pass_back(self) -> web.StreamResponse:
        """Stream the worker's response to the caller, chunk by chunk as it comes."""
        upstream = self._upstream
        assert upstream is not None
        headers = end_to_end(upstream.headers)
        response = web.StreamResponse(
            status=upstream.status, reason=upstream.reason, headers=headers
        )
        response[_UNTYPED] = hdrs.CONTENT_TYPE not in headers
        await response.prepare(self.request)
        self.response = response
        touch, write = self.touch, response.write
        async for chunk in upstream.content.iter_any():
            touch()
            await write(chunk)
        await response.write_eof()
        self._complete = True
        return response

    def close(self) -> None:
        """Let the worker's connection go: back to the pool when all was read, else at once."""
        if self._upstream is not None:
            if self._complete:
                self._upstream.release()
            else:
                self._upstream.close()

    async def _upload(self) -> AsyncIterator[bytes]:
        async for chunk in self.request.content.iter_any():
            self.touch()
            yield chunk

    def _request_headers(self) -> CIMultiDict[str]:
        request = self.request
        headers = end_to_end(request.headers)
        for name in (WORKER_HEADER, hdrs.HOST):
            headers.popall(name, None)
        headers[INVOCATION_HEADER] = self._invocation_id
        headers[hdrs.X_FORWARDED_FOR] = request.remote or ""
        headers[hdrs.X_FORWARDED_HOST] = request.host
        headers[hdrs.X_FORWARDED_PROTO] = request.scheme
        return headers


async def _note_sent(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    # The client by itself sends a GET once more when a kept connection has ended.
    exchange: _Exchange = context.trace_request_ctx
    exchange.sent = True


class _IdleLimit:
    """A time limit that every `touch` begins anew, without a timer for each.

    Raises TimeoutError at the end of the block when it was reached.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._limit = asyncio.timeout(None)
        self._timer = self._loop.call_later(seconds, self._check)

    def touch(self) -> None:
        """Something happened."""
        self._last = self._loop.time()

    def _check(self) -> None:
        due = self._last + self._seconds
        if due <= self._loop.time():
            self._limit.reschedule(due)
        else:
            self._timer = self._loop.call_at(due, self._check)

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._limit.__aexit__(kind, error, trace)
