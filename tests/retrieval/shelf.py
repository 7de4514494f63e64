"""A table with documents, and a retriever on it."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from ingestion.table import opened
from local.simulator.vectors import vector_of
from shared.models.connect import open_embeddings
from shared.retrieval.postgres import PostgresRetriever
from tests.retrieval.servers import DIMENSIONS, Servers, settings_of


@asynccontextmanager
async def connected(servers: Servers, database: str) -> AsyncIterator[Any]:
    """A connection of the superuser."""
    connection = await asyncpg.connect(servers.postgres.url(database))
    try:
        yield connection
    finally:
        await connection.close()


async def new_table(servers: Servers, database: str, **settings: str) -> None:
    """The table as ingestion makes it, empty."""
    _, retriever = settings_of(servers.environment(database, **settings))
    async with opened(retriever, None, "c") as table:
        await table.ensure(retriever.dimensions or DIMENSIONS)


async def fill(
    servers: Servers,
    database: str,
    texts: Mapping[str, str],
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Documents by id; each has its id as its title."""
    rows = [
        (id, text, json.dumps((metadata or {}).get(id, {})), vector_of(text, DIMENSIONS))
        for id, text in texts.items()
    ]
    async with connected(servers, database) as connection:
        await connection.executemany(
            "INSERT INTO documents (id, collection, source, title, url, content, metadata, "
            "fingerprint, embedding) VALUES ($1, 'c', 's', $1, 'https://x/' || $1, $2, "
            "$3::text::jsonb, '', $4::real[]::vector)",
            rows,
        )


@asynccontextmanager
async def retriever_on(
    servers: Servers, database: str, **settings: str
) -> AsyncIterator[PostgresRetriever]:
    """The retriever D, as the app opens it."""
    whole, retriever = settings_of(servers.environment(database, **settings))
    embeddings = open_embeddings(whole.connection(), None, retriever.dimensions)
    opened_retriever = PostgresRetriever(retriever, embeddings)
    try:
        yield opened_retriever
    finally:
        await opened_retriever.aclose()
        await embeddings.aclose()


def ids(found: Sequence[Any]) -> list[str]:
    return [document.id for document in found]
