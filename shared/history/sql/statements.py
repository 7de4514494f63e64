"""The SQL of the rows, the same for every database, and how a transaction is made of it.

Keys are compared by their bytes, as Table Storage does. A row's version is a new random text with
every write, so that it never comes again, not even for a row that was deleted and made anew.
"""

import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from shared.history.base import Conflict
from shared.history.rows import ANY, Delete, Merge, Operation, Row, Values
from shared.history.sql.changes import KEY, Change, changes, has_parts
from shared.history.sql.dialect import Connection, Cursor, Dialect, Verdict
from shared.history.sql.pool import Moved, Uncertain
from shared.history.sql.values import decode_values

TABLE = "rows"


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
            f"SELECT {columns} FROM {self._table} WHERE partition_key = {KEY} "
            f"AND row_key >= {KEY} AND row_key < {KEY} ORDER BY row_key "
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
            f"WHERE partition_key = {KEY} AND row_key = {KEY}",
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
            # So that the index leads to the place: an OR alone would read all that is before it.
            f"WHERE partition_key >= {KEY} AND (partition_key > {KEY} OR row_key > {KEY}) "
            f"ORDER BY partition_key, row_key OFFSET 0 ROWS FETCH NEXT {limit:d} ROWS ONLY",
            partition,
            partition,
            key,
        )
        return [(columns[0], _row(*columns[1:])) for columns in found]

    def write(
        self, connection: Connection, partition: str, operations: Sequence[Operation]
    ) -> list[str]:
        """All or none. Raises `Conflict`, `Moved`, and `Uncertain` where nobody knows which."""
        versions = {
            operation.key: "" if isinstance(operation, Delete) else secrets.token_hex(12)
            for operation in operations
        }
        merges = [operation for operation in operations if isinstance(operation, Merge)]
        with closing(connection.cursor()) as cursor:
            found = self._found(cursor, partition, merges) if merges else {}
            todo = changes(self._table, partition, operations, versions, found)
            if merges and len(todo) == 1:
                # The connection has just answered, so that a failure now is the statement's.
                self._alone(cursor, todo[0])
            else:
                self._together(cursor, todo)
        return list(versions.values())

    def remove(self, connection: Connection, partition: str, keys: Sequence[str]) -> None:
        if keys:
            places = ", ".join(KEY for _ in keys)
            with closing(connection.cursor()) as cursor:
                self._execute(
                    cursor,
                    f"DELETE FROM {self._table} WHERE partition_key = {KEY} "
                    f"AND row_key IN ({places})",
                    partition,
                    *keys,
                )

    def _found(
        self, cursor: Cursor, partition: str, merges: Sequence[Merge]
    ) -> dict[str, tuple[str, Values]]:
        """Version and values of the rows that are merged into. Raises `Conflict`.

        Nothing is locked: what is written names the version that was read.
        """
        columns = "row_key, version, properties" + (", parts" if has_parts(merges) else "")
        places = ", ".join(KEY for _ in merges)
        self._execute(
            cursor,
            f"SELECT {columns} FROM {self._table} WHERE partition_key = {KEY} "
            f"AND row_key IN ({places})",
            partition,
            *(merge.key for merge in merges),
        )
        found: dict[str, tuple[str, Values]] = {
            key: (version, decode_values(*rest)) for key, version, *rest in cursor.fetchall()
        }
        for merge in merges:
            if merge.key not in found or merge.if_match not in (ANY, found[merge.key][0]):
                raise Conflict
        return found

    def _alone(self, cursor: Cursor, change: Change) -> None:
        """One statement, which is its own transaction."""
        try:
            self._apply(cursor, change)
        except (Conflict, Moved):
            raise
        except Exception as exc:
            if self._dialect.judge(exc) in (Verdict.AGAIN, None):
                raise
            raise Uncertain(exc) from exc

    def _together(self, cursor: Cursor, changes: Sequence[Change]) -> None:
        cursor.execute("BEGIN TRANSACTION")
        try:
            for change in changes:
                self._apply(cursor, change)
        except (Conflict, Moved):
            cursor.execute(self._dialect.rollback)
            raise
        try:
            cursor.execute("COMMIT TRANSACTION")
        except Exception as exc:
            if self._dialect.judge(exc) in (Verdict.AGAIN, None):
                raise
            raise Uncertain(exc) from exc

    def _apply(self, cursor: Cursor, change: Change) -> None:
        try:
            self._execute(cursor, change.sql, *change.parameters)
        except Exception as exc:
            if self._dialect.judge(exc) is Verdict.CONFLICT:
                raise Conflict from exc
            raise
        if cursor.rowcount != change.rows:
            raise Moved if change.moves else Conflict

    def _query(self, connection: Connection, sql: str, *parameters: Any) -> list[Any]:
        with closing(connection.cursor()) as cursor:
            self._execute(cursor, sql, *parameters)
            return cursor.fetchall()

    def _execute(self, cursor: Cursor, sql: str, *parameters: Any) -> None:
        self._dialect.execute(cursor, sql, parameters)


def _row(key: str, version: str, properties: str = "{}", parts: bytes | None = None) -> Row:
    return Row(key, version, decode_values(properties, parts))
