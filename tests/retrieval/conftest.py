"""One PostgreSQL and one simulator for all tests of this folder."""

from collections.abc import AsyncIterator

import pytest

from tests.retrieval.servers import Servers, running_servers


@pytest.fixture(scope="session")
async def servers() -> AsyncIterator[Servers]:
    async with running_servers() as running:
        yield running
