"""The meter before the storage emulator: it notes every request, and changes none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, web

from local.loopback import serving
from local.ports import HOST, free_ports
from local.processes import Child
from local.storage import ACCOUNT, Storage, running_storage
from local.storage_meter import Meter, running_meter
from local.storage_meter.words import said_of
from shared.history.base import NewTurn, Place
from shared.history.keys import COUNT
from shared.history.rows import Insert
from shared.history.store import Store
from shared.history.table import TableRows
from shared.messages import Usage
from shared.settings import Storage as StorageSettings

SECONDS = 30
NOW = 1_700_000_000_000
TURN = NewTurn(
    turn_id="turn-1",
    nonce="nonce",
    digest="0",
    action="default",
    model="chat",
    result_name="response",
    question="Why?",
    title="Why?",
)


@pytest.fixture(scope="module")
async def meter() -> AsyncIterator[Meter]:
    async with running_storage() as storage, running_meter(storage) as meter:
        yield meter


@pytest.fixture
async def rows(meter: Meter) -> AsyncIterator[TableRows]:
    rows = TableRows(
        StorageSettings(setting="", table="conversations", connection_string=at(meter))
    )
    await rows.ready()
    yield rows
    await rows.aclose()


def at(meter: Meter) -> str:
    return meter.connection_string


def words(meter: Meter, after: int) -> list[str]:
    return [request.what for request in meter.requests(after=after)]


async def test_a_turn_is_one_read_and_its_writes_each_in_words(meter: Meter, rows: TableRows):
    store, place = Store(rows), Place("ada", "trip")
    before = meter.newest
    await store.read(place, 10)
    begun = await store.begin(place, None, TURN, NOW)
    begun = await store.save(begun, b"\xffdSo", NOW)
    await store.finish(begun, b"\xffdSo it is.", "stop", Usage(5, 3, 8), 0)
    assert words(meter, before) == [
        "read head and newest messages",
        "begin: a transaction of 5 rows",
        "checkpoint: merge",
        "end: merge of the answer",
    ]
    requests = meter.requests(after=before)
    assert [request.method for request in requests] == ["GET", "POST", "PATCH", "PATCH"]
    assert [request.status for request in requests] == [200, 202, 204, 204]
    assert [request.reads for request in requests] == [True, False, False, False]
    assert {request.conversation for request in requests} == {"trip"}
    assert requests[0].path == "conversations()"
    assert requests[3].path.endswith("RowKey='v,trip,m9999999998')")
    assert all(request.ms > 0 for request in requests)
    assert meter.requests(since=requests[2].at) == requests[2:]


async def test_what_happens_between_turns_in_words(meter: Meter, rows: TableRows):
    store, place = Store(rows), Place("grace", "long-trip")
    begun = await store.begin(place, None, TURN, NOW)
    before = meter.newest
    await store.undo(begun)
    head = await store.head(place)
    await store.begin(place, head, TURN, NOW)
    await store.rename(place, "Rome")
    await store.conversations("grace", 10, None)
    await store.find(place, "turn-1")
    await store.answer(place, 1)
    await store.read_below(place, 2, 5)
    await store.delete(place)
    await store.purge(place)
    told = words(meter, before)
    assert told[:8] == [
        "undo: a transaction of 5 rows",
        "read the head",
        "begin: a transaction of 5 rows",
        "read the head",
        "rename: a transaction of 2 rows",
        "read the list of conversations",
        "read the turn's number",
        "read a message",
    ]
    assert "read messages" in told
    assert "insert another row" in told
    assert "delete the conversation: a transaction of 3 rows" in told
    assert "remove rows: a transaction of 1 row" in told
    assert told[-1] == "remove rows: a transaction of 1 row"


async def test_large_transactions_pass_whole(meter: Meter, rows: TableRows):
    body = b"x" * 60_000
    before = meter.newest
    written = [Insert(f"v,large,m{number:010d}", {"b0": body}) for number in range(30)]
    await rows.write("u,large", written)
    assert words(meter, before) == ["write: a transaction of 30 rows"]
    found = await rows.range("u,large", "v,large,m", "v,large,n", 100)
    assert [row.values["b0"] for row in found] == [body] * 30


async def test_what_the_store_refuses_is_refused_all_the_same(meter: Meter):
    url = dict(p.split("=", 1) for p in at(meter).strip(";").split(";"))["TableEndpoint"]
    before = meter.newest
    async with ClientSession() as client:
        async with client.get(f"{url}/Tables") as response:
            refused = response.status
        headers = {"Authorization": f"SharedKeyLite {ACCOUNT}:d3Jvbmc="}
        async with client.get(f"{url}/things()", headers=headers) as response:
            assert response.status == 403
    assert [request.status for request in meter.requests(after=before)] == [refused, 403]
    assert words(meter, before) == ["look at the tables", "read rows"]


def storage_at(port: int, child: Child | None = None) -> Storage:
    # The meter reads where it is, and nothing else of it.
    return Storage(port, child)  # type: ignore[arg-type]


async def test_bytes_pass_as_they_come_and_a_break_is_a_break():
    go_on = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.wait_for(go_on.wait(), SECONDS)
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with (
        serving(app) as server,
        running_meter(storage_at(int(server.rpartition(":")[2]))) as meter,
        ClientSession() as client,
    ):
        url = f"http://{HOST}:{at(meter).rpartition(f'{HOST}:')[2].partition('/')[0]}"
        async with client.get(f"{url}/{ACCOUNT}/things()") as response:
            assert await response.content.read(5) == b"first"
            go_on.set()
            with pytest.raises(ClientError):
                await response.read()
        [request] = meter.requests()
        assert request.status == 0
        assert request.what == "read rows"


async def test_a_caller_who_leaves_takes_the_request_along():
    left = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    async with (
        serving(app) as server,
        running_meter(storage_at(int(server.rpartition(":")[2]))) as meter,
        ClientSession() as client,
    ):
        url = at(meter).partition("TableEndpoint=")[2].strip(";")
        async with client.get(f"{url}/things()") as response:
            assert await response.content.read(5) == b"first"
            response.close()
        await asyncio.wait_for(left.wait(), SECONDS)


async def test_a_store_that_is_down_is_down():
    async with (
        running_meter(storage_at(next(free_ports()))) as meter,
        ClientSession() as client,
    ):
        url = at(meter).partition("TableEndpoint=")[2].strip(";")
        with pytest.raises(ClientError):
            await client.get(f"{url}/things()")


async def test_what_is_no_http_passes_unread():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(5)).upper())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, HOST, 0) as server:
        async with running_meter(storage_at(server.sockets[0].getsockname()[1])) as meter:
            port = int(at(meter).partition(f"{HOST}:")[2].partition("/")[0])
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"\x00mqtt")
            assert await asyncio.wait_for(reader.read(), SECONDS) == b"\x00MQTT"
            writer.close()
            await writer.wait_closed()
        assert [request.status for request in meter.requests()] in ([], [0])


async def test_the_notes_are_bounded(meter: Meter, rows: TableRows):
    for _ in range(1010):
        await rows.get("u,nobody", "v,nothing,!")
    assert len(meter.requests()) == 1000
    assert meter.requests()[-1].number == meter.newest


async def test_tls_cannot_be_read_along(tmp_path: Path):
    secure = Storage(1, None, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="TLS"):
        async with running_meter(secure):
            pass


@pytest.mark.parametrize(
    ("method", "target", "body", "what"),
    [
        ("POST", "/acc/Tables", b"{}", "create the table"),
        ("POST", "/acc/t", b'{"RowKey": "v,c,!"}', "insert the head"),
        ("PATCH", "/acc/t(PartitionKey='u,a',RowKey='v,c,!')", b"{}", "merge of the head"),
        ("DELETE", "/acc/t(PartitionKey='u,a',RowKey='i,1,c')", b"", "delete a line of the list"),
        ("GET", "/acc/t()?$filter=RowKey%20ge%20't,c,'", b"", "read the turns of a conversation"),
        ("POST", "/acc/$batch", b"", "write: a transaction of 0 rows"),
    ],
)
def test_words(method: str, target: str, body: bytes, what: str):
    assert said_of(method, target, "acc", body).what == what


async def test_counts_have_a_name(meter: Meter, rows: TableRows):
    before = meter.newest
    await rows.write("u,meter", [Insert(COUNT, {"tokens": 1})])
    await rows.get("u,meter", COUNT)
    assert words(meter, before) == ["insert a count of the limits", "read a count of the limits"]
