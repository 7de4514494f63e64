"""OpenAI's chunks and completions: exact bytes, and choices that are told by pieces."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import (
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
from shared.messages import Document, FinishReason, Usage
from shared.protocols.openai.encoders import DONE, ChunkEncoder, WholeEncoder

USAGE = Usage(1, 2, 3, estimated=True)
USED = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
START = Start(None, None, "default", 'a "model"', True)
HEAD = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,'
    b'"model":"a \\"model\\"","system_fingerprint":null,"choices":['
)
AFTER = b',"logprobs":null,"finish_reason":null}]}\n\n'
NO_POSITION = Position(0, 0)

texts = st.text(st.characters(exclude_categories=["Cs"]))


def chunked(*events: Event, usage: bool = False) -> list[bytes]:
    encoder = ChunkEncoder("chatcmpl-1", 7, usage=usage)
    return [encoder.encode(event, NO_POSITION) for event in events]


def whole(*events: Event) -> tuple[int, Any]:
    encoder = WholeEncoder("chatcmpl-1", 7)
    *before, last = [encoder.encode(event, NO_POSITION) for event in events]
    assert set(before) <= {b""}
    return encoder.status, json.loads(last)


def read(frames: list[bytes]) -> list[Any]:
    """The objects of the frames; `[DONE]` and nothing as they are."""
    found: list[Any] = []
    for frame in b"".join(frames).split(b"\n\n")[:-1]:
        data = frame.removeprefix(b"data: ")
        found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
    return found


def test_every_event() -> None:
    assert chunked(
        START,
        Citations((Document(content="secret"),)),
        Reasoning("hm"),
        Delta('a"\n'),
        ToolCall(0, "id", "name", '{"x":1}'),
        End("tool_calls", USAGE, 'a"\n'),
    ) == [
        HEAD + b'{"index":0,"delta":{"role":"assistant","content":""}' + AFTER,
        b"",
        HEAD + b'{"index":0,"delta":{"reasoning_content":"hm"}' + AFTER,
        HEAD + b'{"index":0,"delta":{"content":"a\\"\\n"}' + AFTER,
        HEAD + b'{"index":0,"delta":{"tool_calls":[{"index":0,"id":"id","type":"function",'
        b'"function":{"name":"name","arguments":"{\\"x\\":1}"}}]}' + AFTER,
        HEAD + b'{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}]}\n\n'
        b"data: [DONE]\n\n",
    ]


def test_usage_is_asked_for() -> None:
    first, end = chunked(START, End("stop", USAGE, ""), usage=True)
    assert first.endswith(b'"finish_reason":null}],"usage":null}\n\n')
    finish, used, done = read([end])
    assert finish["usage"] is None
    assert (used["choices"], used["usage"], done) == ([], USED, "[DONE]")


@pytest.mark.parametrize(
    ("reason", "status"),
    [("cancelled", 409), ("disconnected", 409), ("incomplete", 503), ("error", 500)],
)
def test_no_end_of_the_models_is_an_error(reason: FinishReason, status: int) -> None:
    end = End(reason, USAGE, "a")
    *_, last = chunked(START, Delta("a"), end)
    [told] = read([last])
    assert told["error"]["code"] == reason
    assert DONE not in last
    assert whole(START, Delta("a"), end) == (status, told)


def test_an_error_is_told_once() -> None:
    error = Error("rate_limited", "Wait.", True)
    *_, before, end = chunked(START, Delta("a"), error, End("error", USAGE, "a"))
    assert before == b""
    assert end == (
        b'data: {"error":{"message":"Wait.","type":"rate_limit_error","param":null,'
        b'"code":"rate_limited"}}\n\n'
    )
    status, body = whole(START, Delta("a"), error, End("error", USAGE, "a"))
    assert (status, body) == (429, read([end])[0])


FILTERED = Error("content_filtered", "No.", False)


def test_a_prompt_that_the_filter_refuses_late_is_an_error() -> None:
    events = (START, FILTERED, End("content_filter", USAGE, ""))
    status, body = whole(*events)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert read(chunked(*events)[1:]) == [body]


def test_an_answer_that_the_filter_stops_is_one() -> None:
    events = (START, Delta("a"), FILTERED, End("content_filter", USAGE, "a"))
    *_, last, done = read(chunked(*events))
    assert (last["choices"][0]["finish_reason"], done) == ("content_filter", "[DONE]")
    status, body = whole(*events)
    assert (status, body["choices"][0]["finish_reason"]) == (200, "content_filter")
    assert body["choices"][0]["message"]["content"] == "a"


@given(texts)
def test_text_comes_back(text: str) -> None:
    frame = chunked(START, Delta(text))[1]
    assert len(frame.decode().splitlines()) == 2
    [chunk] = read([frame])
    assert chunk["choices"][0]["delta"] == {"content": text}
    [thought] = read([chunked(START, Reasoning(text))[1]])
    assert thought["choices"][0]["delta"] == {"reasoning_content": text}


def test_one_completion() -> None:
    documents = Citations((Document(content="secret"),))
    status, body = whole(
        START, documents, Reasoning("h"), Reasoning("m"), Delta("Hi"), End("stop", USAGE, "Hi")
    )
    assert status == 200
    assert body == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": 'a "model"',
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hi",
                    "refusal": None,
                    "reasoning_content": "hm",
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USED,
    }


def test_content_of_an_answer_without_text() -> None:
    _, nothing = whole(START, End("length", USAGE, ""))
    assert nothing["choices"][0]["message"]["content"] == ""
    _, calls = whole(START, ToolCall(0, "i", "n", "{}"), End("tool_calls", USAGE, ""))
    assert calls["choices"][0]["message"]["content"] is None


def token(text: str) -> dict[str, Any]:
    return {"content": [{"token": text, "logprob": -0.5}], "refusal": None}


def likely(text: str) -> msgspec.Raw:
    """Log probabilities as a piece has them."""
    return msgspec.Raw(json.dumps(token(text)).encode())


PIECES: list[Event] = [
    START,
    Piece(0, {"role": "assistant", "content": ""}),
    Piece(1, {"content": "A"}, likely("A")),
    Piece(0, {"content": "B"}, likely("B")),
    Piece(1, {"content": "C", "reasoning_content": "hm"}, likely("C")),
    Piece(0, {}, None, "stop"),
    Piece(1, {"refusal": "No."}),
    Piece(
        1,
        {"tool_calls": [{"index": 0, "id": "i", "type": "function", "function": {"name": "n"}}]},
    ),
    Piece(1, {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
    Piece(1, {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
    Piece(1, {}, None, "tool_calls"),
    End("stop", USAGE, ""),
]


def test_pieces_are_told_as_they_came() -> None:
    first, *chunks, used, done = read(chunked(*PIECES, usage=True))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    told = [chunk["choices"][0] for chunk in chunks]
    pieces = [event for event in PIECES if isinstance(event, Piece)]
    assert len(told) == len(pieces)
    for choice, piece in zip(told, pieces, strict=True):
        delta = dict(piece.delta)
        if piece is pieces[1]:  # the first of its choice
            delta = {"role": "assistant", **delta}
        assert choice == {
            "index": piece.index,
            "delta": delta,
            "logprobs": json.loads(bytes(piece.logprobs or b"null")),
            "finish_reason": piece.finish_reason,
        }
    assert all(chunk["usage"] is None for chunk in chunks)
    assert (used["usage"], done) == (USED, "[DONE]")


def test_pieces_are_gathered_by_choice() -> None:
    status, body = whole(*PIECES)
    assert status == 200
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "B", "refusal": None},
            "logprobs": {"content": token("B")["content"]},
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {
                "role": "assistant",
                "content": "AC",
                "refusal": "No.",
                "reasoning_content": "hm",
                "tool_calls": [
                    {
                        "id": "i",
                        "type": "function",
                        "function": {"name": "n", "arguments": '{"x":1}'},
                    }
                ],
            },
            "logprobs": {"content": token("A")["content"] + token("C")["content"]},
            "finish_reason": "tool_calls",
        },
    ]


def test_pieces_without_a_reason_have_the_turns_in_a_stream() -> None:
    pieces = Piece(1, {"content": "a"}), Piece(2, {"content": "b"}, None, "stop")
    *_, second, first, third, done = read(chunked(START, *pieces, End("length", USAGE, "")))
    ends = [
        (choice["index"], choice["delta"].get("content"), choice["finish_reason"])
        for chunk in (second, first, third)
        for choice in chunk["choices"]
    ]
    assert ends == [(2, "b", "stop"), (0, None, "length"), (1, None, "length")]
    assert done == "[DONE]"


def test_pieces_that_the_filter_stops_are_an_answer() -> None:
    role, end = Piece(0, {"role": "assistant", "content": ""}), End("content_filter", USAGE, "")
    *_, last, done = read(chunked(START, role, Piece(0, {"content": "a"}), FILTERED, end))
    assert (last["choices"][0]["finish_reason"], done) == ("content_filter", "[DONE]")
    status, body = whole(START, role, Piece(0, {"content": "a"}), FILTERED, end)
    assert (status, body["choices"][0]["finish_reason"]) == (200, "content_filter")
    status, body = whole(START, role, FILTERED, end)
    assert (status, body["error"]["code"]) == (400, "content_filtered")
    assert read(chunked(START, role, FILTERED, end))[-1] == body


def test_pieces_without_a_reason_have_the_turns() -> None:
    _, body = whole(START, Piece(0, {"content": "a"}), End("length", USAGE, ""))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("odd", [b"5", b"[]", b'{"content":5,"refusal":null}', b'{"content":{}}'])
def test_log_probabilities_of_another_form_spoil_nothing(odd: bytes) -> None:
    pieces = Piece(0, {"content": "a"}, msgspec.Raw(odd)), Piece(0, {"content": "b"}, likely("b"))
    _, body = whole(START, *pieces, End("stop", USAGE, ""))
    assert body["choices"][0]["message"]["content"] == "ab"
    assert body["choices"][0]["logprobs"] == {"content": token("b")["content"]}
