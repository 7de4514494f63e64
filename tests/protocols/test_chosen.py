"""What a caller chooses for a turn means the same on every protocol."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.errors import InvalidRequest
from shared.messages import ChatRequest
from shared.protocols.ai_chat import request as ai_chat
from shared.protocols.chosen import Chosen
from shared.protocols.native import request as native
from shared.protocols.ui_messages import request as ui_messages

EVERYTHING: dict[str, Any] = {
    "action": "summary",
    "connection": "OTHER",
    "model": "gpt",
    "deploymentName": "gpt",
    "systemPrompt": "s",
    "promptTemplate": "@@context @@userPrompt",
    "options": {"top_p": 1, "seed": None, "tools": []},
    "context": [{"content": "c", "id": "i", "title": "t", "url": "u", "score": 1}],
    "temperature": 2,
    "maxCompletionTokens": 1,
    "onDisconnect": "cancel",
}
OUTPUTS = [
    {"type": "tool-x", "toolCallId": "1", "state": "output-available", "output": "18°"},
    {"type": "tool-x", "toolCallId": "2", "state": "output-available", "output": ""},
]
RESULTS = [{"id": "1", "content": "18°"}, {"id": "2", "content": ""}]


def by_native(chosen: dict[str, Any]) -> ChatRequest:
    return native.parse(encoded({"userPrompt": "q", "conversationId": "c"} | chosen))


def by_ui_chat(chosen: dict[str, Any]) -> ChatRequest:
    question = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "q"}]}
    return ui_messages.parse(encoded({"id": "c", "message": question} | chosen)).request


def by_ai_chat(chosen: dict[str, Any]) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": "q"}], "context": chosen}
    return ai_chat.parse(encoded(body | {"sessionState": {"conversationId": "c"}}))


def results_by_native(chosen: dict[str, Any]) -> ChatRequest:
    return native.parse(encoded({"toolResults": RESULTS, "conversationId": "c"} | chosen))


def results_by_ui_chat(
    chosen: dict[str, Any], parts: list[dict[str, Any]] = OUTPUTS
) -> ChatRequest:
    message = {"id": "m", "role": "assistant", "parts": parts}
    return ui_messages.parse(encoded({"id": "c", "message": message} | chosen)).request


def encoded(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


def without_turn(request: ChatRequest) -> ChatRequest:
    return msgspec.structs.replace(request, turn_id=None)


def refused(parse: Callable[[dict[str, Any]], ChatRequest], body: dict[str, Any]) -> list[Any]:
    with pytest.raises(InvalidRequest) as raised:
        parse(body)
    return [raised.value.message, *(problem.field for problem in raised.value.problems)]


def test_every_field_is_checked_alike() -> None:
    own = {field.name: field for field in msgspec.structs.fields(native.ChatBody)}
    chosen = msgspec.structs.fields(Chosen)
    assert {field.encode_name for field in chosen} == set(EVERYTHING)
    for field in chosen:
        mine = own[field.name]
        assert (mine.type, mine.default) == (field.type, field.default)
        assert mine.encode_name == field.encode_name


@pytest.mark.parametrize(
    "chosen",
    [
        EVERYTHING,
        {},
        dict.fromkeys(EVERYTHING),
        *({name: value} for name, value in EVERYTHING.items()),
        {"options": {}, "context": []},
        {"options": {"top_p": None}, "context": "text"},
    ],
    ids=lambda chosen: ",".join(chosen)[:40],
)
def test_the_same_is_asked(chosen: dict[str, Any]) -> None:
    asked = by_native(chosen)
    assert without_turn(by_ui_chat(chosen)) == asked
    assert by_ai_chat(chosen) == asked


@pytest.mark.parametrize(
    "chosen",
    [
        {"model": "a", "deploymentName": "b"},
        {"temperature": 3},
        {"action": ""},
        {"options": {"nonsense": 1}},
        {"options": {"top_p": 2}},
        {"context": [{"title": "t"}]},
        {"maxCompletionTokens": 0},
    ],
    ids=str,
)
def test_the_same_is_refused(chosen: dict[str, Any]) -> None:
    message, field = refused(by_native, chosen)
    assert refused(by_ui_chat, chosen) == [message, field]
    there = refused(by_ai_chat, chosen)[1]
    assert there in (field, f"context.{field}")


def test_results_ask_the_same_without_what_goes_into_a_prompt() -> None:
    apart = {name: EVERYTHING[name] for name in native.NOT_BESIDE_RESULTS if name in EVERYTHING}
    assert set(apart) == {"promptTemplate", "context"}
    rest = {name: value for name, value in EVERYTHING.items() if name not in apart}
    assert without_turn(results_by_ui_chat(EVERYTHING)) == results_by_native(rest)
    # The turn is the same one whatever a page posts besides, so that a retry is one.
    assert results_by_ui_chat(EVERYTHING) == results_by_ui_chat(rest)
    for name, value in apart.items():
        assert refused(results_by_native, {name: value})[1] == name


def test_a_call_has_one_result() -> None:
    said, field = refused(results_by_native, {"toolResults": [*RESULTS, RESULTS[0]]})
    parts = [*OUTPUTS, OUTPUTS[0]]
    assert field == "toolResults"
    assert refused(lambda body: results_by_ui_chat(body, parts), {}) == [
        said.replace("toolResults", "message.parts"),
        "message.parts",
    ]
