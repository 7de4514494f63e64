"""The real store in memory, with faults before and after what it does."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from shared.errors import StoreUnavailable
from shared.history.base import Answer, Begun, Conflict, Head, NewTurn, Place, View
from shared.history.rows import Rows
from shared.history.store import Store
from shared.messages import FinishReason, Usage

type Fault = str | asyncio.Event | Exception


class FaultyStore(Store):
    """`next[method]` are the faults of the coming calls, `always[method]` that of all others.

    "pass": none; "down": nothing is done, and nobody knows; "lost": it is done, and nobody knows;
    "conflict": nothing is done. An event: it is done once the event is set. An exception: raised.
    """

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        self.next: dict[str, deque[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.calls: list[str] = []

    def script(self, method: str, *faults: Fault) -> None:
        self.next[method] = deque(faults)

    def break_down(self) -> None:
        for method in ("read", "read_below", "head", "find", "answer", "begin", "save", "finish"):
            self.always[method] = "down"
        for method in ("undo", "reap", "ask_to_stop", "watch"):
            self.always[method] = "down"

    def recover(self) -> None:
        self.always.clear()
        self.next.clear()

    async def read(self, place: Place, messages: int) -> View:
        return await self._call("read", lambda: Store.read(self, place, messages))

    async def read_below(self, place: Place, number: int, messages: int) -> View:
        return await self._call(
            "read_below", lambda: Store.read_below(self, place, number, messages)
        )

    async def head(self, place: Place) -> Head | None:
        return await self._call("head", lambda: Store.head(self, place))

    async def find(self, place: Place, turn_id: str) -> int | None:
        return await self._call("find", lambda: Store.find(self, place, turn_id))

    async def answer(self, place: Place, number: int) -> Answer | None:
        return await self._call("answer", lambda: Store.answer(self, place, number))

    async def begin(self, place: Place, head: Head | None, turn: NewTurn, now: int) -> Begun:
        return await self._call("begin", lambda: Store.begin(self, place, head, turn, now))

    async def save(
        self, begun: Begun, body: bytes, lease: int, *, model: str | None = None
    ) -> Begun:
        return await self._call("save", lambda: Store.save(self, begun, body, lease, model=model))

    async def finish(
        self,
        begun: Begun,
        body: bytes,
        reason: FinishReason,
        usage: Usage,
        reasoning_tokens: int,
        *,
        model: str | None = None,
    ) -> Begun:
        return await self._call(
            "finish",
            lambda: Store.finish(self, begun, body, reason, usage, reasoning_tokens, model=model),
        )

    async def undo(self, begun: Begun) -> None:
        await self._call("undo", lambda: Store.undo(self, begun))

    async def reap(
        self, place: Place, answer: Answer, usage: Usage, *, stopped: bool = False
    ) -> None:
        await self._call("reap", lambda: Store.reap(self, place, answer, usage, stopped=stopped))

    async def ask_to_stop(self, place: Place, answer: Answer) -> None:
        await self._call("ask_to_stop", lambda: Store.ask_to_stop(self, place, answer))

    async def watch(self, place: Place, answer: Answer, until: int) -> None:
        await self._call("watch", lambda: Store.watch(self, place, answer, until))

    async def _call[T](self, method: str, work: Callable[[], Awaitable[T]]) -> T:
        self.calls.append(method)
        scripted = self.next.get(method)
        fault: Any = scripted.popleft() if scripted else self.always.get(method, "pass")
        if isinstance(fault, asyncio.Event):
            await fault.wait()
        elif isinstance(fault, Exception):
            raise fault
        elif fault == "down":
            raise StoreUnavailable("The store is down.")
        elif fault == "conflict":
            raise Conflict
        result = await work()
        if fault == "lost":
            raise StoreUnavailable("The reply was lost.")
        return result
