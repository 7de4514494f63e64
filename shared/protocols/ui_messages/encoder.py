"""Events as a UI message stream (server-sent events; package `ai`, `ui-message-chunks.ts`). Pure.

What `useChat` would choke on is kept from it: a delta without its start, a type that it does not
know, a key that its JSON reader forbids. A failed answer says in `message-metadata` how it ended
before its `error`, after which the client reads nothing more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from shared.events import Citations, Delta, End, Error, Event, Position, Reasoning, Start, ToolCall
from shared.messages import Document, FinishReason, ToolResult
from shared.protocols.encoding import cut_by_filter, escape_separators, shown_retrieval
from shared.protocols.ui_messages.ids import answer_id

HEADERS = {"x-vercel-ai-ui-message-stream": "v1"}

_json = msgspec.json.Encoder().encode

_REASONS: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "error": "error",
}
"""By the client's names; it knows no other of ours: those are `other`."""

_BROKE_OFF = "The answer broke off."
_HARMLESS_URL = re.compile(r"https?://[^\s\x00-\x20]+", re.IGNORECASE)
_FORBIDDEN_KEY = "__proto__"


@dataclass(frozen=True, slots=True)
class Step:
    """A turn before this one in the same message: it called, and these are the results."""

    events: tuple[Event, ...]
    results: tuple[ToolResult, ...]


class UiMessageEncoder:
    """One assistant message, from its start on; serves one response.

    `message_id`: that of the message it goes on with, or None: the turn's own. `earlier`: its steps
    that the client has to be told again.
    """

    key = None
    heartbeat = b": keep-alive\n\n"

    def __init__(self, message_id: str | None = None, earlier: Sequence[Step] = ()) -> None:
        self._message_id = message_id
        self._earlier = earlier
        self._open: tuple[Literal["text", "reasoning"], int] | None = None
        self._errors: list[str] = []

    def encode(self, event: Event, position: Position) -> bytes:
        if type(event) is Delta or type(event) is Reasoning:  # the hot path
            kind: Literal["text", "reasoning"] = "text" if type(event) is Delta else "reasoning"
            begun = b"" if self._open == (kind, position.run) else self._begin(kind, position.run)
            text = escape_separators(_json(event.text))
            head = b'data: {"type":"%b-delta","id":"%d"' % (kind.encode(), position.run)
            return b'%b%b,"delta":%b}\n\n' % (begun, head, text)
        parts = [self._close()]
        match event:
            case Start():
                parts += self._start(event)
            case Citations():
                parts += (_source(n, found) for n, found in enumerate(event.documents, start=1))
                if retrieval := shown_retrieval(event):
                    parts.append(_part("data-retrieval", data=retrieval))
            case ToolCall():
                parts += _call(event)
            case Error():
                self._errors.append(event.message)  # its `end` comes at once
            case End():
                parts += self._end(event)
            case _:
                pass
        return b"".join(parts)

    def _start(self, start: Start) -> Iterator[bytes]:
        told = {
            "conversationId": start.conversation_id,
            "turnId": start.turn_id,
            "action": start.action,
            "model": start.model,
        }
        message_id = self._message_id or answer_id(start.turn_id or "")
        yield _part("start", messageId=message_id, messageMetadata=told)
        for step in self._earlier:
            yield _part("start-step")
            for run, event in enumerate(step.events):
                yield self.encode(event, Position(run, 0))
            yield self._close()
            for result in step.results:
                yield _part(
                    "tool-output-available", toolCallId=result.id, output=_output(result.content)
                )
            yield _part("finish-step")
        yield _part("start-step")

    def _end(self, end: End) -> Iterator[bytes]:
        told: dict[str, Any] = {"finishReason": end.finish_reason, "usage": end.usage}
        if self._errors and cut_by_filter(end):
            told["contentFilter"] = " ".join(self._errors)
            self._errors.clear()
        if end.finish_reason == "incomplete" and not self._errors:
            self._errors.append(_BROKE_OFF)
        if self._errors:
            yield _part("message-metadata", messageMetadata=told)
            yield _part("error", errorText=" ".join(self._errors))
        if end.finish_reason in ("cancelled", "disconnected"):
            yield _part("abort")
        yield _part("finish-step")
        reason = _REASONS.get(end.finish_reason, "other")
        yield _part("finish", finishReason=reason, messageMetadata=told)
        yield b"data: [DONE]\n\n"

    def _begin(self, kind: Literal["text", "reasoning"], run: int) -> bytes:
        closed = self._close()
        self._open = kind, run
        return closed + _part(f"{kind}-start", id=str(run))

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        kind, run = self._open
        self._open = None
        return _part(f"{kind}-end", id=str(run))


def _source(number: int, document: Document) -> bytes:
    """One document that may be cited as `[number]`; a link only where following it does no harm."""
    about = {"id": document.id, "score": document.score}
    known = {name: value for name, value in about.items() if value is not None}
    more: dict[str, Any] = {"providerMetadata": {"citation": known}} if known else {}
    url = document.url
    if url and _HARMLESS_URL.fullmatch(url):
        title = {} if document.title is None else {"title": document.title}
        return _part("source-url", sourceId=str(number), url=url, **title, **more)
    title_of = document.title or document.id or f"[{number}]"
    return _part(
        "source-document", sourceId=str(number), mediaType="text/plain", title=title_of, **more
    )


def _call(call: ToolCall) -> tuple[bytes, ...]:
    """A call is told complete; arguments that the client could not read are its error."""
    named = {"toolCallId": call.id, "toolName": call.name}
    begun = _part("tool-input-start", **named)
    try:
        given = _input(call.arguments)
    except ValueError as exc:
        told = {"input": call.arguments, "errorText": f"The call's arguments {exc}."}
        return begun, _part("tool-input-error", **named, **told)
    return begun, _part("tool-input-available", **named, input=given)


def _input(arguments: str) -> msgspec.Raw:
    """The model's own JSON, on one line. Raises `ValueError` that says why it is none."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        value = msgspec.json.decode(arguments)
        line = msgspec.json.format(arguments.encode(), indent=-1)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise ValueError("are not JSON") from exc
    if _has_forbidden_key(value):
        raise ValueError("have a key that no object may have")
    return msgspec.Raw(line)


def _output(content: str) -> object:
    """What a call gave: as it was, where it was an object or a list, which went out as JSON."""
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return content
    return value if isinstance(value, dict | list) and not _has_forbidden_key(value) else content


def _has_forbidden_key(value: object) -> bool:
    """Whether the client's JSON reader would refuse it, and the stream with it."""
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            made = node.get("constructor")
            if _FORBIDDEN_KEY in node or (isinstance(made, dict) and "prototype" in made):
                return True
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)
    return False


def _part(kind: str, **fields: Any) -> bytes:
    return b"data: %b\n\n" % escape_separators(_json({"type": kind, **fields}))
