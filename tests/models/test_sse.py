"""The decoder of server-sent events: pure bytes in, `data` out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ModelUnavailable
from shared.models.sse import MAX_EVENT_BYTES, SseDecoder


def decode(*reads: bytes) -> list[bytes]:
    decoder = SseDecoder()
    return [data for read in reads for data in decoder.feed(read)] + decoder.end()


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: one\n\n", [b"one"]),
        (b"data:one\n\n", [b"one"]),
        (b"data:  one\n\n", [b" one"]),
        (b"data: one\r\n\r\ndata: two\r\n\r\n", [b"one", b"two"]),
        (b"data: one\r\n\n", [b"one"]),
        (b"data: one\n\ndata: two\n\n", [b"one", b"two"]),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b": keep-alive\n\ndata: one\n\n", [b"one"]),
        (b"event: x\nid: 1\nretry: 5\ndata: one\n\n", [b"one"]),
        (b"data: one\n: comment\n\n", [b"one"]),
        (b"data: one\n", [b"one"]),
        (b"data: one", [b"one"]),
        (b"data:\n\n", [b""]),
        (b"datax: one\n\n", []),
        (b"\n\n\n", []),
        (b"", []),
        ("data: a\u2028b\u2029c\u0085d\n\n".encode(), ["a\u2028b\u2029c\u0085d".encode()]),
    ],
)
def test_a_stream_is_the_same_however_it_is_cut(stream: bytes, data: list[bytes]) -> None:
    assert decode(stream) == data
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == data
    for cut in range(len(stream)):
        assert decode(stream[:cut], stream[cut:]) == data


@given(
    events=st.lists(st.text().map(lambda t: t.replace("\n", "").replace("\r", "")), max_size=5),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=30),
    ending=st.sampled_from([b"\n", b"\r\n"]),
)
def test_any_text_comes_through_any_cut(events: list[str], cuts: list[int], ending: bytes) -> None:
    wanted = [event.encode() for event in events]
    stream = b"".join(b"data: " + event + ending + ending for event in wanted)
    reads, position = [], 0
    for cut in cuts:
        reads.append(stream[position : position + cut])
        position += cut
    assert decode(*reads, stream[position:]) == wanted


def test_an_event_comes_with_the_read_that_completes_it() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"data: one\n") == []
    assert decoder.feed(b"\ndata: tw") == [b"one"]
    assert decoder.feed(b"o\n\n") == [b"two"]
    assert decoder.feed(b"data: three\n\n") == [b"three"]


def test_an_endless_line_is_refused_and_the_longest_one_is_not() -> None:
    pieces = [b"x" * 65_536] * (MAX_EVENT_BYTES // 65_536 + 1)
    with pytest.raises(ModelUnavailable, match="too long"):
        decode(*pieces)
    longest = b"data: " + b"x" * (MAX_EVENT_BYTES - 6)
    assert decode(longest, b"\n\n") == [longest[6:]]


def test_endless_data_lines_are_refused() -> None:
    lines = [b"data: " + b"x" * 1000 + b"\n"] * (MAX_EVENT_BYTES // 1000 + 2)
    with pytest.raises(ModelUnavailable, match="too long"):
        decode(*lines)


def test_many_comments_in_pieces_are_no_long_event() -> None:
    decoder = SseDecoder()
    comment = b":" + b"x" * 1000
    for _ in range(MAX_EVENT_BYTES // 1000 + 2):
        assert decoder.feed(comment) == []
        assert decoder.feed(b"\n\n") == []
    assert decoder.feed(b"data: one\n\n") == [b"one"]
