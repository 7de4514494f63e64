"""What only the table has: two clients that must agree, a network, and somebody else's errors."""

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from azure.core import MatchConditions
from azure.core.credentials import AzureNamedKeyCredential
from azure.data.tables import (
    AccountSasPermissions,
    EdmType,
    EntityProperty,
    ResourceTypes,
    UpdateMode,
    generate_account_sas,
)
from azure.data.tables.aio import TableClient

from local.storage import ACCOUNT, KEY, running_storage
from local.storage import Storage as Emulator
from shared.errors import ChatError, Misconfigured, StoreUnavailable
from shared.events import Delta
from shared.history import keys
from shared.history.account import Account
from shared.history.base import Begun, Conflict, HistoryStore
from shared.history.codec import encode_runs
from shared.history.failures import TimeLimits
from shared.history.records import answer_values, question_values
from shared.history.rows import Delete, Insert, Merge, Operation, Replace
from shared.history.store import Store
from shared.history.table import TableRows
from shared.history.table_wire import TableWire
from shared.settings import Storage
from tests.contracts.acting import (
    MINE,
    NOW,
    USAGE,
    answer_of,
    begin,
    finish,
    head_of,
    new_turn,
    whole_turn,
)
from tests.contracts.between import Between
from tests.contracts.conftest import opened

VALUES: dict[str, Any] = {
    "text": "a\x00\u2028ü😀\"\\'",
    "int32": 2**31 - 1,
    "int64": 2**31,
    "bytes": bytes(range(256)),
    "flag": True,
    "number": 0.5,
}


# The vendor's client reads XML errors in a way that Python is going to drop.
_XML_ERRORS = pytest.mark.filterwarnings("ignore:Testing an element's truth:DeprecationWarning")


@pytest.fixture
async def sdk(storage: Storage, table: TableRows) -> AsyncIterator[TableClient]:
    """The vendor's own client for the same table."""
    await table.ready()
    assert storage.connection_string is not None
    async with TableClient.from_connection_string(
        storage.connection_string, storage.table
    ) as client:
        yield client


def as_sdk(partition: str, key: str, values: dict[str, Any]) -> dict[str, Any]:
    """An entity as the vendor's client wants it: larger integers say their type."""
    large = {
        name: EntityProperty(value, EdmType.INT64)
        for name, value in values.items()
        if type(value) is int and value >= 2**31
    }
    return {"PartitionKey": partition, "RowKey": key, **values, **large}


def as_raw(entity: Any) -> tuple[str, dict[str, Any], str]:
    """Key, properties with their types, and ETag of what the vendor's client read."""
    properties = {
        name: (value.value, value.edm_type) if isinstance(value, EntityProperty) else value
        for name, value in entity.items()
        if name not in ("PartitionKey", "RowKey")
    }
    return entity["RowKey"], properties, entity.metadata["etag"]


async def test_both_clients_write_the_same(table: TableRows, sdk: TableClient) -> None:
    more: dict[str, Any] = {"int32": 7, "text": "new", "extra": b"x"}

    async def by_wire() -> list[str]:
        single = await table.write("wire", [Insert("a", VALUES)])
        merged = await table.write("wire", [Merge("a", more, single[0])])
        await table.write("wire", [Insert("b", VALUES), Insert("c", VALUES), Insert("d", VALUES)])
        batch = await table.write(
            "wire", [Merge("b", more, "*"), Replace("c", more, "*"), Delete("d")]
        )
        return [merged[0], batch[0], batch[1]]

    async def by_sdk() -> list[str]:
        single = await sdk.create_entity(as_sdk("sdk", "a", VALUES))
        merged = await sdk.update_entity(
            as_sdk("sdk", "a", more),
            mode=UpdateMode.MERGE,
            etag=single["etag"],
            match_condition=MatchConditions.IfNotModified,
        )
        await sdk.submit_transaction([("create", as_sdk("sdk", k, VALUES)) for k in "bcd"])
        batch = await sdk.submit_transaction(
            [
                ("update", as_sdk("sdk", "b", more), {"mode": UpdateMode.MERGE}),
                ("update", as_sdk("sdk", "c", more), {"mode": UpdateMode.REPLACE}),
                ("delete", as_sdk("sdk", "d", {})),
            ]
        )
        return [merged["etag"], batch[0]["etag"], batch[1]["etag"]]

    etags = {"wire": await by_wire(), "sdk": await by_sdk()}
    found: dict[str, list[Any]] = {}
    for partition in etags:
        entities = [e async for e in sdk.query_entities(f"PartitionKey eq '{partition}'")]
        found[partition] = [as_raw(entity)[:2] for entity in entities]
        assert [as_raw(entity)[2] for entity in entities] == etags[partition]
        assert [as_raw(await sdk.get_entity(partition, k))[2] for k in "abc"] == etags[partition]
    assert found["wire"] == found["sdk"]
    merged = {**VALUES, **more}
    merged["int64"] = (2**31, EdmType.INT64)
    assert found["wire"] == [("a", merged), ("b", merged), ("c", more)]


async def test_both_clients_read_the_same(table: TableRows, sdk: TableClient) -> None:
    written = {
        **as_sdk("p", "a", VALUES),
        "small64": EntityProperty(5, EdmType.INT64),
        "double": 3.0,
    }
    etag = (await sdk.create_entity(written))["etag"]
    row = await table.get("p", "a")
    assert row is not None
    assert (row.key, row.etag) == ("a", etag)
    assert row.values == {**VALUES, "small64": 5, "double": 3.0}
    assert {n: type(v) for n, v in row.values.items()} == {
        **{n: type(v) for n, v in VALUES.items()},
        "small64": int,
        "double": float,
    }
    assert await table.range("p", "a", "b", 5) == [row]
    assert await table.page("p", "a", "b", 5) == [row]


async def test_types_of_somebody_elses_spoil_only_their_row(
    table: TableRows, sdk: TableClient
) -> None:
    store = Store(table)
    for n in (1, 2):
        await whole_turn(store, f"t{n}", now=NOW + n)
    strange = {
        "PartitionKey": keys.partition(MINE),
        "RowKey": keys.message("c1", 1),
        "created": datetime(2026, 1, 1, tzinfo=UTC),
        "nonce": UUID(int=5),
        "lease": 0.5,
    }
    await sdk.update_entity(strange, mode=UpdateMode.MERGE)
    view = await store.read(MINE, 40)
    assert [a.turn_id for a in view.answers] == ["t2"]
    assert [q.turn_id for q in view.questions] == ["t2"]


async def test_the_table_is_made_once_it_is_missed(storage: Storage) -> None:
    async with opened(TableRows(storage)) as first, opened(TableRows(storage)) as second:
        stores = [Store(first), Store(second)]
        views = await asyncio.gather(*(store.read(MINE, 4) for store in stores * 4))
        assert {view.head for view in views} == {None}
        assert (await whole_turn(stores[0])).head == await head_of(stores[1], MINE)


@pytest.mark.parametrize(
    "request_",
    [
        lambda rows: rows.write("p", [Insert("a", {})]),
        lambda rows: rows.write("p", [Insert("a", {}), Insert("b", {})]),
        lambda rows: rows.get("p", "a"),
        lambda rows: rows.range("p", "a", "b", 5),
        lambda rows: rows.page("p", "a", "b", 5),
        lambda rows: rows.remove("p", ["a", "b"]),
        lambda rows: rows.ready(),
    ],
    ids=["insert", "transaction", "get", "range", "page", "remove", "ready"],
)
async def test_every_request_may_be_the_first(
    table: TableRows, request_: Callable[[TableRows], Awaitable[object]]
) -> None:
    await request_(table)


@pytest.mark.parametrize("turns", [5, 600])
async def test_a_turn_costs_one_read_and_two_writes(
    storage_between: Storage, between: Between, turns: int
) -> None:
    """However long the conversation is; a checkpoint is one request."""
    async with opened(TableRows(storage_between)) as rows:
        store = Store(rows)
        first = await whole_turn(store, "t0")
        await _fill(rows, first.answer.number + 1, turns - 1)
        between.requests.clear()
        view = await store.read(MINE, 40)
        assert len(view.answers) == min(20, turns)
        begun = await store.begin(MINE, view.head, new_turn("next"), NOW)
        assert between.requests.pop(0).startswith("GET ")
        assert between.requests.pop(0).endswith("/$batch")
        assert between.requests == []
        begun = await store.save(begun, encode_runs([Delta("a")]), NOW)
        assert between.requests.pop(0).startswith("PATCH ")
        await finish(store, begun)
        assert between.requests.pop(0).startswith("PATCH ")
        assert between.requests == []


async def test_a_long_conversation_is_read_in_pieces_and_purged(
    table: TableRows,
) -> None:
    store = Store(table)
    first = await whole_turn(store, "t0")
    await _fill(table, first.answer.number + 1, 599)
    seen: list[int] = []
    view = await store.read(MINE, 500)
    while True:
        seen += [a.number for a in view.answers]
        if not view.lowest:
            break
        view = await store.read_below(MINE, view.lowest, 500)
    assert seen == list(range(1199, 0, -2))
    assert len((await store.read(MINE, 1150)).answers) == 575
    assert await store.find(MINE, "t7") == 15
    await store.delete(MINE)
    await store.purge(MINE)
    left = await table.range(keys.partition(MINE), "!", "z", 5)
    assert [row.key for row in left] == [keys.head("c1")]


async def _fill(rows: TableRows, number: int, turns: int) -> None:
    """Append ended turns t1, t2, … without going through each."""
    (newest,) = await rows.range(
        keys.partition(MINE), keys.message("c1", number - 1), keys.messages_end("c1"), 1
    )
    operations: list[Operation] = []
    for n in range(1, turns + 1):
        at = number + 2 * (n - 1)
        values = {**newest.values, "turn": f"t{n}"}
        operations += [
            Insert(keys.message("c1", at), question_values(f"t{n}", b"question", NOW)),
            Insert(keys.message("c1", at + 1), values),
            Insert(keys.turn("c1", f"t{n}"), {"number": at + 1}),
        ]
    for start in range(0, len(operations), 99):
        await rows.write(keys.partition(MINE), operations[start : start + 99])
    head = Merge(keys.head("c1"), {"next": number + 2 * turns, "count": number + 2 * turns}, "*")
    await rows.write(keys.partition(MINE), [head])


async def test_a_lost_reply_is_no_verdict(
    storage_between: Storage, between: Between, table: TableRows
) -> None:
    """The write has landed: whoever reads again finds its own nonce."""
    truth = Store(table)
    async with opened(TableRows(storage_between)) as rows:
        store = Store(rows)
        await store.ready()

        async def lost[T](write: Awaitable[T]) -> None:
            between.fault = "lost"
            sent = len(between.requests)
            with pytest.raises(StoreUnavailable):
                await write
            assert len(between.requests) == sent + 1, "a write is never sent again"
            between.fault = None

        await lost(store.begin(MINE, None, new_turn(), NOW))
        answer = await truth.answer(MINE, 1)
        assert answer is not None
        assert (answer.nonce, answer.running) == ("nonce-t1", True)
        with pytest.raises(Conflict):
            await store.begin(MINE, None, new_turn(), NOW)
        begun = Begun(MINE, await head_of(store, MINE), None, answer)
        await lost(store.save(begun, encode_runs([Delta("a")]), NOW + 1))
        assert (await answer_of(truth, begun)).text == "a"
        with pytest.raises(Conflict):
            await store.save(begun, encode_runs([Delta("ab")]), NOW + 1)
        begun = replace(begun, answer=await answer_of(store, begun))
        await lost(store.finish(begun, encode_runs([Delta("ab")]), "stop", USAGE, 0))
        assert (await answer_of(truth, begun)).finish_reason == "stop"


REQUESTS: dict[str, Callable[[HistoryStore], Awaitable[object]]] = {
    "read": lambda store: store.read(MINE, 4),
    "head": lambda store: store.head(MINE),
    "begin": lambda store: store.begin(MINE, None, new_turn(), NOW),
    "conversations": lambda store: store.conversations("me", 5, None),
    "ready": lambda store: store.ready(),
}


FULL = b'{"odata.error":{"code":"ServerBusy","message":{"value":"secret of the vendor"}}}'
REFUSED = b"<?xml version='1.0'?><error><code>AuthorizationFailure</code>secret</error>"
FAULTS: dict[str, tuple[int | str, bytes, str]] = {
    "down": ("refused", b"", "no valid answer"),
    "slow": ("silent", b"", "no valid answer"),
    "full": (503, FULL, "busy"),
    "throttled": (429, FULL, "busy"),
    "broken": (500, b"<html>secret</html>", "busy"),
    "no table, ever": (404, b'{"odata.error":{"code":"TableNotFound"}}', "not there"),
    "table going": (409, b'{"odata.error":{"code":"TableBeingDeleted"}}', "being deleted"),
    "no role": (403, REFUSED, "CHAT_STORAGE"),
    "bad key": (401, REFUSED, "CHAT_STORAGE"),
    "another server": (404, b"<html>secret</html>", "CHAT_STORAGE"),
    "moved": (301, b"secret", "301"),
    "nonsense": (200, b"<html>secret</html>", ""),
    "bytes": (503, b"\0secret", ""),
    "strange JSON": (200, b'{"value":[{"x":1}]}', ""),
}


@_XML_ERRORS
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize(("fault", "body", "says"), FAULTS.values(), ids=FAULTS.keys())
async def test_a_store_that_fails_is_unavailable(
    storage_between: Storage,
    between: Between,
    request_: Callable[[HistoryStore], Awaitable[object]],
    fault: int | str,
    body: bytes,
    says: str,
) -> None:
    limits = TimeLimits(connect=0.3, total=0.3)
    async with opened(TableRows(storage_between, limits=limits)) as rows:
        between.fault, between.body = fault, body
        with pytest.raises(StoreUnavailable) as caught:
            await request_(Store(rows))
        assert says in caught.value.message
        assert "secret" not in caught.value.message
        assert len(between.requests) <= 2


def _attempts(rows: TableRows) -> list[Callable[[], Awaitable[object]]]:
    """A request through each client, and one that writes."""
    return [
        lambda: rows.get("p", "a"),
        lambda: rows.write("p", [Insert("a", {})]),
        lambda: rows.page("p", "a", "b", 1),
        lambda: rows.remove("p", ["a"]),
    ]


async def test_nobody_there(storage: Storage, between: Between) -> None:
    text = f"AccountName=a;AccountKey=YQ==;TableEndpoint=http://127.0.0.1:{between.port}/a"
    between.fault = "refused"
    gone = Storage(setting="CHAT_STORAGE", table="t12", connection_string=text)
    async with opened(TableRows(gone)) as rows:
        for attempt in _attempts(rows):
            with pytest.raises(StoreUnavailable, match="CHAT_STORAGE"):
                await attempt()


@_XML_ERRORS
async def test_a_wrong_key_names_the_setting(emulator: Emulator) -> None:
    text = emulator.connection_string.replace(KEY, "d3Jvbmc=")
    wrong = Storage(setting="AzureWebJobsStorage", table="t12", connection_string=text)
    async with opened(TableRows(wrong)) as rows:
        for attempt in _attempts(rows):
            with pytest.raises(StoreUnavailable, match="AzureWebJobsStorage") as caught:
                await attempt()
            assert "d3Jvbmc" not in caught.value.message


async def test_a_shared_access_signature(emulator: Emulator, storage: Storage) -> None:
    sas = generate_account_sas(
        AzureNamedKeyCredential(ACCOUNT, KEY),
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(
            read=True, write=True, delete=True, list=True, add=True, create=True, update=True
        ),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    text = f"TableEndpoint={emulator.url};SharedAccessSignature={sas}"
    by_sas = Storage(setting="CHAT_STORAGE", table=storage.table, connection_string=text)
    async with opened(TableRows(by_sas)) as rows:
        await _everything(Store(rows))


async def test_a_signature_is_in_no_log() -> None:
    """A connection that is not made in time: aiohttp's error says the whole address."""
    silent = socket.create_server(("127.0.0.1", 0))
    text = (
        f"TableEndpoint=https://127.0.0.1:{silent.getsockname()[1]}/a;"
        "SharedAccessSignature=sv=1&sig=s3cr3t"
    )
    by_sas = Storage(setting="CHAT_STORAGE", table="t12", connection_string=text)
    with silent:
        async with opened(TableRows(by_sas, limits=TimeLimits(connect=0.1, total=2))) as rows:
            for attempt in _attempts(rows):
                with pytest.raises(StoreUnavailable) as caught:
                    await attempt()
                assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))


async def _everything(store: Store) -> None:
    """Each kind of request once."""
    await store.ready()
    begun = await begin(store)
    begun = await store.save(begun, encode_runs([Delta("a")]), NOW)
    await finish(store, begun)
    assert (await store.rename(MINE, "new")).title == "new"
    assert len((await store.conversations("me", 5, None)).items) == 1
    assert await store.delete(MINE) is None
    await store.purge(MINE)
    assert await store.find(MINE, "t1") is None


async def test_it_survives_a_restart(tmp_path: Any) -> None:
    """What was confirmed is there after the emulator was started again."""
    storages: list[Storage] = []
    for _ in range(2):
        async with running_storage(tmp_path) as emulator:
            storage = Storage(
                setting="CHAT_STORAGE",
                table="conversations",
                connection_string=emulator.connection_string,
            )
            storages.append(storage)
            async with opened(TableRows(storage)) as rows:
                store = Store(rows)
                if len(storages) == 1:
                    written = await whole_turn(store)
                else:
                    assert (await store.read(MINE, 4)).answers == (written.answer,)


async def test_a_token_that_cannot_be_had(storage: Storage) -> None:
    class Without:
        def __init__(self, error: Exception) -> None:
            self.error = error

        async def get_token(self, *scopes: str, **options: Any) -> Any:
            assert scopes == ("https://storage.azure.com/.default",)
            raise self.error

    https = Storage(setting="CHAT_STORAGE__accountName", table="t12", endpoint="https://127.0.0.1")
    expected: list[tuple[Exception, type[ChatError], str]] = [
        (RuntimeError("secret"), StoreUnavailable, "CHAT_STORAGE__accountName"),
        (Misconfigured("CHAT_STORAGE__clientId is wrong."), Misconfigured, "clientId"),
        (TimeoutError("secret"), StoreUnavailable, "gets no token"),
    ]
    for error, kind, says in expected:
        async with opened(TableRows(https, Without(error))) as rows:
            for attempt in _attempts(rows):
                with pytest.raises(kind, match=says) as caught:
                    await attempt()
                assert "secret" not in str(caught.value)


async def test_answers_are_values(table: TableRows) -> None:
    """What a writer builds is what a reader finds in the row, name by name."""
    begun = await begin(Store(table))
    row = await table.get(keys.partition(MINE), keys.message("c1", 1))
    assert row is not None
    assert row.values == answer_values(begun.answer)


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"", "no valid answer"), (b"HTTP/1.1 204 No Content\r\nETag: x\r\n\r\n", "no valid answer")],
)
async def test_a_transaction_that_is_answered_in_part_is_unknown(
    storage_between: Storage, between: Between, body: bytes, says: str
) -> None:
    async with opened(TableRows(storage_between)) as rows:
        await rows.ready()
        between.fault, between.body = 202, body
        with pytest.raises(StoreUnavailable, match=says):
            await rows.write("p", [Insert("a", {}), Insert("b", {})])


async def test_without_the_role_an_identity_is_told_its_name(between: Between) -> None:
    """The stand-in speaks plain HTTP, so the identity's account is made by hand."""
    account = Account(
        f"http://127.0.0.1:{between.port}/a", "a", setting="CHAT_STORAGE__accountName"
    )

    async def token(scope: str) -> str:
        return "token"

    wire = TableWire(account, "t12", token)
    between.fault, between.body = 403, REFUSED
    with pytest.raises(StoreUnavailable, match="Storage Table Data Contributor") as caught:
        await wire.get("p", "a")
    assert "CHAT_STORAGE__accountName" in caught.value.message
    await wire.aclose()


async def test_a_token_that_never_comes(storage: Storage) -> None:
    class Silent:
        async def get_token(self, *scopes: str, **options: Any) -> Any:
            await asyncio.Event().wait()

    https = Storage(setting="CHAT_STORAGE__accountName", table="t12", endpoint="https://127.0.0.1")
    async with opened(TableRows(https, Silent(), TimeLimits(total=0.05))) as rows:
        with pytest.raises(StoreUnavailable, match="gets no token"):
            await rows.get("p", "a")
