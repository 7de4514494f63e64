"""The server: one session for each connection, on a connection to PostgreSQL of its own."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from local.certificates import Certificate
from local.ports import HOST
from local.postgres import Postgres
from tests.tds import requests, tokens
from tests.tds.packets import ATTENTION, BATCH, LOGIN, PRELOGIN, RPC, message, read_message
from tests.tds.requests import Prepared
from tests.tds.tls import TlsStream
from tests.tds.tokens import Column, Trouble
from tests.tds.transact import SNAPSHOTS, translated

_ON, _NOT_SUPPORTED = 1, 2
_KINDS = {"bytea": "varbinary(max)", "text": "nvarchar(max)", "int4": "int"}
_TROUBLES = {
    "23505": Trouble(2627, 14, "Violation of PRIMARY KEY constraint. The key is (secret)."),
    "40P01": Trouble(1205, 13, "Transaction was deadlocked and has been chosen as the victim."),
    "42P01": Trouble(208, 16, "Invalid object name 'rows'."),
    "3F000": Trouble(208, 16, "Invalid object name 'rows'."),
    "42501": Trouble(229, 14, "The INSERT permission was denied on the object 'rows'."),
    "57P01": Trouble(596, 21, "Cannot continue the execution: the session is in the kill state."),
}


@dataclass(slots=True)
class Server:
    """Running on `port`. `snapshots`: whether READ_COMMITTED_SNAPSHOT is on.

    With a `certificate` it wants encryption. An identity's token makes the superuser.
    """

    postgres: Postgres
    certificate: Certificate | None = None
    port: int = 0
    snapshots: bool = True
    kinds: set[str] = field(default_factory=set)
    """How parameters were declared."""
    tokens: list[str] = field(default_factory=list)
    """Of identities that logged in."""
    said: set[str] = field(default_factory=set)
    """Every statement, once."""
    _sessions: set[asyncio.Task[None]] = field(default_factory=set)

    def address(self, **changes: str) -> str:
        """A connection string; None of its values needs quoting."""
        values = {
            "Server": f"{HOST},{self.port}",
            "Database": "postgres",
            "UID": self.postgres.user,
            "PWD": self.postgres.password,
            "Encrypt": "no",
        }
        return ";".join(f"{name}={value}" for name, value in (values | changes).items())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        try:
            await _Session(self, reader, writer).run()
        except (OSError, asyncio.IncompleteReadError, psycopg.OperationalError):
            pass
        finally:
            self._sessions.discard(task)
            writer.close()

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    async def quiet(self) -> None:
        """Until every session is over."""
        async with asyncio.timeout(10):
            while self._sessions:  # noqa: ASYNC110  # they are of another thread
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for task in tuple(self._sessions):
            task.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)


class _Session:
    def __init__(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._stream: TlsStream | None = None
        self._transaction: bytes | None = None
        self._prepared: dict[int, Prepared] = {}
        self._handles = 0

    async def run(self) -> None:
        # Whatever happens meanwhile, being cancelled or reset included, the connection is closed.
        async with AsyncExitStack() as stack:
            await self._serve(stack)

    async def _serve(self, stack: AsyncExitStack) -> None:
        connection: psycopg.AsyncConnection[Any] | None = None
        reading: asyncio.Task[tuple[int, bytes]] | None = None
        try:
            while True:
                kind, body = await (reading or read_message(self._stream or self._reader))
                reading = None
                if kind == PRELOGIN:
                    await self._prelogin(by_token=requests.wants_token(body))
                elif kind == LOGIN:
                    connection = await self._login(requests.login(body), stack)
                    if connection is None:
                        return
                elif kind == ATTENTION:
                    await self._send(tokens.done(tokens.DONE, tokens.ATTENTION))
                else:
                    assert connection is not None
                    reading = await self._answer(connection, kind, body)
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait({reading})
                if not reading.cancelled():
                    reading.exception()  # it has ended on its own

    async def _prelogin(self, *, by_token: bool) -> None:
        certificate = self._server.certificate
        encryption = _ON if certificate else _NOT_SUPPORTED
        await self._send(tokens.prelogin(encryption, by_token=by_token))
        if certificate:
            tls = TlsStream(self._reader, self._writer, certificate)
            await tls.handshake()
            self._stream = tls

    async def _login(
        self, asked: requests.Login, stack: AsyncExitStack
    ) -> psycopg.AsyncConnection[Any] | None:
        """The connection, which `stack` closes; None if it was refused."""
        there = self._server.postgres
        if asked.token is not None:
            self._server.tokens.append(asked.token)
            asked = replace(asked, user=there.user, password=there.password)
        try:
            connection = await psycopg.AsyncConnection.connect(
                host=there.host,
                port=there.port,
                user=asked.user,
                password=asked.password,
                dbname=asked.database,
                autocommit=True,
            )
        except psycopg.OperationalError as exc:
            words = f"Login failed for user '{asked.user}'."
            error = Trouble(18456, 14, words)
            if "does not exist" in str(exc):
                error = Trouble(
                    4060, 11, f'Cannot open database "x" requested by the login. {words}'
                )
            await self._send(tokens.trouble(error) + tokens.done(tokens.DONE, tokens.ERROR))
            return None
        stack.push_async_callback(connection.close)
        await self._send(tokens.logged_in(asked.database, by_token=asked.token is not None))
        return connection

    async def _answer(
        self, connection: psycopg.AsyncConnection[Any], kind: int, body: bytes
    ) -> asyncio.Task[tuple[int, bytes]] | None:
        """Do it, unless the client gives it up meanwhile; gives what is read ahead."""
        doing = asyncio.create_task(self._done(connection, kind, body))
        reading = asyncio.create_task(read_message(self._stream or self._reader))
        await asyncio.wait({doing, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            with suppress(psycopg.Error):
                await connection.cancel_safe()
            with suppress(psycopg.Error):
                await doing
            return reading
        await self._send(await doing)
        return reading

    async def _done(
        self, connection: psycopg.AsyncConnection[Any], kind: int, body: bytes
    ) -> bytes:
        if kind == BATCH:
            prepared = Prepared(requests.batch(body), ())
            return await self._finished(connection, prepared, [], tokens.DONE)
        assert kind == RPC
        asked = requests.call(body)
        if asked.forget:
            del self._prepared[asked.handle or 0]
            return tokens.returned(None) + tokens.done(tokens.DONE_PROC)
        if asked.prepared is not None:
            self._handles += 1
            self._prepared[self._handles] = asked.prepared
        there = asked.prepared or self._prepared[asked.handle or 0]
        handle = self._handles if asked.prepared else None
        answer = await self._finished(connection, there, asked.values, tokens.DONE_IN_PROC)
        return answer + tokens.returned(handle) + tokens.done(tokens.DONE_PROC)

    async def _finished(
        self,
        connection: psycopg.AsyncConnection[Any],
        prepared: Prepared,
        values: list[str | bytes | int],
        finished: int,
    ) -> bytes:
        """Its results, or its error."""
        self._server.said.add(prepared.sql)
        self._server.kinds |= set(prepared.kinds)
        more = tokens.MORE if finished == tokens.DONE_IN_PROC else 0
        try:
            answer, rows = await self._executed(connection, prepared.sql, values)
        except (Trouble, psycopg.Error) as exc:
            answer = await self._failed(connection, exc)
            return answer + tokens.done(finished, tokens.ERROR | more)
        return answer + tokens.done(finished, tokens.COUNT | more, rows)

    async def _executed(
        self, connection: psycopg.AsyncConnection[Any], sql: str, values: list[str | bytes | int]
    ) -> tuple[bytes, int]:
        """What it gives, and how many rows it met."""
        if sql == SNAPSHOTS:
            return tokens.table([Column("", "int")], [(int(self._server.snapshots),)]), 1
        if sql == "BEGIN TRANSACTION":
            self._transaction = secrets.token_bytes(8)
            await connection.execute("BEGIN")
            return tokens.begun(self._transaction), 0
        if sql == "COMMIT TRANSACTION":
            await connection.execute("COMMIT")
            return self._ended(committed=True), 0
        if sql.endswith("ROLLBACK TRANSACTION") and self._transaction is not None:
            await connection.execute("ROLLBACK")
            return self._ended(committed=False), 0
        there = translated(sql)
        if not there:
            return b"", 0
        named = {f"P{n}": value for n, value in enumerate(values, 1)}
        cursor = await connection.execute(there, named or None)
        if cursor.description is None or sql.startswith("EXEC"):
            return b"", max(0, cursor.rowcount)
        columns = [
            Column(one.name, _KINDS.get(one.type_display.split("(")[0], "varchar"))
            for one in cursor.description
        ]
        rows = await cursor.fetchall()
        return tokens.table(columns, rows), len(rows)

    async def _failed(self, connection: psycopg.AsyncConnection[Any], error: Exception) -> bytes:
        """As XACT_ABORT has it: an error ends the transaction."""
        if connection.broken:
            self._writer.transport.abort()
            raise ConnectionResetError
        ended = b""
        if self._transaction is not None:
            await connection.execute("ROLLBACK")
            ended = self._ended(committed=False)
        if isinstance(error, psycopg.Error):
            words = f"Something else ({error.sqlstate})."
            error = _TROUBLES.get(error.sqlstate or "", Trouble(50000, 16, words))
        assert isinstance(error, Trouble)
        return tokens.trouble(error) + ended

    def _ended(self, *, committed: bool) -> bytes:
        descriptor, self._transaction = self._transaction, None
        assert descriptor is not None
        return tokens.ended(descriptor, committed=committed)

    async def _send(self, body: bytes) -> None:
        (self._stream or self._writer).write(message(body))
        await self._writer.drain()


@contextmanager
def running_tds(postgres: Postgres, certificate: Certificate | None = None) -> Iterator[Server]:
    """The server while the block runs: in a thread of its own, as tests have loops of theirs."""
    made = Server(postgres, certificate)
    serving: Future[asyncio.AbstractEventLoop] = Future()
    over = asyncio.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(made.serve, HOST, 0)
        made.port = listener.sockets[0].getsockname()[1]
        serving.set_result(asyncio.get_running_loop())
        await over.wait()
        listener.close()
        await made.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="tds", daemon=True)
    thread.start()
    loop = serving.result(10)
    try:
        yield made
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
