"""What a turn needs of a retriever, and what a retriever needs of an embeddings model."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from shared.messages import Document, Filter, SearchMode


class Query(Struct, frozen=True, kw_only=True):
    """One search."""

    text: str
    """What is looked for; never empty."""
    top_k: int
    """How many documents at most."""
    mode: SearchMode = "hybrid"
    min_score: float | None = None
    """The least cosine similarity, -1..1, of what is found by meaning; what is found by its words
    alone is there whatever its similarity. None: no least one."""
    filter: Filter = {}


class Retriever(Protocol):
    """A place where documents are found. It holds connections; nothing is opened before it is used.

    Every method raises `RetrievalUnavailable` for what may work when asked again, and
    `Misconfigured`, with the setting's name, for what will not; both in bounded time.
    """

    async def search(self, query: Query) -> tuple[Document, ...]:
        """The documents, best first, each with its `score`: the greater the better.

        `vector`: cosine similarity; `text`: the service's own rank; `hybrid`: the fused rank,
        0..1, where 1 is first in both.
        """
        ...

    async def ready(self) -> None:
        """Reach the service, and check what the settings name there."""
        ...

    async def aclose(self) -> None: ...


class Embeddings(Protocol):
    """A model that turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector for each text, in their order.

        Raises what a model raises: `ModelRefused`, `RateLimited`, `ModelUnavailable`,
        `ModelTimeout`; and `Misconfigured` where no embeddings model is set.
        """
        ...
