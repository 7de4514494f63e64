"""PostgreSQL, by psycopg: the dialect in which the tests show that the SQL works.

`psycopg` is not deployed with the app: whoever keeps the history here adds it to the requirements.
https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import re
from collections.abc import Sequence
from typing import Any

from shared.errors import ChatError, Misconfigured, StoreUnavailable
from shared.history.sql.dialect import Connection, Cursor, Verdict

CONNECT_SECONDS = 4
STATEMENT_MS = 6000
# And an instance that is gone without a word holds no lock for longer.
_OPTIONS = (
    f"-c statement_timeout={STATEMENT_MS} -c idle_in_transaction_session_timeout={STATEMENT_MS}"
)
_LOST = ("08", "57P")
_AGAIN = ("40001", "40P01")


class PostgreSql:
    """Implements `Dialect`. `uri`: a connection URI; `setting`: what holds it."""

    rollback = "ROLLBACK TRANSACTION"

    def __init__(self, uri: str, setting: str) -> None:
        try:
            import psycopg
        except ImportError as exc:
            raise Misconfigured(
                f"{setting} names PostgreSQL, for which the app needs one package more: add "
                "psycopg[binary] to requirements.txt."
            ) from exc
        try:
            psycopg.conninfo.conninfo_to_dict(uri)
        except psycopg.ProgrammingError:
            # Without the cause: the driver's words would hold the password.
            raise Misconfigured(
                f"{setting} must be a connection URI: postgresql://USER:PASSWORD@HOST/DATABASE."
            ) from None
        self._uri = uri
        self._setting = setting

    def connect(self, token: str | None) -> Connection:
        import psycopg

        more: dict[str, Any] = {"password": token} if token else {}
        connection: Any = psycopg.connect(
            self._uri,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            options=_OPTIONS,
            tcp_user_timeout=STATEMENT_MS,
            # A server that is gone without a word is noticed as soon.
            keepalives_idle=3,
            keepalives_interval=1,
            keepalives_count=3,
            **more,
        )
        made: Connection = connection
        return made

    def execute(self, cursor: Cursor, sql: str, parameters: Sequence[str | bytes]) -> None:
        cursor.execute(sql.replace("?", "%s"), parameters)

    def quote(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def begin_migration(self, schema: str) -> Sequence[str]:
        name = self.quote(schema)
        return (
            f"SELECT pg_advisory_xact_lock(hashtext('chat history {schema}'))",
            f"CREATE SCHEMA IF NOT EXISTS {name}",
            f"CREATE TABLE IF NOT EXISTS {name}.schema_version (version integer NOT NULL)",
        )

    def migrations(self, schema: str) -> Sequence[Sequence[str]]:
        name = self.quote(schema)
        return (
            (
                f"""CREATE TABLE {name}.rows (
                    partition_key varchar(512) COLLATE "C" NOT NULL,
                    row_key varchar(384) COLLATE "C" NOT NULL,
                    version varchar(32) NOT NULL,
                    properties text NOT NULL,
                    parts bytea NOT NULL,
                    PRIMARY KEY (partition_key, row_key))""",
                f"""CREATE VIEW {name}.conversations AS
                    SELECT partition_key AS owner,
                        split_part(row_key, ',', 2) AS conversation,
                        properties::json ->> 'title' AS title,
                        to_timestamp((properties::json ->> 'created')::bigint / 1000.0) AS created,
                        to_timestamp((properties::json ->> 'updated')::bigint / 1000.0) AS updated,
                        (properties::json ->> 'count')::int AS messages
                    FROM {name}.rows WHERE row_key LIKE 'v,%,!'
                    AND properties::json ->> 'title' IS NOT NULL""",
            ),
        )

    def checks(self) -> Sequence[tuple[str, str]]:
        return ()

    def judge(self, error: Exception) -> Verdict | None:
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        code = error.sqlstate or ""
        if code == "23505":
            return Verdict.CONFLICT
        if code in _AGAIN:
            return Verdict.AGAIN
        if code.startswith(_LOST) or (not code and isinstance(error, psycopg.OperationalError)):
            return Verdict.LOST
        return Verdict.REFUSED

    def misses_table(self, error: Exception) -> bool:
        return getattr(error, "sqlstate", None) in ("42P01", "3F000")

    def told(self, error: Exception) -> ChatError:
        code = getattr(error, "sqlstate", None) or _code_of_login(error)
        if code in ("28P01", "28000"):
            return Misconfigured(f"The database refused user or password: look at {self._setting}.")
        if code == "3D000":
            return Misconfigured(f"{self._setting} names a database that is not there.")
        if code == "42501":
            return Misconfigured(
                f"The user of {self._setting} may not do this: it needs the schema that "
                "CHAT_SQL_SCHEMA names, and CREATE on the database where that is not there."
            )
        said = f" (SQLSTATE {code})" if code else ""
        return StoreUnavailable(f"The database that {self._setting} names failed{said}.")


def _code_of_login(error: Exception) -> str:
    """What a refused login has no code for, by the server's words; empty for all else."""
    said = str(error)
    if "password authentication failed" in said:
        return "28P01"
    return "3D000" if re.search(r'database ".*" does not exist', said) else ""
