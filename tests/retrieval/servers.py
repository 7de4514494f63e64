"""The real parts that retrieval needs: PostgreSQL with pgvector, and the simulator's embeddings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg

from local.postgres import Postgres, running_postgres
from local.simulator import Simulator, running_simulator
from shared.settings import PostgresSettings, Settings

DIMENSIONS = 64


@dataclass(frozen=True, slots=True)
class Servers:
    """Both, running."""

    postgres: Postgres
    simulator: Simulator

    async def database(self) -> str:
        """A new, empty database."""
        name = f"test_{uuid4().hex}"
        connection = await asyncpg.connect(self.postgres.url())
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return name

    def environment(self, database: str, **more: str) -> dict[str, str]:
        """The app's settings for the retriever D in this database."""
        return {
            "AZURE_OPENAI_ENDPOINT": self.simulator.url,
            "AZURE_OPENAI_API_KEY": "k",
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": "embedding",
            "CHAT_RETRIEVERS": "D",
            "D__host": self.postgres.host,
            "D__port": str(self.postgres.port),
            "D__database": database,
            "D__user": self.postgres.user,
            "D__password": self.postgres.password,
            "D__dimensions": str(DIMENSIONS),
            **more,
        }


@asynccontextmanager
async def running_servers() -> AsyncIterator[Servers]:
    """Both, while the block runs."""
    async with running_postgres() as postgres, running_simulator(token_ms=0) as simulator:
        yield Servers(postgres, simulator)


def settings_of(environment: dict[str, str]) -> tuple[Settings, PostgresSettings]:
    """The settings, and those of the retriever D."""
    settings = Settings(environment)
    retriever = settings.retriever("D")
    assert isinstance(retriever, PostgresSettings)
    return settings, retriever
