"""Stored rows: one that cannot be read spoils itself, never its conversation, and never the app."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ChatError
from shared.events import Delta
from shared.history.base import Place
from shared.history.codec import Undecodable, decode_runs, encode_runs, read_body
from shared.history.keys import partition
from shared.history.memory import MemoryRows
from shared.history.reading import export_messages, read_messages
from shared.history.rows import Delete, Insert, Row
from shared.history.store import Store
from tests.contracts.acting import NOW, USAGE, new_turn
from tests.fuzz.examples import damaged, encoded, fuzzed, texts

TURNS = 3
PLACE = Place("owner", "talk")
_scalars = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=30),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.floats(),
)


async def talk() -> tuple[MemoryRows, list[Row]]:
    """A conversation of some turns, and its rows."""
    rows = MemoryRows()
    store = Store(rows)
    head = None
    for number in range(TURNS):
        turn = new_turn(f"t{number}", question=f"question {number}")
        begun = await store.begin(PLACE, head, turn, NOW + number)
        body = encode_runs([Delta(f"answer {number}")])
        begun = await store.finish(begun, body, "stop", USAGE, 0)
        head = begun.head
    found = await rows.range(partition(PLACE), "!", "~", 100)
    return rows, found


async def spoilt(change: Sequence[tuple[int, str, Any]]) -> tuple[Store, set[str]]:
    """The same, with properties of rows changed; None: taken away."""
    rows, found = await talk()
    touched = set()
    for which, name, value in change:
        row = found[which % len(found)]
        values = {k: v for k, v in row.values.items() if k != name}
        if value is not None:
            values[name] = value
        await rows.write(partition(PLACE), [Delete(row.key)])
        await rows.write(partition(PLACE), [Insert(row.key, values)])
        found[which % len(found)] = Row(row.key, "", values)
        touched.add(row.key)
    return Store(rows), touched


async def read_all(store: Store) -> list[Any]:
    """What a reader of the conversation meets; a refusal is one that callers are told."""
    told: list[Any] = []
    try:
        head = await store.head(PLACE)
        if head is None or head.deleted:
            return told
        told += (await read_messages(store, PLACE, 100, None)).items
        told += [item.message async for item in export_messages(store, PLACE, head)]
        await store.read(PLACE, 40)
        await store.find(PLACE, "t1")
        await store.answer(PLACE, 1)
        await store.conversations("owner", 10, None)
    except ChatError as error:
        assert error.status in (404, 503)
        assert error.message.isprintable()
    return told


_NAMES = st.one_of(
    st.sampled_from(
        ["title", "created", "updated", "next", "count", "indexed", "turn", "nonce", "digest"]
    ),
    st.sampled_from(["parts", "b0", "b1", "state", "running", "lease", "reason", "results"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True),
)


@fuzzed(300)
@given(
    st.lists(
        st.tuples(st.integers(0, 20), _NAMES, st.one_of(st.none(), _scalars)),
        min_size=1,
        max_size=3,
    )
)
def test_any_property_of_any_row(change: list[tuple[int, str, Any]]) -> None:
    async def example() -> None:
        store, _ = await spoilt(change)
        await read_all(store)

    asyncio.run(example())


def test_a_message_that_cannot_be_read_spoils_itself_alone() -> None:
    async def example() -> None:
        rows, found = await talk()
        whole = [item.number for item in await read_all(Store(rows))]
        messages = [number for number, row in enumerate(found) if ",m" in row.key]
        assert len(messages) == 2 * TURNS
        for which in messages:
            changes = [(which, name, None) for name in found[which].values]
            store, _ = await spoilt(changes)
            left = [item.number for item in await read_all(store)]
            assert left, "all of the conversation was lost"
            assert len(left) < len(whole)
            assert len(left) >= len(whole) - 4  # a question and its answer, in list and export

    asyncio.run(example())


@fuzzed(500)
@given(
    st.one_of(
        st.binary(max_size=80),
        damaged(encode_runs([Delta("Hello \U0001f600")])),
        st.builds(
            lambda kind, raw: b"\xff" + kind + raw,
            st.sampled_from([b"d", b"r", b"c", b"t", b"e", b"x"]),
            st.binary(max_size=30),
        ),
        st.builds(
            lambda kind, value: b"\xff" + kind + encoded(value),
            st.sampled_from([b"c", b"t", b"e"]),
            _scalars.filter(lambda v: not isinstance(v, bytes) and v == v),
        ),
    )
)
def test_any_body(body: bytes) -> None:
    try:
        events = decode_runs(body)
    except Undecodable:
        return
    assert decode_runs(encode_runs(events)) == events


@fuzzed(300)
@given(st.dictionaries(st.sampled_from(["parts", "b0", "b1", "b2", "x"]), _scalars, max_size=4))
def test_any_parts_of_a_body(values: dict[str, Any]) -> None:
    try:
        body = read_body(values)
    except Undecodable:
        return
    # Nothing stored unfolds: what is read is no longer than what lies there.
    assert len(body) <= sum(len(value) for value in values.values() if isinstance(value, bytes))


@fuzzed(400)
@given(st.one_of(texts, st.from_regex(r"[0-9A-Za-z_\-.,=]{0,60}", fullmatch=True)))
def test_any_cursor(cursor: str) -> None:
    async def example() -> None:
        rows, _ = await talk()
        store = Store(rows)
        for reading in (
            read_messages(store, PLACE, 10, cursor),
            store.conversations("owner", 10, cursor),
        ):
            try:
                await reading
            except ChatError as error:
                assert error.status == 400

    asyncio.run(example())
