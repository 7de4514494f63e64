"""Every place that keeps rows, as the contract suite runs over it."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

from shared.history.memory import MemoryRows
from shared.history.rows import Rows
from shared.history.sql.dialect import Dialect
from shared.history.sql.mssql import MsSql
from shared.history.sql.postgresql import PostgreSql
from shared.history.sql.rows import SqlRows
from shared.history.table import TableRows
from shared.settings import Storage

SQL_SERVER = os.environ.get("TEST_MSSQL")
"""A connection string: where there is a SQL Server, everything runs there as well."""
BACKENDS = (
    "memory",
    "table",
    "postgresql",
    *(("tds",) if os.environ.get("TEST_TDS") else ()),
    *(("mssql",) if SQL_SERVER else ()),
)
DRIVEN = tuple(dict.fromkeys((*BACKENDS, "tds")))
"""Also `tds`: SQL Server's driver before a server that keeps its data in PostgreSQL. It is slow, so
that only what matters most runs there always, and with `TEST_TDS` everything."""


@dataclass(slots=True)
class Backend:
    """One, empty: its own table, schema or memory.

    `uri`: of the PostgreSQL server; `tds`: the connection string of the one before it.
    """

    name: str
    storage: Storage
    uri: str
    tds: str
    _schema: str = field(default_factory=lambda: f"test_{uuid4().hex}")
    _memory: MemoryRows = field(default_factory=MemoryRows)

    def open(self) -> Rows:
        """The rows, as one more instance reaches them."""
        made: dict[str, Callable[[], Rows]] = {
            "memory": lambda: self._memory,
            "table": lambda: TableRows(self.storage),
            "postgresql": lambda: self._sql(PostgreSql(self.uri, "CHAT_SQL")),
            "tds": lambda: self._sql(MsSql(self.tds, "CHAT_SQL")),
            "mssql": lambda: self._sql(MsSql(SQL_SERVER or "", "CHAT_SQL")),
        }
        return made[self.name]()

    def _sql(self, dialect: Dialect) -> Rows:
        return SqlRows(dialect, self._schema, "CHAT_SQL")
