"""The events of one turn, kept once, read by any number of watchers.

The buffer keeps runs (see `events`), so its size is the size of the text, and the latest events
as they came, each with its encoded frames, so that a format encodes an event at most once. A
watcher is a cursor. One that is slow falls out of the latest events and goes on from the runs,
with text merged: it slows nobody and costs nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from shared.events import (
    BEGINNING,
    Delta,
    End,
    Event,
    Piece,
    Position,
    Reasoning,
    Start,
    StoredEvent,
)
from shared.history.codec import encode_runs

LATEST = 256
"""Events kept as they came, for watchers that keep up."""
_MARK_BYTES = 2
"""What begins a run of text in the store."""
_PIECE_BYTES = 400
"""Memory that a piece takes besides its JSON: its objects, and its place among the others."""


class FrameEncoder(Protocol):
    """What a watcher needs of a protocol's encoder. `key` None: its frames are its own."""

    @property
    def key(self) -> str | None: ...

    def encode(self, event: Event, position: Position) -> bytes: ...


@dataclass(slots=True)
class _Run:
    event: Event
    """The event; for text, one that tells the kind."""
    parts: list[str] | None = None
    """Text only."""
    length: int = 1

    def text(self) -> str:
        parts = self.parts or []
        if len(parts) > 1:
            parts[:] = ["".join(parts)]
        return parts[0] if parts else ""

    def whole(self, offset: int = 0) -> Event:
        """The run as one event; of text, what comes after so many code points."""
        event = self.event
        if isinstance(event, Delta | Reasoning):
            return type(event)(self.text()[offset:])
        return event


@dataclass(slots=True)
class Entry:
    """One event, the position behind it, and its frames by encoder key."""

    event: Event
    position: Position
    frames: dict[str, bytes]

    def frame(self, encoder: FrameEncoder) -> bytes:
        key = encoder.key
        if key is None:
            return encoder.encode(self.event, self.position)
        made = self.frames.get(key)
        if made is None:
            made = self.frames[key] = encoder.encode(self.event, self.position)
        return made


type Writer = Callable[[Sequence[Entry]], Awaitable[None]]
"""Takes what has come; nothing, for a heartbeat."""


class TurnBuffer:
    """Append-only; closed by `End`."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._latest: deque[Entry] = deque(maxlen=LATEST)
        self.count = 0
        """Events so far."""
        self._watches: list[Watch] = []
        self.end: End | None = None
        self.size = 0
        """Bytes that a store needs for it."""

    def append(self, event: Event) -> None:
        """Take one event, and have every watch advance. Empty text is none."""
        runs = self._runs
        run = runs[-1] if runs else None
        if type(event) is Delta or type(event) is Reasoning:
            text = event.text
            if not text:
                return
            if run is not None and type(run.event) is type(event) and run.parts is not None:
                run.parts.append(text)
                run.length += len(text)
            else:
                run = _Run(event, [text], len(text))
                runs.append(run)
                self.size += _MARK_BYTES
        else:
            # See `_is_of_end`.
            run = _Run(event, length=0 if type(event) is End else 1)
            runs.append(run)
            if isinstance(event, End):
                self.end = event
        self.size += size_in_bytes(event)
        self.count += 1
        self._latest.append(Entry(event, Position(len(runs) - 1, run.length), {}))
        for watch in tuple(self._watches):
            watch.advance()

    def answered_by(self, model: str) -> None:
        """Say in the first event that this model answers; before anybody has read it."""
        run = self._runs[0]
        if isinstance(run.event, Start):
            run.event = msgspec.structs.replace(run.event, model=model)
            entry = self._latest[0]
            self._latest[0] = Entry(run.event, entry.position, {})

    def extend(self, events: Iterable[Event]) -> None:
        for event in events:
            self.append(event)

    @property
    def shown(self) -> tuple[Event, ...]:
        """Everything so far, text merged."""
        return tuple(run.whole() for run in self._runs)

    @property
    def stored(self) -> tuple[StoredEvent, ...]:
        """The runs that a store keeps: all but the first and last event."""
        return tuple(event for event in self.shown if not isinstance(event, Start | Piece | End))

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(run.text() for run in self._runs if type(run.event) is Delta)

    def entries_from(self, number: int) -> Sequence[Entry] | None:
        """The events from the `number`-th on; None where they are no longer kept as they came."""
        missing = self.count - number
        if missing == 1:
            return (self._latest[-1],)
        if missing > len(self._latest):
            return None
        return tuple(self._latest)[len(self._latest) - missing :]

    def entries_after(self, position: Position) -> Sequence[Entry]:
        """All that comes after a position, text merged; the end, for one beyond what survived."""
        if _is_of_end(position):
            return []
        run_number, offset = position
        entries = []
        for number in range(run_number, len(self._runs)):
            run = self._runs[number]
            if offset < run.length:
                entries.append(Entry(run.whole(offset), Position(number, run.length), {}))
            offset = 0
        if self.end is not None:
            entries.append(Entry(self.end, self._tip, {}))
        return entries

    def beyond(self, position: Position) -> bool:
        """Whether the position is one that the turn has not reached yet."""
        return self.end is None and position > self._tip

    @property
    def _tip(self) -> Position:
        """The position behind the last event."""
        return Position(len(self._runs) - 1, self._runs[-1].length) if self._runs else BEGINNING

    def add(self, watch: "Watch") -> None:
        """Have the watch advance at every event."""
        self._watches.append(watch)

    def remove(self, watch: "Watch") -> None:
        if watch in self._watches:
            self._watches.remove(watch)


def _is_of_end(position: Position) -> bool:
    """Whether who holds it has seen the end: only that has the offset 0, but for the beginning.

    Its run may be another one on another instance, where less of a turn has survived.
    """
    return position.offset == 0 and position != BEGINNING


def size_in_bytes(event: Event) -> int:
    """Bytes that an event adds to what is stored of a turn; what begins a run of text apart.

    Of a piece, which is never stored, what it takes in memory.
    """
    if type(event) is Delta or type(event) is Reasoning:
        text = event.text
        return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if isinstance(event, Piece):
        return _PIECE_BYTES + len(msgspec.json.encode(event))
    return 0 if isinstance(event, Start | End) else len(encode_runs((event,)))


class Watch:
    """One reader of a turn, from one position on. Close it, or the turn thinks it is watched."""

    def __init__(
        self,
        buffer: TurnBuffer,
        position: Position,
        heartbeat: float,
        on_close: Callable[["Watch"], None] | None = None,
    ) -> None:
        self._buffer = buffer
        self._position = position
        self._next: int | None = None if position != BEGINNING else 0
        self.heartbeat = heartbeat
        self._on_close = on_close
        self._closed = False
        self._write: Writer | None = None
        self._done: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._busy = False
        self._spoke = 0.0
        self._silent = True

    @property
    def ended(self) -> bool:
        """Whether everything has been read, or the watch was closed."""
        if self._closed or _is_of_end(self._position):
            return True
        return self._buffer.end is not None and not self._buffer.entries_after(self._position)

    def rewind(self) -> None:
        """Go to the beginning; before `pipe`."""
        self._position, self._next = BEGINNING, 0

    async def pipe(self, write: Writer) -> None:
        """Write all that comes until the end, or until `close`; raises what `write` raises.

        `write` is called in the stride of whoever appends: an event reaches the wire without
        another turn of the event loop. While a `write` waits, events gather for the next one. It
        is called with nothing after `heartbeat` seconds of silence, and at once where there is
        nothing to begin with: some proxies keep a response's headers until its first byte, and who
        attached would not know that somebody is there.
        """
        loop = asyncio.get_running_loop()
        self._write = write
        self._done = loop.create_future()
        self._spoke = loop.time()
        timer = _Silence(loop, self)
        self._buffer.add(self)
        try:
            self.advance()
            if self._silent and not self.ended:
                self.beat()
            await self._done
        finally:
            timer.cancel()
            self._write = None
            self._buffer.remove(self)
            if self._writing is not None:
                self._writing.cancel()
            self.close()

    def advance(self) -> None:
        """Write what there is, unless a write is under way, which will do it."""
        if self._write is not None and not self._busy:
            self._run(self._write_all(self._write))

    def silent_for(self, now: float) -> float:
        return now - self._spoke

    def beat(self) -> None:
        """Write a heartbeat, unless a write is under way."""
        if self._write is not None and not self._busy:
            self._run(self._write_heartbeat(self._write))

    def close(self) -> None:
        """Leave. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._finish(None)
        if self._on_close is not None:
            self._on_close(self)

    def _run(self, writing: Coroutine[Any, Any, None]) -> None:
        # Eager: it runs at once, and is a task of the loop only where it has to wait.
        self._busy = True
        task = asyncio.Task(writing, loop=asyncio.get_running_loop(), eager_start=True)
        self._writing = None if task.done() else task

    async def _write_all(self, write: Writer) -> None:
        try:
            while entries := self._take():
                self._silent = False
                await write(entries)
        except Exception as exc:
            self._finish(exc)
        else:
            if self._buffer.end is not None or self._closed:
                self._finish(None)
        finally:
            self._spoke = asyncio.get_running_loop().time()
            self._busy = False

    async def _write_heartbeat(self, write: Writer) -> None:
        try:
            await write(())
        except Exception as exc:
            self._finish(exc)
            self._busy = False
        else:
            await self._write_all(write)

    def _finish(self, error: Exception | None) -> None:
        if self._done is None or self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)

    def _take(self) -> Sequence[Entry]:
        buffer = self._buffer
        if self._closed or self._next == buffer.count:
            return ()
        entries = None if self._next is None else buffer.entries_from(self._next)
        if entries is None:
            entries = buffer.entries_after(self._position)
        if entries:
            self._position = entries[-1].position
        elif buffer.beyond(self._position):
            return ()  # seen on an instance that is ahead of this one's knowledge
        self._next = buffer.count
        return entries


class _Silence:
    """One timer for all silences of a watch: it looks when it fires, and is not re-armed before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watch: Watch) -> None:
        self._loop = loop
        self._watch = watch
        self._timer = loop.call_later(watch.heartbeat, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        left = self._watch.heartbeat - self._watch.silent_for(self._loop.time())
        if left <= 0:
            self._watch.beat()
            left = self._watch.heartbeat
        self._timer = self._loop.call_later(left, self._look)
