"""Rows in a SQL database. Implements `history.rows.Rows`."""

import asyncio
from collections.abc import Callable, Sequence

from shared.history import keys
from shared.history.rows import Operation, Row, Scan, check_key, check_scan, check_write
from shared.history.sql.changes import KEY_CHARACTERS, PARTITION_CHARACTERS
from shared.history.sql.dialect import Connection, Dialect
from shared.history.sql.pool import Secret, SqlPool
from shared.history.sql.schema import ensure_schema
from shared.history.sql.statements import Statements

SCANNED = 2000
"""Rows that one page of a scan looks at, at most."""


class SqlRows:
    """The tables are made when they are first needed. `setting`: what names the database."""

    def __init__(
        self, dialect: Dialect, schema: str, setting: str, token: Secret | None = None
    ) -> None:
        self._dialect = dialect
        self._schema = schema
        self._pool = SqlPool(dialect, setting, token)
        self._statements = Statements(dialect, schema)
        self._ready = False
        self._preparing = asyncio.Lock()

    async def range(self, partition: str, first: str, last: str, limit: int) -> list[Row]:
        return await self.page(partition, first, last, limit)

    async def get(self, partition: str, key: str) -> Row | None:
        check_key(partition)
        check_key(key)
        return await self._run(lambda c: self._statements.get(c, partition, key))

    async def write(self, partition: str, operations: Sequence[Operation]) -> list[str]:
        check_write(partition, operations)
        _check_lengths(partition, [operation.key for operation in operations])
        return await self._run(lambda c: self._statements.write(c, partition, operations))

    async def page(
        self, partition: str, first: str, last: str, limit: int, keys_only: bool = False
    ) -> list[Row]:
        check_key(partition)
        return await self._run(
            lambda c: self._statements.range(c, partition, first, last, limit, keys_only)
        )

    async def scan(
        self, name: str, before: int, also: Sequence[str], limit: int, after: str | None = None
    ) -> Scan:
        check_scan(before)
        partition, _, key = (after or "").partition(" ")
        looked = await self._run(lambda c: self._statements.after(c, partition, key, SCANNED))
        found: list[tuple[str, Row]] = []
        for place, row in looked:
            value = row.values.get(name)
            if type(value) is not int or value >= before:
                continue
            if len(found) == limit:
                return Scan(tuple(found), _cursor(*found[-1]))
            told = {n: row.values[n] for n in (name, *also) if n in row.values}
            found.append((place, Row(row.key, row.etag, told)))
        return Scan(tuple(found), _cursor(*looked[-1]) if len(looked) == SCANNED else None)

    async def remove(self, partition: str, keys: Sequence[str]) -> None:
        await self._run(lambda c: self._statements.remove(c, partition, keys))

    async def ready(self) -> None:
        """Reach the database, and make or check the tables."""
        self._ready = False
        await self.get(keys.INTENTS, "ready")

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _run[T](self, work: Callable[[Connection], T]) -> T:
        if not self._ready:
            async with self._preparing:
                if not self._ready:
                    await self._pool.run(lambda c: ensure_schema(c, self._dialect, self._schema))
                    self._ready = True
        return await self._pool.run(work)


def _cursor(partition: str, row: Row) -> str:
    return f"{partition} {row.key}"


def _check_lengths(partition: str, row_keys: Sequence[str]) -> None:
    """What the index takes. Raises `ValueError`."""
    if len(partition) > PARTITION_CHARACTERS:
        raise ValueError(f"A partition has at most {PARTITION_CHARACTERS} characters.")
    if any(len(key) > KEY_CHARACTERS for key in row_keys):
        raise ValueError(f"A row's key has at most {KEY_CHARACTERS} characters.")
