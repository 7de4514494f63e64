"""The same app, host and model, with the history in a SQL database."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from local.postgres import Postgres, running_postgres
from local.simulator import Simulator

# Registered here once more, so that this folder has hosts of its own.
from tests.e2e.conftest import (  # noqa: F401
    MODEL_KEY,
    alice,
    api,
    bob,
    host,
    signed_host,
    start_api,
    start_host,
    stranger,
)


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Postgres]:
    async with running_postgres() as running:
        yield running
        # Else the tests would have shown nothing of it.
        assert await _conversations(running) > 10


async def _conversations(postgres: Postgres) -> int:
    connection = await asyncpg.connect(postgres.url())
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM chat.conversations")
    finally:
        await connection.close()
    return count


@pytest.fixture(scope="session")
def settings(postgres: Postgres, simulator: Simulator) -> dict[str, str]:
    """What every host of this folder is given unless a test says otherwise."""
    return {
        "AZURE_OPENAI_ENDPOINT": simulator.url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_KEY": MODEL_KEY,
        "CHAT_SQL": postgres.url(),
        "CHAT_AUTH": "anonymous",
    }
