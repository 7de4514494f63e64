"""What differs between SQL databases: how one is reached, a few words of SQL, and its errors."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Protocol

from shared.errors import ChatError


class Verdict(Enum):
    """What an error of the database means for the transaction that met it."""

    CONFLICT = "conflict"
    """A row of that key is there already; nothing was written."""
    AGAIN = "again"
    """Nothing was written, and the same may succeed now: a deadlock's victim."""
    LOST = "lost"
    """The connection failed."""
    REFUSED = "refused"
    """The database will not do it."""


class Cursor(Protocol):
    """DB-API 2.0 (PEP 249)."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: Any, parameters: Any = ..., /) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """DB-API 2.0, in autocommit: transactions are begun and ended by SQL."""

    def cursor(self) -> Cursor: ...
    def close(self) -> None: ...


class Dialect(Protocol):
    """One kind of database. Its methods block: they run in a thread of the pool."""

    @property
    def rollback(self) -> str:
        """Ends a transaction, where one is open."""
        ...

    def connect(self, token: str | None) -> Connection:
        """Raises the driver's errors."""
        ...

    def execute(self, cursor: Cursor, sql: str, parameters: Sequence[str | bytes]) -> None:
        """`?` stands for a parameter."""
        ...

    def quote(self, name: str) -> str:
        """An identifier, whatever is in it."""
        ...

    def begin_migration(self, schema: str) -> Sequence[str]:
        """Statements behind which nobody else migrates until the transaction ends, and the schema
        is there."""
        ...

    def migrations(self, schema: str) -> Sequence[Sequence[str]]:
        """The statements of each version, the first one's first."""
        ...

    def checks(self) -> Sequence[tuple[str, str]]:
        """Queries that must give 1, and what is wrong where one does not."""
        ...

    def judge(self, error: Exception) -> Verdict | None:
        """None: it is no error of the database's."""
        ...

    def misses_table(self, error: Exception) -> bool:
        """Whether a table, or the schema, is not there."""
        ...

    def told(self, error: Exception) -> ChatError:
        """What a caller is told, without the database's own words."""
        ...
