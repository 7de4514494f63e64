"""Rows of any backend, with faults on request: some lose answers, some do nothing."""

import asyncio
from collections import deque
from collections.abc import Sequence

from shared.errors import StoreUnavailable
from shared.history.rows import Operation, Row, Rows, Scan

type Fault = str | asyncio.Event


class FaultyRows:
    """Implements `Rows`. `next[method]` are the faults of its coming calls, `always` of all others.

    "pass": none; "down": nothing is done, and nobody knows; "lost": it is done, and nobody knows.
    An event: it is done once the event is set. Every call lets others run first, as a request does.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.next: dict[str, deque[Fault]] = {}
        self.always: dict[str, Fault] = {}
        self.calls: list[str] = []

    def script(self, method: str, *faults: Fault) -> None:
        self.next[method] = deque(faults)

    def break_down(self) -> None:
        self.always = {"range": "down", "get": "down", "write": "down"}

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        fault = await self._before("range")
        return _after(fault, await self._rows.range(partition, first, last, limit))

    async def get(self, partition: str, key: str) -> Row | None:
        fault = await self._before("get")
        return _after(fault, await self._rows.get(partition, key))

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        fault = await self._before("write")
        return _after(fault, await self._rows.write(partition, operations))

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        return await self._rows.page(partition, first, last, limit, keys_only)

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        return await self._rows.scan(name, before, also, limit, after)

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await self._rows.remove(partition, keys)

    async def ready(self) -> None:
        await self._rows.ready()

    async def aclose(self) -> None:
        await self._rows.aclose()

    async def _before(self, method: str) -> Fault:
        self.calls.append(method)
        waiting = self.next.get(method)
        fault = waiting.popleft() if waiting else self.always.get(method, "pass")
        await asyncio.sleep(0)
        if isinstance(fault, asyncio.Event):
            await fault.wait()
        elif fault == "down":
            raise StoreUnavailable("The store is down.")
        return fault


def _after[T](fault: Fault, result: T) -> T:
    if fault == "lost":
        raise StoreUnavailable("The reply was lost.")
    return result
