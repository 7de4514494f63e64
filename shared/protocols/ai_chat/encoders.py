"""Events in the AI Chat Protocol's words: lines of deltas, or one completion. Pure.

An encoder serves one response. The client throws what a line says under `error`, and drops a last
line without its line break.
"""

from typing import Any

import msgspec

from shared.events import Citations, Delta, End, Error, Event, Position, Reasoning, Start, ToolCall
from shared.protocols.encoding import (
    cut_by_filter,
    escape_separators,
    shown_documents,
    shown_retrieval,
)

_json = msgspec.json.Encoder().encode

BROKE_OFF = {"code": "incomplete", "message": "The answer broke off."}
"""What is said of an answer that ended without a reason, and without an error."""


class DeltaEncoder:
    """One JSON object a line: `{delta, sessionState?, context?}`, or `{error}`.

    Whatever happened, the last line's `context` says how the answer ended.
    """

    key = None
    heartbeat = b"\n"

    def __init__(self) -> None:
        self._tool_calls: list[dict[str, str]] = []
        self._error: Error | None = None

    def encode(self, event: Event, position: Position) -> bytes:
        match event:
            case Delta():  # the hot path
                return escape_separators(b'{"delta":{"content":%b}}\n' % _json(event.text))
            case Reasoning():
                return _line({"delta": {"context": {"reasoning": event.text}}})
            case Start():
                return _line({"delta": {"role": "assistant"}, "sessionState": session(event)})
            case Citations():
                return _line({"delta": {}, "context": _cited(event)})
            case ToolCall():
                self._tool_calls.append(_call(event))
            case Error():
                self._error = event  # its `end` comes at once
            case End():
                context = ended(event, self._tool_calls, self._error)
                last = _line({"delta": {}, "context": context})
                error = failure(event, self._error)
                return last if error is None else _line({"error": error}) + last
            case _:
                pass
        return b""


class CompletionEncoder:
    """One JSON object at the end: `{message, sessionState, context, error?}`.

    An `error` comes with the part of the answer that there is: its turn is stored, and asking
    again would be another one.
    """

    key = None
    heartbeat = b" "

    def __init__(self) -> None:
        self._object: dict[str, Any] = {}
        self._reasoning: list[str] = []
        self._context: dict[str, Any] = {}
        self._tool_calls: list[dict[str, str]] = []
        self._error: Error | None = None

    def encode(self, event: Event, position: Position) -> bytes:
        match event:
            case Start():
                self._object["sessionState"] = session(event)
            case Reasoning():
                self._reasoning.append(event.text)
            case Citations():
                self._context |= _cited(event)
            case ToolCall():
                self._tool_calls.append(_call(event))
            case Error():
                self._error = event
            case End():
                return escape_separators(_json(self._whole(event)))
            case _:
                pass
        return b""

    def _whole(self, end: End) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": end.text}
        if self._reasoning:
            message["context"] = {"reasoning": "".join(self._reasoning)}
        context = self._context | ended(end, self._tool_calls, self._error)
        whole = {"message": message} | self._object | {"context": context}
        error = failure(end, self._error)
        return whole if error is None else whole | {"error": error}


def session(start: Start) -> dict[str, str | None]:
    """The `sessionState` that carries the turn's conversation."""
    return {"conversationId": start.conversation_id}


def ended(end: End, tool_calls: list[dict[str, str]], error: Error | None) -> dict[str, Any]:
    """What `context` says of an answer's end, with what the content filter cut it for."""
    calls = {"toolCalls": tool_calls} if tool_calls else {}
    cut = {"contentFilter": error.message} if error is not None and cut_by_filter(end) else {}
    return {"finishReason": end.finish_reason, **cut, **calls, "usage": end.usage}


def failure(end: End, error: Error | None) -> dict[str, str] | None:
    """The error that an end is, where it is one."""
    if cut_by_filter(end):
        return None
    if error is not None:
        return {"code": error.code, "message": error.message}
    return BROKE_OFF if end.finish_reason == "incomplete" else None


def _line(value: dict[str, Any]) -> bytes:
    return escape_separators(_json(value)) + b"\n"


def _cited(event: Citations) -> dict[str, Any]:
    retrieval = shown_retrieval(event)
    more = {"retrieval": retrieval} if retrieval else {}
    return {"citations": shown_documents(event.documents), **more}


def _call(event: ToolCall) -> dict[str, str]:
    return {"id": event.id, "name": event.name, "arguments": event.arguments}
