"""Facts reach the sink in order; what waits is bounded; a failure hinders nobody."""

import asyncio
import logging
import threading

import pytest

from shared.telemetry.facts import (
    CALL,
    TURN,
    Facts,
    LogFacts,
    NoTelemetry,
    RequestFacts,
    StoreCall,
    begin_call,
    current_span,
    hashed,
    new_turn,
)
from shared.telemetry.observed import observed
from shared.telemetry.recorder import MOST_WAITING, Recorder

CALLS = [StoreCall(f"call-{number}", number, number + 1) for number in range(5)]


class Kept:
    """A sink that keeps what it takes, fails where it is told to, and can be held up."""

    def __init__(self) -> None:
        self.facts: list[Facts] = []
        self.failing: Facts | None = None
        self.open = threading.Event()
        self.open.set()
        self.closed = False

    def take(self, facts: Facts) -> None:
        self.open.wait(20)
        if facts is self.failing:
            raise RuntimeError("no")
        self.facts.append(facts)

    def close(self, seconds: float) -> None:
        self.closed = True


def test_what_came_before_the_start_is_told_as_well() -> None:
    sink = Kept()
    recorder = Recorder(lambda: sink)
    recorder.record(CALLS[0])
    recorder.start()
    recorder.record(CALLS[1])
    recorder.close()
    assert sink.facts == CALLS[:2]
    assert sink.closed


def test_what_waits_is_told_even_where_it_was_never_started() -> None:
    sink = Kept()
    recorder = Recorder(lambda: sink)
    recorder.record(CALLS[0])
    recorder.close()
    assert sink.facts == CALLS[:1]


def test_nothing_is_opened_for_nothing() -> None:
    def never() -> Kept:
        raise AssertionError

    Recorder(never).close()


def test_a_sink_that_cannot_be_opened_hinders_no_closing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Kept:
        raise ValueError("no such destination")

    recorder = Recorder(broken)
    recorder.record(CALLS[0])
    recorder.close()
    assert "What waited to be told is lost." in caplog.messages


def test_it_starts_once() -> None:
    opened: list[Kept] = []

    def open_sink() -> Kept:
        opened.append(Kept())
        return opened[-1]

    recorder = Recorder(open_sink)
    recorder.start()
    recorder.start()
    recorder.close()
    assert len(opened) == 1


def test_one_that_cannot_be_told_does_not_stop_the_others() -> None:
    sink = Kept()
    sink.failing = CALLS[1]
    recorder = Recorder(lambda: sink)
    recorder.start()
    for call in CALLS:
        recorder.record(call)
    recorder.close()
    assert sink.facts == [CALLS[0], *CALLS[2:]]


def test_what_has_no_room_is_left_out_and_counted() -> None:
    sink = Kept()
    recorder = Recorder(lambda: sink)
    for _ in range(MOST_WAITING + 3):
        recorder.record(CALLS[0])
    assert recorder.dropped == 3
    recorder.start()
    recorder.close()
    assert len(sink.facts) == MOST_WAITING


def test_a_sink_that_hangs_is_left_after_the_time() -> None:
    sink = Kept()
    sink.open.clear()
    recorder = Recorder(lambda: sink)
    recorder.start()
    recorder.record(CALLS[0])
    recorder.close(seconds=0.01)
    assert sink.facts == []
    sink.open.set()


def logged(*lines: tuple[str, int, str], error: Exception | None = None) -> list[LogFacts]:
    sink = Kept()
    recorder = Recorder(lambda: sink, logs=True)
    try:
        for name, level, text in lines:
            logging.getLogger(name).log(level, text, exc_info=error)
    finally:
        recorder.close()
    logging.getLogger("shared.x").warning("This is said after the end.")
    return [facts for facts in sink.facts if isinstance(facts, LogFacts)]


def test_the_log_is_told_but_for_those_who_bring_it_away() -> None:
    lines = (
        ("shared.turns", logging.WARNING, "one"),
        ("asyncio", logging.ERROR, "two"),
        ("asyncio", logging.INFO, "no"),
        ("opentelemetry.sdk", logging.ERROR, "no"),
        ("azure.monitor.exporter", logging.ERROR, "no"),
    )
    facts = logged(*lines)
    assert [(f.logger, f.severity, f.text) for f in facts] == [
        ("shared.turns", logging.WARNING, "one"),
        ("asyncio", logging.ERROR, "two"),
    ]
    assert {f.error for f in facts} == {None}


def test_an_exception_is_told_with_its_traceback() -> None:
    (facts,) = logged(("shared.x", logging.ERROR, "broken"), error=ValueError("why"))
    assert facts.error is not None
    kind, message, trace = facts.error
    assert (kind, message) == ("ValueError", "why")
    assert trace.endswith("ValueError: why\n")


def test_a_line_knows_the_turn_that_it_was_written_in() -> None:
    async def written() -> None:
        call = begin_call("chat", "i", f"00-{'a' * 32}-{'b' * 16}-01")
        assert current_span() == call.span == (int("a" * 32, 16), 0, int("b" * 16, 16))
        turn = new_turn("default", "m", None, "c")
        assert turn.span[:2] == (call.span.trace, call.span.id)
        assert current_span() == turn.span
        assert (turn.began, turn.invocation) == (call.began, "i")

    asyncio.run(written())
    assert [CALL.get(), TURN.get(), current_span()] == [None] * 3


def test_a_call_without_the_hosts_trace_begins_one() -> None:
    async def begun(parent: str | None) -> tuple[int, int, int]:
        return begin_call("chat", "i", parent).span

    for parent in (None, "", "00-zz-1-01", f"00-{'a' * 32}-{'b' * 16}-01-more"):
        trace, above, span = asyncio.run(begun(parent))
        assert trace
        assert (above, span) == (0, 0)


async def test_a_store_is_observed_with_what_fails() -> None:
    class Store:
        async def good(self, number: int, *, more: int = 0) -> int:
            return number + more

        async def bad(self) -> None:
            raise KeyError("x")

    kept: list[Facts] = []

    class Telling(NoTelemetry):
        def record(self, facts: Facts) -> None:
            kept.append(facts)

    store = observed(Store(), Telling())
    turn = new_turn("default", "m", None, None)
    assert [await store.good(1, more=2), await store.good(5)] == [3, 5]
    with pytest.raises(KeyError, match="x"):
        await store.bad()
    calls = [facts for facts in kept if isinstance(facts, StoreCall)]
    assert [(call.operation, call.error) for call in calls] == [
        ("good", None),
        ("good", None),
        ("bad", "KeyError"),
    ]
    assert all(call.began <= call.ended for call in calls)
    assert (turn.calls, turn.store_calls, turn.checkpoints) == (calls, 3, 0)


def test_a_long_turns_calls_are_counted_and_only_the_first_kept() -> None:
    turn = new_turn("default", "m", None, None)
    for number in range(1000):
        turn.called(StoreCall("save", number, number))
    assert (turn.store_calls, turn.checkpoints, len(turn.calls)) == (1000, 1000, 64)


def test_a_hash_is_stable_and_no_key() -> None:
    assert hashed("tour") == hashed("tour") != hashed("tour2")
    assert "tour" not in hashed("tour")
    assert len(hashed("x" * 64)) == 16


def test_nowhere_takes_everything() -> None:
    call = begin_call("chat", "i", None)
    NoTelemetry().record(RequestFacts(call, 1, "x"))
    assert NoTelemetry().content is False
