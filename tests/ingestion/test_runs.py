"""The ingestion command over a real database: what is written, changed, left and removed."""

import asyncio
import json
import time
import tracemalloc
from pathlib import Path

import pytest

from ingestion.__main__ import main
from ingestion.reading import Unreadable
from ingestion.table import Busy, opened
from shared.errors import Misconfigured, ModelRefused
from tests.ingestion.conftest import Library
from tests.retrieval.servers import settings_of

OFFICE = """# The office

It is in Bern.

## Hours

It opens at nine, and closes at five. On Fridays it closes at four, so that nobody misses the train
that leaves at half past four. Who comes later finds the key at the neighbour's,
who lives on the second floor.

## Rooms

The large room holds twenty people, the small one six. Both have a screen, and the large one has a
camera as well. They are booked on the page of the house, at most four weeks ahead of the meeting.
"""


async def test_a_document_becomes_chunks_with_addresses(library: Library) -> None:
    library.write("guide/office.md", OFFICE)
    base = "https://example.com/docs/"
    assert await library.ingest("--base-url", base, "--metadata", "kind=guide") == 0
    rows = await library.rows("id, title, url, content, metadata, collection")
    hours = next(row for row in rows if row[1].endswith("Hours"))
    assert hours[:3] == (
        "default/guide/office.md#hours.0",
        "The office › Hours",
        "https://example.com/docs/guide/office.md#hours",
    )
    assert hours[3].startswith("It opens at nine")
    assert json.loads(hours[4]) == {
        "kind": "guide",
        "collection": "default",
        "source": "guide/office.md",
    }
    assert [row[1] for row in rows] == ["The office › Hours", "The office › Rooms", "The office"]


async def test_a_second_run_asks_for_nothing_and_writes_nothing(library: Library) -> None:
    library.write("office.md", OFFICE)
    await library.ingest()
    before = await library.rows("id, updated")
    assert await library.asked(library.ingest) == []
    assert await library.rows("id, updated") == before


async def test_only_what_changed_is_embedded_and_what_is_gone_is_removed(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.write("office.md", OFFICE)
    library.write("old.md", "# Old\n\nThis will go.")
    await library.ingest()
    library.write("office.md", OFFICE.replace("at nine", "at ten").split("## Rooms")[0])
    (library.folder / "old.md").unlink()
    capsys.readouterr()
    (asked,) = await library.asked(lambda: library.ingest("--json"))
    assert asked.startswith("The office › Hours\n\nIt opens at ten")
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("new", "changed", "unchanged", "removed")} == {
        "new": 0,
        "changed": 1,
        "unchanged": 1,
        "removed": 2,
    }
    assert {row[0] for row in await library.rows()} == {"office.md"}


async def test_what_is_gone_stays_where_it_is_not_to_be_pruned(library: Library) -> None:
    library.write("old.md", "# Old\n\nThis stays.")
    await library.ingest()
    (library.folder / "old.md").unlink()
    await library.ingest("--no-prune")
    assert len(await library.rows()) == 1


async def test_collections_leave_each_other_alone(library: Library) -> None:
    library.write("a.md", "# A\n\nFirst.")
    await library.ingest("--collection", "one")
    library.write("b.md", "# B\n\nSecond.")
    (library.folder / "a.md").unlink()
    await library.ingest("--collection", "two")
    assert [row[0] for row in await library.rows()] == ["a.md", "b.md"]


async def test_a_dry_run_says_what_it_would_do(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.write("office.md", OFFICE)
    assert await library.asked(lambda: library.ingest("--dry-run")) == []
    assert "Would be: 1 documents; chunks: 3 new" in capsys.readouterr().out
    assert await library.fetch("SELECT to_regclass('documents')::text AS t") == [(None,)]


async def test_a_file_that_cannot_be_read_keeps_what_it_had_and_others_go_on(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    library.write("a.md", "# A\n\nFirst.")
    await library.ingest()
    library.write("a.md", b"# A\n\n\xff\xfe")
    library.write("b.md", "# B\n\nSecond.")
    library.write("c.pdf", b"no pdf")
    library.write("d.md", "x" * 30000)
    library.write("e.html", "<div>" * 1200 + "deep" + "</div>" * 1200)
    assert await library.ingest("--max-bytes", "20000") == 1
    told = capsys.readouterr().err
    assert "a.md: it is not UTF-8, at byte 5" in told
    assert "c.pdf: it is no PDF that can be read" in told
    assert "e.html: it is nested too deeply" in told
    assert "d.md: it has 30,000 bytes, more than --max-bytes 20,000" in told
    assert [row[2] for row in await library.rows()] == ["First.", "Second."]


async def test_an_empty_folder_empties_nothing(library: Library) -> None:
    file = library.write("a.md", "# A\n\nFirst.")
    await library.ingest()
    file.unlink()
    with pytest.raises(Unreadable, match="the whole collection default would go"):
        await library.ingest()
    assert len(await library.rows()) == 1


async def test_the_extension_may_be_elsewhere(library: Library) -> None:
    await library.fetch("CREATE SCHEMA ext")
    await library.fetch("CREATE EXTENSION vector SCHEMA ext")
    library.write("a.md", "# A\n\nFirst.")
    assert await library.ingest() == 0
    library.write("a.md", "# A\n\nSecond.")
    assert await library.ingest() == 0
    assert [row[2] for row in await library.rows()] == ["Second."]


async def test_a_busy_service_is_asked_again(library: Library) -> None:
    library.write("office.md", OFFICE)
    busy = {"kind": "status", "code": 429, "retry_after_ms": 1}
    await library.servers.simulator.script(busy, times=2)
    assert await library.ingest() == 0
    assert len(await library.rows()) == 3


async def test_a_run_that_broke_off_goes_on_where_it_was(library: Library) -> None:
    for n in range(150):
        library.write(f"{n:03}.md", f"# Number {n}\n\nText {n}.")
    refused = {"kind": "status", "code": 401}
    await library.servers.simulator.script(refused, times=None, contains="Number 149")
    with pytest.raises(ModelRefused):
        await library.ingest()
    done = {row[0] for row in await library.rows()}
    assert 0 < len(done) < 150
    await library.servers.simulator.clear_script()
    asked = await library.asked(library.ingest)
    assert len(asked) == 150 - len(done)
    assert len(await library.rows()) == 150


async def test_another_run_of_the_collection_is_told_to_wait(library: Library) -> None:
    library.write("office.md", OFFICE)
    _, retriever = settings_of(library.environment)
    async with opened(retriever, None, "default") as table, table.alone():
        with pytest.raises(Busy):
            await library.ingest()
        assert await library.ingest("--collection", "other") == 0


async def test_vectors_of_another_length_are_refused(library: Library) -> None:
    library.write("office.md", OFFICE)
    await library.ingest()
    library.environment["D__dimensions"] = "32"
    with pytest.raises(Misconfigured, match=r"vector\(64\), and the embeddings model makes vector"):
        await library.ingest()


async def test_another_table_is_not_touched(library: Library) -> None:
    library.write("office.md", OFFICE)
    await library.fetch("CREATE TABLE documents (id text)")
    with pytest.raises(Misconfigured, match="was not made by this command"):
        await library.ingest()


async def test_a_model_with_very_long_vectors_has_an_index_too(library: Library) -> None:
    library.write("office.md", "# Office\n\nIn Bern.")
    library.environment |= {"AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": "embedding-large"}
    library.environment["D__dimensions"] = "3072"
    assert await library.ingest() == 0
    (row,) = await library.fetch("SELECT indexdef FROM pg_indexes WHERE indexdef LIKE '%hnsw%'")
    assert "halfvec_cosine_ops" in row[0]


async def test_ten_thousand_chunks(library: Library) -> None:
    for n in range(100):
        sections = (f"## Section {m}\n\n{'word ' * 45}number {n} {m}." for m in range(100))
        library.write(f"{n:03}.md", f"# Book {n}\n\n" + "\n\n".join(sections))
    tracemalloc.start()
    begun = time.monotonic()
    assert await library.ingest() == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (count,) = await library.fetch("SELECT count(*) FROM documents")
    assert count[0] == 10_000
    assert peak < 100_000_000
    print(f"10,000 chunks: {time.monotonic() - begun:.1f} s, {peak / 1e6:.0f} MB at most")


async def test_the_command_line(
    library: Library, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in library.environment.items():
        monkeypatch.setenv(name, value)
    library.write("office.md", OFFICE)
    arguments = ["D", str(library.folder), "--root", str(library.folder)]
    assert await asyncio.to_thread(main, arguments) == 0
    assert "3 new" in capsys.readouterr().out
    assert await asyncio.to_thread(main, ["X", *arguments[1:]]) == 1
    assert "CHAT_RETRIEVERS does not name the retriever X" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["D", str(library.folder / "none")]) == 1
    assert "there is no such file or folder" in capsys.readouterr().err
    outside = Path(__file__)
    assert await asyncio.to_thread(main, ["D", str(outside), "--root", str(library.folder)]) == 1
    assert "is not below the root" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["D", ".", "--metadata", "no pair"])
