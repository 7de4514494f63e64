"""Searches in a real PostgreSQL with pgvector: by meaning, by words, by both, and filtered."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.simulator.vectors import vector_of
from shared.errors import Misconfigured
from shared.messages import Document
from shared.retrieval.base import Query
from shared.retrieval.postgres import PostgresRetriever
from tests.retrieval.servers import DIMENSIONS, Servers
from tests.retrieval.shelf import connected, fill, ids, new_table, retriever_on

TEXTS = {
    "hours": "The office opens at nine and closes at five.",
    "rooms": "The large room holds twenty people, the small room holds six.",
    "train": "The last train leaves at half past four.",
    "code": "Error E4711 means that the printer has no paper.",
    "scripts": "办公室九点开门",
}
METADATA: dict[str, dict[str, Any]] = {
    "hours": {"kind": "guide", "level": 1, "public": True},
    "rooms": {"kind": "guide", "level": 2, "public": False},
    "train": {"kind": "travel", "level": 1},
    "code": {"kind": "it's", "level": 1.5},
}
LARGE = 20_000


@pytest.fixture(scope="module")
async def database(servers: Servers) -> str:
    name = await servers.database()
    await new_table(servers, name)
    await fill(servers, name, TEXTS, METADATA)
    return name


@pytest.fixture(scope="module")
async def retriever(servers: Servers, database: str) -> AsyncIterator[PostgresRetriever]:
    async with retriever_on(servers, database) as opened:
        yield opened


async def test_what_comes_back(retriever: PostgresRetriever) -> None:
    (found, *_) = await retriever.search(Query(text="when does the office open?", top_k=2))
    assert found == Document(
        id="hours", title="hours", url="https://x/hours", content=TEXTS["hours"], score=found.score
    )


async def test_by_meaning_the_score_is_the_cosine(retriever: PostgresRetriever) -> None:
    text = "opening of the office"
    found = await retriever.search(Query(text=text, top_k=5, mode="vector"))
    assert len(found) == 5
    asked = vector_of(text, DIMENSIONS)
    for document in found:
        held = vector_of(TEXTS[document.id or ""], DIMENSIONS)
        cosine = sum(a * b for a, b in zip(asked, held, strict=True))
        assert document.score == pytest.approx(cosine, abs=1e-5)
    scores = [document.score or 0 for document in found]
    assert scores == sorted(scores, reverse=True)


async def test_the_least_score_counts_for_what_is_found_by_meaning(
    retriever: PostgresRetriever,
) -> None:
    for mode in ("vector", "hybrid"):
        query = Query(text="large room", top_k=5, mode=mode, min_score=0.4)
        assert ids(await retriever.search(query)) == ["rooms"]
    # What holds the very word is there, however little its meaning is like the question's.
    query = Query(text="E4711 xyz uvw rst", top_k=5, min_score=0.9)
    assert ids(await retriever.search(query)) == ["code"]


async def test_by_words_any_of_them_will_do(retriever: PostgresRetriever) -> None:
    query = Query(text="Which printers were sold on Mars?", top_k=5, mode="text")
    assert ids(await retriever.search(query)) == ["code"]


async def test_what_both_find_comes_first_with_the_whole_score(
    retriever: PostgresRetriever,
) -> None:
    found = await retriever.search(Query(text="the last train", top_k=3))
    assert found[0].id == "train"
    assert found[0].score == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("wanted", "right"),
    [
        ({"kind": "guide"}, {"hours", "rooms"}),
        ({"kind": ("guide", "travel")}, {"hours", "rooms", "train"}),
        ({"kind": "guide", "level": 1}, {"hours"}),
        ({"level": 1.5}, {"code"}),
        ({"public": True}, {"hours"}),
        ({"public": False}, {"rooms"}),
        ({"kind": "it's"}, {"code"}),
        ({"kind": "none"}, set()),
        ({"kind": ()}, set()),
        ({"kind": "guide') OR true --"}, set()),
    ],
)
@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_a_filter(
    retriever: PostgresRetriever, wanted: dict[str, Any], right: set[str], mode: Any
) -> None:
    query = Query(text="the office", top_k=5, mode=mode, filter=wanted)
    assert set(ids(await retriever.search(query))) == right


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "\0",
        "the and of",
        "'; DROP TABLE documents; --",
        "a:* & !b | <-> (",
        "\ud800x",
        "' & '",
        "\\",
        "办公室",
        "🕘" * 50,
        "x" * 5000,
        "foo-bar/baz&qux@example.com",
    ],
)
@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
async def test_whatever_is_looked_for(retriever: PostgresRetriever, text: str, mode: Any) -> None:
    found = await retriever.search(Query(text=text, top_k=3, mode=mode))
    if not text.strip(" \n\0"):
        assert found == ()
    elif mode == "vector":
        assert len(found) == 3
    assert len(found) <= 3


@pytest.fixture(scope="module")
async def large(servers: Servers) -> AsyncIterator[PostgresRetriever]:
    """20,000 documents, of which a handful is of a rare kind."""
    name = await servers.database()
    await new_table(servers, name)
    chance = random.Random(7)
    words = ("apple", "pear", "plum", "fig", "grape", "melon", "lemon", "kiwi", "mango", "nut")
    texts = {str(n): " ".join(chance.choices(words, k=9)) for n in range(LARGE)}
    await fill(servers, name, texts, {str(n): {"group": n % 4000} for n in range(LARGE)})
    async with connected(servers, name) as connection:
        await connection.execute("ANALYZE documents")
    async with retriever_on(servers, name) as opened:
        yield opened


async def test_a_narrow_filter_still_fills_what_is_wanted(large: PostgresRetriever) -> None:
    for mode in ("vector", "hybrid"):
        query = Query(text="mango and fig", top_k=5, mode=mode, filter={"group": 17})
        found = await large.search(query)
        assert {int(document.id or 0) % 4000 for document in found} == {17}
        assert len(found) == 5


async def test_without_an_index_on_metadata_too(servers: Servers, large: PostgresRetriever) -> None:
    """A table of somebody else's: then only the index on vectors is there, which goes on."""
    database = large._settings.database
    async with connected(servers, database) as connection:
        await connection.execute("DROP INDEX IF EXISTS documents_metadata_idx")
    query = Query(text="mango and fig", top_k=5, mode="vector", filter={"group": 17})
    assert len(await large.search(query)) == 5


async def test_the_index_serves_the_search(servers: Servers, large: PostgresRetriever) -> None:
    statement = large._statement(
        Query(text="mango", top_k=5, mode="vector"),
        large._layout or await _layout(large),
        "mango",
        vector_of("mango", DIMENSIONS),
    )
    async with connected(servers, large._settings.database) as connection:
        plan = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.parameters)
    assert "Index Scan using documents_embedding_idx" in "\n".join(row[0] for row in plan)


async def _layout(retriever: PostgresRetriever) -> Any:
    await retriever.ready()
    return retriever._layout


async def test_half_vectors(servers: Servers) -> None:
    name = await servers.database()
    await new_table(servers, name, D__dimensions="2500")
    more = {"AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": "embedding-large", "D__dimensions": "2500"}
    async with connected(servers, name) as connection:
        await connection.execute(
            "INSERT INTO documents (id, collection, source, content, fingerprint, embedding) "
            "VALUES ('a', 'c', 's', 'pears', '', $1::real[]::halfvec)",
            vector_of("pears", 2500),
        )
    async with retriever_on(servers, name, **more) as retriever:
        await retriever.ready()
        (found,) = await retriever.search(Query(text="pears", top_k=1, mode="vector"))
    assert found.score == pytest.approx(1.0, abs=1e-3)
    assert (found.title, found.url) == (None, None)


async def test_a_table_of_somebody_else(servers: Servers) -> None:
    """Other names, no titles, addresses and words of its own, and the extension elsewhere."""
    name = await servers.database()
    async with connected(servers, name) as connection:
        await connection.execute(
            'CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext; CREATE SCHEMA "Kb";'
            'CREATE TABLE "Kb"."Pages" ("No" bigint, "Body" text, vec ext.vector(64))'
        )
        await connection.execute(
            'INSERT INTO "Kb"."Pages" VALUES (7, $1, $2::real[]::ext.vector), (8, NULL, NULL)',
            TEXTS["hours"],
            vector_of(TEXTS["hours"], DIMENSIONS),
        )
    columns = {
        "D__table": "Kb.Pages",
        "D__idColumn": "No",
        "D__contentColumn": "Body",
        "D__embeddingColumn": "vec",
    } | {f"D__{part}Column": "-" for part in ("title", "url", "metadata", "search")}
    async with retriever_on(servers, name, **columns) as retriever:
        await retriever.ready()
        for mode in ("vector", "text", "hybrid"):
            (found,) = await retriever.search(Query(text="office", top_k=3, mode=mode))
            assert (found.id, found.content) == ("7", TEXTS["hours"])
        with pytest.raises(Misconfigured, match="D__metadataColumn"):
            await retriever.search(Query(text="x", top_k=1, filter={"a": 1}))
