"""Chunks of a stream as events: pure."""

import json
from typing import Any

import pytest

from shared.errors import (
    ChatError,
    ContentFiltered,
    ContextLengthExceeded,
    ModelUnavailable,
    RateLimited,
)
from shared.events import Delta, Finish, ModelEvent, Reasoning, ToolCall
from shared.messages import Usage
from shared.models.chunks import MAX_ARGUMENTS_CHARS, MAX_CALLS, ChunkReader


def chunk(delta: dict[str, Any] | None = None, reason: str | None = None, **more: Any) -> bytes:
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
    if delta is not None:
        choice["delta"] = delta
    return json.dumps({"choices": [choice], **more}).encode()


def text(content: str) -> bytes:
    return chunk({"content": content})


def call(index: int | None, **function: Any) -> bytes:
    identity = function.pop("id", None)
    delta = {"index": index, "id": identity, "function": function}
    return chunk({"tool_calls": [{k: v for k, v in delta.items() if v is not None}]})


def usage(**more: Any) -> bytes:
    figures = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8, **more}
    return json.dumps({"choices": [], "usage": figures}).encode()


def read(*batches: list[bytes]) -> list[ModelEvent]:
    """The events of all batches and of the end; raises the failure."""
    reader = ChunkReader()
    events = [event for batch in batches for event in reader.read(batch)]
    if reader.failure is not None:
        raise reader.failure
    return events + reader.end()


def test_text_that_arrives_together_is_one_event() -> None:
    reader = ChunkReader()
    assert reader.read([text("a"), text("b"), text("c")]) == [Delta("abc")]
    assert reader.read([text("d")]) == [Delta("d")]
    assert reader.read([chunk({"role": "assistant", "content": ""})]) == []


def test_reasoning_and_answer_keep_their_order() -> None:
    assert read(
        [chunk({"reasoning_content": "hm"}), chunk({"reasoning": " so"}), text("Yes")],
        [chunk({"reasoning_content": "and", "content": "No"})],
    ) == [Reasoning("hm so"), Delta("Yes"), Reasoning("and"), Delta("No")]


def thinking(*texts: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": t} for t in texts]}


def test_content_in_parts_keeps_its_order() -> None:
    said = {"type": "text", "text": "Yes"}
    assert read([chunk({"content": [thinking("hm", " so")]}), text("Yes")]) == [
        Reasoning("hm so"),
        Delta("Yes"),
    ]
    mixed = chunk({"content": [said, thinking("or"), said]}, "stop", usage={"total_tokens": 3})
    assert read([mixed]) == [
        Delta("Yes"),
        Reasoning("or"),
        Delta("Yes"),
        Finish("stop", Usage(0, 0, 3)),
    ]


def test_parts_and_a_call_in_one_chunk() -> None:
    calls = [{"id": "abcdefghi", "function": {"name": "f", "arguments": {}}, "index": 0}]
    both = chunk({"content": [thinking("hm")], "tool_calls": calls}, "tool_calls")
    assert read([both]) == [
        Reasoning("hm"),
        ToolCall(0, "abcdefghi", "f", "{}"),
        Finish("tool_calls"),
    ]


def test_half_a_character_in_a_part_is_joined() -> None:
    part = b'[{"type":"thinking","thinking":[{"type":"text","text":%b}]}]'
    assert read([raw(part % b'"a\\ud83d"'), raw(part % LOW)]) == [Reasoning("a\U0001f600b")]


def test_the_reason_error_is_one() -> None:
    reader = ChunkReader()
    assert reader.read([text("a"), chunk({"content": "b"}, "error")]) == [Delta("ab")]
    assert type(reader.failure) is ModelUnavailable
    assert reader.reason is None


def test_a_refusal_is_the_answer() -> None:
    assert read([chunk({"content": None, "refusal": "I cannot"})]) == [Delta("I cannot")]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("model_length", "length"),
    ],
)
def test_reasons(said: str, meant: str) -> None:
    assert read([text("a"), chunk({}, said)]) == [Delta("a"), Finish(meant)]  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", ["", "done", "STOP", None])
def test_an_unknown_reason_is_none(reason: str | None) -> None:
    assert read([text("a"), chunk({}, reason), b"[DONE]"]) == [Delta("a")]


def test_the_filter_has_the_last_word() -> None:
    events = read([chunk({}, "stop")], [chunk({}, "content_filter")], [chunk({}, "stop")])
    assert events == [Finish("stop"), Finish("content_filter")]


VIOLENT = {"violence": {"filtered": True, "severity": "high"}, "hate": {"filtered": False}}
STOLEN = {"protected_material_text": {"detected": True, "filtered": True}}
DETECTED = {"protected_material_code": {"detected": True, "filtered": False}}


def judged(results: object, reason: str | None = None, *, delta: bool = False) -> bytes:
    """A chunk with the filter's results; with the asynchronous filter there is no delta."""
    choice = {"index": 0, "finish_reason": reason, "content_filter_results": results}
    return json.dumps({"choices": [choice | ({"delta": {}} if delta else {})]}).encode()


def test_the_categories_that_stopped_the_answer() -> None:
    stopped = Finish("content_filter", None, 0, ("violence",))
    assert read([text("a"), judged(VIOLENT, "content_filter", delta=True)]) == [Delta("a"), stopped]
    assert read([text("a"), judged(VIOLENT, "content_filter")]) == [Delta("a"), stopped]
    assert read([text("a"), judged(VIOLENT)]) == [Delta("a"), stopped]


def test_the_asynchronous_filter_may_fire_after_the_end_and_more_than_once() -> None:
    assert read([chunk({}, "stop")], [judged(STOLEN, "content_filter")], [judged(VIOLENT)]) == [
        Finish("stop"),
        Finish("content_filter", None, 0, ("protected_material_text",)),
        Finish("content_filter", None, 0, ("protected_material_text", "violence")),
    ]
    with_usage = Finish("content_filter", Usage(3, 5, 8), 0, ("protected_material_text",))
    assert read([chunk({}, "stop"), judged(STOLEN, "content_filter"), usage()]) == [with_usage]


@pytest.mark.parametrize("results", [DETECTED, {}, None, "x", {"hate": None}, {"<b>": VIOLENT}])
def test_results_that_did_not_fire_stop_nothing(results: object) -> None:
    assert read([judged(results), text("a"), judged(results), chunk({}, "stop")]) == [
        Delta("a"),
        Finish("stop"),
    ]


def test_usage_with_the_reason_after_it_and_without_it() -> None:
    told = Finish("stop", Usage(3, 5, 8), 2)
    details = {"completion_tokens_details": {"reasoning_tokens": 2}}
    assert read([chunk({}, "stop"), usage(**details)]) == [told]
    assert read([chunk({}, "stop")], [usage(**details)]) == [Finish("stop"), told]
    assert read([usage(**details)], [chunk({}, "stop")]) == [told]
    assert read([text("a"), usage(**details)]) == [Delta("a"), Finish(None, Usage(3, 5, 8), 2)]
    assert read([usage(total_tokens=None), chunk({}, "stop")]) == [Finish("stop", Usage(3, 5, 8))]
    assert read([usage(prompt_tokens="3"), chunk({}, "stop")]) == [Finish("stop", Usage(0, 5, 8))]


def test_nothing_is_read_after_the_end() -> None:
    reader = ChunkReader()
    assert reader.read([text("a"), b"[DONE]", text("b")]) == [Delta("a")]
    assert reader.done


def test_tool_calls_come_complete_in_order_and_before_the_finish() -> None:
    assert read(
        [call(1, id="b", name="two", arguments="")],
        [call(0, id="a", name="one", arguments='{"x"'), call(1, arguments='{"y":2}')],
        [call(0, arguments=":1}")],
        [chunk({}, "tool_calls")],
    ) == [
        ToolCall(0, "a", "one", '{"x":1}'),
        ToolCall(1, "b", "two", '{"y":2}'),
        Finish("tool_calls"),
    ]


def test_a_call_may_lack_its_function_at_first() -> None:
    bare = chunk({"tool_calls": [{"index": 0, "id": "a"}]})
    assert read([bare], [call(0, name="one", arguments="{}"), chunk({}, "tool_calls")]) == [
        ToolCall(0, "a", "one", "{}"),
        Finish("tool_calls"),
    ]


def test_tool_calls_without_indexes() -> None:
    assert read(
        [call(None, id="a", name="one", arguments="{"), call(None, arguments="}")],
        [call(None, id="b", name="two", arguments="{}"), chunk({}, "tool_calls")],
    ) == [ToolCall(0, "a", "one", "{}"), ToolCall(1, "b", "two", "{}"), Finish("tool_calls")]


def test_a_name_begins_a_call_where_there_is_neither_index_nor_id() -> None:
    events = read(
        [call(None, id="null", name="one", arguments="{}")],
        [call(None, name="two", arguments="{"), call(None, arguments="}")],
        [chunk({}, "tool_calls")],
    )
    calls = [event for event in events if isinstance(event, ToolCall)]
    assert [(c.index, c.name, c.arguments) for c in calls] == [(0, "one", "{}"), (1, "two", "{}")]


def test_every_call_has_an_id_of_its_own() -> None:
    same = [
        call(i, id=i_d, name="f", arguments="{}") for i, i_d in enumerate([None, "null", "a", "a"])
    ]
    events = read(same, [chunk({}, "tool_calls")])
    ids = [event.id for event in events if isinstance(event, ToolCall)]
    assert len(set(ids)) == 4
    assert ids[2] == "a"
    assert all(len(made) == 9 and made.isalnum() for made in ids if made != "a")
    # Read again, by another instance say, they are the same.
    assert read(same, [chunk({}, "tool_calls")]) == events
    other = read([call(0, name="g", arguments="{}")], [chunk({}, "tool_calls")])
    assert isinstance(other[0], ToolCall)
    assert other[0].id not in ids


def test_a_made_up_id_gives_way_to_one_that_the_model_gave() -> None:
    def ids(given: str) -> list[str]:
        both = [call(0, id=given, name="f", arguments="{}"), call(1, name="f", arguments="{}")]
        events = read(both, [chunk({}, "tool_calls")])
        return [event.id for event in events if isinstance(event, ToolCall)]

    [_, made] = ids("a")
    first, second = ids(made)
    assert first == made != second


def test_arguments_that_are_an_object() -> None:
    given = {"city": "Köln", "days": [1, 2.5], "big": 12345678901234567890}
    events = read([call(0, id="null", name="f", arguments=given)], [chunk({}, "tool_calls")])
    assert isinstance(events[0], ToolCall)
    assert events[0].arguments == '{"city":"Köln","days":[1,2.5],"big":12345678901234567890}'


def test_a_forced_call_that_ends_by_stop_is_a_call() -> None:
    assert read([call(0, id="a", name="one", arguments="{}"), chunk({}, "stop")]) == [
        ToolCall(0, "a", "one", "{}"),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_was_cut_off_is_none(reason: Any) -> None:
    assert read([call(0, id="a", name="one", arguments='{"x'), chunk({}, reason)]) == [
        Finish(reason)
    ]


def test_a_call_whose_stream_broke_is_none() -> None:
    assert read([call(0, id="a", name="one", arguments="{}")]) == []


def test_too_many_calls_and_too_long_ones_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match="tool calls"):
        read([call(i, name="f") for i in range(MAX_CALLS + 1)])
    with pytest.raises(ModelUnavailable, match="tool calls"):
        read([call(0, arguments="x" * 65536)] * (MAX_ARGUMENTS_CHARS // 65536 + 1))


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"choices":null}',
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"index":0,"delta":null,"finish_reason":null}]}',
        b'{"choices":[{"content_filter_offsets":{"check_offset":1},"finish_reason":null}]}',
        b'{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
        b'{"choices":[{"index":1,"delta":{"content":"another"}}]}',
        b'{"choices":[{"delta":{"content":["x"],"tool_calls":{"a":1}}}],"usage":[]}',
        b'{"choices":[5,{"delta":6}],"error":null}',
        b'{"choices":[{"delta":{"tool_calls":[7]}}],"error":{}}',
        b'{"choices":[{"index":true,"delta":{"content":5}}]}',
        b'{"choices":[{"delta":{"content":[5,{"type":"reference","reference_ids":[1]}]}}]}',
        b'{"choices":[{"delta":{"content":[{"type":"thinking","thinking":"x"}]}}]}',
        b'{"choices":[{"delta":{"content":[{"type":"thinking","thinking":[5,{}]}]}}]}',
        b'{"object":"chat.completion.chunk"}',
    ],
)
def test_what_says_nothing_is_passed_over(payload: bytes) -> None:
    assert read([payload, text("a")]) == [Delta("a")]


def test_fields_of_other_types_do_not_hide_the_rest() -> None:
    payload = chunk(
        {"content": "a", "reasoning": {"x": 1}, "tool_calls": [{"index": 0, "function": None}]}
    )
    assert read([payload]) == [Delta("a")]


NESTED = b'{"nested":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "payload", [b"", b"<html>", b'{"choices"', b"5", b'"x"', b"[]", b"[" * 100_000, b"\xff", NESTED]
)
def test_what_cannot_be_read_is_said_after_what_came_before(payload: bytes) -> None:
    reader = ChunkReader()
    assert reader.read([text("a"), payload, text("b")]) == [Delta("a")]
    assert isinstance(reader.failure, ModelUnavailable)
    assert "could not be read" in reader.failure.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "secret", "type": "server_error", "code": None}, ModelUnavailable),
        ({"message": "secret", "code": "content_filter"}, ContentFiltered),
        ({"message": "secret", "code": "rate_limit_exceeded"}, RateLimited),
        ({"message": "secret", "type": "too_many_requests"}, RateLimited),
        ({"message": "secret", "code": 429}, RateLimited),
        ({"message": "secret", "code": "context_length_exceeded"}, ContextLengthExceeded),
        ("secret", ModelUnavailable),
    ],
)
def test_errors_inside_a_stream(error: object, kind: type[ChatError]) -> None:
    reader = ChunkReader()
    events = reader.read([text("a"), json.dumps({"error": error}).encode()])
    assert events == [Delta("a")]
    assert type(reader.failure) is kind
    assert "secret" not in reader.failure.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "secret", "type": "internal_server_error", "code": "1000"}, ModelUnavailable),
        ({"message": {"detail": "secret"}, "type": "rate_limited", "code": "1300"}, RateLimited),
        ({"message": "secret", "type": "service_tier_capacity_exceeded"}, RateLimited),
    ],
)
def test_errors_inside_a_stream_in_mistrals_form(
    error: dict[str, Any], kind: type[ChatError]
) -> None:
    reader = ChunkReader()
    payload = json.dumps({"object": "error", **error}).encode()
    assert reader.read([text("a"), payload, text("b")]) == [Delta("a")]
    assert type(reader.failure) is kind
    assert "secret" not in reader.failure.message


HIGH, LOW = b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}', b'"\\ude00b"'


def raw(content: bytes, field: bytes = b"content") -> bytes:
    return b'{"choices":[{"delta":{"' + field + b'":' + content + b"}}]}"


def test_a_character_cut_in_halves_is_joined() -> None:
    assert read([HIGH, raw(LOW)]) == [Delta("a\U0001f600b")]
    reader = ChunkReader()
    assert reader.read([HIGH]) == [Delta("a")]
    assert reader.read([raw(LOW)]) == [Delta("\U0001f600b")]
    assert reader.end() == []


@pytest.mark.parametrize(
    ("payloads", "events"),
    [
        ([HIGH], [Delta("a\ufffd")]),
        ([HIGH, text("b")], [Delta("a\ufffdb")]),
        ([raw(LOW)], [Delta("\ufffdb")]),
        ([HIGH, chunk({}, "stop")], [Delta("a\ufffd"), Finish("stop")]),
        (
            [raw(b'"\\ud83d"', b"reasoning_content"), raw(LOW)],
            [Reasoning("\ufffd"), Delta("\ufffdb")],
        ),
        ([raw(b'"\\ud83d"'), raw(b'"\\ud83d"'), raw(LOW)], [Delta("\ufffd\U0001f600b")]),
        ([raw(b'"a\xff\xc3b"')], [Delta("a\ufffd\ufffdb")]),
    ],
)
def test_halves_that_stay_alone_are_replaced(
    payloads: list[bytes], events: list[ModelEvent]
) -> None:
    one_by_one = ChunkReader()
    told = [event for payload in payloads for event in one_by_one.read([payload])]
    told += one_by_one.end()
    assert merged(told) == merged(read(payloads)) == events


def merged(events: list[ModelEvent]) -> list[ModelEvent]:
    result: list[ModelEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Delta) and isinstance(last, Delta):
            result[-1] = Delta(last.text + event.text)
        else:
            result.append(event)
    return result


def test_a_call_with_half_a_character_is_mended() -> None:
    first = b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"\\ud83d"}}]}}]}'  # noqa: E501
    second = b'{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\ude00\\ud83d"}}]}}]}'  # noqa: E501
    assert read([first], [second], [chunk({}, "tool_calls")]) == [
        ToolCall(0, "a", "f", "\U0001f600\ufffd"),
        Finish("tool_calls"),
    ]
