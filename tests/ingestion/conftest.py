"""One PostgreSQL and one simulator for all tests of this folder; a database for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from ingestion.__main__ import ingest, parse
from shared.settings import Settings
from tests.retrieval.servers import Servers, running_servers


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    async with running_servers() as running:
        yield running


@dataclass(slots=True)
class Library:
    """A folder of documents, the database that they are brought to, and the command between."""

    folder: Path
    servers: Servers
    environment: dict[str, str]
    database: str

    def write(self, name: str, text: str | bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    async def ingest(self, *options: str) -> int:
        """The command's exit code."""
        arguments = ["D", str(self.folder), "--root", str(self.folder), *options]
        return await ingest(parse(arguments), Settings(self.environment))

    async def rows(self, columns: str = "source, title, content") -> list[tuple[Any, ...]]:
        """What the table holds, in order."""
        sql = f"SELECT {columns} FROM documents ORDER BY source, id"
        return [tuple(row) for row in await self.fetch(sql)]

    async def fetch(self, sql: str) -> list[Any]:
        connection = await asyncpg.connect(self.servers.postgres.url(self.database))
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    async def asked(self, work: Callable[[], Awaitable[Any]]) -> list[str]:
        """The texts that were embedded meanwhile, but for the probe of the dimensions."""
        before = len(await self.servers.simulator.requests())
        await work()
        requests = (await self.servers.simulator.requests())[before:]
        return [text for r in requests for text in r.body["input"] if text != "dimensions"]


@pytest.fixture
async def library(servers: Servers, tmp_path: Path) -> Library:
    await servers.simulator.reset()
    folder = tmp_path / "library"
    folder.mkdir()
    database = await servers.database()
    return Library(folder, servers, servers.environment(database), database)
