"""A retriever's table filled by the app's own settings: what is ingested is what is searched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ingestion.chunks import Naming
from ingestion.reading import MAX_BYTES, Unreadable
from ingestion.run import Report, Run
from ingestion.table import opened
from shared.backends import Backends
from shared.errors import Misconfigured
from shared.settings import PostgresSettings, Settings

RETRY_SECONDS = 300.0
"""How long a service that is busy is asked again, for one batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What a collection is to hold. `base_url` None: its documents have no addresses."""

    retriever: str
    files: Sequence[tuple[str, Path]]
    """By the names that they are known by."""
    collection: str = "default"
    base_url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = MAX_BYTES
    prune: bool = True
    dry_run: bool = False


async def fill(
    filling: Filling, settings: Settings, progress: Callable[[int, int], None] = lambda *_: None
) -> tuple[Report, int]:
    """What was done, and the tokens that it took. Raises `ChatError`, `Busy` and `Unreadable`."""
    if filling.prune and not filling.files:
        # A disk that is not mounted looks like this, and nobody meant to remove it all.
        raise Unreadable(
            "There is no file that can be read, so that the whole collection "
            f"{filling.collection} would go: nothing was changed."
        )
    retriever = settings.retriever(filling.retriever)
    if not isinstance(retriever, PostgresSettings):
        raise Misconfigured(
            f"{filling.retriever} is an index of Azure AI Search, which its own indexers fill: "
            "https://learn.microsoft.com/azure/search/search-indexer-overview."
        )
    backends = Backends(settings)
    try:
        connection = settings.connection(retriever.connection)
        embeddings = backends.embeddings(connection, retriever.dimensions, RETRY_SECONDS)
        (probe,) = await embeddings.embed(["dimensions"])
        naming = Naming(
            filling.collection,
            filling.base_url,
            filling.metadata,
            f"{embeddings.model} {len(probe)}",
        )
        token = partial(backends.database_token, retriever)
        async with opened(retriever, token, filling.collection) as table:
            if not filling.dry_run:
                await table.ensure(len(probe))
            async with table.alone():
                run = Run(
                    table=table,
                    naming=naming,
                    embeddings=None if filling.dry_run else embeddings,
                    max_bytes=filling.max_bytes,
                    prune=filling.prune,
                    progress=progress,
                )
                return await run.fill(filling.files), embeddings.tokens
    finally:
        await backends.aclose()
