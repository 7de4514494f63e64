"""Instances, models and callers of the turn machine, who remember what they did and saw."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

from shared.events import (
    Delta,
    End,
    Error,
    Event,
    ModelEvent,
    Piece,
    Position,
    Reasoning,
    Start,
    StoredEvent,
)
from shared.history.base import Place
from shared.messages import ModelRequest
from shared.turns.turns import Response, Turns
from tests.turns.bench import BOUNDS, LIMITS, Instance, now_ms
from tests.turns.chronicle import Chronicle, Life
from tests.turns.clock_loop import settle
from tests.turns.network import DistantRows
from tests.turns.scripted import ScriptedModel

_NODE: contextvars.ContextVar["Node"] = contextvars.ContextVar("node")


class Node(Instance):
    """An instance whose tasks can be told from those of others, so that it can be killed."""

    def __init__(self, name: str, shared: Chronicle, skew_ms: int) -> None:
        self.net = DistantRows(shared)
        super().__init__(self.net)
        bounds = _replaced(BOUNDS, model_timeout=90.0)
        limits = _replaced(LIMITS, concurrent=1000, history_messages=4, turn=bounds)
        self.turns = Turns(lambda: self.store, limits, lambda: now_ms() + skew_ms)
        self.name = name
        self.died: float | None = None
        """By the loop's clock."""
        self.closing: asyncio.Task[None] | None = None
        self._context = contextvars.copy_context()
        self._context.run(_NODE.set, self)

    def __repr__(self) -> str:
        return self.name

    @property
    def alive(self) -> bool:
        return self.died is None

    def run[T](
        self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]
    ) -> asyncio.Task[T]:
        """A task of this instance; so is every task that comes of it."""
        return loop.create_task(work, context=self._context.copy())

    def kill(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nothing of it runs any more, and it writes nothing; what is on its way arrives."""
        self.died = loop.time()
        self.net.state = "down"
        while tasks := [t for t in tasks_of(loop) if t.get_context().get(_NODE) is self]:
            for task in tasks:
                task.cancel()
            loop.run_until_complete(settle())


def node_of(task: object) -> Node | None:
    """The instance that a task is of."""
    return task.get_context().get(_NODE) if isinstance(task, asyncio.Task) else None


def tasks_of(loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
    """What is not done, oldest first."""
    return sorted(asyncio.all_tasks(loop), key=lambda task: int(task.get_name()[5:]))


def _replaced(values: Any, **changes: Any) -> Any:
    return type(values)(**{n: getattr(values, n) for n in values.__slots__} | changes)


class SpokenModel(ScriptedModel):
    """One that knows what it was told to say, and tells when it is asked."""

    def __init__(
        self,
        number: int,
        on_ask: Callable[[], None],
        refusal: Exception | None = None,
        delay: float = 0.0,
    ) -> None:
        super().__init__(refusal=refusal, delay=delay)
        self.number = number
        self.runs: list[StoredEvent] = []
        """As one stores them."""
        self.over = refusal is not None
        """Whether it was told how to end."""
        self.failure = refusal
        self._on_ask = on_ask

    def __repr__(self) -> str:
        return f"model {self.number}"

    def speak(self, *kinds: type[Delta] | type[Reasoning]) -> None:
        """Words that come together, each like no other."""
        events: list[ModelEvent] = []
        for kind in kinds:
            word = f"{self.number}{chr(97 + sum(map(len, map(text_of, self.runs))) % 26)} "
            events.append(kind(word))
            self.runs = joined([*self.runs, kind(word)])
        self.say(*events)

    def end(self) -> None:
        self.over = True
        super().end()

    def fail(self, error: Exception) -> None:
        self.over = True
        self.failure = error
        super().fail(error)

    @asynccontextmanager
    async def ask(
        self, request: ModelRequest
    ) -> AsyncIterator[AsyncIterator[Sequence[ModelEvent]]]:
        self._on_ask()
        async with super().ask(request) as stream:
            yield stream


def text_of(event: Event) -> str:
    return event.text if isinstance(event, Delta | Reasoning) else ""


def joined(events: Sequence[Event]) -> list[StoredEvent]:
    """The runs that events make; without start and end."""
    runs: list[StoredEvent] = []
    for event in events:
        if isinstance(event, Start | Piece | End):
            continue
        last = runs[-1] if runs else None
        if isinstance(event, Delta | Reasoning) and type(event) is type(last):
            runs[-1] = type(event)(text_of(last) + event.text)
        else:
            runs.append(event)
    return runs


def rest(runs: Sequence[StoredEvent], position: Position) -> list[StoredEvent]:
    """What comes after a position; `start` is run 0."""
    number, offset = position
    if number == 0:
        return list(runs)
    after = list(runs[number - 1 :])
    if after and isinstance(first := after[0], Delta | Reasoning):
        cut = type(first)(first.text[offset:])
        return [*([cut] if cut.text else []), *after[1:]]
    return after[1:] if offset else after


def is_beginning(short: Sequence[StoredEvent], long: Sequence[StoredEvent]) -> bool:
    """Whether the one may become the other by what is still to come."""
    if not short:
        return True
    if len(short) > len(long) or list(short[:-1]) != list(long[: len(short) - 1]):
        return False
    last, other = short[-1], long[len(short) - 1]
    if type(last) is not type(other):
        return False
    if isinstance(last, Delta | Reasoning):
        return text_of(other).startswith(last.text)
    return last == other


class Ask:
    """A caller who asks for a turn, until its response begins."""

    def __init__(
        self, number: int, node: Node, place: Place, turn_id: str | None, fields: dict[str, Any]
    ) -> None:
        self.number = number
        self.node = node
        self.place = place
        self.turn_id = turn_id
        self.fields = fields
        self.model: SpokenModel
        self.task: asyncio.Task[None]
        self.digest = ""
        self.at = 0.0
        self.moment = 0
        self.before: Life | None = None
        """The turn of that id that was in the store when it asked."""
        self.gone = False
        """Whether the conversation was deleted by then."""
        self.life: Life | None = None
        """What it began: the turn for which its model was asked."""

    def __repr__(self) -> str:
        return f"ask {self.number} ({self.turn_id} on {self.node})"


class Watcher:
    """A caller who reads a response."""

    def __init__(
        self,
        node: Node,
        place: Place,
        turn_id: str,
        after: Position,
        response: Response,
        on_end: Callable[["Watcher"], None],
    ) -> None:
        self.node = node
        self.place = place
        self.turn_id = turn_id
        self.after = after
        self.events: list[Event] = []
        self.positions: list[Position] = []
        self.checked = 0
        self.left = False
        self.began = asyncio.get_running_loop().time()
        self.ended: float | None = None
        self._watch = response.watch
        self._on_end = on_end
        self.task = asyncio.create_task(self._watch.pipe(self._write))

    def __repr__(self) -> str:
        return f"a watcher of {self.turn_id} on {self.node} after {self.after}"

    @property
    def end(self) -> End | None:
        return next((event for event in self.events if isinstance(event, End)), None)

    @property
    def gave_up(self) -> bool:
        """Whether it was told that the store takes nothing."""
        return any(isinstance(e, Error) and e.code == "store_unavailable" for e in self.events)

    @property
    def attached(self) -> bool:
        return self.node.alive and not self.left and self.ended is None

    def leave(self) -> None:
        self.left = True
        self._watch.close()

    async def _write(self, entries: Any) -> None:
        for entry in entries:
            self.events.append(entry.event)
            self.positions.append(entry.position)
            if isinstance(entry.event, End):
                self.ended = asyncio.get_running_loop().time()
                self._on_end(self)
