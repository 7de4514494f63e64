"""The way from one instance to the rows that all share: slow, broken, or losing what passes."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Literal

from shared.errors import StoreUnavailable
from shared.history.base import Conflict
from shared.history.memory import MemoryRows
from shared.history.rows import Operation, Row

REQUEST_SECONDS = 8.0
"""A request without an answer for so long counts as lost, as in Table Storage's client."""

type Fault = Literal["lost", "conflict", "sent twice", "late", "very late"]
LATE_SECONDS = {"late": 10.0, "very late": 40.0}


class DistantRows(MemoryRows):
    """`state` is what happens to every request, `faults` to the coming writes.

    "down": none arrives, and who asks knows at once; "silent": none arrives, and who asks waits.
    "lost": it is done, and the reply is lost; "conflict": it is refused though its condition held;
    "sent twice": something on the way repeats it, so it is done, and refused. "late" ones arrive
    after who asked has given up. What is on its way arrives, also after its sender has died.
    """

    def __init__(self, shared: MemoryRows) -> None:
        super().__init__()
        self._shared = shared
        self.state: Literal["well", "down", "silent"] = "well"
        self.faults: deque[Fault] = deque()
        self.there = 0.0
        self.back = 0.0
        """How long request and reply are on their way."""
        self.failed = float("-inf")
        """When something failed last, by the loop's clock."""

    def recover(self) -> None:
        self.state = "well"
        self.faults.clear()

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        return await self._pass(lambda: self._shared.range(partition, first, last, limit))

    async def get(self, partition: str, key: str) -> Row | None:
        return await self._pass(lambda: self._shared.get(partition, key))

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        return await self._pass(lambda: self._shared.page(partition, first, last, limit, keys_only))

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        fault = self.faults.popleft() if self.faults and self.state == "well" else None
        return await self._pass(lambda: self._shared.write(partition, operations), fault)

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await self._pass(lambda: self._shared.remove(partition, keys))

    async def _pass[T](self, work: Callable[[], Awaitable[T]], fault: Fault | None = None) -> T:
        loop = asyncio.get_running_loop()
        if self.state != "well":
            self.failed = loop.time()
            await asyncio.sleep(REQUEST_SECONDS if self.state == "silent" else self.there)
            self.failed = loop.time()
            raise StoreUnavailable(f"The store is {self.state}.")
        if fault is not None:
            self.failed = loop.time()
        # In no instance's context: nobody's death cancels it.
        passing: asyncio.Task[T | Exception] = loop.create_task(
            self._carry(work, fault), context=Context()
        )
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                result = await asyncio.shield(passing)
        except asyncio.CancelledError:  # who asked has given it up
            self.failed = loop.time()
            raise
        except TimeoutError as exc:
            self.failed = loop.time()
            raise StoreUnavailable("The store does not answer.") from exc
        if fault is not None:
            self.failed = loop.time()
        if isinstance(result, Exception):
            raise result
        return result

    async def _carry[T](
        self, work: Callable[[], Awaitable[T]], fault: Fault | None
    ) -> T | Exception:
        """The result, or, as a value, the exception that who asked is to get."""
        await asyncio.sleep(LATE_SECONDS.get(fault or "", self.there))
        result: T | Exception
        try:
            if fault == "conflict":
                raise Conflict
            result = await work()
            if fault == "lost":
                raise StoreUnavailable("The reply was lost.")
            if fault == "sent twice":
                raise Conflict
        except Exception as exc:
            result = exc
        await asyncio.sleep(self.back)
        return result
