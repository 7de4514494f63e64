"""The measures of a search, the labels that they count by, and a real embeddings model."""

from collections.abc import AsyncIterator

import pytest

from benchmarks.retrieval.__main__ import corpus, questions
from benchmarks.retrieval.measures import ndcg, recall
from ingestion.chunks import Naming, rows_of
from ingestion.filling import Filling, fill
from ingestion.reading import files_in, read
from local.minilm import MiniLm
from shared.backends import Backends
from shared.retrieval.base import Query
from shared.settings import Settings
from tests.retrieval.servers import Servers, running_servers


def ids(*names: str) -> list[str]:
    return [f"default/{name}" for name in names]


def test_recall_counts_sections_once() -> None:
    found = ids("a.md#x.0", "a.md#x.1", "b.md#y.0", "c.md#z.0")
    assert recall(found, ["a.md#x", "c.md#z"], 3) == 0.5
    assert recall(found, ["a.md#x", "c.md#z"], 4) == 1.0
    assert recall(found, ["a.md#x", "b.md#y", "c.md#z"], 1) == 1.0
    assert recall([], ["a.md#x"], 5) == 0.0


def test_gain_is_the_greater_the_earlier() -> None:
    assert ndcg(ids("a.md#x.0", "b.md#y.0"), ["a.md#x", "b.md#y"], 10) == 1.0
    early = ndcg(ids("a.md#x.0", "c.md#z.0"), ["a.md#x"], 10)
    late = ndcg(ids("c.md#z.0", "a.md#x.0"), ["a.md#x"], 10)
    assert early == 1.0
    assert late == pytest.approx(0.6309, abs=1e-4)
    assert ndcg(ids("a.md#x.0", "a.md#x.1"), ["a.md#x"], 10) == 1.0
    assert ndcg(ids("a.md#x.0"), ["b.md#y"], 10) == 0.0


def test_every_label_is_a_section_of_the_pages() -> None:
    naming = Naming("default", None, {}, "")
    there = {
        row.id.rpartition(".")[0].removeprefix("default/")
        for name, file in corpus()
        for row in rows_of(name, read(file), naming)
    }
    labels = {label for _, relevant in questions() for label in relevant}
    assert labels - there == set()
    assert len(questions()) >= 40
    assert all(relevant for _, relevant in questions())


def test_the_model_is_the_one_that_its_makers_published() -> None:
    """The first numbers of the example on its page, and what it is for."""
    example, paper, cat, office = MiniLm().embed(
        ["This is an example sentence", "The printer is out of paper", "A kitten", "A young cat"]
    )
    assert example[:3] == pytest.approx([0.0676569, 0.0634959, 0.0487131], abs=1e-6)
    assert _cosine(cat, office) > 0.6 > 0.2 > _cosine(cat, paper)
    assert MiniLm().embed([]) == []


def _cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with running_servers() as running:
        yield running


async def test_what_is_meant_is_found_though_no_word_is_the_same(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("documents")
    for name, text in {
        "feline": "Our kitten sleeps on the sofa all afternoon.",
        "money": "Invoices are settled within thirty days.",
        "travel": "The train to the mountains departs from platform four.",
    }.items():
        (folder / f"{name}.md").write_text(text)
    database = await servers.database()
    settings = Settings(
        servers.environment(
            database, AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT="minilm", D__dimensions="384"
        )
    )
    await fill(Filling(retriever="D", files=list(files_in([folder], folder))), settings)
    backends = Backends(settings)
    try:
        for question, right in {
            "Where does the cat rest?": "feline.md",
            "When must customers pay their bills?": "money.md",
            "Which track does the railway to the Alps leave from?": "travel.md",
        }.items():
            query = Query(text=question, top_k=1, mode="vector")
            (found,) = await backends.retriever("D").search(query)
            assert (found.id or "").startswith(f"default/{right}")
    finally:
        await backends.aclose()
