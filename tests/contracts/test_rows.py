"""What every place that keeps rows has to do."""

import pytest

from shared.history.base import Conflict
from shared.history.rows import ANY, Delete, Insert, Merge, Operation, Replace, Row, Rows, Value
from tests.contracts.backends import DRIVEN

pytestmark = pytest.mark.parametrize("backend", DRIVEN, indirect=True)


VALUES: dict[str, Value] = {
    "text": "a\x00\u2028\u2029\x85ü😀\"\\'<&>",
    "empty": "",
    "small": -(2**31),
    "large": 2**53 + 1,
    "most": 2**63 - 1,
    "yes": True,
    "no": False,
    "bytes": bytes(range(256)),
    "none": b"",
    "number": 0.5,
    "whole": 2.0,
}


async def row(rows: Rows, key: str) -> Row:
    found = await rows.get("p", key)
    assert found is not None
    return found


async def test_values_come_back_as_they_went(rows: Rows) -> None:
    (single,) = await rows.write("p", [Insert("a", VALUES)])
    batched = await rows.write("p", [Insert("b", VALUES), Insert("c", VALUES)])
    expected = [Row(k, e, VALUES) for k, e in zip("abc", [single, *batched], strict=True)]
    assert await rows.range("p", "a", "d", 10) == expected
    assert await rows.page("p", "a", "d", 10) == expected
    assert [await row(rows, key) for key in "abc"] == expected
    for found in expected:
        types = {name: type(value) for name, value in found.values.items()}
        assert types == {name: type(value) for name, value in VALUES.items()}


async def test_rows_are_in_order_of_their_keys(rows: Rows) -> None:
    keys = ["!", ",", "-", "0", "9", "A", "Z", "_", "a", "a,", "a-", "aa", "z"]
    await rows.write("p", [Insert(key, {}) for key in reversed(keys)])
    await rows.write("q", [Insert("a", {})])
    for read in (rows.range, rows.page):
        assert [r.key for r in await read("p", "!", "z", 100)] == keys[:-1]
        assert [r.key for r in await read("p", "a", "aa", 100)] == ["a", "a,", "a-"]
        assert [r.key for r in await read("p", "-", "z", 3)] == ["-", "0", "9"]
        assert await read("p", "b", "c", 5) == []
        assert await read("nobody", "!", "z", 5) == []
    (first,) = await rows.page("p", "a", "z", 1, keys_only=True)
    assert (first.key, first.values) == ("a", {})


async def test_merge_keeps_and_replace_drops_the_others(rows: Rows) -> None:
    (first,) = await rows.write("p", [Insert("a", {"x": 1, "y": "1"})])
    (second,) = await rows.write("p", [Merge("a", {"x": 2, "z": b"3"}, first)])
    assert await row(rows, "a") == Row("a", second, {"x": 2, "y": "1", "z": b"3"})
    (third,) = await rows.write("p", [Replace("a", {"x": 4}, second)])
    assert await row(rows, "a") == Row("a", third, {"x": 4})
    (fourth,) = await rows.write("p", [Merge("a", {"x": 4}, ANY)])
    assert len({first, second, third, fourth}) == 4
    assert await rows.write("p", [Delete("a", fourth)]) == [""]
    assert await rows.get("p", "a") is None


@pytest.mark.parametrize(
    "operation",
    [
        Insert("there", {"x": 2}),
        Merge("there", {"x": 2}, 'W/"other"'),
        Replace("there", {"x": 2}, 'W/"other"'),
        Delete("there", 'W/"other"'),
        Merge("missing", {"x": 2}, ANY),
        Replace("missing", {"x": 2}, ANY),
        Delete("missing"),
    ],
    ids=repr,
)
async def test_a_condition_that_fails_stops_everything(rows: Rows, operation: Operation) -> None:
    (etag,) = await rows.write("p", [Insert("there", {"x": 1})])
    with pytest.raises(Conflict):
        await rows.write("p", [operation])
    with pytest.raises(Conflict):
        await rows.write("p", [Insert("new", {}), operation, Insert("newer", {})])
    assert await rows.range("p", "!", "z", 10) == [Row("there", etag, {"x": 1})]


async def test_a_transaction_gives_etags_in_order(rows: Rows) -> None:
    etags = await rows.write("p", [Insert("a", {}), Insert("b", {}), Insert("c", {})])
    etags = await rows.write(
        "p", [Merge("c", {"x": 1}, etags[2]), Delete("a", etags[0]), Replace("b", {}, etags[1])]
    )
    assert etags[1] == ""
    assert [r.etag for r in await rows.range("p", "!", "z", 9)] == [etags[2], etags[0]]


async def test_removal_takes_what_is_there(rows: Rows) -> None:
    await rows.write("p", [Insert(key, {}) for key in "abcd"])
    await rows.remove("p", ["a", "b"])
    await rows.remove("p", ["b", "c", "x"])
    await rows.remove("p", [])
    await rows.remove("nobody", ["a"])
    assert [r.key for r in await rows.range("p", "!", "z", 9)] == ["d"]


BEFORE = 1_790_000_000_000


async def scanned(rows: Rows, limit: int, *also: str) -> list[tuple[str, Row]]:
    """Everything earlier, page by page."""
    found: list[tuple[str, Row]] = []
    after = None
    while True:
        page = await rows.scan("time", BEFORE, also, limit, after)
        assert len(page.rows) <= limit
        found += page.rows
        if (after := page.cursor) is None:
            return found


async def test_a_scan_finds_what_is_earlier_in_all_partitions(rows: Rows) -> None:
    assert await scanned(rows, 5) == []
    for partition in ("q", "u,b", "a,c"):
        operations: list[Operation] = [
            Insert("b", {"time": BEFORE - 1, "next": 2, "other": "x"}),
            Insert("a", {"time": BEFORE - 2**40, "next": 4}),
            Insert("at", {"time": BEFORE, "next": 2}),
            Insert("later", {"time": BEFORE + 1, "next": 2}),
            Insert("none", {"next": 2}),
        ]
        await rows.write(partition, operations)
    expected = [(partition, key) for partition in ("a,c", "q", "u,b") for key in ("a", "b")]
    for limit in (1, 2, 4, 6, 1000):
        found = await scanned(rows, limit, "next")
        assert [(partition, row.key) for partition, row in found] == expected
    assert [row.values for _, row in found[:2]] == [
        {"time": BEFORE - 2**40, "next": 4},
        {"time": BEFORE - 1, "next": 2},
    ]
    assert [row.values for _, row in await scanned(rows, 9)][1] == {"time": BEFORE - 1}


async def test_a_scan_goes_on_behind_what_is_gone(rows: Rows) -> None:
    for partition in "pqr":
        await rows.write(partition, [Insert(key, {"time": BEFORE - 1}) for key in "ab"])
    page = await rows.scan("time", BEFORE, (), 3)
    assert page.cursor is not None
    for partition in "pq":
        await rows.remove(partition, ["a", "b"])
    rest = await rows.scan("time", BEFORE, (), 9, page.cursor)
    assert [(partition, row.key) for partition, row in rest.rows] == [("r", "a"), ("r", "b")]


async def test_a_scan_is_for_times(rows: Rows) -> None:
    for before in (0, 2**32 - 1, 2**63):
        with pytest.raises(ValueError, match="no time"):
            await rows.scan("time", before, (), 9)


async def test_limits_are_checked_before_anything_is_sent(rows: Rows) -> None:
    refused: dict[str, list[Operation]] = {
        "1 to 100": [Insert(f"k{n}", {}) for n in range(101)],
        "1 to": [],
        "twice": [Insert("a", {}), Delete("a")],
        "65536 bytes": [Insert("a", {"b": bytes(65_537)})],
        "UTF-16": [Insert("a", {"s": "😀" * 16_385})],
        "64 bits": [Insert("a", {"n": 2**63})],
        "property": [Insert("a", {"no-name": 1})],
        "1048576 bytes": [Insert("a", {f"b{n}": bytes(65_000) for n in range(17)})],
        "4194304 bytes": [
            Insert(f"k{m}", {f"b{n}": bytes(65_000) for n in range(15)}) for m in range(4)
        ],
        "is no key": [Insert("a/b", {})],
    }
    for match, operations in refused.items():
        with pytest.raises(ValueError, match=match):
            await rows.write("p", operations)
    for partition, key in (("a'b", "a"), ("a", "a#b"), ("", "a"), ("a", "ü")):
        with pytest.raises(ValueError, match="is no key"):
            await rows.get(partition, key)
    assert await rows.range("p", "!", "z", 9) == []


async def test_what_just_fits_is_taken(rows: Rows) -> None:
    operations = [
        Insert("a", {"b": bytes(65_536), "s": "😀" * 16_384, "t": "x" * 32_768}),
        Insert("b", {f"b{n}": bytes(60_000) for n in range(10)}),
        *(Insert(f"k{n}", {}) for n in range(98)),
    ]
    await rows.write("p", operations)
    assert len(await rows.range("p", "!", "z", 200)) == 100


async def test_ready_may_be_asked_again(rows: Rows) -> None:
    await rows.ready()
    await rows.ready()
