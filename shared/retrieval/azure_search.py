"""Documents in an index of Azure AI Search, by its own SDK and the app's identity.

The service fuses a hybrid search itself. Its scores: of a vector search 1 / (2 - cosine), of a
hybrid one reciprocal ranks, of words BM25.
https://learn.microsoft.com/azure/search/hybrid-search-ranking
"""

import asyncio
from typing import TYPE_CHECKING, Any

from shared.errors import ChatError, Misconfigured, RetrievalUnavailable
from shared.messages import Document, Filter, FilterValue
from shared.retrieval.base import Embeddings, Query
from shared.retrieval.text import sendable
from shared.settings import SearchSettings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.search.documents.aio import SearchClient

ROLE = "Search Index Data Reader"
SECONDS = 5.0
"""Of connecting and of reading, each."""
LEAST_CANDIDATES = 50
_RRF = 60


class SearchRetriever:
    """Implements `Retriever`."""

    def __init__(
        self, settings: SearchSettings, embeddings: Embeddings, credential: "AsyncTokenCredential"
    ) -> None:
        self._settings = settings
        self._embeddings = embeddings
        self._credential = credential
        self._client: SearchClient | None = None
        self._opening = asyncio.Lock()

    async def search(self, query: Query) -> tuple[Document, ...]:
        """See `Retriever.search`."""
        if query.min_score is not None and query.mode != "vector":
            raise Misconfigured(
                "minScore works with the mode vector only: Azure AI Search tells no similarity of "
                "what a hybrid search finds."
            )
        text = sendable(query.text).strip()
        if not text:
            return ()
        vector = None
        if query.mode != "text":
            (vector,) = await self._embeddings.embed([text])
        found = await self._ask(query, text, vector)
        documents = [self._document(item, query) for item in found]
        if query.min_score is not None:
            documents = [d for d in documents if (d.score or 0.0) >= query.min_score]
        return tuple(documents)

    async def ready(self) -> None:
        """See `Retriever.ready`."""
        (vector,) = await self._embeddings.embed(["ready"])
        await self._ask(Query(text="ready", top_k=1, mode="vector"), "ready", vector)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(
        self, query: Query, text: str, vector: list[float] | None
    ) -> list[dict[str, Any]]:
        client = await self._open()
        from azure.core.exceptions import AzureError
        from azure.search.documents.models import VectorizedQuery, VectorQuery

        columns = self._settings.columns
        vectors: list[VectorQuery] = []
        if vector is not None:
            most = query.top_k if query.mode == "vector" else max(LEAST_CANDIDATES, query.top_k)
            vectors.append(
                VectorizedQuery(vector=vector, k_nearest_neighbors=most, fields=columns.embedding)
            )
        names = (columns.id, columns.content, columns.title, columns.url)
        try:
            paged = await client.search(
                None if query.mode == "vector" else text,
                vector_queries=vectors or None,
                filter=odata(query.filter) or None,
                top=query.top_k,
                select=[name for name in names if name],
            )
            return [item async for item in paged][: query.top_k]
        except ChatError:
            raise
        except (AzureError, OSError, TimeoutError) as exc:
            raise self._translated(exc) from exc

    async def _open(self) -> "SearchClient":
        if self._client is None:
            async with self._opening:
                if self._client is None:
                    # It takes half a second to import, and the loop has requests to serve.
                    await asyncio.to_thread(_import)
                    from azure.search.documents.aio import SearchClient

                    self._client = SearchClient(
                        self._settings.endpoint,
                        self._settings.index,
                        self._credential,
                        retry_total=1,
                        connection_timeout=SECONDS,
                        read_timeout=SECONDS,
                        logging_enable=False,
                    )
        return self._client

    def _document(self, item: dict[str, Any], query: Query) -> Document:
        columns = self._settings.columns
        score = float(item["@search.score"])
        if query.mode == "vector":
            score = 2 - 1 / score if score > 0 else -1.0
        elif query.mode == "hybrid":
            score = min(1.0, score * (_RRF + 1) / 2)
        return Document(
            id=_text(item.get(columns.id)),
            content=_text(item.get(columns.content)) or "",
            title=_text(item.get(columns.title)) if columns.title else None,
            url=_text(item.get(columns.url)) if columns.url else None,
            score=score,
        )

    def _translated(self, error: Exception) -> ChatError:
        settings = self._settings
        status = getattr(error, "status_code", None)
        if status in (401, 403):
            return Misconfigured(
                f"Azure AI Search refused the app's identity: it needs the role {ROLE} on the "
                "service, with role-based access control turned on; look at "
                f"{settings.setting('credential')} and {settings.setting('endpoint')}."
            )
        if status == 404:
            return Misconfigured(
                f"{settings.setting('index')}: the service has no index {settings.index}."
            )
        if status == 400:
            return Misconfigured(
                f"The index {settings.index} does not take the search: look at the names of its "
                f"fields ({settings.setting('embeddingColumn')} and others), at "
                f"{settings.setting('dimensions')}, and whether what a filter names is filterable."
            )
        return RetrievalUnavailable(
            f"Azure AI Search did not answer: look at {settings.setting('endpoint')}.",
            retry_after=2,
        )


def odata(conditions: Filter) -> str:
    """A filter in the service's own language; values are quoted as it wants them.

    https://learn.microsoft.com/azure/search/search-query-odata-filter
    """
    all_of = []
    for name, wanted in conditions.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,)
        any_of = " or ".join(f"{name} eq {_literal(value)}" for value in values)
        all_of.append(f"({any_of or 'false'})")
    return " and ".join(all_of)


def _literal(value: FilterValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _import() -> None:
    import azure.search.documents.aio
    import azure.search.documents.models  # noqa: F401
