"""The table that chunks are written to, in PostgreSQL with pgvector."""

import contextlib
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from ingestion.chunks import Row
from shared.errors import Misconfigured
from shared.retrieval.postgres_errors import translated
from shared.retrieval.postgres_pool import TokenSource, open_pool
from shared.retrieval.postgres_sql import quoted, table_name
from shared.settings import PostgresSettings

INDEXED = 2000
"""Dimensions of a `vector` that an HNSW index takes; a `halfvec` takes twice as many."""
CONNECTIONS = 3
"""One holds the lock of the collection, the others write."""

_EXTENSION = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'vector'
"""

type Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]


class Busy(Exception):
    """Another run fills this collection."""


class Table:
    """One retriever's table; methods raise `ChatError` with what to do."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", settings: PostgresSettings, collection: str
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._collection = collection
        self._name = table_name(settings)

    async def ensure(self, dimensions: int) -> None:
        """Make table and indexes where there is none; an old one must have these dimensions."""
        async with self._connection() as connection:
            found = await connection.fetchval("SELECT to_regclass($1)::text", self._name)
            if found is not None:
                await self._check(connection, dimensions)
                return
            async with connection.transaction():
                # Two that come at once would both make it.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", self._name)
                await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
                schema = await connection.fetchval(_EXTENSION)
                await connection.execute(_made(self._settings, dimensions, schema))

    async def fingerprints(self) -> dict[str, dict[str, str]]:
        """What the collection holds: by source, the fingerprint of every id."""
        columns = self._settings.columns
        sql = (
            f"SELECT source, {quoted(columns.id)} AS id, fingerprint FROM {self._name} "
            "WHERE collection = $1"
        )
        found: dict[str, dict[str, str]] = {}
        async with self._connection() as connection:
            if await connection.fetchval("SELECT to_regclass($1)::text", self._name) is None:
                return found
            for row in await connection.fetch(sql, self._collection):
                found.setdefault(row["source"], {})[row["id"]] = row["fingerprint"]
        return found

    async def write(
        self, rows: Sequence[Row], vectors: Sequence[array[float]], gone: Sequence[str]
    ) -> None:
        """Insert or change rows and take others away, all at once: readers see whole documents."""
        columns = self._settings.columns
        names = [columns.id, columns.content, columns.embedding]
        names += [name for name in (columns.title, columns.url, columns.metadata) if name]
        names += ["collection", "source", "fingerprint"]
        changed = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in names[1:])
        kinds = {columns.embedding: "real[]", columns.metadata: "text"}
        casts = {columns.metadata: "::jsonb"}  # a vector is made of the numbers as it is assigned
        values = ", ".join(
            f"${n}::{kinds.get(name, 'text')}{casts.get(name, '')}"
            for n, name in enumerate(names, 1)
        )
        sql = (
            f"INSERT INTO {self._name} ({', '.join(map(quoted, names))}) VALUES ({values}) "
            f"ON CONFLICT ({quoted(columns.id)}) DO UPDATE SET {changed}, updated = now()"
        )
        async with self._connection() as connection, connection.transaction():
            if gone:
                await connection.execute(
                    f"DELETE FROM {self._name} WHERE collection = $1 "
                    f"AND {quoted(columns.id)} = ANY($2::text[])",
                    self._collection,
                    list(gone),
                )
            if rows:
                await connection.executemany(
                    sql,
                    [self._values(row, vector) for row, vector in zip(rows, vectors, strict=True)],
                )

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else fills the collection while the block runs. Raises `Busy`."""
        async with self._connection() as connection:
            key = f"{self._name} {self._collection}"
            # Of the session: it goes with the connection, however the run ends.
            if not await connection.fetchval("SELECT pg_try_advisory_lock(hashtext($1))", key):
                raise Busy
            try:
                yield
            finally:
                with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", key)

    def _values(self, row: Row, vector: array[float]) -> list[object]:
        columns = self._settings.columns
        values: list[object] = [row.id, row.content, vector]
        optional = ((columns.title, row.title), (columns.url, row.url))
        values += [value for name, value in optional if name]
        values += [row.metadata] if columns.metadata else []
        return [*values, self._collection, row.source, row.fingerprint]

    async def _check(self, connection: Connection, dimensions: int) -> None:
        sql = (
            "SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute "
            "WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped"
        )
        types = {row["attname"]: row["type"] for row in await connection.fetch(sql, self._name)}
        for name in ("collection", "source", "fingerprint", "updated"):
            if name not in types:
                raise Misconfigured(
                    f"{self._settings.setting('table')}: {self._name} was not made by this "
                    f"command: it has no column {name}. Name another table."
                )
        column = self._settings.columns.embedding
        wanted = f"{_vector_type(dimensions)}({dimensions})"
        if types.get(column, "").rpartition(".")[2] != wanted:
            raise Misconfigured(
                f"{self._settings.setting('dimensions')}: {self._name}.{column} is "
                f"{types.get(column, 'missing')}, and the embeddings model makes {wanted}. Name "
                "another table, or drop this one and fill it anew."
            )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.acquire() as connection:
                yield connection
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as exc:
            raise _told(exc, self._settings) from exc


@asynccontextmanager
async def opened(
    settings: PostgresSettings, token: TokenSource | None, collection: str
) -> AsyncIterator[Table]:
    """The table while the block runs; `token` serves settings without a password."""
    pool = await open_pool(settings, token, CONNECTIONS)
    try:
        yield Table(pool, settings, collection)
    finally:
        pool.terminate()


def _told(error: Exception, settings: PostgresSettings) -> Exception:
    if getattr(error, "sqlstate", None) == "42501":
        return Misconfigured(
            f"{settings.user} may not do this in {settings.database}: it needs CREATE on the "
            "schema, and an administrator may have to run CREATE EXTENSION vector first."
        )
    if getattr(error, "sqlstate", None) in ("58P01", "0A000"):
        return Misconfigured(
            "The server does not offer the extension vector. On Azure: set the server parameter "
            "azure.extensions to VECTOR."
        )
    return translated(error, settings)


def _vector_type(dimensions: int) -> str:
    return "vector" if dimensions <= INDEXED else "halfvec"


def _made(settings: PostgresSettings, dimensions: int, schema: str) -> str:
    """`schema`: where the extension is, which need not be on the search path."""
    columns, kind = settings.columns, _vector_type(dimensions)
    table, there = table_name(settings), quoted(schema)
    made: Mapping[str | None, str] = {
        columns.id: "text PRIMARY KEY",
        "collection": "text NOT NULL",
        "source": "text NOT NULL",
        columns.title: "text",
        columns.url: "text",
        columns.content: "text NOT NULL",
        columns.metadata: "jsonb NOT NULL DEFAULT '{}'",
        "fingerprint": "text NOT NULL",
        columns.embedding: f"{there}.{kind}({dimensions}) NOT NULL",
        columns.search: f"tsvector GENERATED ALWAYS AS ({_words(settings)}) STORED",
        "updated": "timestamptz NOT NULL DEFAULT now()",
    }
    fields = ", ".join(f"{quoted(name)} {type_}" for name, type_ in made.items() if name)
    indexes = [
        f"hnsw ({quoted(columns.embedding)} {there}.{kind}_cosine_ops)",
        "btree (collection, source)",
    ]
    if columns.search:
        indexes.append(f"gin ({quoted(columns.search)})")
    if columns.metadata:
        indexes.append(f"gin ({quoted(columns.metadata)} jsonb_path_ops)")
    index = "".join(f"CREATE INDEX ON {table} USING {what};" for what in indexes)
    return f"CREATE TABLE {table} ({fields}); {index}"


def _words(settings: PostgresSettings) -> str:
    """A title's words count more."""
    columns, language = settings.columns, f"'{settings.language}'"
    content = f"setweight(to_tsvector({language}, {quoted(columns.content)}), 'B')"
    if columns.title is None:
        return content
    title = f"setweight(to_tsvector({language}, coalesce({quoted(columns.title)}, '')), 'A')"
    return f"{title} || {content}"
