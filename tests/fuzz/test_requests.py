"""Bodies of requests on every protocol: a request comes of them, or an error that says what."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ChatError, InvalidRequest
from shared.events import Position
from shared.messages import ChatRequest
from shared.protocols.ai_chat import request as ai_chat
from shared.protocols.native import request as native
from shared.protocols.native.accept import choose_form
from shared.protocols.openai import request as openai
from shared.protocols.ui_messages import request as ui_messages
from tests.fuzz.examples import damaged, encoded, fuzzed, mutated, texts, values

NATIVE = (
    {"userPrompt": "Hello", "conversationId": "c", "turnId": "t", "options": {"top_p": 0.5}},
    {
        "userPrompt": "Hello",
        "history": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        "context": [{"content": "x", "id": "1", "title": "t", "url": "u", "score": 0.5}],
        "options": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    },
    {"toolResults": [{"id": "c1", "content": "r"}], "conversationId": "c"},
    {"userPrompt": "Hello", "store": False, "temperature": 1, "maxCompletionTokens": 5},
)
OPENAI = (
    {"model": "default", "messages": [{"role": "user", "content": "Hello"}], "stream": True},
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": "r"},
        ],
        "metadata": {"conversation_id": "c"},
        "stream_options": {"include_usage": True},
    },
)
AI_CHAT = (
    {"messages": [{"role": "user", "content": "Hello"}], "sessionState": {"conversationId": "c"}},
    {
        "messages": [{"role": "user", "content": "Hello", "context": {}}],
        "context": {"action": "default", "temperature": 1},
    },
)
UI = (
    {
        "id": "chat",
        "messages": [
            {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hello"}]},
        ],
        "trigger": "submit-message",
    },
    {
        "id": "chat",
        "messages": [
            {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hello"}]},
        ],
        "messageId": "m",
        "trigger": "regenerate-message",
    },
)

PARSERS: dict[str, tuple[Callable[[bytes], Any], tuple[Any, ...]]] = {
    "native": (native.parse, NATIVE),
    "openai": (lambda body: openai.parse(body, {}), OPENAI),
    "ai_chat": (ai_chat.parse, AI_CHAT),
    "ui_messages": (ui_messages.parse, UI),
}


def judged(parse: Callable[[bytes], Any], body: bytes) -> None:
    """Parsing gives something, or a refusal that a caller can read."""
    try:
        parsed = parse(body)
    except ChatError as error:
        assert 400 <= error.status < 500
        assert 0 < len(error.message) < 1000
        assert error.message.isprintable()
        return
    request = getattr(parsed, "request", parsed)
    if isinstance(request, ChatRequest):
        assert request.digest()


@pytest.mark.parametrize("name", PARSERS)
def test_what_is_valid_is_taken(name: str) -> None:
    parse, valid = PARSERS[name]
    for body in valid:
        try:
            parse(encoded(body))
        except ChatError as error:  # what only looks valid makes poor examples
            pytest.fail(f"{name}: {error.message}")


@pytest.mark.parametrize("name", PARSERS)
def test_any_json(name: str) -> None:
    parse, valid = PARSERS[name]

    @fuzzed(300)
    @given(st.one_of(values, mutated(*valid)))
    def example(value: Any) -> None:
        judged(parse, encoded(value))

    example()


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes(name: str) -> None:
    parse, valid = PARSERS[name]

    @fuzzed(150)
    @given(st.one_of(st.binary(max_size=200), *(damaged(encoded(body)) for body in valid)))
    def example(body: bytes) -> None:
        judged(parse, body)

    example()


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize(
    "deep", [b"[" * 200_000, b'{"messages":' * 100_000, b'{"userPrompt":' * 99]
)
def test_deep_nesting_is_refused(name: str, deep: bytes) -> None:
    judged(PARSERS[name][0], deep)


@fuzzed(500)
@given(st.one_of(texts, st.from_regex(r"[0-9]{0,12}[.,]?[0-9]{0,12}", fullmatch=True)))
def test_positions(text: str) -> None:
    position = Position.parse(text)
    assert position is None or Position.parse(str(position)) == position


_ACCEPT = st.lists(
    st.sampled_from(
        [
            "text/plain",
            "*/*",
            "text/*",
            "application/json",
            "text/event-stream",
            "q=0",
            ";",
            ",",
            "q=1.",
        ]
    ),
    max_size=6,
).map("".join)


@fuzzed(300)
@given(st.one_of(texts, _ACCEPT), st.booleans())
def test_accept_headers(accept: str, web: bool) -> None:
    try:
        form, content_type = choose_form(accept, through_static_web_apps=web)
    except ChatError as error:
        assert error.status == 406
    else:
        assert form
        assert content_type.isascii()


@fuzzed(300)
@given(texts, texts)
def test_headers_of_openais_protocol(conversation: str, key: str) -> None:
    body = encoded(OPENAI[0])
    headers = {"x-conversation-id": conversation, "idempotency-key": key}
    try:
        asked = openai.parse(body, headers)
    except InvalidRequest as error:
        assert error.message.isprintable()
    else:
        turn = asked.request.turn_id
        assert turn is None or turn.isascii()
