"""Questions and answers of any size up to the limit, in any text."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.events import Delta
from shared.history import keys
from shared.history.codec import MAX_BODY_BYTES, PART_BYTES, decode_runs, encode_runs
from shared.history.memory import MemoryRows
from shared.history.rows import Rows
from shared.history.store import Store
from shared.messages import ToolResult
from tests.contracts.acting import MINE, NOW, USAGE, answer_of, begin, stored

SIZES = sorted(
    {0, 1}
    | {part * PART_BYTES + more for part in (1, 2, 9) for more in (-1, 0, 1)}
    | {MAX_BODY_BYTES - 2}
)
TEXTS = {
    "NUL": "a\x00b",
    "line separators": "a\u2028b\u2029c\u0085d\r\ne",
    "right to left": "\u202eabc\u05d0\u0627",
    "astral": "😀" * 40,
    "multipart": "\r\n--changeset_1--\r\n--batch_1--\r\nHTTP/1.1 500 No\r\n",
    "JSON": '{"odata.error":{"code":"TableNotFound"}}\\"',
    "private and unassigned": "\ue000\U0010ffff\ufffe",
}


@pytest.mark.parametrize("size", SIZES)
async def test_bodies_of_every_size(store: Store, size: int) -> None:
    text = ("abcdefg" * (size // 7 + 1))[:size]
    begun = await begin(store, question=text)
    begun = await store.finish(begun, encode_runs([Delta(text)]), "stop", USAGE, 0)
    view = await store.read(MINE, 2)
    assert view.answers[0].text == text
    assert view.questions[0].text == text


@pytest.mark.parametrize("shift", range(4))
async def test_characters_across_the_edges_of_properties(store: Store, shift: int) -> None:
    text = "x" * shift + "😀" * (PART_BYTES // 4 * 3)
    begun = await begin(store, question=text)
    begun = await store.save(begun, encode_runs([Delta(text[:20_000])]), NOW)
    begun = await store.save(begun, encode_runs([Delta(text)]), NOW)
    assert (await answer_of(store, begun)).text == text
    question = (await store.read(MINE, 2)).question(0)
    assert question is not None
    assert question.text == text


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_any_text(store: Store, text: str) -> None:
    begun = await begin(store, question=text)
    await store.finish(begun, encode_runs([Delta(text)]), "stop", USAGE, 0)
    view = await store.read(MINE, 2)
    assert (view.questions[0].text, view.answers[0].text) == (text, text)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_any_text_as_a_result(store: Store, text: str) -> None:
    results = (ToolResult(id=text, content=text), ToolResult(id="b", content=text * 2000))
    await begin(store, results=results)
    assert (await store.read(MINE, 2)).questions[0].results == results


async def test_lone_surrogates_become_replacement_characters(store: Store) -> None:
    begun = await begin(store, question="a\ud800b", title="t\udfff", model="m\ud800")
    view = await store.read(MINE, 2)
    assert view.questions[0].text == "a\ufffdb"
    assert view.head == begun.head
    assert view.answers == (begun.answer,)
    assert (begun.head.title, begun.answer.model) == ("t\ufffd", "m\ufffd")
    results = (ToolResult(id="\ud800", content="a\udfffb"),)
    await begin(store, "t2", results=results)
    view = await store.read(MINE, 2)
    assert view.questions[0].results == (ToolResult(id="\ufffd", content="a\ufffdb"),)


@settings(
    deadline=None,
    derandomize=True,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.integers(0, 90_000), min_size=1, max_size=8))
async def test_a_body_may_grow_in_any_steps(rows: Rows, steps: list[int]) -> None:
    store = Store(rows)
    head = await store.head(MINE)
    begun = await begin(store, f"n{head.next if head else 0}")
    text = ""
    for step in steps:
        text = (text + "äb" * step)[: (MAX_BODY_BYTES - 2) // 3 * 2]
        begun = await store.save(begun, encode_runs([Delta(text)] if text else []), NOW)
        assert (await answer_of(store, begun)).text == text


class _Watched(MemoryRows):
    """Notes which properties each write sets."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[set[str]] = []

    async def write(self, partition, operations):
        self.names.append({n for o in operations for n in getattr(o, "values", {})})
        return await super().write(partition, operations)


async def test_a_checkpoint_writes_only_what_changed() -> None:
    rows = _Watched()
    store = Store(rows)
    begun = await begin(store)

    async def saved(size: int) -> set[str]:
        nonlocal begun
        begun = await store.save(begun, encode_runs([Delta("x" * (size - 2))]), NOW)
        return rows.names[-1]

    assert await saved(100) == {"b0", "size", "lease"}
    assert await saved(100) == {"size", "lease"}
    assert await saved(PART_BYTES - 1) == {"b0", "size", "lease"}
    assert await saved(PART_BYTES) == {"b0", "size", "lease"}
    assert await saved(PART_BYTES + 1) == {"b1", "size", "lease"}
    assert await saved(PART_BYTES * 2 + 1) == {"b1", "b2", "size", "lease"}
    assert await saved(MAX_BODY_BYTES) == {f"b{n}" for n in range(2, 10)} | {"size", "lease"}
    begun = await store.finish(begun, begun.answer.body, "length", USAGE, 0)
    assert not {n for n in rows.names[-1] if n.startswith("b")}
    with pytest.raises(ValueError, match="600000"):
        await store.save(begun, b"\xffd" + b"x" * MAX_BODY_BYTES, NOW)


async def test_a_body_that_is_no_continuation_is_written_whole(store: Store, rows: Rows) -> None:
    begun = await begin(store)
    begun = await store.save(begun, encode_runs([Delta("x" * 150_000)]), NOW)
    begun = await store.save(begun, encode_runs([Delta("short")]), NOW)
    assert (await answer_of(store, begun)).text == "short"
    row = (await stored(rows, MINE))[keys.message("c1", 1)]
    assert decode_runs(row["b0"]) == (Delta("short"),)  # type: ignore[arg-type]


async def test_the_largest_transaction_is_taken(store: Store) -> None:
    body = encode_runs([Delta("😀" * 149_999)])
    begun = await begin(store, question="q" * MAX_BODY_BYTES, body=body)
    view = await store.read(MINE, 2)
    assert view.answers == (begun.answer,)
    assert len(view.questions[0].text) == MAX_BODY_BYTES
