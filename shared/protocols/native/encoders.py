"""Events as bytes: text, NDJSON, SSE, and one JSON object. Pure; a frame ends where it ends."""

from typing import Any

import msgspec

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
from shared.messages import FinishReason
from shared.protocols.encoding import Encoder, escape_separators, shown_documents, shown_retrieval
from shared.protocols.native.accept import Form

_json = msgspec.json.Encoder().encode

_ENDINGS: dict[FinishReason, str] = {
    "length": "Exceeded max token length!",
    "content_filter": "The content filter stopped the answer.",
    "cancelled": "The answer was stopped.",
    "disconnected": "Nobody was listening any more.",
    "incomplete": "The answer broke off.",
    "error": "Something went wrong.",
}


class TextEncoder:
    """The answer's text; every end but `stop` and `tool_calls` is said in a last line."""

    key = "text"
    heartbeat = b""

    def encode(self, event: Event, position: Position) -> bytes:
        if type(event) is Delta:
            return event.text.encode()
        if isinstance(event, End) and event.finish_reason in _ENDINGS:
            line_break = "\n" if event.text and not event.text.endswith("\n") else ""
            return f"{line_break}ERROR: {_ENDINGS[event.finish_reason]}".encode()
        return b""


class LineEncoder:
    """One JSON object a line (NDJSON)."""

    heartbeat = b"\n"

    def __init__(self, result_name: str) -> None:
        self.key = f"ndjson {result_name}"
        self._result_name = result_name

    def encode(self, event: Event, position: Position) -> bytes:
        return encode_event(event, position, self._result_name) + b"\n"


class EventStreamEncoder:
    """Server-sent events (WHATWG HTML, 9.2): `id` is the position."""

    heartbeat = b": keep-alive\n\n"

    def __init__(self, result_name: str) -> None:
        self.key = f"sse {result_name}"
        self._result_name = result_name

    def encode(self, event: Event, position: Position) -> bytes:
        data = encode_event(event, position, self._result_name)
        return b"id: %d.%d\ndata: %b\n\n" % (*position, data)


class ObjectEncoder:
    """One JSON object at the end. It keeps what came before, so it serves one response only."""

    key = None
    heartbeat = b" "

    def __init__(self, result_name: str) -> None:
        self._result_name = result_name
        self._object: dict[str, Any] = {}
        self._citations: list[Any] = []
        self._retrieval: dict[str, Any] = {}
        self._tool_calls: list[dict[str, str]] = []
        self._error: Error | None = None

    def encode(self, event: Event, position: Position) -> bytes:
        match event:
            case Start(conversation_id=str()):
                self._object["conversationId"] = event.conversation_id
                self._object["turnId"] = event.turn_id
            case Citations():
                self._citations = shown_documents(event.documents)
                self._retrieval = shown_retrieval(event)
            case ToolCall():
                call = {"id": event.id, "name": event.name, "arguments": event.arguments}
                self._tool_calls.append(call)
            case Error():
                self._error = event
            case End():
                return escape_separators(_json(self._whole(event)))
            case _:
                pass
        return b""

    def _whole(self, end: End) -> dict[str, Any]:
        whole = self._object | {
            "finishReason": end.finish_reason,
            "usage": end.usage,
            "citations": self._citations,
        }
        if self._retrieval:
            whole["retrieval"] = self._retrieval
        if self._tool_calls:
            whole["toolCalls"] = self._tool_calls
        if self._error:
            whole["error"] = self._error
        return whole | {self._result_name: end.text}


def make_encoder(form: Form, result_name: str) -> Encoder:
    """A fresh encoder for one response."""
    match form:
        case "text":
            return TextEncoder()
        case "ndjson":
            return LineEncoder(result_name)
        case "sse":
            return EventStreamEncoder(result_name)
        case "json":
            return ObjectEncoder(result_name)


def encode_event(event: Event, position: Position, result_name: str) -> bytes:
    """One event as a JSON object, without any line break in it."""
    if type(event) is Delta or type(event) is Reasoning:  # the hot path
        name = b"delta" if type(event) is Delta else b"reasoning"
        text = _json(event.text)
        data = b'{"type":"%b","text":%b,"position":"%d.%d"}' % (name, text, *position)
    else:
        data = _json(_fields(event, result_name) | {"position": str(position)})
    return escape_separators(data)


def _fields(event: Event, result_name: str) -> dict[str, Any]:
    match event:
        case End():
            return {
                "type": "end",
                "finishReason": event.finish_reason,
                "usage": event.usage,
                "result": {result_name: event.text},
            }
        case Citations():
            documents = shown_documents(event.documents)
            return {"type": "citations", "documents": documents} | shown_retrieval(event)
        case Start():
            fields: dict[str, Any] = msgspec.to_builtins(event)
            return {name: value for name, value in fields.items() if value is not None}
        case _:
            other: dict[str, Any] = msgspec.to_builtins(event)
            return other
