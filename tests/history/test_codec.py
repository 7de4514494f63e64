"""Bodies round-trip, grow only at their end, and refuse what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import Citations, Delta, Error, Reasoning, StoredEvent, ToolCall
from shared.history.codec import (
    MAX_BODY_BYTES,
    PART_BYTES,
    Undecodable,
    body_values,
    decode_runs,
    encode_runs,
    encode_text,
    read_body,
)
from shared.messages import Document

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
OPTIONAL = st.none() | TEXT
DOCUMENT = st.builds(
    Document,
    content=TEXT,
    id=OPTIONAL,
    title=OPTIONAL,
    url=OPTIONAL,
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
EVENT: st.SearchStrategy[StoredEvent] = st.one_of(
    st.builds(Delta, text=TEXT),
    st.builds(Reasoning, text=TEXT),
    st.builds(Citations, documents=st.lists(DOCUMENT, max_size=3).map(tuple)),
    st.builds(ToolCall, index=st.integers(0, 99), id=TEXT, name=TEXT, arguments=TEXT),
    st.builds(Error, code=TEXT, message=TEXT, retryable=st.booleans()),
)


def runs_of(events: list[StoredEvent]) -> tuple[StoredEvent, ...]:
    """What a body says: neighbouring text of one kind merged, empty text left out."""
    runs: list[StoredEvent] = []
    for event in events:
        if isinstance(event, Delta | Reasoning):
            if not event.text:
                continue
            if runs and isinstance(last := runs[-1], type(event)):
                runs[-1] = type(event)(last.text + event.text)
                continue
        runs.append(event)
    return tuple(runs)


@given(st.lists(EVENT, max_size=12))
def test_runs_round_trip(events: list[StoredEvent]) -> None:
    assert decode_runs(encode_runs(events)) == runs_of(events)


@given(st.lists(EVENT, max_size=12), st.integers(0, 12))
def test_a_body_grows_only_at_its_end(events: list[StoredEvent], cut: int) -> None:
    before, after = encode_runs(events[:cut]), encode_runs(events)
    assert after.startswith(before)


@given(st.text())
def test_any_text_has_bytes(text: str) -> None:
    encoded = encode_text(text)
    assert b"\xff" not in encoded
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert encoded.decode() == whole
    (run,) = decode_runs(encode_runs([Delta(f"x{text}")]))
    assert run == Delta(f"x{whole}")


def test_lone_surrogates_in_the_other_events() -> None:
    events: list[StoredEvent] = [
        Citations((Document(content="a\ud800", title="\udfff"),)),
        ToolCall(0, "id", "n\ud800", "{}"),
        Error("c", "m\udc00", True),
    ]
    assert decode_runs(encode_runs(events)) == (
        Citations((Document(content="a\ufffd", title="\ufffd"),)),
        ToolCall(0, "id", "n\ufffd", "{}"),
        Error("c", "m\ufffd", True),
    )


def test_the_form_on_disk() -> None:
    assert encode_runs([Reasoning("h"), Delta("ä"), Delta("b")]) == b"\xffrh\xffd\xc3\xa4b"
    assert encode_runs([]) == b""
    assert decode_runs(b"") == ()


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"x\xffda",
        b"\xff",
        b"\xffd",
        b"\xffz1",
        b"\xffd\xc3",
        b"\xffda\xffdb",
        b"\xffra\xffrb",
        b"\xffc",
        b"\xffc{",
        b"\xffc{}",
        b'\xffc{"type":"delta","text":"x"}',
        b'\xfft{"type":"tool_call","index":"0","id":"","name":"","arguments":""}',
    ],
)
def test_what_is_no_body(body: bytes) -> None:
    with pytest.raises(Undecodable):
        decode_runs(body)


@given(
    size=st.integers(0, MAX_BODY_BYTES),
    stored=st.integers(0, MAX_BODY_BYTES),
    same=st.booleans(),
)
def test_merging_what_changed_makes_the_body(size: int, stored: int, same: bool) -> None:
    old = b"x" * stored
    new = (b"x" if same else b"y") * size
    row = body_values(old)
    changed = body_values(new, old)
    assert read_body({**row, **changed}) == new
    assert all(len(v) <= PART_BYTES for v in changed.values() if isinstance(v, bytes))
    if same and size >= stored:
        parts = [name for name in changed if name != "size"]
        assert len(parts) <= (size - stored) // PART_BYTES + 2
        assert parts or size == stored


def test_a_body_has_a_limit() -> None:
    assert len(body_values(b"x" * MAX_BODY_BYTES)) == 11
    with pytest.raises(ValueError, match="600001"):
        body_values(b"x" * (MAX_BODY_BYTES + 1))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size": True},
        {"size": 1.0},
        {"size": -1},
        {"size": MAX_BODY_BYTES + 1},
        {"size": 3, "b0": b"ab"},
        {"size": 1, "b0": b"ab"},
        {"size": 2, "b0": "ab"},
        {"size": 60_001, "b0": b"x" * 60_000},
    ],
)
def test_what_is_no_row_with_a_body(values: dict[str, str | bytes | int]) -> None:
    with pytest.raises(Undecodable):
        read_body(values)
