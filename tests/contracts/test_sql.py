"""What only a SQL database has: a schema, a pool, transactions, and failures of its own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from local.identity import running_identity
from local.ports import free_ports
from local.postgres import Postgres
from shared.backends import Backends
from shared.errors import Misconfigured, StoreUnavailable
from shared.history.base import Conflict
from shared.history.rows import ANY, Insert, Merge
from shared.history.sql.dialect import Dialect
from shared.history.sql.mssql import MsSql
from shared.history.sql.pool import SIZE, SqlPool
from shared.history.sql.postgresql import PostgreSql
from shared.history.sql.rows import SqlRows
from shared.settings import Settings
from tests.contracts.conftest import opened
from tests.contracts.cutting import Relay, relaying
from tests.tds.server import Server as Tds


@dataclass(frozen=True, slots=True)
class Place:
    """A schema of the test's own, reached by one of the two drivers."""

    postgres: Postgres
    tds: Tds
    by_tds: bool
    schema: str = field(default_factory=lambda: f"test_{uuid4().hex}")

    @property
    def port(self) -> int:
        return self.tds.port if self.by_tds else self.postgres.port

    def rows(self, relay: Relay | None = None) -> SqlRows:
        """As an instance of the app has them."""
        port = relay.port if relay else self.port
        uri = self.postgres.url().replace(f":{self.postgres.port}/", f":{port}/")
        dialect: Dialect = PostgreSql(uri, "CHAT_SQL")
        if self.by_tds:
            dialect = MsSql(self.tds.address(Server=f"127.0.0.1,{port}"), "CHAT_SQL")
        return SqlRows(dialect, self.schema, "CHAT_SQL")

    def said(self, words: str) -> bytes:
        """How they look on the wire."""
        return words.encode("utf-16-le" if self.by_tds else "ascii")


@pytest.fixture(params=[False, True], ids=["postgresql", "tds"])
def place(request: pytest.FixtureRequest, postgres: Postgres, tds: Tds) -> Place:
    return Place(postgres, tds, request.param)


@pytest.fixture
def schema() -> str:
    return f"test_{uuid4().hex}"


def rows_of(uri: str, schema: str) -> SqlRows:
    return SqlRows(PostgreSql(uri, "CHAT_SQL"), schema, "CHAT_SQL")


@pytest.fixture
async def database(postgres: Postgres) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(postgres.url())
    yield connection
    await connection.close()


async def test_instances_that_start_at_once_make_one_schema(place: Place) -> None:
    async with contextlib.AsyncExitStack() as stack:
        instances = [await stack.enter_async_context(opened(place.rows())) for _ in range(6)]
        await asyncio.gather(
            *(rows.write("p", [Insert(f"k{n}", {})]) for n, rows in enumerate(instances))
        )
        assert len(await instances[0].range("p", "a", "z", 10)) == 6


async def test_tables_of_a_later_version_are_left_alone(place: Place, database: Any) -> None:
    async with opened(place.rows()) as rows:
        await rows.ready()
        await database.execute(f'UPDATE "{place.schema}".schema_version SET version = 2')
        with pytest.raises(Misconfigured, match="have version 2, and this app knows 1"):
            await rows.ready()
    async with opened(place.rows()) as rows:
        with pytest.raises(Misconfigured, match="deploy the newer app"):
            await rows.get("p", "k")


async def test_people_can_read_the_list(postgres: Postgres, schema: str, database: Any) -> None:
    head: dict[str, Any] = {
        "title": "Ships\u2028😀",
        "created": 1_790_000_000_000,
        "count": 2,
        "next": 2,
    }
    async with opened(rows_of(postgres.url(), schema)) as rows:
        await rows.write("u,bWU", [Insert("v,c1,!", {**head, "updated": 1_790_000_000_001})])
        await rows.write("u,bWU", [Insert("v,gone,!", {"deleted": True})])
    (row,) = await database.fetch(f'SELECT * FROM "{schema}".conversations')
    assert (row["owner"], row["conversation"], row["title"]) == ("u,bWU", "c1", "Ships\u2028😀")
    assert row["created"].isoformat() == "2026-09-21T14:13:20+00:00"
    assert row["messages"] == 2


async def test_a_connection_that_was_closed_meanwhile_is_nobodys_error(
    place: Place, database: Any
) -> None:
    async with opened(place.rows()) as rows:
        (etag,) = await rows.write("p", [Insert("k", {"n": 1})])
        await database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND backend_type = 'client backend'"
        )
        await rows.write("p", [Merge("k", {"m": 2}, etag)])
        found = await rows.get("p", "k")
        assert found is not None
        assert found.values == {"n": 1, "m": 2}


async def test_a_commit_whose_answer_is_lost_is_not_sent_again(place: Place) -> None:
    async with relaying(place.port) as relay, opened(place.rows(relay)) as rows:
        await rows.ready()
        relay.lost = place.said("COMMIT")
        with pytest.raises(StoreUnavailable):
            await rows.write("p", [Insert("k", {"n": 1})])
        assert relay.swallowed == 1
        # It landed: what is there says so, and a second one would meet it.
        with pytest.raises(Conflict):
            await rows.write("p", [Insert("k", {"n": 1})])


@pytest.mark.parametrize("words", ["INSERT INTO", "BEGIN"])
async def test_what_was_cut_before_the_commit_is_done_once(place: Place, words: str) -> None:
    async with relaying(place.port) as relay, opened(place.rows(relay)) as rows:
        await rows.ready()
        relay.lost = place.said(words)
        (etag,) = await rows.write("p", [Insert("k", {"n": 1})])
        assert relay.swallowed == 1
        found = await rows.get("p", "k")
        assert found is not None
        assert (found.etag, found.values) == (etag, {"n": 1})


async def test_a_merge_whose_answer_is_lost_is_not_sent_again(place: Place) -> None:
    """A checkpoint: one statement, which is its own transaction."""
    async with relaying(place.port) as relay, opened(place.rows(relay)) as rows:
        (etag,) = await rows.write("p", [Insert("k", {"n": 1})])
        relay.lost = place.said("UPDATE")
        with pytest.raises(StoreUnavailable):
            await rows.write("p", [Merge("k", {"m": 2}, etag)])
        assert relay.swallowed == 1
        with pytest.raises(Conflict):
            await rows.write("p", [Merge("k", {"m": 2}, etag)])
        found = await rows.get("p", "k")
        assert found is not None
        assert found.values == {"n": 1, "m": 2}


async def test_merges_at_once_that_want_any_version_all_count(place: Place) -> None:
    async with opened(place.rows()) as rows:
        await rows.write("p", [Insert("k", {})])
        await asyncio.gather(*(rows.write("p", [Merge("k", {f"n{n}": n}, ANY)]) for n in range(30)))
        found = await rows.get("p", "k")
        assert found is not None
        assert found.values == {f"n{n}": n for n in range(30)}


async def test_a_property_may_change_its_kind(place: Place) -> None:
    async with opened(place.rows()) as rows:
        await rows.write("p", [Insert("k", {"a": b"1", "b": b"2"})])
        for value in ("text", b"bytes", 3):
            await rows.write("p", [Merge("k", {"a": value}, ANY)])
            found = await rows.get("p", "k")
            assert found is not None
            assert found.values == {"a": value, "b": b"2"}


async def test_a_database_that_is_silent_is_told_in_time(place: Place) -> None:
    async with relaying(place.port) as relay, opened(place.rows(relay)) as rows:
        await rows.ready()
        relay.speaking.clear()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="in time"):
            await rows.get("p", "k")
        assert time.monotonic() - begun < 12
        relay.speaking.set()
        assert await rows.get("p", "k") is None


async def test_who_loses_to_others_in_a_deadlock_tries_again(place: Place, database: Any) -> None:
    async with opened(place.rows()) as rows:
        await rows.write("p", [Insert("a", {}), Insert("b", {})])
        lock = f'SELECT 1 FROM "{place.schema}".rows WHERE row_key = $1 FOR UPDATE'
        async with database.transaction():
            await database.fetch(lock, "b")
            writing = asyncio.create_task(
                rows.write("p", [Merge("a", {"n": 1}, "*"), Merge("b", {"n": 1}, "*")])
            )
            waiting = (
                "SELECT count(*) FROM pg_locks WHERE NOT granted "
                "AND pid <> pg_backend_pid() AND locktype IN ('transactionid', 'tuple')"
            )
            while await database.fetchval(waiting) == 0:  # noqa: ASYNC110  # the database has no event
                await asyncio.sleep(0.01)
            await database.fetch(lock, "a")
        assert len(await writing) == 2
        assert [row.values for row in await rows.range("p", "a", "c", 9)] == [{"n": 1}] * 2


async def test_many_at_once_share_the_pool(postgres: Postgres, schema: str, database: Any) -> None:
    async with opened(rows_of(postgres.url(), schema)) as rows:
        await asyncio.gather(*(rows.write("p", [Insert(f"k{n}", {})]) for n in range(300)))
        assert len(await rows.range("p", "a", "z", 999)) == 300
        count = await database.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database() AND backend_type = 'client backend' "
            "AND query LIKE $1",
            f"%{schema}%",
        )
        assert 1 <= count <= SIZE


async def test_a_key_that_the_index_does_not_take(postgres: Postgres, schema: str) -> None:
    async with opened(rows_of(postgres.url(), schema)) as rows:
        await rows.write("p" * 512, [Insert("k" * 384, {})])
        with pytest.raises(ValueError, match="at most 384"):
            await rows.write("p", [Insert("k" * 385, {})])


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("postgresql://postgres:wrong-one@{place}/postgres", "look at CHAT_SQL"),
        ("postgresql://postgres:{password}@{place}/nowhere", "database that is not there"),
        ("postgresql://reader:its-own@{place}/postgres", "needs the schema"),
    ],
)
async def test_a_mistake_of_the_set_up(
    postgres: Postgres,
    schema: str,
    database: Any,
    uri: str,
    words: str,
) -> None:
    with contextlib.suppress(asyncpg.DuplicateObjectError):
        await database.execute("CREATE ROLE reader LOGIN PASSWORD 'its-own'")
    place = f"{postgres.host}:{postgres.port}"
    rows = rows_of(uri.format(place=place, password=postgres.password), schema)
    async with opened(rows):
        with pytest.raises(Misconfigured, match=words) as raised:
            await rows.ready()
    assert "wrong-one" not in str(raised.value)


async def test_a_token_is_the_password_of_new_connections(
    postgres: Postgres, schema: str, database: Any
) -> None:
    with contextlib.suppress(asyncpg.DuplicateObjectError):
        await database.execute("CREATE ROLE signed LOGIN SUPERUSER")
    await database.execute("ALTER ROLE signed PASSWORD 'token-1'")
    asked: list[str] = []

    async def token() -> str:
        asked.append("token")
        return "token-1"

    uri = f"postgresql://signed@{postgres.host}:{postgres.port}/postgres"
    async with opened(SqlRows(PostgreSql(uri, "CHAT_SQL"), schema, "CHAT_SQL", token)) as rows:
        await rows.write("p", [Insert("k", {})])
        assert await rows.get("p", "k") is not None
    assert asked


async def test_sql_server_is_entered_with_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As far as that goes without a server: the token is got, for the right service."""
    async with running_identity() as identity:
        for name, value in identity.env().items():
            monkeypatch.setenv(name, value)
        settings = Settings(
            {
                "CHAT_SQL__server": f"127.0.0.1,{next(free_ports())}",
                "CHAT_SQL__database": "d",
                "CHAT_SQL__credential": "managedidentity",
            }
        )
        assert settings.sql is not None
        backends = Backends(settings)
        try:
            async with opened(backends.sql_rows(settings.sql)) as rows:
                with pytest.raises((StoreUnavailable, Misconfigured), match=r"CHAT_SQL|libltdl7"):
                    await rows.ready()
            resources = {request.resource for request in await identity.requests()}
            assert resources == {"https://database.windows.net"}
        finally:
            await backends.aclose()


def test_an_address_that_is_none() -> None:
    with pytest.raises(Misconfigured, match="must be a connection URI") as raised:
        PostgreSql("postgresql://user:the-password@[nowhere", "CHAT_SQL")
    assert "the-password" not in str(raised.value)


async def test_a_server_that_is_not_there_is_told_soon(schema: str) -> None:
    uri = f"postgresql://u:p@127.0.0.1:{next(free_ports())}/d"
    async with opened(rows_of(uri, schema)) as rows:
        with pytest.raises(StoreUnavailable, match="CHAT_SQL"):
            await rows.ready()


async def test_what_is_refused_in_a_transaction_leaves_none_open(
    postgres: Postgres, database: Any
) -> None:
    pool = SqlPool(PostgreSql(postgres.url(), "CHAT_SQL"), "CHAT_SQL")

    def refused(connection: Any) -> None:
        connection.cursor().execute("BEGIN TRANSACTION")
        connection.cursor().execute("SELECT 'refused in a transaction'")
        raise Misconfigured("No.")

    with pytest.raises(Misconfigured):
        await pool.run(refused)
    open_ones = (
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' "
        "AND query LIKE '%refused in a transaction%'"
    )
    async with asyncio.timeout(5):
        while await database.fetchval(open_ones):  # noqa: ASYNC110  # the server has no event
            await asyncio.sleep(0.01)
    await pool.aclose()


async def test_a_pool_that_is_closed_keeps_nothing(postgres: Postgres) -> None:
    pool = SqlPool(PostgreSql(postgres.url(), "CHAT_SQL"), "CHAT_SQL")
    assert await pool.run(lambda connection: connection.cursor().rowcount) == -1
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda _: 1 // 0)
    await pool.aclose()
    with pytest.raises(StoreUnavailable, match="closed"):
        await pool.run(lambda connection: connection.cursor())
