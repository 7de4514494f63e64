"""A model's stream: however it is cut it says the same, and nothing that it says breaks the app."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ChatError
from shared.events import Delta, Finish, ModelEvent, Reasoning, ToolCall
from shared.models.chunks import ChunkReader
from shared.models.pieces import PieceReader
from shared.models.sse import MAX_EVENT_BYTES, SseDecoder
from tests.fuzz.examples import damaged, encoded, fuzzed, mutated, texts, values

CHUNKS = (
    {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}]},
    {"choices": [{"index": 0, "delta": {"content": "lo \U0001f600"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"reasoning_content": "hm"}}]},
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "a"}]},
                        {"type": "text", "text": "b"},
                    ]
                },
            }
        ]
    },
    {
        "choices": [
            {
                "index": 0,
                "delta": {
                    "tool_calls": [
                        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{"}}
                    ]
                },
            }
        ]
    },
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "total_tokens": 5,
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    },
    {"error": {"message": "no", "code": "server_error"}},
    {
        "choices": [
            {
                "index": 0,
                "finish_reason": "content_filter",
                "content_filter_results": {"hate": {"filtered": True}},
            }
        ]
    },
)
READERS = [ChunkReader, lambda: PieceReader(2)]
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(b"data: " + encoded(chunk) + b"\n\n" for chunk in CHUNKS[:8]) + DONE


def read(pieces: list[bytes], reader: ChunkReader | PieceReader) -> list[ModelEvent]:
    """What a stream of these reads says, joined as one; the error that ends it at the end."""
    decoder = SseDecoder()
    events: list[ModelEvent] = []
    try:
        for piece in pieces:
            events += reader.read(decoder.feed(piece))
            if reader.done or reader.failure:
                break
        if not (reader.done or reader.failure):
            events += reader.read(decoder.end())
        events += reader.end()
    except ChatError as error:
        assert error.status >= 400
    if reader.failure is not None:
        assert isinstance(reader.failure, ChatError)
        assert reader.failure.message.isprintable()
    return joined(events)


def joined(events: list[ModelEvent]) -> list[ModelEvent]:
    """Neighbouring text as one, and one `Finish` at the end, as a turn makes of them."""
    made: list[ModelEvent] = []
    finish = Finish()
    for event in events:
        last = made[-1] if made else None
        if isinstance(event, Finish):
            finish = Finish(
                event.reason or finish.reason,
                event.usage or finish.usage,
                event.reasoning_tokens or finish.reasoning_tokens,
                event.filtered or finish.filtered,
            )
        elif isinstance(event, Delta | Reasoning) and type(last) is type(event):
            made[-1] = type(event)(last.text + event.text)
        else:
            made.append(event)
    return [*made, finish]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(marks)]


def text_of(events: list[ModelEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


_places = st.lists(st.integers(0, 10_000), max_size=12)


@fuzzed(400)
@given(_places, st.booleans())
def test_however_it_is_cut_it_says_the_same(places: list[int], crlf: bool) -> None:
    stream = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    told = read(cut(stream, places), ChunkReader())
    assert told == read([STREAM], ChunkReader())
    assert text_of(told) == "Hello \U0001f600b"
    assert any(isinstance(event, ToolCall) for event in told)
    (finish,) = [event for event in told if isinstance(event, Finish)]
    assert (finish.reason, finish.reasoning_tokens) == ("tool_calls", 1)  # as it has calls


@fuzzed(400)
@given(st.lists(texts, max_size=6), _places)
def test_text_comes_as_it_was_sent(said: list[str], places: list[int]) -> None:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in said]
    data = b"".join(b"data: " + encoded(chunk) + b"\n\n" for chunk in chunks) + DONE
    assert text_of(read(cut(data, places), ChunkReader())) == "".join(said)


@pytest.mark.parametrize("reader", READERS)
def test_any_chunks(reader: Callable[[], ChunkReader | PieceReader]) -> None:
    @fuzzed(500)
    @given(st.lists(st.one_of(mutated(*CHUNKS), values), max_size=5), _places)
    def example(chunks: list[Any], places: list[int]) -> None:
        data = b"".join(b"data: " + encoded(chunk) + b"\n\n" for chunk in chunks)
        assert read(cut(data, places), reader()) == read([data], reader())

    example()


@pytest.mark.parametrize("reader", READERS)
def test_any_bytes(reader: Callable[[], ChunkReader | PieceReader]) -> None:
    @fuzzed(400)
    @given(st.one_of(damaged(STREAM), st.binary(max_size=200)), _places)
    def example(data: bytes, places: list[int]) -> None:
        read(cut(data, places), reader())

    example()


@pytest.mark.parametrize("piece", [b"data: " + b"x" * 50_000, b"data: x\n", b"x" * 70_000])
def test_a_stream_without_an_end_of_its_events_is_given_up(piece: bytes) -> None:
    decoder = SseDecoder()

    def feed() -> None:
        for _ in range(20 * MAX_EVENT_BYTES // len(piece)):
            decoder.feed(piece)

    with pytest.raises(ChatError, match="too long"):
        feed()
