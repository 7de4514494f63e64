"""What PostgreSQL and the way to it answer, as this app's errors; the server's words stay there.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from shared.errors import ChatError, Misconfigured, RetrievalUnavailable
from shared.retrieval.postgres_sql import table_name
from shared.settings import PostgresSettings

_LOST = ("08", "57P")
"""Connections that fail, and servers that go: asking again, on another connection, may help."""


def translated(error: Exception, settings: PostgresSettings) -> ChatError:
    """The error that a caller is told, and an operator can act on."""
    code = _code(error)
    table = f"{settings.setting('table')} ({table_name(settings)})"
    match code:
        case "28P01" | "28000":
            return Misconfigured(_refused(settings))
        case "3D000":
            return Misconfigured(
                f"{settings.setting('database')}: the server has no database {settings.database}."
            )
        case "42P01" | "3F000":
            return Misconfigured(
                f"{table}: there is no such table, or {settings.user} may not see it. The "
                "ingestion command makes one."
            )
        case "42501":
            return Misconfigured(
                f"{table}: {settings.user} may not read it. As its owner: GRANT SELECT ON "
                f'{table_name(settings)} TO "{settings.user}"; with USAGE on its schema.'
            )
        case "42703":
            return Misconfigured(f"{table} lacks a column that the settings name.")
        case "42704" | "42883":
            return Misconfigured(
                f"The database lacks what {settings.setting('language')} "
                f"({settings.language}) or the extension vector brings: CREATE EXTENSION vector."
            )
        case "22000":
            return Misconfigured(
                f"{table} has vectors of another length than the embeddings model makes: look at "
                f"{settings.setting('dimensions')}."
            )
        case "53300":
            return RetrievalUnavailable(
                "PostgreSQL takes no more connections: lower "
                f"{settings.setting('maxConnections')}, or have PgBouncer in front.",
                retry_after=2,
            )
        case _:
            said = f" (SQLSTATE {code})" if code else ""
            return RetrievalUnavailable(
                f"PostgreSQL did not answer{said}: look at {settings.setting('host')}.",
                retry_after=2,
            )


def is_lost(error: Exception) -> bool:
    """Whether only the connection failed, which may have been an old one."""
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        return (_code(error) or "").startswith(_LOST)
    # `InternalClientError`: the server has said that it ends the connection, and not ended it yet.
    return isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError | ConnectionError)


def _code(error: Exception) -> str | None:
    code = getattr(error, "sqlstate", None)
    return code if isinstance(code, str) else None


def _refused(settings: PostgresSettings) -> str:
    if settings.password is not None:
        return (
            f"PostgreSQL refused the role {settings.user}: look at {settings.setting('user')} and "
            f"{settings.setting('password')}."
        )
    return (
        f"PostgreSQL refused the app's identity as {settings.user}: {settings.setting('user')} "
        "must be the name of a role that was made for it: SELECT * FROM "
        f"pgaadauth_create_principal('{settings.user}', false, false);"
    )
