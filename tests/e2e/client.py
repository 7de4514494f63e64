"""A caller of the backend: sends what a test says, and reads bytes, lines and events."""

import io
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import aiohttp

from local.principal import encode
from tests.e2e.described import described

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
TEXT = "text/plain"
JSON = "application/json"

type Event = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """A whole response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Event]:
        """The events of an SSE or NDJSON body."""
        decode, rest = decoder(self.headers["content-type"]), self.body
        events, left = decode(rest)
        assert left == b"", f"the last event is not whole: {left!r}"
        return events

    @property
    def answer(self) -> str:
        """What the deltas say."""
        return text_of(self.events)

    @property
    def end(self) -> Event:
        """The one `end`, which is the last event."""
        return end_of(self.events)

    def problem(self, status: int, code: str, field: str | None = None) -> Any:
        """The problem that the body must be, with what every problem says."""
        assert self.status == status, f"{self.status} {self.text}"
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["cache-control"] == "no-store"
        assert self.headers["x-content-type-options"] == "nosniff"
        body = self.json()
        assert (body["status"], body["code"]) == (status, code), body
        assert body["type"]
        assert body["title"]
        assert body["detail"]
        if field is not None:
            assert [error["field"] for error in body["errors"]] == [field], body
            assert body["errors"][0]["message"]
        return body


class Stream:
    """A response that is being read, event by event."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.events: list[Event] = []
        """Everything that was read so far."""
        self._response = response
        self._left = b""

    async def until(self, matches: Callable[[Event], bool]) -> Event:
        """Read up to the first event that matches, or fail at the end of the response."""
        looked = 0
        while True:
            for event in self.events[looked:]:
                looked += 1
                if matches(event):
                    return event
            chunk = await self._response.content.readany()
            assert chunk, f"the response ended: {self.events}"
            self._take(chunk)

    async def until_text(self, text: str) -> None:
        """Read until the deltas have brought this text."""
        await self.until(lambda _: text in text_of(self.events))

    async def rest(self) -> list[Event]:
        """Read to the end of the response; gives all of its events."""
        async for chunk in self._response.content.iter_any():
            self._take(chunk)
        assert self._left == b""
        return self.events

    async def bytes_until(self, text: bytes) -> bytes:
        """Read raw bytes until they hold this text."""
        read = b""
        while text not in read:
            chunk = await self._response.content.readany()
            assert chunk, f"the response ended: {read!r}"
            read += chunk
        return read

    async def rest_of_bytes(self) -> bytes:
        return await self._response.content.read()

    def _take(self, chunk: bytes) -> None:
        decode = decoder(self.headers["content-type"])
        events, self._left = decode(self._left + chunk)
        self.events += events


class Api:
    """One caller of one host; `headers` go with every request."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._session = session
        self._url = f"{url}/api"
        self._headers = dict(headers or {})

    def with_headers(self, **headers: str) -> Self:
        """The same caller, saying more; `_` stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return type(self)(self._session, self._url.removesuffix("/api"), self._headers | named)

    def as_user(self, name: str) -> Self:
        """A caller who is signed in through Static Web Apps."""
        return self.with_headers(x_ms_client_principal=encode(user(name)))

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | AsyncIterable[bytes] | None = None,
        **headers: str,
    ) -> Reply:
        """One whole exchange, as the OpenAPI document says; `body` goes as JSON, `raw` as it is."""
        async with self.opened(method, path, body, raw=raw, **headers) as stream:
            data = await stream.rest_of_bytes()
        described(method, path, stream.status, stream.headers, data)
        return Reply(stream.status, stream.headers, data)

    @asynccontextmanager
    async def opened(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | AsyncIterable[bytes] | None = None,
        **headers: str,
    ) -> AsyncIterator[Stream]:
        """A response as soon as it begins; leaving the block leaves the response."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        if data is not None:
            named.setdefault("content-type", JSON)
        async with self._session.request(
            method,
            self._url + path,
            # aiohttp warns of large bodies that are bytes.
            data=io.BytesIO(data) if isinstance(data, bytes) else data,
            headers=self._headers | named,
            skip_auto_headers=("accept", "content-type"),
        ) as response:
            yield Stream(response)

    async def chat(self, prompt: str, accept: str = SSE, **fields: Any) -> Reply:
        """A whole turn; `fields` by the contract's names."""
        return await self.call("POST", "/chat", {"userPrompt": prompt, **fields}, accept=accept)

    @asynccontextmanager
    async def chatting(
        self, prompt: str, accept: str = SSE, **fields: Any
    ) -> AsyncIterator[Stream]:
        """A turn while it runs."""
        body = {"userPrompt": prompt, **fields}
        async with self.opened("POST", "/chat", body, accept=accept) as stream:
            assert stream.status == 200, await stream.rest_of_bytes()
            yield stream

    async def messages(self, conversation: str) -> list[tuple[str, str]]:
        """Role and content of a conversation's messages, oldest first."""
        page = await self.call("GET", f"/conversations/{conversation}/messages?limit=100")
        assert page.status == 200, page.text
        return [(item["role"], item["content"]) for item in reversed(page.json()["items"])]

    async def turn(self, conversation: str, turn: str) -> Reply:
        return await self.call("GET", f"/conversations/{conversation}/turns/{turn}")


def user(name: str, *roles: str) -> dict[str, object]:
    """A principal as Static Web Apps makes it."""
    return {
        "identityProvider": "aad",
        "userId": name,
        "userDetails": f"{name}@example.com",
        "userRoles": list(roles or ("anonymous", "authenticated")),
    }


def text_of(events: list[Event]) -> str:
    return "".join(event["text"] for event in events if event["type"] == "delta")


def end_of(events: list[Event]) -> Event:
    assert [e["type"] for e in events].count("end") == 1, events
    assert events[-1]["type"] == "end", events
    return events[-1]


def decoder(content_type: str) -> Callable[[bytes], tuple[list[Event], bytes]]:
    """What cuts a body into events, and gives what is left."""
    return _sse if content_type == SSE else _ndjson


def _sse(data: bytes) -> tuple[list[Event], bytes]:
    *frames, left = data.split(b"\n\n")
    events = []
    for frame in frames:
        if frame.startswith(b":"):
            continue
        identifier, event = frame.split(b"\n")
        assert identifier.startswith(b"id: ")
        assert event.startswith(b"data: ")
        decoded = json.loads(event.removeprefix(b"data: "))
        assert decoded["position"] == identifier.removeprefix(b"id: ").decode()
        events.append(decoded)
    return events, left


def _ndjson(data: bytes) -> tuple[list[Event], bytes]:
    *lines, left = data.split(b"\n")
    return [json.loads(line) for line in lines if line], left
