"""The PostgreSQL of the local stack: a real server with pgvector."""

from pathlib import Path

import asyncpg
import pytest

from local.ports import HOST
from local.postgres import Postgres, data_of, running_postgres


async def _ask(postgres: Postgres, sql: str) -> object:
    connection = await asyncpg.connect(postgres.url())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_it_has_pgvector_and_speaks_utf_8(tmp_path: Path):
    async with running_postgres() as postgres:
        await _ask(postgres, "CREATE EXTENSION vector")
        assert await _ask(postgres, "SELECT '[1,0]'::vector <=> '[0,1]'::vector") == 1.0
        assert await _ask(postgres, "SHOW server_encoding") == "UTF8"


async def test_a_folder_keeps_the_data_and_a_taken_port_is_left(tmp_path: Path):
    folder = tmp_path / "postgres"
    async with running_postgres(folder) as postgres:
        await _ask(postgres, "CREATE TABLE kept AS SELECT 7 AS n")
        async with running_postgres(port=postgres.port) as other:
            assert other.port != postgres.port
    async with running_postgres(folder) as postgres:
        assert await _ask(postgres, "SELECT n FROM kept") == 7


async def test_data_whose_making_was_broken_off_are_made_anew(tmp_path: Path):
    folder = tmp_path / "postgres"
    data = data_of(folder)
    unfinished = data.with_name(f"{data.name}.new")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18")
    async with running_postgres(folder) as postgres:
        assert await _ask(postgres, "SELECT 1") == 1
    assert not unfinished.exists()


async def test_nobody_enters_without_the_password():
    async with running_postgres() as postgres:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(
                host=HOST, port=postgres.port, user=postgres.user, password="wrong"
            )
