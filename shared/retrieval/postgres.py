"""Documents in PostgreSQL with pgvector: by meaning, by words, or by both.

Made for serverless use: few connections an instance, opened when needed and let go when idle.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from shared.errors import ChatError, Misconfigured
from shared.messages import Document
from shared.retrieval.base import Embeddings, Query
from shared.retrieval.postgres_errors import is_lost, translated
from shared.retrieval.postgres_pool import CONNECT_SECONDS, TokenSource, open_pool
from shared.retrieval.postgres_sql import (
    LAYOUT,
    Layout,
    Statement,
    scan_settings,
    search,
    table_name,
)
from shared.retrieval.text import sendable
from shared.settings import PostgresSettings

if TYPE_CHECKING:
    import asyncpg

STATEMENT_SECONDS = 8.0
_VECTOR_TYPES = ("vector", "halfvec")


class PostgresRetriever:
    """Implements `Retriever`. Exactly one of the settings' password and `token` is there."""

    def __init__(
        self, settings: PostgresSettings, embeddings: Embeddings, token: TokenSource | None = None
    ) -> None:
        self._settings = settings
        self._embeddings = embeddings
        self._token = token
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._layout: Layout | None = None
        self._opening = asyncio.Lock()

    async def search(self, query: Query) -> tuple[Document, ...]:
        """See `Retriever.search`."""
        if query.filter and self._settings.columns.metadata is None:
            raise Misconfigured(
                f"{self._settings.setting('metadataColumn')} says that the table has none, so "
                "that a filter has nothing to look at."
            )
        text = sendable(query.text)
        if not text.strip():
            return ()
        vector = None
        if query.mode != "text":
            (vector,) = await self._embeddings.embed([text])
        return tuple(map(_document, await self._run(self._searching(query, text, vector))))

    async def ready(self) -> None:
        """See `Retriever.ready`."""
        (vector,) = await self._embeddings.embed(["ready"])

        async def look(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> list[Any]:
            self._layout = None
            self._check_length(await self._read_layout(connection), vector)
            await connection.execute(f"SELECT FROM {table_name(self._settings)} LIMIT 1")
            return []

        await self._run(look)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            self._pool.terminate()

    def _searching(
        self, query: Query, text: str, vector: list[float] | None
    ) -> "Callable[[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]], Awaitable[list[Any]]]":
        async def run(connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> list[Any]:
            layout = self._layout or await self._read_layout(connection)
            if vector is not None:
                self._check_length(layout, vector)
            statement = self._statement(query, layout, text, vector)
            async with connection.transaction(readonly=True):
                milliseconds = round(STATEMENT_SECONDS * 1000)
                told = scan_settings(query.mode, layout, query.top_k)
                await connection.execute(f"SET LOCAL statement_timeout = {milliseconds};{told}")
                return await connection.fetch(statement.sql, *statement.parameters)

        return run

    def _statement(
        self, query: Query, layout: Layout, text: str, vector: list[float] | None
    ) -> Statement:
        return search(
            self._settings,
            layout,
            query.mode,
            text=text,
            vector=vector,
            top_k=query.top_k,
            min_score=query.min_score,
            conditions=query.filter,
        )

    async def _run(
        self,
        work: "Callable[[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]], Awaitable[list[Any]]]",
    ) -> list[Any]:
        """On a connection of the pool; once more where that was an old one that had been closed."""
        import asyncpg

        pool = await self._open()
        for last in (False, True):
            try:
                async with pool.acquire(timeout=CONNECT_SECONDS) as connection:
                    async with asyncio.timeout(STATEMENT_SECONDS):
                        return await work(connection)
            except ChatError:
                raise
            except (
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
                OSError,
                TimeoutError,
            ) as exc:
                if is_lost(exc) and not last:
                    continue
                error = translated(exc, self._settings)
                if isinstance(error, Misconfigured):
                    self._layout = None  # whoever mends the table need not restart the app
                raise error from exc
        raise AssertionError("unreachable")

    async def _open(self) -> "asyncpg.Pool[asyncpg.Record]":
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    most = self._settings.max_connections
                    self._pool = await open_pool(self._settings, self._token, most)
        return self._pool

    async def _read_layout(
        self, connection: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
    ) -> Layout:
        """What the table is like; checked against the settings. Raises `Misconfigured`."""
        settings, columns = self._settings, self._settings.columns
        name = table_name(settings)
        rows = {row["name"]: row for row in await connection.fetch(LAYOUT, name)}
        if not rows:
            raise Misconfigured(
                f"{settings.setting('table')}: there is no table {name} in the database "
                f"{settings.database}, or {settings.user} may not see it. The ingestion command "
                "makes one."
            )
        wanted = {
            "id": (columns.id, ()),
            "content": (columns.content, ()),
            "embedding": (columns.embedding, _VECTOR_TYPES),
            "title": (columns.title, ()),
            "url": (columns.url, ()),
            "metadata": (columns.metadata, ("jsonb",)),
            "search": (columns.search, ("tsvector",)),
        }
        for part, (column, types) in wanted.items():
            setting = settings.setting(f"{part}Column")
            if column is None:
                continue
            if column not in rows:
                none = "" if part in ("id", "content", "embedding") else ", or - where it has none"
                raise Misconfigured(f"{setting}: the table {name} has no column {column}{none}.")
            if types and rows[column]["type"] not in types:
                raise Misconfigured(
                    f"{setting}: the column {column} of {name} must be of the type "
                    f"{' or '.join(types)}, not {rows[column]['type']}."
                )
        row = rows[columns.embedding]
        version = [int(part) for part in (row["version"] or "0").split(".")[:2] if part.isdigit()]
        self._layout = Layout(
            vector_type=row["type"],
            vector_schema=row["schema"],
            dimensions=row["modifier"] if row["modifier"] > 0 else None,
            iterative=version >= [0, 8],
        )
        return self._layout

    def _check_length(self, layout: Layout, vector: list[float]) -> None:
        settings = self._settings
        if layout.dimensions is not None and layout.dimensions != len(vector):
            raise Misconfigured(
                f"The table {table_name(settings)} has vectors of {layout.dimensions} dimensions, "
                f"and the embeddings model makes {len(vector)}: set "
                f"{settings.setting('dimensions')} to {layout.dimensions}, or fill the table anew "
                "with the model that is asked."
            )


def _document(row: Any) -> Document:
    return Document(
        id=row["id"],
        title=row["title"],
        url=row["url"],
        content=row["content"] or "",
        score=row["score"],
    )
