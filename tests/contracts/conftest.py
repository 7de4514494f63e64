"""The backends of the history, real ones: memory, the emulator's tables, a SQL database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from local.postgres import Postgres, running_postgres
from local.storage import Storage as Emulator
from local.storage import running_storage
from shared.history.rows import Rows
from shared.history.store import Store
from shared.history.table import TableRows
from shared.settings import Storage
from tests.contracts.backends import BACKENDS, Backend
from tests.contracts.between import Between, standing_between
from tests.tds.server import Server as Tds
from tests.tds.server import running_tds


@pytest.fixture(scope="session")
async def emulator() -> AsyncIterator[Emulator]:
    async with running_storage() as storage:
        yield storage


@pytest.fixture
def storage(emulator: Emulator) -> Storage:
    """The settings of a table of this test's own; it is not created yet."""
    return Storage(
        setting="CHAT_STORAGE",
        table=f"test{uuid4().hex}",
        connection_string=emulator.connection_string,
    )


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Postgres]:
    async with running_postgres() as running:
        yield running


@pytest.fixture(scope="session")
def tds(postgres: Postgres) -> Iterator[Tds]:
    with running_tds(postgres) as running:
        yield running


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, storage: Storage, postgres: Postgres, tds: Tds
) -> Backend:
    """Each backend."""
    return Backend(request.param, storage, postgres.url(), tds.address())


@pytest.fixture
async def rows(backend: Backend) -> AsyncIterator[Rows]:
    async with opened(backend.open()) as made:
        yield made


@pytest.fixture
def store(rows: Rows) -> Store:
    return Store(rows)


@pytest.fixture
async def table(storage: Storage) -> AsyncIterator[TableRows]:
    """The table alone, for what only it can do."""
    async with opened(TableRows(storage)) as rows:
        yield rows


@pytest.fixture
async def between(emulator: Emulator) -> AsyncIterator[Between]:
    """A server in front of the emulator that counts requests, and fails on demand."""
    async with standing_between(emulator.url.removesuffix("/devstoreaccount1")) as server:
        yield server


@pytest.fixture
def storage_between(storage: Storage, emulator: Emulator, between: Between) -> Storage:
    """The settings of the same table, reached through `between`."""
    text = emulator.connection_string.replace(f":{emulator.port}/", f":{between.port}/")
    return Storage(setting=storage.setting, table=storage.table, connection_string=text)


@asynccontextmanager
async def opened[R: Rows](rows: R) -> AsyncIterator[R]:
    try:
        yield rows
    finally:
        await rows.aclose()
