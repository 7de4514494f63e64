"""What the model says, choice by choice, as it said it: pure."""

import json
from typing import Any

import msgspec
import pytest

from shared.errors import ChatError, ContentFiltered, ModelUnavailable
from shared.events import Finish, ModelEvent, Piece
from shared.messages import Usage
from shared.models.chunks import MAX_CALLS, ChunkReader
from shared.models.pieces import PieceReader, reader_for
from tests.models.support import HELLO, SSE, STOP, asking, events_of, opened, serving

LOGPROBS = {"content": [{"token": "\n", "logprob": -0.5, "bytes": [10], "top_logprobs": []}]}
AZURE = {"hate": {"filtered": False, "severity": "safe"}}


def chunk(*choices: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"choices": choices, **more}).encode()


def said(index: int, text: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": None, **more}


def ended(index: int, reason: str) -> dict[str, Any]:
    return {"index": index, "delta": {}, "finish_reason": reason}


def as_json(value: Any) -> msgspec.Raw:
    """As the reader gives what came by `chunk`."""
    return msgspec.Raw(json.dumps(value).encode())


def usage(**more: Any) -> bytes:
    figures = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8, **more}
    return json.dumps({"choices": [], "usage": figures}).encode()


def read(*payloads: bytes, choices: int = 2) -> list[ModelEvent]:
    """What is told of payloads that come one by one; raises the failure."""
    reader = PieceReader(choices)
    events = [event for payload in payloads for event in reader.read([payload])]
    if reader.failure is not None:
        raise reader.failure
    return events + reader.end()


def test_every_choice_is_told_as_it_came() -> None:
    first = {"role": "assistant", "content": "", "refusal": None}
    assert read(
        chunk({"index": 0, "delta": first}),
        chunk(said(1, "b"), said(0, "a")),
        chunk(ended(1, "length")),
        chunk(ended(0, "stop")),
        usage(),
        b"[DONE]",
    ) == [
        Piece(0, first),
        Piece(1, {"content": "b"}),
        Piece(0, {"content": "a"}),
        Piece(1, {}, None, "length"),
        Piece(0, {}, None, "stop"),
        Finish("stop"),
        Finish("stop", Usage(3, 5, 8)),
    ]


def test_tool_calls_log_probabilities_and_what_is_new_pass_through() -> None:
    call = {"index": 0, "id": "x", "type": "function", "function": {"arguments": "{"}}
    delta = {"tool_calls": [call], "new": [1]}
    assert read(
        chunk({"index": 0, "delta": delta, "logprobs": LOGPROBS}),
        chunk(ended(0, "tool_calls")),
        choices=1,
    ) == [
        Piece(0, delta, as_json(LOGPROBS)),
        Piece(0, {}, None, "tool_calls"),
        Finish("tool_calls"),
    ]


def thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def test_contents_in_parts_are_texts() -> None:
    content = [thinking("hm"), {"type": "text", "text": "Yes"}, {"type": "reference"}, 5]
    assert read(
        chunk({"index": 1, "delta": {"role": "assistant", "content": content}}),
        chunk({"index": 1, "delta": {"content": [thinking("so")]}, "finish_reason": "stop"}),
    ) == [
        Piece(1, {"role": "assistant", "reasoning_content": "hm"}),
        Piece(1, {"content": "Yes"}),
        Piece(1, {"reasoning_content": "so"}),
        Piece(1, {}, None, "stop"),
        Finish("stop"),
    ]


def test_half_a_character_in_a_part_is_joined() -> None:
    part = b'{"choices":[{"delta":{"content":[{"type":"text","text":"%b"}]}}]}'
    assert read(part % b"a\\ud83d", part % b"\\ude00b", choices=1) == [
        Piece(0, {"content": "a"}),
        Piece(0, {"content": "\U0001f600b"}),
    ]


def test_the_other_name_of_reasoning() -> None:
    both = {"reasoning": "so", "reasoning_content": "so"}
    assert read(
        chunk({"delta": {"reasoning": "hm"}}), chunk({"delta": both}), chunk({"delta": {}})
    ) == [Piece(0, {"reasoning_content": "hm"}), Piece(0, {"reasoning_content": "so"})]


def test_members_of_another_type_are_none() -> None:
    odd = {"role": 5, "content": 5, "refusal": None, "reasoning": [1], "tool_calls": [7, []]}
    assert read(chunk({"delta": odd})) == [Piece(0, {"refusal": None})]
    assert read(chunk({"delta": {"tool_calls": {"a": 1}}})) == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [("model_length", "length"), ("function_call", "tool_calls"), ("what", "what")],
)
def test_reasons_go_by_openais_names(reason: str, told: str) -> None:
    assert Piece(0, {}, None, told) in read(chunk(ended(0, reason)))


def calls_of(*parts: dict[str, Any], index: int = 0) -> bytes:
    return chunk({"index": index, "delta": {"tool_calls": list(parts)}})


def called(events: list[ModelEvent]) -> list[dict[str, Any]]:
    return [part for event in events if isinstance(event, Piece) for part in _calls_in(event)]


def _calls_in(piece: Piece) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = piece.delta["tool_calls"]
    return found


def test_calls_without_index_and_id_and_with_arguments_that_are_an_object() -> None:
    one = {"id": "null", "function": {"name": "f", "arguments": {"city": "Köln"}}}
    told = called(read(calls_of(one, one), calls_of(one, index=1)))
    assert [part["index"] for part in told] == [0, 1, 0]
    assert {part["type"] for part in told} == {"function"}
    assert [part["function"] for part in told] == [
        {"name": "f", "arguments": '{"city":"Köln"}'}
    ] * 3
    ids = [part["id"] for part in told]
    assert ids[0] != ids[1]
    assert all(len(made) == 9 and made.isalnum() for made in ids)


def test_parts_of_calls_without_indexes() -> None:
    assert called(
        read(
            calls_of({"id": "a", "function": {"name": "f", "arguments": "{"}}),
            calls_of({"function": {"arguments": "}"}}),
            calls_of({"id": "b", "function": {"name": "g", "arguments": ""}}),
        )
    ) == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "}"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
    ]


def test_what_was_said_of_a_call_is_not_said_again() -> None:
    part = {"index": 3, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    again = {"index": 3, "id": "a", "type": "function", "function": {"name": "f"}}
    assert called(read(calls_of({"index": 3, "id": "a"}), calls_of(part), calls_of(again))) == [
        {"index": 3, "id": "a", "type": "function"},
        {"index": 3, "function": {"name": "f", "arguments": "{}"}},
        {"index": 3},
    ]


def test_too_many_calls_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match="too many tool calls"):
        read(calls_of(*({"index": i, "id": str(i)} for i in range(MAX_CALLS + 1))))


def test_the_filters_own_words_are_left_out() -> None:
    apart = {"index": 0, "finish_reason": None, "content_filter_results": AZURE}
    inside = {"content": "a", "content_filter_results": AZURE}
    assert read(
        b'{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
        chunk(said(0, "a", content_filter_results=AZURE)),
        chunk({"index": 0, "delta": inside}),
        chunk(apart),
        chunk(ended(0, "content_filter")),
        choices=1,
    ) == [
        Piece(0, {"content": "a"}),
        Piece(0, {"content": "a"}),
        Piece(0, {}, None, "content_filter"),
        Finish("content_filter"),
    ]


@pytest.mark.parametrize(
    ("payloads", "finish"),
    [
        ([chunk(ended(0, "stop")), chunk(ended(1, "length"))], Finish("stop")),
        ([chunk(ended(1, "length")), chunk(ended(0, "stop"))], Finish("stop")),
        ([chunk(ended(1, "length"))], Finish("length")),
        ([chunk(ended(0, "stop"))], Finish("stop")),
        ([chunk(ended(0, "what")), chunk(ended(1, "length"))], Finish("length")),
        ([chunk(said(0, "a")), usage()], Finish(None, Usage(3, 5, 8))),
        ([usage(), chunk(ended(0, "stop"), ended(1, "stop"))], Finish("stop", Usage(3, 5, 8))),
        (
            [usage(completion_tokens_details={"reasoning_tokens": 2}), chunk(ended(0, "stop"))],
            Finish("stop", Usage(3, 5, 8), 2),
        ),
        (
            [usage(prompt_tokens="3", total_tokens=None), chunk(ended(0, "stop"))],
            Finish("stop", Usage(0, 5, 5)),
        ),
    ],
)
def test_the_finish(payloads: list[bytes], finish: Finish) -> None:
    assert [event for event in read(*payloads) if isinstance(event, Finish)] == [finish]


def test_the_end_is_that_of_all_choices() -> None:
    reader = PieceReader(2)
    reader.read([chunk(ended(0, "stop")), chunk(ended(0, "content_filter"))])
    assert reader.reason is None
    assert reader.read([chunk(ended(1, "stop"))])[-1] == Finish("content_filter")
    assert reader.end() == []


def test_a_stream_that_just_ends_has_no_finish() -> None:
    assert read(chunk(said(0, "a"))) == [Piece(0, {"content": "a"})]


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"choices":null}',
        b'{"choices":5,"usage":6}',
        b'{"choices":[5,{}]}',
        b'{"choices":[{"index":0,"delta":null,"finish_reason":""}]}',
        b'{"choices":[{"index":0,"delta":[1],"finish_reason":2,"logprobs":null}]}',
    ],
)
def test_what_says_nothing_is_passed_over(payload: bytes) -> None:
    assert read(payload) == []


@pytest.mark.parametrize("payload", [b"", b"<html>", b'{"choices"', b"5", b"[]", b"[" * 100_000])
def test_what_cannot_be_read_is_said_after_what_came_before(payload: bytes) -> None:
    reader = PieceReader(1)
    assert reader.read([chunk(said(0, "a")), payload]) == [Piece(0, {"content": "a"})]
    assert isinstance(reader.failure, ModelUnavailable)


@pytest.mark.parametrize(
    ("error", "kind"),
    [({"message": "secret"}, ModelUnavailable), ({"code": "content_filter"}, ContentFiltered)],
)
def test_errors_inside_a_stream(error: object, kind: type[ChatError]) -> None:
    with pytest.raises(kind) as told:
        read(json.dumps({"error": error}).encode())
    assert "secret" not in told.value.message


def test_mistrals_errors_inside_a_stream() -> None:
    with pytest.raises(ModelUnavailable):
        read(b'{"object":"error","message":"secret","type":"internal_server_error"}')
    with pytest.raises(ModelUnavailable):
        read(chunk(ended(0, "error")))


def raw(index: int, content: str, name: str = "content") -> bytes:
    return b'{"choices":[{"index":%d,"delta":{"%b":"%b"}}]}' % (
        index,
        name.encode(),
        content.encode(),
    )


def test_halves_of_characters_are_joined_choice_by_choice() -> None:
    events = read(
        raw(0, "a\\ud83d"), raw(1, "b\\ud83d"), raw(0, "\\ude00c"), raw(1, "d"), raw(1, "e")
    )
    texts = {
        index: "".join(
            event.delta["content"]
            for event in events
            if isinstance(event, Piece) and event.index == index
        )
        for index in (0, 1)
    }
    assert texts == {0: "a\U0001f600c", 1: "b\ufffdde"}


def test_what_stays_alone_is_replaced_so_that_it_can_be_encoded() -> None:
    odd = (
        b'{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"\\ud83d"}],"\\ud83d":1},'
        b'"logprobs":{"content":[{"token":"\\ude00"}]}}]}'
    )
    events = read(odd, raw(0, "a\\ud83d"), raw(1, "\\ud83d", "reasoning_content"), raw(0, "\xff"))
    assert msgspec.json.encode(events)
    assert events[-1] == Piece(1, {"reasoning_content": "\ufffd"})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b'{"content": [{"token":"\\n\\"\\\\"}]}', b'{"content": [{"token":"\\n\\"\\\\"}]}'),
        (b'{"content":\n[\r]}', b'{"content":[]}'),
        (b'["\\ud83d\\ude00","\\ud83d","\\u000a"]', '["\U0001f600","\ufffd","\\n"]'.encode()),
        ('["Köln"]'.encode(), '["Köln"]'.encode()),
        (b'["\xff"]', '["\ufffd"]'.encode()),
    ],
)
def test_log_probabilities_are_kept_as_they_came_on_one_line(given: bytes, kept: bytes) -> None:
    piece = Piece(0, {}, msgspec.Raw(kept))
    assert read(b'{"choices":[{"logprobs":%b}]}' % given, choices=1) == [piece]
    assert msgspec.json.decode(msgspec.json.encode(piece))


@pytest.mark.parametrize("depth", [2000, 100_000])
@pytest.mark.parametrize("name", [b"delta", b"logprobs"])
def test_what_is_nested_too_deeply_cannot_be_read(name: bytes, depth: int) -> None:
    nested = b'{"a":%b"\\ud83d"%b}' % (b"[" * depth, b"]" * depth)
    with pytest.raises(ModelUnavailable):
        read(b'{"choices":[{"%b":%b}]}' % (name, nested))


def test_the_reader_is_chosen_once() -> None:
    assert isinstance(reader_for(asking()), ChunkReader)
    assert isinstance(reader_for(asking(pieces=True)), PieceReader)
    three = reader_for(asking(pieces=True, parameters={"n": 3}))
    three.read([chunk(ended(0, "stop"), ended(1, "stop"))])
    assert three.reason is None


async def test_pieces_through_the_whole_adapter() -> None:
    async with serving(SSE + HELLO + STOP) as service, opened(service.url) as model:
        parameters = {"n": 1, "logprobs": True, "top_logprobs": 2, "logit_bias": {"5": 1}}
        request = asking(pieces=True, parameters=parameters, chosen=frozenset(parameters))
        assert await events_of(model, request) == [
            Piece(0, {"content": "Hello"}),
            Piece(0, {}, None, "stop"),
            Finish("stop"),
        ]
    assert {name: service.bodies[0][name] for name in parameters} == parameters
