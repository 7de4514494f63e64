"""What a caller reads: texts with their times and positions, and what is no event stream."""

import json
from itertools import count
from typing import Any

import pytest

from chaos.events import SSE, EventReader
from chaos.history import End, Sighting, Way

NDJSON = "application/x-ndjson"
START = {"type": "start", "position": "0.1"}
END = {
    "type": "end",
    "position": "2.0",
    "finishReason": "stop",
    "usage": {"totalTokens": 1},
    "result": {"response": "aé"},
}


def delta(text: str, position: str) -> dict[str, Any]:
    return {"type": "delta", "text": text, "position": position}


def encoded(event: dict[str, Any], kind: str) -> bytes:
    data = json.dumps(event, ensure_ascii=False).encode()
    if kind == NDJSON:
        return data + b"\n"
    return f"id: {event['position']}\ndata: ".encode() + data + b"\n\n"


def reading(kind: str = SSE, way: Way = "post", before: str = "") -> tuple[EventReader, Sighting]:
    sighting = Sighting("main", way, 0, 0.0, before=before)
    times = count(1)
    return EventReader(sighting, kind, lambda: float(next(times))), sighting


@pytest.mark.parametrize("kind", [SSE, NDJSON])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_are_read_however_they_are_cut(kind: str, size: int) -> None:
    beat = b"\n" if kind == NDJSON else b": keep-alive\n\n"
    parts = [encoded(e, kind) for e in (START, delta("a", "1.1"), delta("é", "1.2"), END)]
    body = beat.join(parts)
    reader, sighting = reading(kind)
    for start in range(0, len(body), size):
        reader.feed(body[start : start + size])
    assert (sighting.text, sighting.end) == ("aé", End("stop", "aé", {"totalTokens": 1}))
    assert [have for _, have in sighting.marks] == ([2] if size == 1000 else [1, 2])
    assert (reader.position, reader.told, reader.torn) == ("2.0", "aé", False)
    assert not sighting.strange


def test_what_was_told_before_a_position_counts() -> None:
    reader, sighting = reading(way="attach", before="a")
    reader.feed(encoded(delta("é", "1.2"), SSE))
    assert (sighting.whole, reader.told) == ("aé", "aé")
    assert (sighting.seen_at(1), sighting.seen_at(2)) == (0.0, 1.0)
    reader.feed(b"id: 2.0\ndata: {")
    assert reader.torn


@pytest.mark.parametrize(
    "frames",
    [
        [encoded(END, SSE)],
        [encoded(START, SSE), encoded(START, SSE)],
        [encoded(START, SSE), encoded(END, SSE), encoded(END, SSE)],
        [b"data: {}\n\n"],
        [b'id: 1.1\ndata: {"position": "1.2", "type": "start"}\n\n'],
        [b"id: 1.1\ndata: [\n\n"],
        [b"id: 1.1\ndata: []\n\n"],
        [encoded(START, SSE), b'id: 1.1\ndata: {"type": "delta", "position": "1.1"}\n\n'],
    ],
)
def test_what_is_no_stream_of_events_is_strange(frames: list[bytes]) -> None:
    reader, sighting = reading()
    for frame in frames:
        reader.feed(frame)
    assert sighting.strange
