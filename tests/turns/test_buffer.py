"""Positions are exact however text was cut, and a slow watcher slows nobody."""

import asyncio
import itertools
import json
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import (
    BEGINNING,
    Citations,
    Delta,
    End,
    Error,
    Event,
    Piece,
    Position,
    Reasoning,
    Start,
    ToolCall,
)
from shared.history.codec import encode_runs
from shared.messages import Document, Usage
from shared.models.pieces import PieceReader
from shared.turns.buffer import LATEST, Entry, TurnBuffer, Watch
from tests.turns.bench import read_all
from tests.turns.clock_loop import ClockLoop, in_virtual_time, settle

START = Start("c1", "t1", "default", "gpt", True)
USAGE = Usage(1, 2, 3)
CALL = ToolCall(0, "id", "name", "{}")

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
events = st.lists(
    st.one_of(
        text.map(Delta),
        text.map(Reasoning),
        st.just(CALL),
        st.just(Error("overloaded", "x", True)),
        st.just(Citations((Document(content="", title="T"),))),
    ),
    max_size=12,
)


class Writer:
    """A caller; `door` closed: it is slow."""

    def __init__(self) -> None:
        self.reads: list[Sequence[Entry]] = []
        self.door = asyncio.Event()
        self.door.set()

    async def __call__(self, entries: Sequence[Entry]) -> None:
        self.reads.append(entries)
        await self.door.wait()

    @property
    def events(self) -> list[Event]:
        return [entry.event for entries in self.reads for entry in entries]


class CountingEncoder:
    def __init__(self, key: str | None) -> None:
        self.key = key
        self.encoded = 0

    def encode(self, event: Event, position: Position) -> bytes:
        self.encoded += 1
        return f"{event}{position}".encode()


def filled(given: Sequence[Event]) -> TurnBuffer:
    buffer = TurnBuffer()
    buffer.extend(given)
    return buffer


def merged(given: Sequence[Event]) -> list[Event]:
    """Neighbouring text of one kind as one."""
    result: list[Event] = []
    for event in given:
        last = result[-1] if result else None
        if isinstance(event, Delta) and isinstance(last, Delta):
            result[-1] = Delta(last.text + event.text)
        elif isinstance(event, Reasoning) and isinstance(last, Reasoning):
            result[-1] = Reasoning(last.text + event.text)
        else:
            result.append(event)
    return result


def whole(given: Sequence[Event]) -> list[Event]:
    answer = "".join(e.text for e in given if isinstance(e, Delta))
    return [START, *given, End("stop", USAGE, answer)]


def run[T](work: asyncio.Future[T] | object) -> T:
    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        return runner.run(work)  # type: ignore[arg-type]


@given(events, st.data())
def test_what_follows_any_position_is_exactly_the_rest(given: list[Event], data: st.DataObject):
    told = whole(given)

    async def check() -> None:
        seen = data.draw(st.integers(0, len(told)))
        buffer = filled(told)
        entries = await read_all(Watch(buffer, BEGINNING, 15.0))
        assert [entry.event for entry in entries] == told
        position = entries[seen - 1].position if seen else BEGINNING
        if seen == len(told):
            assert Watch(buffer, position, 15.0).ended
        rest = [e.event for e in await read_all(Watch(buffer, position, 15.0))]
        assert merged(rest) == merged(told[seen:])

    run(check())


@given(events, st.data())
def test_positions_do_not_depend_on_how_text_was_cut(given: list[Event], data: st.DataObject):
    told = whole(given)
    cut: list[Event] = []
    for event in told:
        if isinstance(event, Delta | Reasoning):
            at = data.draw(st.integers(0, len(event.text)))
            cut += [type(event)(event.text[:at]), type(event)(event.text[at:])]
        else:
            cut.append(event)
    one, other = filled(told), filled(cut)
    assert one.stored == other.stored
    assert one.size == other.size
    for run_number, offset in itertools.product(range(5), range(5)):
        position = Position(run_number, offset)
        assert one.entries_after(position) == other.entries_after(position)


@given(events)
def test_the_size_is_what_the_store_needs(given: list[Event]) -> None:
    assert filled(whole(given)).size == len(encode_runs(given))  # type: ignore[arg-type]


@given(events, st.integers(0, 20), st.integers(0, 20))
def test_a_watcher_may_come_at_any_time_with_any_position(
    given: list[Event], before: int, run_number: int
) -> None:
    """One that is ahead of what this instance knows gets the rest once it is known, once."""
    told = whole(given)

    async def check() -> None:
        entries = filled(told).entries_after(BEGINNING)
        position = entries[min(run_number, len(entries) - 1)].position
        buffer = filled(told[:before])
        watch = Watch(buffer, position, 15.0)
        writer = Writer()
        piping = asyncio.ensure_future(watch.pipe(writer))
        await settle()
        for event in told[before:]:
            buffer.append(event)
        await piping
        assert merged(writer.events) == merged(
            [entry.event for entry in filled(told).entries_after(position)]
        )

    run(check())


@pytest.mark.parametrize("position", [Position(1, 3), Position(2, 1), Position(3, 7)])
def test_a_position_beyond_what_survived_gets_the_end(position: Position) -> None:
    buffer = filled([START, Delta("abc"), End("incomplete", USAGE, "abc")])
    assert [e.event for e in buffer.entries_after(position)] == [buffer.end]


@pytest.mark.parametrize("run", [1, 2, 9])
def test_nothing_comes_after_an_end_that_was_seen_where_more_or_less_had_survived(
    run: int,
) -> None:
    buffer = filled([START, Delta("abc"), End("incomplete", USAGE, "abc")])
    assert buffer.entries_after(Position(run, 0)) == []


def test_only_the_end_has_its_position() -> None:
    """What an instance that died had shown beyond its last checkpoint is no end."""
    shown = filled([START, Delta("abc"), CALL]).entries_after(BEGINNING)[-1].position
    stored = filled([START, Delta("abc"), End("incomplete", USAGE, "abc")])
    assert [e.event for e in stored.entries_after(shown)] == [stored.end]
    assert stored.entries_after(stored.entries_after(BEGINNING)[-1].position) == []


def test_empty_text_is_no_event() -> None:
    buffer = filled([START, Delta(""), Reasoning("")])
    assert (buffer.count, buffer.stored, buffer.size) == (1, (), 0)


@in_virtual_time
async def test_an_event_reaches_the_wire_in_the_stride_of_who_appends() -> None:
    buffer, writer = filled([START]), Writer()
    piping = asyncio.ensure_future(Watch(buffer, BEGINNING, 15.0).pipe(writer))
    await settle()
    buffer.append(Delta("a"))
    assert writer.events == [START, Delta("a")]
    buffer.append(Delta("b"))
    assert [len(entries) for entries in writer.reads] == [1, 1, 1]
    buffer.append(End("stop", USAGE, "ab"))
    await piping


@in_virtual_time
async def test_a_slow_watcher_gets_merged_text_and_nobody_waits_for_it() -> None:
    buffer, slow, fast = filled([START]), Writer(), Writer()
    slow.door.clear()
    watches = [Watch(buffer, BEGINNING, 15.0) for _ in range(2)]
    piping = [asyncio.ensure_future(w.pipe(s)) for w, s in zip(watches, (slow, fast), strict=True)]
    await settle()
    for number in range(LATEST + 50):
        buffer.append(Delta(f"{number},"))
    assert len(fast.events) == LATEST + 51
    assert slow.events == [START]
    assert len(buffer._latest) == LATEST
    slow.door.set()
    await settle()
    assert slow.events == merged(fast.events)
    buffer.append(End("stop", USAGE, ""))
    await asyncio.gather(*piping)


@in_virtual_time
async def test_a_watcher_that_is_a_little_slow_gets_events_as_they_came_in_one_write() -> None:
    buffer, slow = filled([START]), Writer()
    slow.door.clear()
    piping = asyncio.ensure_future(Watch(buffer, BEGINNING, 15.0).pipe(slow))
    await settle()
    buffer.extend([Delta("a"), Delta("b"), End("stop", USAGE, "ab")])
    slow.door.set()
    await piping
    assert [len(entries) for entries in slow.reads] == [1, 3]


def test_a_format_encodes_an_event_once() -> None:
    buffer = filled([START, Delta("a")])
    encoders = [CountingEncoder("sse"), CountingEncoder("sse"), CountingEncoder("text")]
    frames = [e.frame(encoder) for encoder in encoders for e in buffer.entries_from(0) or ()]
    assert [encoder.encoded for encoder in encoders] == [2, 0, 2]
    assert frames[:2] == frames[2:4]


def test_an_encoder_that_keeps_what_it_saw_sees_everything() -> None:
    buffer = filled([START])
    encoders = [CountingEncoder(None), CountingEncoder(None)]
    for encoder in encoders:
        for entry in buffer.entries_from(0) or ():
            entry.frame(encoder)
            assert entry.frames == {}
    assert [encoder.encoded for encoder in encoders] == [1, 1]


@in_virtual_time
async def test_a_heartbeat_after_every_silence() -> None:
    buffer, writer = filled([START]), Writer()
    piping = asyncio.ensure_future(Watch(buffer, BEGINNING, 15.0).pipe(writer))
    await asyncio.sleep(10)
    buffer.append(Delta("a"))
    await asyncio.sleep(14.9)
    assert [] not in [list(entries) for entries in writer.reads]
    await asyncio.sleep(0.2)
    assert [len(entries) for entries in writer.reads] == [1, 1, 0]
    await asyncio.sleep(15)
    assert [len(entries) for entries in writer.reads] == [1, 1, 0, 0]
    buffer.append(End("stop", USAGE, "a"))
    await piping


@in_virtual_time
async def test_a_heartbeat_at_once_where_there_is_nothing_to_begin_with() -> None:
    buffer, writer = filled([START, Delta("a")]), Writer()
    seen = buffer.entries_after(BEGINNING)[-1].position
    piping = asyncio.ensure_future(Watch(buffer, seen, 15.0).pipe(writer))
    await settle()
    assert [len(entries) for entries in writer.reads] == [0]
    buffer.append(Delta("b"))
    buffer.append(End("stop", USAGE, "ab"))
    await piping
    assert [len(entries) for entries in writer.reads] == [0, 1, 1]


@in_virtual_time
async def test_no_heartbeat_after_the_end() -> None:
    buffer, writer = filled([START, Delta("a"), End("stop", USAGE, "a")]), Writer()
    seen = buffer.entries_after(BEGINNING)[-1].position
    await Watch(buffer, seen, 15.0).pipe(writer)
    assert writer.reads == []


@in_virtual_time
async def test_no_heartbeat_while_a_write_waits_and_events_that_come_in_one_follow() -> None:
    buffer, writer = filled([START]), Writer()
    piping = asyncio.ensure_future(Watch(buffer, BEGINNING, 15.0).pipe(writer))
    await settle()
    writer.door.clear()
    await asyncio.sleep(50)
    assert [len(entries) for entries in writer.reads] == [1, 0]
    buffer.append(End("stop", USAGE, ""))
    writer.door.set()
    await piping
    assert [len(entries) for entries in writer.reads] == [1, 0, 1]


@in_virtual_time
@pytest.mark.parametrize("when", ["event", "heartbeat"])
async def test_what_a_write_raises_ends_the_watch_and_not_the_turn(when: str) -> None:
    buffer = filled([START])
    closed: list[Watch] = []

    async def write(entries: Sequence[Entry]) -> None:
        if (when == "heartbeat") == (not entries):
            raise OSError("The socket is gone.")

    watch = Watch(buffer, BEGINNING, 15.0, closed.append)
    with pytest.raises(OSError, match="gone"):
        await watch.pipe(write)
    assert closed == [watch]
    buffer.append(Delta("a"))
    assert buffer.text == "a"


@in_virtual_time
async def test_close_ends_the_pipe_even_in_a_write_and_is_told_once() -> None:
    buffer, writer = filled([START]), Writer()
    writer.door.clear()
    closed: list[Watch] = []
    watch = Watch(buffer, BEGINNING, 15.0, closed.append)
    piping = asyncio.ensure_future(watch.pipe(writer))
    await settle()
    watch.close()
    watch.close()
    await piping
    assert watch.ended
    assert closed == [watch]
    buffer.append(Delta("a"))
    assert writer.events == [START]


@in_virtual_time
async def test_a_watch_that_was_closed_before_writes_nothing() -> None:
    writer = Writer()
    watch = Watch(filled([START]), BEGINNING, 15.0)
    watch.close()
    await watch.pipe(writer)
    assert writer.reads == []


@in_virtual_time
async def test_a_cancelled_pipe_leaves() -> None:
    buffer, writer = filled([START]), Writer()
    closed: list[Watch] = []
    watch = Watch(buffer, BEGINNING, 15.0, closed.append)
    piping = asyncio.ensure_future(watch.pipe(writer))
    await settle()
    piping.cancel()
    await asyncio.wait({piping})
    assert closed == [watch]
    buffer.remove(watch)
    buffer.append(Delta("a"))
    assert writer.events == [START]


@pytest.mark.parametrize("likely", [None, 0, 20])
def test_pieces_take_no_more_memory_than_is_counted(likely: int | None) -> None:
    """`likely`: how many tokens each piece tells the probabilities of besides its own."""
    token = {"token": " word", "logprob": -12.345678, "bytes": [32, 119, 111, 114, 100]}
    logprobs = None if likely is None else {"content": [token | {"top_logprobs": [token] * likely}]}
    choice = {"index": 0, "delta": {"content": " word"}, "logprobs": logprobs}
    chunk = json.dumps({"choices": [choice]}).encode()
    buffer, reader = TurnBuffer(), PieceReader(1)
    tracemalloc.start()
    try:
        for _ in range(2000):
            buffer.extend(event for event in reader.read([chunk]) if isinstance(event, Piece))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert buffer.count == 2000
    assert taken <= buffer.size
