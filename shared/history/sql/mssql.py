"""SQL Server and Azure SQL, by Microsoft's `mssql-python`.

It brings its own driver, and wants the system's library libltdl. The errors that it raises have
the class and the words of their SQLSTATE (`mssql_python/exceptions.py`).
https://learn.microsoft.com/sql/connect/python/mssql-python/python-sql-driver-mssql-python
"""

import time
from collections.abc import Sequence
from typing import Any

from shared.errors import ChatError, Misconfigured, StoreUnavailable
from shared.history.sql.dialect import Connection, Cursor, Verdict

SCOPE = "https://database.windows.net/.default"
CONNECT_SECONDS = 4
STATEMENT_SECONDS = 6
SHORT = 512
_LOST = (
    "communication link failure",
    "connection failure during transaction",
    "connection not open",
    "client unable to establish connection",
    "server rejected the connection",
    "timeout expired",
    "connection timeout expired",
    "statement completion unknown",
)
_LOGIN = "invalid authorization specification"
_DEADLOCK = "serialization failure"
_NO_TABLE = ("base table or view not found", "invalid object name")


class _Token:
    """The token that was just got, in the form in which the driver asks for one."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.expires_on = time.time() + 60

    def get_token(self, *_scopes: str, **_options: Any) -> "_Token":
        return self


class MsSql:
    """Implements `Dialect`. `connection_string`: of ODBC's form; `setting`: what names it."""

    rollback = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"

    def __init__(self, connection_string: str, setting: str) -> None:
        self._connection_string = connection_string
        self._setting = setting

    def connect(self, token: str | None) -> Connection:
        import mssql_python

        # Its own pool would keep a connection that failed, with the transaction that is open on
        # it, and the rows that this has locked.
        mssql_python.pooling(enabled=False)
        connection: Any = mssql_python.connect(
            self._connection_string,
            autocommit=True,
            timeout=CONNECT_SECONDS,
            token_provider=_Token(token) if token else None,
        )
        connection.timeout = STATEMENT_SECONDS
        # An error ends the whole transaction: none is ever half done.
        connection.cursor().execute("SET XACT_ABORT ON")
        made: Connection = connection
        return made

    def execute(self, cursor: Cursor, sql: str, parameters: Sequence[str | bytes]) -> None:
        # Types that do not depend on how long a value is, so that one plan serves them all; and
        # in one request: preparing would be another.
        native: Any = cursor
        native.setinputsizes([_type(value) for value in parameters])
        native.execute(sql, parameters)

    def quote(self, name: str) -> str:
        return "[" + name.replace("]", "]]") + "]"

    def begin_migration(self, schema: str) -> Sequence[str]:
        name = self.quote(schema)
        return (
            # Who waits in vain goes on, and meets what the other one has made as an error.
            "EXEC sp_getapplock @Resource = 'chat history', @LockMode = 'Exclusive', "
            "@LockTimeout = 5000",
            f"IF SCHEMA_ID('{schema}') IS NULL EXEC('CREATE SCHEMA {name}')",
            f"IF OBJECT_ID('{name}.schema_version') IS NULL "
            f"CREATE TABLE {name}.schema_version (version int NOT NULL)",
        )

    def migrations(self, schema: str) -> Sequence[Sequence[str]]:
        name = self.quote(schema)
        epoch = "CAST('1970-01-01' AS datetime2(3))"
        moment = "DATEADD(millisecond, {0} % 1000, DATEADD(second, {0} / 1000, {1}))"
        created = moment.format("CAST(JSON_VALUE(properties, '$.created') AS bigint)", epoch)
        updated = moment.format("CAST(JSON_VALUE(properties, '$.updated') AS bigint)", epoch)
        view = f"""CREATE VIEW {name}.conversations AS
            SELECT partition_key AS owner,
                SUBSTRING(row_key, 3, LEN(row_key) - 4) AS conversation,
                JSON_VALUE(properties, '$.title') AS title,
                {created} AS created,
                {updated} AS updated,
                CAST(JSON_VALUE(properties, '$.count') AS int) AS messages
            FROM {name}.rows WHERE row_key LIKE 'v,%,!'
            AND JSON_VALUE(properties, '$.title') IS NOT NULL"""
        return (
            (
                f"""CREATE TABLE {name}.rows (
                    partition_key varchar(512) COLLATE Latin1_General_100_BIN2 NOT NULL,
                    row_key varchar(384) COLLATE Latin1_General_100_BIN2 NOT NULL,
                    version varchar(32) NOT NULL,
                    properties nvarchar(max) NOT NULL,
                    parts varbinary(max) NOT NULL,
                    PRIMARY KEY (partition_key, row_key))""",
                # A view must be the first statement of its batch.
                "EXEC('" + view.replace("'", "''") + "')",
            ),
        )

    def checks(self) -> Sequence[tuple[str, str]]:
        return (
            (
                # By name: Azure SQL's DB_ID() need not be the number there.
                "SELECT CAST(is_read_committed_snapshot_on AS int) FROM sys.databases "
                "WHERE name = DB_NAME()",
                f"The database that {self._setting} names reads without snapshots, so that a "
                "reader could see half of a turn: ALTER DATABASE CURRENT SET "
                "READ_COMMITTED_SNAPSHOT ON.",
            ),
        )

    def judge(self, error: Exception) -> Verdict | None:
        import mssql_python

        if isinstance(error, mssql_python.IntegrityError):
            return Verdict.CONFLICT
        if not isinstance(error, mssql_python.Error | mssql_python.ConnectionStringParseError):
            return None
        said = _said(error)
        if _DEADLOCK in said:
            return Verdict.AGAIN
        return Verdict.LOST if any(words in said for words in _LOST) else Verdict.REFUSED

    def misses_table(self, error: Exception) -> bool:
        said = str(error).lower()
        return any(words in said for words in _NO_TABLE)

    def told(self, error: Exception) -> ChatError:
        import mssql_python

        said = str(error).lower()
        if isinstance(error, mssql_python.ConnectionStringParseError):
            return Misconfigured(
                f"{self._setting} must be a connection string such as "
                "Server=NAME.database.windows.net;Database=NAME;Encrypt=yes."
            )
        if "failed to load the driver" in said:
            return Misconfigured(
                "SQL Server's driver needs the library libltdl: Debian and Ubuntu have it in the "
                "package libltdl7."
            )
        if _LOGIN in said:
            return Misconfigured(
                f"The database refused the app: look at {self._setting}. An identity needs a user "
                "there: CREATE USER [NAME] FROM EXTERNAL PROVIDER."
            )
        if "cannot open database" in said:
            return Misconfigured(
                f"{self._setting} names a database that is not there, or in which the app is no "
                "user."
            )
        if "certificate verify failed" in said:
            return Misconfigured(
                f"The certificate of the server that {self._setting} names is not trusted: give it "
                "one for its name, from an authority that this system knows."
            )
        if "not allowed to access the server" in said:
            return Misconfigured(
                f"The firewall of the server that {self._setting} names does not let the app in."
            )
        if "permission" in said:
            return Misconfigured(
                f"The user of {self._setting} may not do this: it needs SELECT, INSERT, UPDATE and "
                "DELETE on the schema that CHAT_SQL_SCHEMA names, and to make that CREATE SCHEMA "
                "and CREATE TABLE."
            )
        return StoreUnavailable(f"The database that {self._setting} names failed.")


def _type(value: str | bytes) -> tuple[int, int, int]:
    """ODBC's type, size and digits: keys and versions are short and ASCII, JSON is an object."""
    import mssql_python

    if isinstance(value, bytes):
        return mssql_python.SQL_VARBINARY, 0, 0
    if len(value) <= SHORT and value.isascii() and not value.startswith("{"):
        return mssql_python.SQL_VARCHAR, SHORT, 0
    return mssql_python.SQL_WVARCHAR, 0, 0


def _said(error: Exception) -> str:
    """What the driver's table has for the SQLSTATE; the server's own words may quote anything."""
    return str(getattr(error, "driver_error", "")).lower()
