"""Where the history is, where that is a SQL database."""

import re

from msgspec import Struct

from shared.errors import Misconfigured
from shared.settings.values import IdentitySettings, Values

POSTGRESQL = ("postgresql://", "postgres://")


class Sql(Struct, frozen=True, kw_only=True):
    """A database: a connection string, or a server's address with an identity."""

    setting: str
    """The setting that says so, for messages."""
    connection_string: str
    schema: str = "chat"
    identity: IdentitySettings | None = None
    """None: the connection string says who signs in."""

    @property
    def is_postgresql(self) -> bool:
        """Else it is SQL Server or Azure SQL."""
        return self.connection_string.startswith(POSTGRESQL)


def read_sql(values: Values) -> Sql | None:
    """`CHAT_SQL`, or `CHAT_SQL__server` and `__database`; None: no SQL database is named.

    Raises `Misconfigured`.
    """
    given = values.text("CHAT_SQL")
    server = values.text("CHAT_SQL__server")
    database = values.text("CHAT_SQL__database")
    if given is None and server is None and database is None:
        return None
    for name in ("CHAT_STORAGE", "CHAT_STORAGE__tableServiceUri", "CHAT_STORAGE__accountName"):
        if values.text(name):
            raise Misconfigured(f"CHAT_SQL and {name} are both set: the history is in one of them.")
    schema = values.text("CHAT_SQL_SCHEMA") or "chat"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", schema, re.ASCII):
        raise Misconfigured(
            "CHAT_SQL_SCHEMA must be a name of letters, digits and _, such as chat."
        )
    if given is not None:
        if server is not None or database is not None:
            raise Misconfigured("CHAT_SQL and CHAT_SQL__server are both set: keep one.")
        return Sql(setting="CHAT_SQL", connection_string=given, schema=schema)
    for name, value in (("server", server), ("database", database)):
        if value is None:
            raise Misconfigured(
                f"CHAT_SQL__{name} is missing: CHAT_SQL__server, such as "
                "NAME.database.windows.net, and CHAT_SQL__database go together."
            )
        if not re.fullmatch(r"[^;={}\s'\"]+( [^;={}\s'\"]+)*", value):
            raise Misconfigured(f"CHAT_SQL__{name} must be a name alone, without = and ;.")
    return Sql(
        setting="CHAT_SQL__server",
        connection_string=f"Server={server};Database={database};Encrypt=yes;",
        schema=schema,
        identity=values.identity("CHAT_SQL"),
    )
