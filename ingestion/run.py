"""One run: what has changed is embedded and written, what is gone is removed.

Groups of whole documents are committed one by one, so that a run that was broken off goes on where
it was. A document that cannot be read keeps what it had, and the others go on.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.chunks import Naming, Row, rows_of
from ingestion.reading import MAX_BYTES, Unreadable, read
from ingestion.table import Table
from shared.prompts.tokens import estimate_tokens, head
from shared.retrieval.base import Embeddings

GROUP = 64
"""Changed chunks from which a group of documents is written."""
BATCH_TEXTS = 64
BATCH_TOKENS = 60_000
"""Of one request, by an estimate on the safe side; the service's limits are 2,048 and 300,000."""
TEXT_TOKENS = 8000
AT_ONCE = 3


@dataclass(slots=True)
class Report:
    """What a run did, in chunks; `documents` and `failed` in files."""

    documents: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: list[str] = field(default_factory=list)
    """`source: why`."""


@dataclass(slots=True)
class _Group:
    rows: list[Row] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    documents: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One collection brought up to date. `embeddings` None: nothing is written, only told."""

    table: Table
    naming: Naming
    embeddings: Embeddings | None
    max_bytes: int = MAX_BYTES
    prune: bool = True
    progress: Callable[[int, int], None] = lambda done, all_: None
    """Is told how many documents are done, of how many."""

    async def fill(self, files: Sequence[tuple[str, Path]]) -> Report:
        """Bring it up to date with these files, by the paths that they are known by."""
        report = Report()
        held = await self.table.fingerprints()
        done = 0
        groups = self._groups(files, held, report)
        waiting: set[asyncio.Task[int]] = set()
        try:
            async for group in groups:
                waiting.add(asyncio.create_task(self._write(group)))
                if len(waiting) >= AT_ONCE:
                    ended, waiting = await asyncio.wait(
                        waiting, return_when=asyncio.FIRST_COMPLETED
                    )
                    done += sum(task.result() for task in ended)
                    self.progress(done, len(files))
            for task in asyncio.as_completed(waiting):
                done += await task
                self.progress(done, len(files))
        except asyncio.CancelledError:
            for left in waiting:
                left.cancel()
            raise
        finally:
            # Where one is refused, the others are paid for already, and are written.
            await asyncio.gather(*waiting, return_exceptions=True)
        if self.prune:
            await self._prune(held.keys() - {source for source, _ in files}, held, report)
        return report

    async def _groups(
        self, files: Iterable[tuple[str, Path]], held: dict[str, dict[str, str]], report: Report
    ) -> AsyncIterator[_Group]:
        group = _Group()
        for source, file in files:
            report.documents += 1
            try:
                rows = await asyncio.to_thread(self._rows, source, file)
            except Unreadable as exc:
                report.failed.append(f"{source}: {exc}")
                group.documents += 1
                continue
            before = held.get(source, {})
            changed = [row for row in rows if before.get(row.id) != row.fingerprint]
            gone = before.keys() - {row.id for row in rows}
            report.new += sum(row.id not in before for row in changed)
            report.changed += sum(row.id in before for row in changed)
            report.unchanged += len(rows) - len(changed)
            report.removed += len(gone)
            group.rows += changed
            group.gone += gone
            group.documents += 1
            if len(group.rows) + len(group.gone) >= GROUP:
                yield group
                group = _Group()
        yield group

    def _rows(self, source: str, file: Path) -> list[Row]:
        try:
            return rows_of(source, read(file, self.max_bytes), self.naming)
        except RecursionError as exc:
            raise Unreadable("it is nested too deeply") from exc

    async def _write(self, group: _Group) -> int:
        """Embed and write it; gives the number of its documents."""
        if self.embeddings is not None and (group.rows or group.gone):
            vectors: list[array[float]] = []
            for texts in _batches([head(row.embedded, TEXT_TOKENS) for row in group.rows]):
                # As numbers of Python's own, the vectors of a large document would fill the memory.
                vectors += [array("f", v) for v in await self.embeddings.embed(texts)]
            await self.table.write(group.rows, vectors, group.gone)
        return group.documents

    async def _prune(
        self, sources: Iterable[str], held: dict[str, dict[str, str]], report: Report
    ) -> None:
        for source in sorted(sources):
            report.removed += len(held[source])
            if self.embeddings is not None:
                await self.table.write((), (), list(held[source]))


def _batches(texts: Sequence[str]) -> Iterable[list[str]]:
    batch: list[str] = []
    tokens = 0
    for text in texts:
        size = estimate_tokens(text)
        if batch and (len(batch) == BATCH_TEXTS or tokens + size > BATCH_TOKENS):
            yield batch
            batch, tokens = [], 0
        batch.append(text)
        tokens += size
    if batch:
        yield batch
