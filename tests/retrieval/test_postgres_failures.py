"""What goes wrong on the way to PostgreSQL: who can mend it is told how, and nothing else."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from local.identity import running_identity
from local.ports import HOST, free_ports
from local.postgres import running_postgres
from local.simulator import running_simulator
from shared.backends import Backends
from shared.errors import ChatError, Misconfigured, ModelUnavailable, RetrievalUnavailable
from shared.retrieval.base import Query
from shared.settings import Settings
from tests.retrieval.servers import Servers
from tests.retrieval.shelf import connected, fill, ids, new_table, retriever_on

QUERY = Query(text="office", top_k=3)


@pytest.fixture(scope="module")
async def database(servers: Servers) -> str:
    name = await servers.database()
    await new_table(servers, name)
    await fill(servers, name, {"hours": "The office opens at nine."})
    async with connected(servers, name) as connection:
        await connection.execute(
            "CREATE ROLE reader LOGIN PASSWORD 'its-own'; CREATE TABLE plain (id text);"
            "CREATE TABLE odd (id text, content text, title text, url text, metadata jsonb, "
            "search text, embedding vector(64))"
        )
    return name


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"D__password": "wrong-one"}, "D__user and D__password"),
        ({"D__user": "nobody-here"}, "refused the role nobody-here"),
        ({"D__database": "nowhere"}, "D__database: the server has no database nowhere"),
        ({"D__table": "nowhere"}, 'D__table: there is no table "nowhere"'),
        ({"D__table": "elsewhere.documents"}, 'D__table: there is no table "elsewhere"'),
        ({"D__table": "plain"}, 'D__contentColumn: the table "plain" has no column content.$'),
        ({"D__titleColumn": "name"}, "D__titleColumn: .* has no column name, or - where it has"),
        ({"D__table": "odd"}, "D__searchColumn: the column search of .* must be of the type tsv"),
        ({"D__embeddingColumn": "content"}, "must be of the type vector or halfvec, not text"),
        ({"D__dimensions": "32"}, "vectors of 64 dimensions, and the embeddings model makes 32"),
        ({"D__user": "reader", "D__password": "its-own"}, "GRANT SELECT ON .* TO .reader."),
        ({"D__language": "klingon"}, r"D__language \(klingon\)"),
        ({"AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT": ""}, "AZURE_OPENAI_EMBEDDINGS_DEPLOYMENT is miss"),
    ],
)
async def test_a_mistake_of_the_set_up(
    servers: Servers, database: str, settings: dict[str, str], words: str
) -> None:
    async with retriever_on(servers, database, **settings) as retriever:
        with pytest.raises(Misconfigured, match=words) as raised:
            await retriever.search(QUERY)
        if "D__language" not in settings:  # which only a search by words uses
            with pytest.raises(Misconfigured, match=words):
                await retriever.ready()
    assert "wrong-one" not in str(raised.value)
    assert "its-own" not in str(raised.value)


async def test_what_was_mended_is_seen_without_a_restart(servers: Servers) -> None:
    name = await servers.database()
    async with retriever_on(servers, name) as retriever:
        with pytest.raises(Misconfigured, match="there is no table"):
            await retriever.search(QUERY)
        await new_table(servers, name)
        assert await retriever.search(QUERY) == ()


async def test_a_server_that_is_not_there_is_told_soon(servers: Servers, database: str) -> None:
    begun = time.monotonic()
    async with retriever_on(servers, database, D__port=str(next(free_ports()))) as retriever:
        with pytest.raises(RetrievalUnavailable, match="look at D__host"):
            await retriever.search(QUERY)
    assert time.monotonic() - begun < 5


async def test_a_connection_that_was_closed_meanwhile_is_nobodys_error(
    servers: Servers, database: str
) -> None:
    async with retriever_on(servers, database) as retriever:
        await retriever.search(QUERY)
        async with connected(servers, database) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert ids(await retriever.search(QUERY)) == ["hours"]


async def test_a_connection_whose_end_was_only_announced_is_nobodys_error(
    servers: Servers, database: str
) -> None:
    """The server's last words are there, and the end of the connection not yet."""
    said, over = asyncio.Event(), asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection(HOST, servers.postgres.port)

        async def forward() -> None:
            while data := await reader.read(65536):
                there.write(data)

        forwarding = asyncio.create_task(forward())
        try:
            while data := await answers.read(65536):
                writer.write(data)
            said.set()
            await over.wait()
        finally:
            forwarding.cancel()
            writer.close()
            there.close()

    async with await asyncio.start_server(relay, HOST, 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with retriever_on(servers, database, D__port=str(port)) as retriever:
            await retriever.search(QUERY)
            async with connected(servers, database) as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await said.wait()
            try:
                assert ids(await retriever.search(QUERY)) == ["hours"]
            finally:
                over.set()


async def test_a_server_that_went_and_came_back() -> None:
    async with running_simulator(token_ms=0) as simulator, running_postgres() as postgres:
        servers = Servers(postgres, simulator)
        name = await servers.database()
        await new_table(servers, name)
        port = postgres.port
        async with retriever_on(servers, name) as retriever:
            await retriever.search(QUERY)
            await postgres.child.stop()
            with pytest.raises(RetrievalUnavailable):
                await retriever.search(QUERY)
            async with running_postgres(port=port) as again:
                assert again.port == port
                with pytest.raises(Misconfigured, match="no database"):
                    await retriever.search(QUERY)


async def test_many_at_once_share_few_connections(servers: Servers, database: str) -> None:
    async with retriever_on(servers, database, D__maxConnections="2") as retriever:
        found = await asyncio.gather(*(retriever.search(QUERY) for _ in range(40)))
        async with connected(servers, database) as connection:
            count = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    assert {tuple(ids(documents)) for documents in found} == {("hours",)}
    assert count == 2


async def test_a_statement_that_takes_too_long_is_given_up(servers: Servers) -> None:
    name = await servers.database()
    await new_table(servers, name)
    await fill(servers, name, {"a": "office"})
    async with retriever_on(servers, name) as retriever, connected(servers, name) as connection:
        await retriever.search(QUERY)
        async with connection.transaction():
            await connection.execute("LOCK TABLE documents IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(RetrievalUnavailable):
                await retriever.search(QUERY)
        assert ids(await retriever.search(QUERY)) == ["a"]


async def test_what_the_embeddings_model_refuses_is_its_own_error(
    servers: Servers, database: str
) -> None:
    await servers.simulator.script({"kind": "status", "code": 500}, times=None)
    try:
        async with retriever_on(servers, database) as retriever:
            with pytest.raises(ModelUnavailable):
                await retriever.search(QUERY)
            found = await retriever.search(Query(text="office", top_k=3, mode="text"))
            assert ids(found) == ["hours"]
    finally:
        await servers.simulator.reset()


async def test_the_identitys_token_is_the_password(
    servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in Azure: whoever holds the role's token gets in, and a new one counts at once."""
    async with running_identity() as identity:
        for name, value in identity.env().items():
            monkeypatch.setenv(name, value)
        environment = servers.environment(database) | {
            "D__user": "app",
            "D__credential": "managedidentity",
        }
        del environment["D__password"]
        backends = Backends(Settings(environment))
        try:
            token = await backends.database_token(_retriever(environment))
            async with connected(servers, database) as connection:
                await connection.execute("DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN")
                with pytest.raises(Misconfigured, match="pgaadauth_create_principal"):
                    await backends.retriever("D").search(QUERY)
                await connection.execute(
                    f"ALTER ROLE app PASSWORD '{token}'; GRANT SELECT ON documents TO app"
                )
            assert ids(await backends.retriever("D").search(QUERY)) == ["hours"]
            asked = await identity.requests()
            assert {r.resource for r in asked} == {"https://ossrdbms-aad.database.windows.net"}
        finally:
            await backends.aclose()


def _retriever(environment: dict[str, str]) -> Any:
    return Settings(environment).retriever("D")


async def test_a_connection_that_is_none(servers: Servers, database: str) -> None:
    environment = servers.environment(database, D__connection="NOWHERE")
    backends = Backends(Settings(environment))
    with pytest.raises(Misconfigured, match="D__connection must name a connection"):
        backends.retriever("D")
    await backends.aclose()


async def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    environment = {
        "AZURE_OPENAI_ENDPOINT": "https://nowhere.invalid",
        "AZURE_OPENAI_API_KEY": "k",
        "CHAT_RETRIEVERS": "D",
        "D__host": "nowhere.invalid",
        "D__database": "d",
        "D__user": "u",
        "D__password": "p",
    }
    backends = Backends(Settings(environment))
    retriever = backends.retriever("D")
    assert backends.retriever("D") is retriever
    with pytest.raises(ChatError):
        await retriever.search(Query(text="x", top_k=1, mode="text"))
    await backends.aclose()
