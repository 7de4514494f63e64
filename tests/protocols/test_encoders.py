"""Exact bytes of every form, and that what was said is what is read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import (
    Citations,
    Delta,
    End,
    Error,
    Event,
    Position,
    Reasoning,
    Start,
    ToolCall,
)
from shared.messages import Document, FinishReason, Usage
from shared.protocols.encoding import Encoder
from shared.protocols.native.accept import Form
from shared.protocols.native.encoders import encode_event, make_encoder

USAGE = Usage(1, 2, 3)
EVERYTHING: list[Event] = [
    Start("c1", "t1", "default", "gpt", True),
    Citations((Document(content="secret", id="1", title="T"), Document(content="x", score=0.5))),
    Reasoning("hm"),
    Delta('a"\n'),
    ToolCall(0, "id", "name", '{"x":1}'),
    Error("overloaded", "Full.", True),
    End("tool_calls", USAGE, 'a"\n'),
]
LINES = [
    b'{"type":"start","conversationId":"c1","turnId":"t1","action":"default","model":"gpt",'
    b'"new":true,"position":"0.1"}',
    b'{"type":"citations","documents":[{"id":"1","title":"T"},{"score":0.5}],"position":"1.1"}',
    b'{"type":"reasoning","text":"hm","position":"2.1"}',
    b'{"type":"delta","text":"a\\"\\n","position":"3.1"}',
    b'{"type":"tool_call","index":0,"id":"id","name":"name","arguments":"{\\"x\\":1}",'
    b'"position":"4.1"}',
    b'{"type":"error","code":"overloaded","message":"Full.","retryable":true,"position":"5.1"}',
    b'{"type":"end","finishReason":"tool_calls","usage":{"promptTokens":1,"completionTokens":2,'
    b'"totalTokens":3,"estimated":false},"result":{"answer":"a\\"\\n"},"position":"6.1"}',
]

texts = st.text(st.characters(exclude_categories=["Cs"]))


def encoded(encoder: Encoder, events: list[Event]) -> list[bytes]:
    return [encoder.encode(event, Position(n, 1)) for n, event in enumerate(events)]


def test_ndjson() -> None:
    encoder = make_encoder("ndjson", "answer")
    assert encoded(encoder, EVERYTHING) == [line + b"\n" for line in LINES]
    assert encoder.heartbeat == b"\n"


def test_server_sent_events() -> None:
    encoder = make_encoder("sse", "answer")
    assert encoded(encoder, EVERYTHING) == [
        b"id: %d.1\ndata: %b\n\n" % (n, line) for n, line in enumerate(LINES)
    ]
    assert encoder.heartbeat == b": keep-alive\n\n"


def test_plain_text_is_the_answer_alone() -> None:
    encoder = make_encoder("text", "answer")
    assert encoded(encoder, EVERYTHING) == [b"", b"", b"", b'a"\n', b"", b"", b""]
    assert encoder.heartbeat == b""


def test_one_object() -> None:
    encoder = make_encoder("json", "answer")
    *before, whole = encoded(encoder, EVERYTHING)
    assert before == [b""] * 6
    assert encoder.heartbeat == b" "
    assert whole == (
        b'{"conversationId":"c1","turnId":"t1","finishReason":"tool_calls",'
        b'"usage":{"promptTokens":1,"completionTokens":2,"totalTokens":3,"estimated":false},'
        b'"citations":[{"id":"1","title":"T"},{"score":0.5}],'
        b'"toolCalls":[{"id":"id","name":"name","arguments":"{\\"x\\":1}"}],'
        b'"error":{"type":"error","code":"overloaded","message":"Full.","retryable":true},'
        b'"answer":"a\\"\\n"}'
    )


def test_one_object_of_a_turn_without_a_history() -> None:
    events: list[Event] = [
        Start(None, None, "default", "gpt", True),
        Delta("Hi"),
        End("stop", USAGE, "Hi"),
    ]
    whole = json.loads(encoded(make_encoder("json", "response"), events)[-1])
    assert whole == {
        "finishReason": "stop",
        "usage": {
            "promptTokens": 1,
            "completionTokens": 2,
            "totalTokens": 3,
            "estimated": False,
        },
        "citations": [],
        "response": "Hi",
    }
    assert encode_event(events[0], Position(0, 1), "response") == (
        b'{"type":"start","action":"default","model":"gpt","new":true,"position":"0.1"}'
    )


ENDINGS: list[tuple[FinishReason, bytes]] = [
    ("stop", b""),
    ("tool_calls", b""),
    ("length", b"ERROR: Exceeded max token length!"),
    ("content_filter", b"ERROR: The content filter stopped the answer."),
    ("cancelled", b"ERROR: The answer was stopped."),
    ("disconnected", b"ERROR: Nobody was listening any more."),
    ("incomplete", b"ERROR: The answer broke off."),
    ("error", b"ERROR: Something went wrong."),
]


@pytest.mark.parametrize(("reason", "said"), ENDINGS)
@pytest.mark.parametrize(("text", "before"), [("", b""), ("Hi", b"\n"), ("Hi\n", b"")])
def test_plain_text_says_how_it_ended_in_a_line_of_its_own(
    reason: FinishReason, said: bytes, text: str, before: bytes
) -> None:
    frame = make_encoder("text", "response").encode(End(reason, USAGE, text), Position(1, 0))
    assert frame == (before + said if said else b"")


SEPARATORS = "a\u2028b\u2029c\u0085d\r\ne\x00f\x7f"


def test_unicode_line_separators_stay_in_their_line() -> None:
    assert encode_event(Delta("\u2028\u2029\u0085é"), Position(1, 4), "r") == (
        b'{"type":"delta","text":"\\u2028\\u2029\\u0085\xc3\xa9","position":"1.4"}'
    )


@given(texts | st.just(SEPARATORS), st.sampled_from(["ndjson", "sse"]))
def test_every_line_is_one_line_for_every_reader_and_reads_back(text: str, form: Form) -> None:
    events: list[Event] = [
        Delta(text),
        Reasoning(text),
        ToolCall(0, text, text, text),
        Error("x", text, False),
        Citations((Document(content="", title=text),)),
        End("stop", USAGE, text),
    ]
    raw = b"".join(encoded(make_encoder(form, "answer"), events)).decode()
    if form == "sse":
        blocks = [block.splitlines() for block in raw.split("\n\n")[:-1]]
        assert all(len(block) == 2 for block in blocks)
        lines = [block[1].removeprefix("data: ") for block in blocks]
        assert [block[0] for block in blocks] == [f"id: {n}.1" for n in range(6)]
    else:
        lines = raw.splitlines()
    told = [json.loads(line) for line in lines]
    assert [t["position"] for t in told] == [f"{n}.1" for n in range(6)]
    assert [told[0]["text"], told[1]["text"], told[2]["arguments"], told[3]["message"]] == [
        text
    ] * 4
    assert told[4]["documents"] == [{"title": text}]
    assert told[5]["result"] == {"answer": text}


@given(st.lists(texts))
def test_text_is_the_same_however_it_was_cut(pieces: list[str]) -> None:
    events: list[Event] = [Delta(piece) for piece in pieces]
    whole = b"".join(encoded(make_encoder("text", "r"), events))
    assert whole.decode() == "".join(pieces)


@given(texts)
def test_one_object_reads_back(text: str) -> None:
    encoder = make_encoder("json", "answer")
    whole = encoder.encode(End("stop", USAGE, text), Position(0, 0))
    assert len(whole.decode().splitlines()) == 1
    assert json.loads(whole)["answer"] == text


def test_frames_are_shared_by_those_who_want_the_same() -> None:
    def key(form: Form, name: str = "a") -> str | None:
        return make_encoder(form, name).key

    assert key("text") == key("text", "b")
    assert key("sse") == key("sse")
    assert len({key("text"), key("sse"), key("ndjson"), key("sse", "b"), key("ndjson", "b")}) == 5
    assert key("json") is None
