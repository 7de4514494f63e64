"""Connections to PostgreSQL, as a retriever and the ingestion open them.

Nothing is kept on a connection, so that PgBouncer may stand between: no prepared statements, no
settings that outlive a transaction.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from shared.settings import PostgresSettings

if TYPE_CHECKING:
    import asyncpg

type TokenSource = Callable[[], Awaitable[str]]
"""Gives the identity's token, which is the password of every new connection."""

CONNECT_SECONDS = 5.0
IDLE_SECONDS = 60.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


async def open_pool(
    settings: PostgresSettings, token: TokenSource | None, max_connections: int
) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool that opens connections when they are needed, and closes idle ones.

    `token` serves settings without a password. Nothing is sent yet.
    """
    import asyncpg

    return await asyncpg.create_pool(
        host=settings.host,
        port=settings.port,
        database=settings.database,
        user=settings.user,
        password=settings.password or token,
        ssl=_tls(settings.host),
        min_size=0,
        max_size=max_connections,
        max_inactive_connection_lifetime=IDLE_SECONDS,
        statement_cache_size=0,
        timeout=CONNECT_SECONDS,
        reset=_nothing,
    )


def _tls(host: str) -> ssl.SSLContext | bool:
    """Certificates are checked everywhere but on this machine."""
    return False if host in _LOOPBACK else ssl.create_default_context()


async def _nothing(connection: Any) -> None:
    """There is nothing to take back."""
