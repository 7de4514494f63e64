"""The rows as one instance sees them: it may die at any write, and others may be faster."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared.history.rows import Operation, Row, Rows, Scan

type Meddling = Callable[[str, Sequence[Operation]], Awaitable[None]]


class Died(Exception):
    """Nothing of the app handles this: the instance is gone."""


@dataclass
class InstanceRows:
    """Implements `Rows`. Every call lets others run first, as a request does.

    `dies_at`: the number of the write, from 0, removals included, at which the instance dies, just
    `before` or just `after` it is done. `meddling` is awaited before each write.
    """

    rows: Rows
    dies_at: int | None = None
    dies: Literal["before", "after"] = "before"
    meddling: Meddling | None = None
    writes: int = 0
    scanned_after: list[str | None] = field(default_factory=list)
    """The cursor of each scan."""

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        await self._living()
        return await self.rows.range(partition, first, last, limit)

    async def get(self, partition: str, key: str) -> Row | None:
        await self._living()
        return await self.rows.get(partition, key)

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        await self._living()
        return await self.rows.page(partition, first, last, limit, keys_only)

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        await self._living()
        self.scanned_after.append(after)
        return await self.rows.scan(name, before, also, limit, after)

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        await self._living()
        if self.meddling is not None:
            await self.meddling(partition, operations)
        return await self._write(lambda: self.rows.write(partition, operations))

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await self._living()
        await self._write(lambda: self.rows.remove(partition, keys))

    async def ready(self) -> None:
        await self.rows.ready()

    async def aclose(self) -> None:
        """The rows are others' too."""

    async def _living(self) -> None:
        await asyncio.sleep(0)
        if self.dies_at is not None and self.writes > self.dies_at:
            raise Died

    async def _write[T](self, write: Callable[[], Awaitable[T]]) -> T:
        number, self.writes = self.writes, self.writes + 1
        if number != self.dies_at:
            return await write()
        if self.dies == "after":
            await write()
        raise Died
