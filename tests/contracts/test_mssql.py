"""SQL Server's own driver: what it is told, and what its errors mean."""

import asyncio
import gc
import socket
import struct
import warnings
from uuid import uuid4

import pytest

from local.ports import HOST, free_ports
from local.postgres import Postgres
from shared.errors import ChatError, Misconfigured, StoreUnavailable
from shared.history.rows import Delete, Insert, Merge, Replace
from shared.history.sql.dialect import Verdict
from shared.history.sql.mssql import MsSql
from shared.history.sql.rows import SqlRows
from tests.contracts.conftest import opened
from tests.tds.server import Server as Tds
from tests.tds.server import running_tds


def rows_of(connection_string: str) -> SqlRows:
    return SqlRows(MsSql(connection_string, "CHAT_SQL"), f"test_{uuid4().hex}", "CHAT_SQL")


async def failure(connection_string: str) -> ChatError:
    """What is told where nothing works. It never holds the password."""
    async with opened(rows_of(connection_string)) as rows:
        with pytest.raises(ChatError) as raised:
            await rows.ready()
    assert "the-password" not in str(raised.value)
    return raised.value


async def test_a_database_without_snapshots_is_told_with_the_command(postgres: Postgres) -> None:
    with running_tds(postgres) as tds:
        tds.snapshots = False
        error = await failure(tds.address())
    assert isinstance(error, Misconfigured)
    assert "ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON" in error.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PWD": "the-password"}, "refused the app: look at CHAT_SQL"),
        ({"Database": "nowhere"}, "CHAT_SQL names a database"),
        ({"Nonsense": "x", "PWD": "the-password"}, "CHAT_SQL must be a connection string"),
    ],
)
async def test_a_mistake_of_the_set_up(tds: Tds, changes: dict[str, str], words: str) -> None:
    error = await failure(tds.address(**changes))
    assert isinstance(error, Misconfigured)
    assert words in error.message


async def test_a_server_that_is_not_there_is_told_soon() -> None:
    place = f"127.0.0.1,{next(free_ports())}"
    error = await failure(f"Server={place};Database=d;UID=u;PWD=the-password;")
    assert isinstance(error, StoreUnavailable)
    assert "CHAT_SQL" in error.message


async def test_parameters_have_types_that_do_not_depend_on_their_values(
    postgres: Postgres,
) -> None:
    """Else the server would make a plan for every length of a text."""
    with running_tds(postgres) as tds:
        async with opened(rows_of(tds.address())) as rows:
            for text in ("short", "ü" * 9000, ""):
                (etag,) = await rows.write("p", [Insert("k", {"text": text, "bytes": b"x"})])
                await rows.write("p", [Merge("k", {"bytes": b"x" * 9000}, etag), Insert("l", {})])
                await rows.write("p", [Replace("k", {}, "*"), Delete("l")])
                await rows.remove("p", ["k"])
        assert tds.kinds == {"varchar(512)", "nvarchar(max)", "varbinary(max)"}


async def test_no_session_outlives_the_rows(postgres: Postgres) -> None:
    """The driver has a pool of its own, which would keep them, and their locks."""
    with running_tds(postgres) as tds:
        async with opened(rows_of(tds.address())) as rows:
            await rows.ready()
            assert tds.sessions == 1
        await tds.quiet()
        assert tds.sessions == 0


async def test_a_client_that_is_gone_after_its_login_leaves_nothing_open(
    postgres: Postgres,
) -> None:
    """Of the stand-in: its connection would be found by whatever test runs next."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, there = await asyncio.open_connection(HOST, tds.port)
        there.write(await reader.read(65536))
        writer.write(await answers.read(65536))
        there.write(await reader.read(65536))
        await there.drain()
        at_once = struct.pack("ii", 1, 0)  # a reset: what is written to it fails
        there.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        there.close()
        writer.close()

    with warnings.catch_warnings(record=True, category=ResourceWarning) as warned:
        warnings.simplefilter("always", ResourceWarning)
        with running_tds(postgres) as tds:
            async with await asyncio.start_server(cut, HOST, 0) as relay:
                port = relay.sockets[0].getsockname()[1]
                async with opened(rows_of(tds.address(Server=f"{HOST},{port}"))) as rows:
                    with pytest.raises(StoreUnavailable):
                        await rows.ready()
            await tds.quiet()
        gc.collect()
    assert not [str(one.message) for one in warned]


def test_what_the_drivers_errors_mean() -> None:
    """By its own table from SQLSTATE to exception."""
    from mssql_python.exceptions import sqlstate_to_exception

    dialect = MsSql("Server=s", "CHAT_SQL")
    for state, verdict in {
        "23000": Verdict.CONFLICT,
        "40001": Verdict.AGAIN,
        "08S01": Verdict.LOST,
        "08001": Verdict.LOST,
        "HYT00": Verdict.LOST,
        "28000": Verdict.REFUSED,
        "42S02": Verdict.REFUSED,
        "42000": Verdict.REFUSED,
    }.items():
        error = sqlstate_to_exception(state, "the server's words")
        assert error is not None
        assert dialect.judge(error) is verdict
        assert "the server's words" not in str(dialect.told(error))
    assert dialect.judge(ValueError()) is None
