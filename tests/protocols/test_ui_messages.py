"""The UI message stream: exact bytes, and a grammar that the client cannot choke on."""

import json
import re
from typing import Any

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
from shared.messages import ID_PATTERN, Document, FinishReason, ToolResult, Usage
from shared.protocols.ui_messages.encoder import Step, UiMessageEncoder
from shared.protocols.ui_messages.ids import answer_id, derived, turn_of, turn_of_answer
from shared.protocols.ui_messages.request import parse

USAGE = Usage(1, 2, 3)
USED = '{"promptTokens":1,"completionTokens":2,"totalTokens":3,"estimated":false}'
START = Start("c1", "t1", "default", "gpt", True)
BEGUN = (
    '"messageMetadata":{"conversationId":"c1","turnId":"t1","action":"default","model":"gpt"}}\n\n'
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
middles = st.lists(
    st.one_of(
        st.builds(Delta, texts),
        st.builds(Reasoning, texts),
        st.builds(ToolCall, st.just(0), texts, texts, texts | st.just('{"a":1}')),
        st.builds(Error, texts, texts, st.booleans()),
        st.just(Citations((Document(content="x", url="https://example.com"),))),
    )
)


def encoded(encoder: UiMessageEncoder, events: list[Event]) -> bytes:
    """As a watch reads them: neighbours of one kind are one run."""
    data, run = b"", -1
    before: object = None
    for event in events:
        same = isinstance(event, Delta | Reasoning) and type(event) is before
        run, before = run if same else run + 1, type(event)
        data += encoder.encode(event, Position(run, 1))
    return data


def parts_of(data: bytes) -> list[dict[str, Any]]:
    *frames, rest = data.decode().split("\n\n")
    assert rest == ""
    assert all(frame.startswith("data: ") for frame in frames)
    return [json.loads(frame[6:]) for frame in frames if frame != "data: [DONE]"]


def types_of(data: bytes) -> list[str]:
    return [part["type"] for part in parts_of(data)]


def test_every_event() -> None:
    events: list[Event] = [
        START,
        Citations((Document(content="secret", title="T", url="https://example.com"),)),
        Reasoning("h"),
        Reasoning("m"),
        Delta('a"\u2028'),
        ToolCall(0, "id", "name", '{"x": 1}'),
        Piece(0, {"content": "never here"}),
        Delta("b"),
        Error("model_timeout", "Silent.", True),
        End("error", USAGE, 'a"\u2028b'),
    ]
    encoder = UiMessageEncoder()
    assert (encoder.key, encoder.heartbeat) == (None, b": keep-alive\n\n")
    ended = f'"messageMetadata":{{"finishReason":"error","usage":{USED}}}}}\n\n'
    assert encoded(encoder, events).decode() == (
        f'data: {{"type":"start","messageId":"t1-answer",{BEGUN}'
        'data: {"type":"start-step"}\n\n'
        'data: {"type":"source-url","sourceId":"1","url":"https://example.com","title":"T"}\n\n'
        'data: {"type":"reasoning-start","id":"2"}\n\n'
        'data: {"type":"reasoning-delta","id":"2","delta":"h"}\n\n'
        'data: {"type":"reasoning-delta","id":"2","delta":"m"}\n\n'
        'data: {"type":"reasoning-end","id":"2"}\n\n'
        'data: {"type":"text-start","id":"3"}\n\n'
        'data: {"type":"text-delta","id":"3","delta":"a\\"\\u2028"}\n\n'
        'data: {"type":"text-end","id":"3"}\n\n'
        'data: {"type":"tool-input-start","toolCallId":"id","toolName":"name"}\n\n'
        'data: {"type":"tool-input-available","toolCallId":"id","toolName":"name",'
        '"input":{"x":1}}\n\n'
        'data: {"type":"text-start","id":"6"}\n\n'
        'data: {"type":"text-delta","id":"6","delta":"b"}\n\n'
        'data: {"type":"text-end","id":"6"}\n\n'
        f'data: {{"type":"message-metadata",{ended}'
        'data: {"type":"error","errorText":"Silent."}\n\n'
        'data: {"type":"finish-step"}\n\n'
        f'data: {{"type":"finish","finishReason":"error",{ended}'
        "data: [DONE]\n\n"
    )


def test_a_message_that_goes_on() -> None:
    call = ToolCall(0, "id", "name", "{}")
    earlier = [Step((Delta("Let me see."), call), (ToolResult(id="id", content="sunny"),))]
    encoder = UiMessageEncoder("m1", earlier)
    assert encoder.encode(START, Position(0, 1)).decode() == (
        f'data: {{"type":"start","messageId":"m1",{BEGUN}'
        'data: {"type":"start-step"}\n\n'
        'data: {"type":"text-start","id":"0"}\n\n'
        'data: {"type":"text-delta","id":"0","delta":"Let me see."}\n\n'
        'data: {"type":"text-end","id":"0"}\n\n'
        'data: {"type":"tool-input-start","toolCallId":"id","toolName":"name"}\n\n'
        'data: {"type":"tool-input-available","toolCallId":"id","toolName":"name","input":{}}\n\n'
        'data: {"type":"tool-output-available","toolCallId":"id","output":"sunny"}\n\n'
        'data: {"type":"finish-step"}\n\n'
        'data: {"type":"start-step"}\n\n'
    )


@pytest.mark.parametrize(
    ("content", "output"),
    [
        ("sunny", "sunny"),
        ("7", "7"),
        ('{"sky":"blue"}', {"sky": "blue"}),
        ("[1]", [1]),
        ('{"__proto__":1}', '{"__proto__":1}'),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_outputs_are_told_as_they_were(content: str, output: object) -> None:
    step = Step((ToolCall(0, "id", "name", "{}"),), (ToolResult(id="id", content=content),))
    parts = parts_of(UiMessageEncoder("m1", [step]).encode(START, Position(0, 1)))
    assert [part["output"] for part in parts if "output" in part] == [output]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("", b'"input":{}'),
        (" \n", b'"input":{}'),
        ('{"n": 12345678901234567890123,\n "x": 1.50}', b'{"n":12345678901234567890123,"x":1.50}'),
        ('"text"', b'"input":"text"'),
        ('{"constructor": {"a": 1}}', b'"input":{"constructor":{"a":1}}'),
    ],
)
def test_arguments(arguments: str, told: bytes) -> None:
    data = UiMessageEncoder().encode(ToolCall(0, "id", "name", arguments), Position(1, 1))
    assert told in data
    assert types_of(data) == ["tool-input-start", "tool-input-available"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("{", "are not JSON"),
        ("{'a': 1}", "are not JSON"),
        ('{"a": "\\ud800"}', "are not JSON"),
        ("[" * 5000, "are not JSON"),
        ('{"\\u005f_proto__": 1}', "have a key that no object may have"),
        ('[{"constructor": {"prototype": {}}}]', "have a key that no object may have"),
    ],
)
def test_arguments_that_are_none(arguments: str, why: str) -> None:
    data = UiMessageEncoder().encode(ToolCall(0, "id", "name", arguments), Position(1, 1))
    assert types_of(data) == ["tool-input-start", "tool-input-error"]
    failed = parts_of(data)[1]
    assert (failed["input"], failed["errorText"]) == (arguments, f"The call's arguments {why}.")


REASONS: dict[FinishReason, tuple[str, list[str]]] = {
    "stop": ("stop", []),
    "length": ("length", []),
    "content_filter": ("content-filter", []),
    "tool_calls": ("tool-calls", []),
    "cancelled": ("other", ["abort"]),
    "disconnected": ("other", ["abort"]),
    "incomplete": ("other", ["message-metadata", "error"]),
    "error": ("error", []),
}


@pytest.mark.parametrize(("reason", "told"), REASONS.items())
def test_ends(reason: FinishReason, told: tuple[str, list[str]]) -> None:
    parts = parts_of(UiMessageEncoder().encode(End(reason, USAGE, ""), Position(1, 0)))
    name, before = told
    assert [part["type"] for part in parts] == [*before, "finish-step", "finish"]
    assert parts[-1]["finishReason"] == name
    assert parts[-1]["messageMetadata"]["finishReason"] == reason


@given(middles, st.sampled_from(list(REASONS)))
def test_the_grammar(middle: list[Event], reason: FinishReason) -> None:
    said = "".join(event.text for event in middle if isinstance(event, Delta))
    data = encoded(UiMessageEncoder(), [START, *middle, End(reason, USAGE, said)])
    assert data.endswith(b"data: [DONE]\n\n")
    open_part: tuple[str, str] | None = None
    read, errors = "", 0
    first, step, *rest, finish = parts_of(data)
    assert (first["type"], step["type"], finish["type"]) == ("start", "start-step", "finish")
    for part in rest:
        kind, _, what = part["type"].partition("-")
        if kind in ("text", "reasoning"):
            if what == "start":
                assert open_part is None
                open_part = kind, part["id"]
            else:
                assert open_part == (kind, part["id"])
            if what == "end":
                open_part = None
            elif what == "delta" and kind == "text":
                read += part["delta"]
        else:
            assert open_part is None
            errors += part["type"] == "error"
    assert open_part is None
    assert read == said
    failed = reason == "incomplete" or any(isinstance(event, Error) for event in middle)
    failed = failed and not (reason == "content_filter" and said)
    assert errors == failed


@given(texts)
def test_ids_of_turns(message_id: str) -> None:
    turn = turn_of(message_id)
    assert re.match(ID_PATTERN, turn)
    assert turn == turn_of(message_id)
    assert turn_of_answer(answer_id(turn)) == turn
    assert answer_id(turn) != message_id


def test_derived_ids_differ() -> None:
    ids = {derived("again", "a", "b"), derived("again", "ab", ""), derived("results", "a", "b")}
    assert len(ids) == 3
    assert turn_of_answer("of-somebody-else") is None


def test_results_are_those_of_the_last_step() -> None:
    def tool(call: str, kind: str = "tool-weather", **more: Any) -> dict[str, Any]:
        return {
            "type": kind,
            "toolCallId": call,
            "state": "output-available",
            "output": call,
        } | more

    parts = [
        {"type": "step-start"},
        tool("1"),
        {"type": "step-start"},
        {"type": "text", "text": "Hm"},
        tool("2", "dynamic-tool", toolName="x"),
        tool("3", state="input-available"),
        tool("4", "data-tool"),
        {"toolCallId": "5"},
        tool("6", output=[None]),
    ]
    message = {"id": "m-answer", "role": "assistant", "parts": parts}
    asked = parse(json.dumps({"id": "c1", "messages": [message], "messageId": "m-answer"}).encode())
    assert asked.request.tool_results == (
        ToolResult(id="2", content="2"),
        ToolResult(id="6", content="[null]"),
    )
    assert asked.continues == "m-answer"
    assert asked.request.turn_id == derived("results", "m-answer", 2, "2", "6")
    parts[1:1] = [{"type": "step-start"}]
    later = parse(json.dumps({"id": "c1", "messages": [message]}).encode())
    assert later.request.turn_id != asked.request.turn_id
