"""Rows in the memory of one process: for tests, and for trying the app without a store.

Nothing is evicted and nothing outlives the process, and two processes do not see each other's
rows: not for production. The rules are Table Storage's, so that the turns behave alike.
"""

import sys
from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import count, islice

from shared.history.base import Conflict
from shared.history.rows import (
    ANY,
    Delete,
    Insert,
    Merge,
    Operation,
    Row,
    Scan,
    check_key,
    check_scan,
    check_write,
)


class MemoryRows:
    """Implements `Rows`. One event loop; no method awaits, so each one is atomic."""

    def __init__(self) -> None:
        self._partitions: dict[str, _Partition] = {}
        self._versions = count(1)

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        check_key(partition)
        found = self._partitions.get(partition)
        return found.range(first, last, limit) if found else []

    async def get(self, partition: str, key: str) -> Row | None:
        check_key(partition)
        check_key(key)
        found = self._partitions.get(partition)
        return found.rows.get(key) if found else None

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        check_write(partition, operations)
        table = self._partitions.get(partition) or _Partition()
        if not all(table.allows(operation) for operation in operations):
            raise Conflict
        self._partitions[partition] = table
        etags = [table.apply(operation, self._version()) for operation in operations]
        self._forget_if_empty(partition)
        return etags

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        rows = await self.range(partition, first, last, limit)
        return [Row(row.key, row.etag, {}) for row in rows] if keys_only else rows

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        check_scan(before)
        found: list[tuple[str, Row]] = []
        for partition, row in self._behind(after):
            value = row.values.get(name)
            if type(value) is not int or value >= before:
                continue
            if len(found) == limit:
                return Scan(tuple(found), f"{found[-1][0]} {found[-1][1].key}")
            told = {n: row.values[n] for n in (name, *also) if n in row.values}
            found.append((partition, Row(row.key, row.etag, told)))
        return Scan(tuple(found), None)

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        if not (table := self._partitions.get(partition)):
            return
        for key in keys:
            if key in table.rows:
                table.apply(Delete(key), "")
        self._forget_if_empty(partition)

    async def ready(self) -> None:
        """Always."""

    async def aclose(self) -> None:
        """The rows stay: who closes and goes on sees what it wrote."""

    def _behind(self, cursor: str | None) -> Iterator[tuple[str, Row]]:
        """Every row behind a place in the table, in order."""
        last, _, key = (cursor or "").partition(" ")
        for partition in sorted(name for name in self._partitions if name >= last):
            first = f"{key}!" if partition == last else ""
            for row in self._partitions[partition].range(first, "~", sys.maxsize):
                yield partition, row

    def _version(self) -> str:
        return f'W/"{next(self._versions)}"'

    def _forget_if_empty(self, partition: str) -> None:
        if not self._partitions[partition].rows:
            del self._partitions[partition]


class _Partition:
    """Rows by key, and the keys in order."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._keys: list[str] = []

    def range(self, first: str, last: str, limit: int) -> list[Row]:
        start, stop = bisect_left(self._keys, first), bisect_left(self._keys, last)
        return [self.rows[key] for key in islice(self._keys, start, min(stop, start + limit))]

    def allows(self, operation: Operation) -> bool:
        row = self.rows.get(operation.key)
        if isinstance(operation, Insert):
            return row is None
        return row is not None and operation.if_match in (ANY, row.etag)

    def apply(self, operation: Operation, etag: str) -> str:
        """Do what `allows` allowed; gives the new ETag, "" for a deletion."""
        key = operation.key
        if isinstance(operation, Delete):
            del self.rows[key]
            del self._keys[bisect_left(self._keys, key)]
            return ""
        values = dict(operation.values)
        if isinstance(operation, Merge):
            values = {**self.rows[key].values, **values}
        if key not in self.rows:
            insort(self._keys, key)
        self.rows[key] = Row(key, etag, values)
        return etag
