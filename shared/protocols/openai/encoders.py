"""Events as OpenAI's chunks (`chat.completion.chunk`), or as one completion. Pure.

https://platform.openai.com/docs/api-reference/chat-streaming
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from shared.events import Delta, End, Error, Event, Piece, Position, Reasoning, Start, ToolCall
from shared.messages import Usage
from shared.protocols.encoding import escape_separators
from shared.protocols.openai.errors import told

_json = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class ChunkEncoder:
    """Server-sent events. It keeps what the first event said, so it serves one response only.

    `id` is the completion's, `created` in seconds since 1970, and `usage` whether the caller asked
    for a last chunk with it. What the model says comes as it said it where the turn tells pieces; a
    choice that it left without a reason has the turn's.
    An end that is not the model's own is an error object, and nothing after it: no made-up finish
    reason, no `[DONE]`.
    """

    key = None
    heartbeat = b": keep-alive\n\n"

    def __init__(self, id: str, created: int, *, usage: bool) -> None:
        self._id = id
        self._created = created
        self._usage = usage
        self._head = self._text = self._thought = b""
        self._tail = b"}" + self._after(None)
        self._pieces: dict[int, bool] = {}
        """Whether the choice has its reason, for each that was told by pieces."""
        self._said = False
        """Whether a piece said anything."""
        self._error: Error | None = None

    def encode(self, event: Event, position: Position) -> bytes:
        if type(event) is Delta:  # the hot path: what was prepared around one JSON string
            return b"%b%b%b" % (self._text, escape_separators(_json(event.text)), self._tail)
        if type(event) is Reasoning:
            return b"%b%b%b" % (self._thought, escape_separators(_json(event.text)), self._tail)
        return escape_separators(self._other(event))

    def _other(self, event: Event) -> bytes:
        match event:
            case Start():
                return self._begin(event.model)
            case ToolCall():
                return self._delta({"tool_calls": [{"index": event.index, **_call(event)}]})
            case Piece():
                return self._piece(event)
            case Error():
                self._error = event
                return b""
            case End():
                return self._end(event)
            case _:
                return b""

    def _begin(self, model: str) -> bytes:
        """Prepare what is the same around every text, once it is known who answers."""
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,' % (
            _json(self._id),
            self._created,
            _json(model),
        )
        self._head = escape_separators(self._head) + b'"system_fingerprint":null,"choices":['
        choice = self._head + b'{"index":0,"delta":'
        self._text = choice + b'{"content":'
        self._thought = choice + b'{"reasoning_content":'
        return self._delta({"role": "assistant", "content": ""})

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return b'%b{"index":0,"delta":%b%b' % (self._head, _json(delta), self._after(None))

    def _after(self, reason: str | None) -> bytes:
        """What follows a delta, to the end of the event."""
        usage = b',"usage":null' if self._usage else b""
        return b',"logprobs":null,"finish_reason":%b}]%b}\n\n' % (_json(reason), usage)

    def _piece(self, piece: Piece) -> bytes:
        delta = piece.delta
        if piece.index not in self._pieces:
            self._pieces[piece.index] = False
            if piece.index and "role" not in delta:  # the first choice's came with the start
                delta = {"role": "assistant"} | delta
        if piece.finish_reason is not None:
            self._pieces[piece.index] = True
        self._said = self._said or _says(piece)
        choice = {
            "index": piece.index,
            "delta": delta,
            "logprobs": piece.logprobs,
            "finish_reason": piece.finish_reason,
        }
        usage = b',"usage":null' if self._usage else b""
        return b"%b%b]%b}\n\n" % (self._head, _json(choice), usage)

    def _end(self, end: End) -> bytes:
        if (failed := told(end, self._error, said=self._said)) is not None:
            return b"data: %b\n\n" % failed[1]
        finish = self._after(end.finish_reason)
        last = b"".join(
            b'%b{"index":%d,"delta":{}%b' % (self._head, index, finish)
            for index, has_reason in sorted(({0: False} | self._pieces).items())
            if not has_reason
        )
        if self._usage:
            last += b'%b],"usage":%b}\n\n' % (self._head, _json(_used(end.usage)))
        return last + DONE


class WholeEncoder:
    """One completion at the end, or one error object; `status` is then what it should have had."""

    key = None
    heartbeat = b" "

    def __init__(self, id: str, created: int) -> None:
        self.status = 200
        self._id = id
        self._created = created
        self._model = ""
        self._reasoning: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._choices: dict[int, _Choice] = {}
        self._said = False
        self._error: Error | None = None

    def encode(self, event: Event, position: Position) -> bytes:
        if type(event) is Delta:  # the end has the whole text
            return b""
        match event:
            case Start():
                self._model = event.model
            case Reasoning():
                self._reasoning.append(event.text)
            case ToolCall():
                self._calls.append(_call(event))
            case Piece():
                self._choices.setdefault(event.index, _Choice()).take(event)
                self._said = self._said or _says(event)
            case Error():
                self._error = event
            case End():
                return escape_separators(self._whole(event))
            case _:
                pass
        return b""

    def _whole(self, end: End) -> bytes:
        if (failed := told(end, self._error, said=self._said)) is not None:
            self.status, body = failed
            return body
        if self._choices:
            choices = [
                self._choices[index].whole(index, end.finish_reason)
                for index in sorted(self._choices)
            ]
        else:
            message = _message(end.text, "".join(self._reasoning), self._calls, None)
            choices = [_choice(0, message, None, end.finish_reason)]
        return _json(
            {
                "id": self._id,
                "object": "chat.completion",
                "created": self._created,
                "model": self._model,
                "system_fingerprint": None,
                "choices": choices,
                "usage": _used(end.usage),
            }
        )


def _says(piece: Piece) -> bool:
    """Whether there is more in it than who speaks."""
    return any(value for name, value in piece.delta.items() if name != "role")


class _Choice:
    """One of several answers, gathered from its pieces."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {"content": [], "reasoning_content": [], "refusal": []}
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: dict[str, list[msgspec.Raw]] = {}
        self._reason: str | None = None

    def take(self, piece: Piece) -> None:
        for name, parts in self._texts.items():
            parts.append(piece.delta.get(name) or "")
        for part in piece.delta.get("tool_calls", ()):
            self._take_call(part)
        for name, tokens in _tokens(piece.logprobs):
            self._logprobs.setdefault(name, []).extend(tokens)
        self._reason = piece.finish_reason or self._reason

    def whole(self, index: int, reason: str) -> dict[str, Any]:
        """The choice; `reason` where the model gave none of its own for it."""
        text, thought, refusal = ("".join(parts) for parts in self._texts.values())
        calls = [self._calls[number] for number in sorted(self._calls)]
        message = _message(text, thought, calls, refusal or None)
        return _choice(index, message, self._logprobs or None, self._reason or reason)

    def _take_call(self, part: dict[str, Any]) -> None:
        """A call's first part has its id and name, later ones only more of its arguments."""
        function = part.get("function", {})
        call = self._calls.setdefault(
            part["index"], {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        call["id"] = part.get("id", call["id"])
        call["function"]["name"] = function.get("name", call["function"]["name"])
        call["function"]["arguments"] += function.get("arguments", "")


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _tokens(logprobs: msgspec.Raw | None) -> Iterator[tuple[str, list[msgspec.Raw]]]:
    """The lists in a piece's log probabilities, by name; what else a service says there is not."""
    with suppress(msgspec.ValidationError):
        for name, value in _members(logprobs or b"{}").items():
            with suppress(msgspec.ValidationError):
                yield name, _items(value)


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _message(
    text: str, reasoning: str, calls: list[dict[str, Any]], refusal: str | None
) -> dict[str, Any]:
    content = None if not text and (calls or refusal) else text
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal}
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def _choice(index: int, message: dict[str, Any], logprobs: Any, reason: str) -> dict[str, Any]:
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


def _used(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
    }
