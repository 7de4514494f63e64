"""The SQL of the rows, the same for every database, and how a transaction is made of it.

Keys are compared by their bytes, as Table Storage does. A row's version is a new random text with
every write, so that it never comes again, not even for a row that was deleted and made anew.
"""

import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from shared.history.base import Conflict
from shared.history.rows import (
    ANY,
    Delete,
    Insert,
    Merge,
    Operation,
    Row,
    Values,
)
from shared.history.sql.dialect import Connection, Cursor, Dialect, Verdict
from shared.history.sql.pool import Uncertain
from shared.history.sql.values import decode_values, encode_values

TABLE = "rows"
KEY_CHARACTERS = 384
PARTITION_CHARACTERS = 512
"""Both together are what a clustered index of SQL Server takes: 900 bytes."""

_KEY = f"CAST(? AS varchar({PARTITION_CHARACTERS}))"


class Statements:
    """All statements on one table. Methods block, and raise the driver's errors and `Conflict`."""

    def __init__(self, dialect: Dialect, schema: str) -> None:
        self._dialect = dialect
        self._table = f"{dialect.quote(schema)}.{dialect.quote(TABLE)}"

    def range(
        self,
        connection: Connection,
        partition: str,
        first: str,
        last: str,
        limit: int,
        keys_only: bool = False,
    ) -> list[Row]:
        columns = "row_key, version" if keys_only else "row_key, version, properties, parts"
        found = self._query(
            connection,
            f"SELECT {columns} FROM {self._table} WHERE partition_key = {_KEY} "
            f"AND row_key >= {_KEY} AND row_key < {_KEY} ORDER BY row_key "
            f"OFFSET 0 ROWS FETCH NEXT {limit:d} ROWS ONLY",
            partition,
            first,
            last,
        )
        return [_row(*columns) for columns in found]

    def get(self, connection: Connection, partition: str, key: str) -> Row | None:
        found = self._query(
            connection,
            f"SELECT row_key, version, properties, parts FROM {self._table} "
            f"WHERE partition_key = {_KEY} AND row_key = {_KEY}",
            partition,
            key,
        )
        return _row(*found[0]) if found else None

    def after(
        self, connection: Connection, partition: str, key: str, limit: int
    ) -> list[tuple[str, Row]]:
        """The rows behind a place in the whole table, in order, without their binary parts."""
        found = self._query(
            connection,
            f"SELECT partition_key, row_key, version, properties FROM {self._table} "
            f"WHERE partition_key > {_KEY} OR (partition_key = {_KEY} AND row_key > {_KEY}) "
            f"ORDER BY partition_key, row_key OFFSET 0 ROWS FETCH NEXT {limit:d} ROWS ONLY",
            partition,
            partition,
            key,
        )
        return [(columns[0], _row(*columns[1:])) for columns in found]

    def write(
        self, connection: Connection, partition: str, operations: Sequence[Operation]
    ) -> list[str]:
        """All or none. Raises `Uncertain` where nobody knows which."""
        etags: dict[str, str] = {}
        with closing(connection.cursor()) as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                # Everybody takes locks in the order of the keys, so that hardly any meet.
                for operation in sorted(operations, key=lambda operation: operation.key):
                    etags[operation.key] = self._apply(cursor, partition, operation)
            except Conflict:
                cursor.execute(self._dialect.rollback)
                raise
            except Exception as exc:
                if self._dialect.judge(exc) is Verdict.CONFLICT:
                    cursor.execute(self._dialect.rollback)
                    raise Conflict from exc
                raise
            try:
                cursor.execute("COMMIT TRANSACTION")
            except Exception as exc:
                if self._dialect.judge(exc) is Verdict.AGAIN:
                    raise
                raise Uncertain(exc) from exc
        return [etags[operation.key] for operation in operations]

    def remove(self, connection: Connection, partition: str, keys: Sequence[str]) -> None:
        if keys:
            places = ", ".join(_KEY for _ in keys)
            with closing(connection.cursor()) as cursor:
                self._execute(
                    cursor,
                    f"DELETE FROM {self._table} WHERE partition_key = {_KEY} "
                    f"AND row_key IN ({places})",
                    partition,
                    *keys,
                )

    def _apply(self, cursor: Cursor, partition: str, operation: Operation) -> str:
        version = secrets.token_hex(12)
        if isinstance(operation, Insert):
            self._execute(
                cursor,
                f"INSERT INTO {self._table} "
                "(partition_key, row_key, version, properties, parts) VALUES (?, ?, ?, ?, ?)",
                partition,
                operation.key,
                version,
                *encode_values(operation.values),
            )
            return version
        where = f"WHERE partition_key = {_KEY} AND row_key = {_KEY}"
        condition: tuple[str, ...] = (partition, operation.key)
        if operation.if_match != ANY:
            where += " AND version = ?"
            condition += (operation.if_match,)
        if isinstance(operation, Delete):
            self._execute(cursor, f"DELETE FROM {self._table} {where}", *condition)
            version = ""
        else:
            values = operation.values
            if isinstance(operation, Merge):
                values = self._merged(cursor, where, condition, values)
            self._execute(
                cursor,
                f"UPDATE {self._table} SET version = ?, properties = ?, parts = ? {where}",
                version,
                *encode_values(values),
                *condition,
            )
        if cursor.rowcount != 1:
            raise Conflict
        return version

    def _merged(
        self, cursor: Cursor, where: str, condition: tuple[str, ...], values: Values
    ) -> Values:
        """The row's values with these; the row stays as it is read until the transaction ends."""
        hint, clause = self._dialect.lock_hint, self._dialect.lock_clause
        self._execute(
            cursor,
            f"SELECT properties, parts FROM {self._table}{hint} {where}{clause}",
            *condition,
        )
        found = cursor.fetchall()
        if not found:
            raise Conflict
        return {**decode_values(*found[0]), **values}

    def _query(self, connection: Connection, sql: str, *parameters: Any) -> list[Any]:
        with closing(connection.cursor()) as cursor:
            self._execute(cursor, sql, *parameters)
            return cursor.fetchall()

    def _execute(self, cursor: Cursor, sql: str, *parameters: Any) -> None:
        cursor.execute(sql.replace("?", self._dialect.places), parameters)


def _row(key: str, version: str, properties: str = "{}", parts: bytes | None = None) -> Row:
    return Row(key, version, decode_values(properties, parts))
