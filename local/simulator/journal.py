"""Remembers the last requests, and lets others wait until one gets somewhere."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from local.simulator.records import Authentication, RequestRecord, State, Style

_KEPT = 200
_KEPT_BYTES = 64 * 1024 * 1024


class Entry:
    """A request that is being answered; says so to the journal."""

    def __init__(
        self,
        number: int,
        style: Style,
        deployment: str | None,
        api_version: str | None,
        headers: Mapping[str, str],
        changed: Callable[[], None],
    ) -> None:
        self.number = number
        self.deployment = deployment
        self.authentication = Authentication("none")
        self.body: bytes | None = None
        self.chunks = 0
        self.reasoning_tokens = 0
        self.received_at = _now()
        self.state: State = "streaming"
        self._ended_at: int | None = None
        self._outcome: str | None = None
        self._style = style
        self._api_version = api_version
        self._headers = headers
        self._changed = changed

    def count_chunk(self) -> None:
        """Note that one more chunk of content was sent."""
        self.chunks += 1
        self._changed()

    def count_thoughts(self, tokens: int) -> None:
        """Note that so many more tokens were thought, seen or not."""
        self.reasoning_tokens += tokens

    def set_held(self, held: bool) -> None:
        """Note that the request is paused, or goes on."""
        self.state = "held" if held else "streaming"
        self._changed()

    def finish(self, outcome: str) -> None:
        """Note that everything was sent."""
        self._end("finished", outcome)

    def abort(self) -> None:
        """Note that the caller left; of no effect after the end."""
        self._end("aborted", "aborted")

    def _end(self, state: State, outcome: str) -> None:
        if self._outcome is None:
            self.state, self._outcome = state, outcome
            self._ended_at = _now()
            self._changed()

    def record(self) -> RequestRecord:
        """Describe the request as it is now."""
        return RequestRecord(
            number=self.number,
            style=self._style,
            deployment=self.deployment,
            api_version=self._api_version,
            authentication=self.authentication,
            headers=dict(self._headers),
            body=None if self.body is None else msgspec.Raw(self.body),
            state=self.state,
            chunks=self.chunks,
            outcome=self._outcome,
            reasoning_tokens=self.reasoning_tokens,
            received_at=self.received_at,
            ended_at=self._ended_at,
        )


class Journal:
    """The last 200 requests, oldest first; numbers go on after a reset."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self._number = 0
        self._waiters: set[asyncio.Event] = set()

    def open(
        self,
        style: Style,
        deployment: str | None,
        api_version: str | None,
        headers: Mapping[str, str],
    ) -> Entry:
        """Begin an entry for a request that has just arrived."""
        self._number += 1
        entry = Entry(self._number, style, deployment, api_version, headers, self._notify)
        self._entries.append(entry)
        self._notify()
        return entry

    def keep_body(self, entry: Entry, raw: bytes) -> None:
        """Remember what was sent; the oldest bodies go where all together are too large."""
        entry.body = _json_or_none(raw)
        size = 0
        for kept in reversed(self._entries):
            size += len(kept.body or b"")
            if size > _KEPT_BYTES:
                kept.body = None

    def clear(self) -> None:
        """Forget every request."""
        self._entries.clear()

    def find(
        self, *, after: int = 0, state: str | None = None, chunks: int = 0, since: int = 0
    ) -> list[RequestRecord]:
        """List requests with a higher number, in this state, with so many chunks or more.

        `since` is when they arrived at the earliest, in milliseconds since 1970.
        """
        return [entry.record() for entry in self._matching(after, state, chunks, since)]

    async def wait(
        self,
        count: int,
        *,
        after: int = 0,
        state: str | None = None,
        chunks: int = 0,
        since: int = 0,
    ) -> list[RequestRecord]:
        """Wait until `find` gives so many."""
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            while len(self._matching(after, state, chunks, since)) < count:
                changed.clear()
                await changed.wait()
        finally:
            self._waiters.discard(changed)
        return self.find(after=after, state=state, chunks=chunks, since=since)

    def _matching(self, after: int, state: str | None, chunks: int, since: int) -> list[Entry]:
        return [
            entry
            for entry in self._entries
            if entry.number > after
            and (state is None or entry.state == state)
            and entry.chunks >= chunks
            and entry.received_at >= since
        ]

    def _notify(self) -> None:
        for waiter in self._waiters:
            waiter.set()


def _now() -> int:
    return time.time_ns() // 1_000_000


def _json_or_none(raw: bytes) -> bytes | None:
    """Give the bytes back where they are JSON, so that they can be shown inside of JSON."""
    try:
        msgspec.json.decode(raw, type=Any)
    except (msgspec.DecodeError, RecursionError):
        return None
    return raw
