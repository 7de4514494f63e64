"""Chunks as rows: an id that stays, an address, and a fingerprint that says what has changed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import quote

from ingestion.reading import Reading
from ingestion.splitting import Chunk, split


@dataclass(frozen=True, slots=True)
class Naming:
    """What the chunks of one run have in common."""

    collection: str
    base_url: str | None
    """Before a source's path; None: chunks have no address."""
    metadata: Mapping[str, str]
    model: str
    """With its dimensions: another model's vectors mean nothing to this one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, without its vector."""

    id: str
    source: str
    title: str
    url: str | None
    content: str
    metadata: str
    """JSON."""
    fingerprint: str

    @property
    def embedded(self) -> str:
        """What is turned into a vector: a piece says little without the headings over it."""
        return f"{self.title}\n\n{self.content}"


def rows_of(source: str, reading: Reading, naming: Naming) -> list[Row]:
    """A document's rows, in order."""
    chunks = split(reading, PurePosixPath(source).name)
    return [_row(source, chunk, naming) for chunk in chunks]


def _row(source: str, chunk: Chunk, naming: Naming) -> Row:
    address = None
    if naming.base_url is not None:
        anchor = f"#{chunk.anchor}" if chunk.anchor else ""
        address = naming.base_url + quote(source) + anchor
    metadata = json.dumps(
        {**naming.metadata, "collection": naming.collection, "source": source}, sort_keys=True
    )
    said = [chunk.title, address, chunk.text, metadata, naming.model]
    return Row(
        id=f"{naming.collection}/{source}#{chunk.anchor}.{chunk.number}",
        source=source,
        title=chunk.title,
        url=address,
        content=chunk.text,
        metadata=metadata,
        fingerprint=hashlib.sha256(json.dumps(said).encode()).hexdigest(),
    )
