"""The chat backend over HTTP: every request that the console makes, and what its answer means."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from httpx_sse import EventSource, ServerSentEvent, SSEError

from console.errors import FieldProblem, Refused, Unreachable
from console.events import Event, decode
from console.options import Options, is_loopback

# The backend says something every 15 s; a connection that is silent for longer is dead.
_DEAD_AFTER_SECONDS = 25.0
_CONNECT_SECONDS = 10.0
# What a gateway answers of its own while it cannot reach the backend.
_GATEWAY_STATUSES = frozenset({500, 502, 503, 504})
_SSE = "text/event-stream"


class EventStream:
    """The events of one response, which whoever opened it closes."""

    def __init__(self, messages: AsyncIterator[ServerSentEvent]) -> None:
        self._messages = messages

    async def next(self) -> Event | None:
        """The next event, or None at the response's end, which may be before the turn's.

        Raises Unreachable where the connection breaks, Refused for what is no event stream.
        """
        while True:
            with _translated():
                message = await anext(self._messages, None)
            if message is None:
                return None
            # httpx-sse gives an empty message for the line behind a heartbeat's comment.
            if message.data and (event := _decoded(message.data)):
                return event


class Backend:
    """The backend that the options name. Use it as `async with`.

    A connection that is silent for `dead_after` seconds is lost.
    """

    def __init__(self, options: Options, *, dead_after: float = _DEAD_AFTER_SECONDS) -> None:
        self.url = options.url
        headers = {"user-agent": "streaming-chat-console", "accept-encoding": "identity"}
        if options.token:
            headers["authorization"] = f"Bearer {options.token}"
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(dead_after, connect=_CONNECT_SECONDS),
            # A proxy of the environment could not reach this machine's own loopback.
            mounts={f"all://{httpx.URL(options.url).netloc.decode()}": None}
            if is_loopback(options.url)
            else None,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, value, traceback)

    @asynccontextmanager
    async def asked(self, body: Mapping[str, Any]) -> AsyncIterator[EventStream]:
        """Runs a turn, or joins it where its `turnId` is known; raises Refused, Unreachable."""
        async with (
            self._opened("POST", "/chat", body=body, accept=_SSE) as response,
            aclosing(EventSource(response).aiter_sse()) as messages,
        ):
            yield EventStream(messages)

    @asynccontextmanager
    async def attached(
        self, conversation: str, turn: str, after: str | None
    ) -> AsyncIterator[EventStream]:
        """Follows a turn, after a position or from its beginning; raises Refused, Unreachable.

        Attaching changes nothing, so it can be tried again where asking must not be.
        """
        path = f"/conversations/{conversation}/turns/{turn}/stream"
        more = {"last-event-id": after} if after else {}
        async with (
            self._opened("GET", path, accept=_SSE, headers=more, again=True) as response,
            aclosing(EventSource(response).aiter_sse()) as messages,
        ):
            yield EventStream(messages)

    async def stop(self, conversation: str, turn: str) -> bool:
        """Stops a turn; whether it has ended."""
        path = f"/conversations/{conversation}/turns/{turn}/stop"
        state = await self._json("POST", path)
        return bool(state.get("state") == "ended")

    async def check(self) -> None:
        """Raises Unreachable, or Refused where the address is none of a chat backend."""
        await self._json("GET", "/health")

    async def conversations(self, limit: int) -> tuple[list[Mapping[str, Any]], bool]:
        """The caller's newest ones, newest first, and whether there are more."""
        page = await self._json("GET", f"/conversations?{urlencode({'limit': limit})}")
        return page["items"], page["nextCursor"] is not None

    async def conversation(self, conversation: str) -> Mapping[str, Any]:
        """One of them, with `runningTurnId` while a turn runs."""
        return await self._json("GET", f"/conversations/{conversation}")

    async def messages(self, conversation: str, limit: int) -> list[Mapping[str, Any]]:
        """Its newest messages, oldest first."""
        query = urlencode({"limit": limit})
        page = await self._json("GET", f"/conversations/{conversation}/messages?{query}")
        return list(reversed(page["items"]))

    async def delete(self, conversation: str) -> None:
        """Deletes a conversation for good."""
        async with self._opened("DELETE", f"/conversations/{conversation}"):
            pass

    async def _json(self, method: str, path: str) -> Mapping[str, Any]:
        async with self._opened(method, path) as response:
            with _translated():
                text = (await response.aread()).decode(errors="replace")
        value = _parsed(text)
        if value is None:
            raise _no_backend(self.url, "its answer is no JSON object")
        return value

    @asynccontextmanager
    async def _opened(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
        again: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """A response with a status of success; raises Refused, Unreachable.

        `again`: what passes by itself, 429 and 5xx, is Unreachable whoever says it.
        """
        request = self._client.build_request(
            method, self.url + path, json=body, headers={"accept": accept, **(headers or {})}
        )
        with _translated():
            response = await self._client.send(request, stream=True)
        try:
            if not response.is_success:
                refusal = await self._refusal(response)
                if again and (response.status_code == 429 or response.is_server_error):
                    raise Unreachable(str(refusal))
                raise refusal
            yield response
        finally:
            await response.aclose()

    async def _refusal(self, response: httpx.Response) -> Refused | Unreachable:
        """What an answer that is no success says."""
        with _translated():
            text = (await response.aread()).decode(errors="replace")
        status, problem = response.status_code, _parsed(text)
        retry_after = response.headers.get("retry-after", "")
        if problem is not None and isinstance(code := problem.get("code"), str):
            message = str(problem.get("detail") or problem.get("title") or code)
            problems = [
                FieldProblem(str(item.get("field")), str(item.get("message")))
                for item in problem.get("errors") or ()
            ]
            return Refused(
                message, code=code, status=status, problems=problems, retry_after=retry_after
            )
        said = f"{status} {response.reason_phrase}".strip()
        if status in _GATEWAY_STATUSES:
            return Unreachable(f"The backend at {self.url} cannot be reached: {said}.")
        code = f"http_{status}"
        if status == 401 or response.has_redirect_location:
            message = f"{self.url} wants you to sign in: {said}. Give a token with CHAT_TOKEN."
            return Refused(message, code=code, status=status)
        if status == 404:
            return _no_backend(self.url, said)
        return Refused(f"{self.url} answered {said}.", code=code, status=status)


def _no_backend(url: str, why: str) -> Refused:
    return Refused(
        f"{url} answers, but not as a chat backend: {why}. Check --url or CHAT_URL.",
        code="no_backend",
    )


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _decoded(data: str) -> Event | None:
    try:
        return decode(data)
    except ValueError as exc:
        raise Refused(f"What the backend sent cannot be read: {exc}.", code="unreadable") from exc


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what httpx and httpx-sse raise into the console's own errors."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
        url = exc.request.url
        where = f"{url.scheme}://{url.netloc.decode()}"
        message = f"{where} cannot be reached: {exc}. Check --url, CHAT_URL and the network."
        if is_loopback(where) and url.scheme == "http":
            message = f"Nothing answers at {where}. Is the backend running? `make run` starts one."
        raise Unreachable(message, sent=False) from exc
    except SSEError as exc:
        message = "What answers is no chat backend: it sends no events. Check --url or CHAT_URL."
        raise Refused(message, code="no_backend") from exc
    except httpx.HTTPError as exc:
        raise Unreachable(f"The connection was lost: {str(exc) or type(exc).__name__}.") from exc
