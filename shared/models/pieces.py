"""What a chat-completions stream says, choice by choice, as the model said it.

For requests that want several choices or log probabilities: nothing is put together, so that their
callers get what the model gave. Each choice's delta is a `Piece`, in the order of the wire; a chunk
in which a choice says nothing, such as the content filter's own, is none. Half characters are
mended, as everywhere: UTF-8 has none.

A delta is always in OpenAI's form, whatever the service: its texts (`content`, `refusal`,
`reasoning_content`) are strings or null, its calls have an index, and the first part of each an id,
and a reason that has another name is called by OpenAI's.

`Finish` says all that is known so far, once every choice has ended or the stream has: the reason of
the first choice, or, where that never ended, of the last one that did. It comes once more if
figures of usage follow.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from shared.errors import ChatError, ModelUnavailable
from shared.events import Finish, ModelEvent, Piece
from shared.messages import FinishReason, ModelRequest
from shared.models.call_ids import made_id
from shared.models.chunks import MAX_CALLS, REASONS, ChunkReader, usage_of
from shared.models.failures import in_stream
from shared.models.surrogates import SurrogateJoiner, mended
from shared.models.wire import WireUsage, call, parts, reported

_TEXTS: Final = frozenset({"content", "refusal", "reasoning_content"})
_STRINGS: Final = _TEXTS | {"reasoning"}
_ANNOTATIONS: Final = "content_filter"
"""How the names of what the filter adds begin."""
_PLAIN: Final = re.compile(rb"""(?:[ -\[\]-~]++|\\["\\/bfnrt])*+""")
"""JSON that can be told as it is: on one line, and without what may be half a character."""


def reader_for(request: ModelRequest) -> "ChunkReader | PieceReader":
    """A fresh reader for the answer to a request."""
    return PieceReader(request.parameters.get("n") or 1) if request.pieces else ChunkReader()


class PieceReader:
    """One answer's reader, as `ChunkReader` is. `choices`: how many were asked for. Pure."""

    def __init__(self, choices: int) -> None:
        self.reason: FinishReason | None = None
        self.done = False
        self.failure: ChatError | None = None
        self._choices = choices
        self._ended: set[int] = set()
        self._first: FinishReason | None = None
        self._last: FinishReason | None = None
        self._usage: WireUsage | None = None
        self._calls: dict[int, _Calls] = {}
        """Of each choice."""
        self._joiners: dict[tuple[int, str], SurrogateJoiner] = {}
        """Of texts that end in the first half of a character."""

    def read(self, payloads: Iterable[bytes]) -> list[ModelEvent]:
        """The events of what arrived together. Sets `failure`, and raises nothing."""
        events: list[ModelEvent] = []
        known = (self.reason, self._usage)
        try:
            for payload in payloads:
                if payload == b"[DONE]":
                    self.done = True
                    break
                self._chunk(payload, events)
        except ChatError as exc:
            self.failure = exc
        except RecursionError:
            self.failure = ModelUnavailable(
                "The model's stream could not be read: it is nested too deeply."
            )
        if self.reason is not None and known != (self.reason, self._usage):
            events.append(self._finish())
        return events

    def end(self) -> list[ModelEvent]:
        """What is still to be told when nothing follows."""
        held = [(index, name, joiner.flush()) for (index, name), joiner in self._joiners.items()]
        events: list[ModelEvent] = [Piece(index, {name: text}) for index, name, text in held]
        if self.reason is None:
            self.reason = self._first or self._last
            if self.reason is not None or self._usage is not None:
                events.append(self._finish())
        return events

    def _chunk(self, payload: bytes, events: list[ModelEvent]) -> None:
        chunk, clean = _decoded(payload)
        if error := chunk.error or (None if chunk.choices else reported(payload)):
            raise in_stream(error)
        if isinstance(chunk.usage, dict):
            self._usage = _figures(chunk.usage)
        for choice in chunk.choices or ():
            self._choice(choice, clean, events)

    def _choice(self, choice: "_Choice", clean: bool, events: list[ModelEvent]) -> None:
        index, reason = choice.index, choice.finish_reason
        index = index if type(index) is int else 0
        reason = reason if isinstance(reason, str) and reason else None
        if reason == "error":
            raise in_stream()
        said = choice.delta
        *before, delta = self._deltas(index, said if isinstance(said, dict) else {})
        if self._joiners or not clean:
            before = [self._mend(index, part) for part in before]
            delta = self._mend(index, delta)
        logprobs = _kept(choice.logprobs)
        reason = reason if clean else _mended(reason)
        events += [Piece(index, part) for part in before]
        if delta or logprobs is not None or reason is not None:
            events.append(Piece(index, delta, logprobs, REASONS.get(reason or "", reason)))
        if reason is not None:
            self._end(index, REASONS.get(reason))

    def _deltas(self, index: int, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The delta in OpenAI's form, after one for each part of its content where that is a list.

        What has no name in OpenAI's form stays as it is.
        """
        delta = {name: value for name, value in said.items() if not name.startswith(_ANNOTATIONS)}
        content = delta.get("content")
        for name in _STRINGS & delta.keys():
            if not isinstance(delta[name], str | None):
                del delta[name]
        if not isinstance(delta.get("role", ""), str):
            del delta["role"]
        if (thought := delta.pop("reasoning", None)) and not delta.get("reasoning_content"):
            delta["reasoning_content"] = thought
        for thinks, text in parts(content) if isinstance(content, list) else ():
            part = {"reasoning_content" if thinks else "content": text}
            # Who says it comes before what it says.
            yield ({"role": delta.pop("role")} | part) if "role" in delta else part
        if "tool_calls" in delta:
            given = delta.pop("tool_calls")
            calls = self._calls.setdefault(index, _Calls())
            if told := [
                calls.told(part)
                for part in (given if isinstance(given, list) else ())
                if isinstance(part, dict)
            ]:
                delta["tool_calls"] = told
        yield delta

    def _end(self, index: int, reason: FinishReason | None) -> None:
        self._ended.add(index)
        self._last = reason or self._last
        if not index:
            self._first = reason or self._first
        if len(self._ended) >= self._choices:
            self.reason = self._first or self._last

    def _mend(self, index: int, delta: dict[str, Any]) -> dict[str, Any]:
        """The delta without half characters; those of its texts are joined with what follows."""
        texts = {name: self._joined(index, name, delta.pop(name)) for name in _TEXTS & delta.keys()}
        rest: dict[str, Any] = _mended(delta)
        return rest | texts

    def _joined(self, index: int, name: str, text: Any) -> Any:
        if not isinstance(text, str):
            return _mended(text)
        joiner = self._joiners.pop((index, name), None) or SurrogateJoiner()
        text = joiner.join(text)
        if joiner.holding:
            self._joiners[index, name] = joiner
        return text

    def _finish(self) -> Finish:
        usage = self._usage
        details = usage.completion_tokens_details if usage else None
        tokens = (details.reasoning_tokens or 0) if details else 0
        return Finish(self.reason, usage_of(usage) if usage else None, tokens)


class _Calls:
    """The calls of one choice, as far as they have begun: a part says only what is new of one."""

    def __init__(self) -> None:
        self._named: dict[int, bool] = {}
        """Whether the call has its name, by its index."""
        self._ids = {""}

    def told(self, given: dict[str, Any]) -> dict[str, Any]:
        """The part of a call in OpenAI's form. Raises `ModelUnavailable` for too many calls."""
        part = call(given)
        function = part.function
        name, arguments = (function.name, function.arguments) if function else (None, None)
        index = part.index
        if index is None:
            # As for one answer: without an index a call begins with its id, or with its name.
            begins = part.id or name or not self._named
            index = max(self._named, default=-1) + (1 if begins else 0)
        told: dict[str, Any] = {"index": index}
        if index not in self._named:
            if len(self._named) >= MAX_CALLS:
                raise ModelUnavailable("The model's stream could not be read: too many tool calls.")
            self._named[index] = False
            told |= {"id": self._id(part.id, f"{index} {name} {arguments}"), "type": "function"}
        said = {}
        if name and not self._named[index]:
            self._named[index] = True
            said["name"] = name
        if arguments is not None:
            said["arguments"] = arguments
        return told | {"function": said} if said else told

    def _id(self, given: str | None, text: str) -> str:
        """The call's own id; a made one where the model gave none, or one that another call has."""
        id = given or ""
        made = 0
        while id in self._ids or id == "null":  # Mistral's word for none.
            id = made_id(f"{made} {text}")
            made += 1
        self._ids.add(id)
        return id


class _Choice(Struct):
    index: Any = None
    delta: Any = None
    finish_reason: Any = None
    logprobs: Raw = Raw(b"null")


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def _decoded(payload: bytes) -> tuple[_Chunk, bool]:
    """The chunk, and whether its text is clean: free of lone surrogates."""
    try:
        return _decode(payload), True
    except (ValueError, RecursionError):
        pass
    value = _value(payload)
    if not isinstance(value, dict):
        raise ModelUnavailable("The model's stream could not be read: a chunk is no object.")
    choices = value.get("choices")
    read = [
        _Choice(
            choice.get("index"),
            choice.get("delta"),
            choice.get("finish_reason"),
            _encoded(choice.get("logprobs")),
        )
        for choice in (choices if isinstance(choices, list) else ())
        if isinstance(choice, dict)
    ]
    return _Chunk(read, value.get("usage"), value.get("error")), False


def _value(data: bytes) -> Any:
    """Any JSON, however odd its text. Raises `ModelUnavailable`."""
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise ModelUnavailable("The model's stream could not be read: it is not JSON.") from exc


def _kept(logprobs: Raw) -> Raw | None:
    """Log probabilities as they are kept: what came of them and no more, the chunk let go."""
    data = bytes(logprobs)
    if data == b"null":
        return None
    return Raw(data) if _PLAIN.fullmatch(data) else _encoded(_value(data))


def _encoded(value: Any) -> Raw:
    return Raw(msgspec.json.encode(_mended(value)))


def _figures(usage: dict[str, Any]) -> WireUsage:
    """Figures of another type count as missing."""
    figures: dict[str, Any] = {n: value for n, value in usage.items() if type(value) is int}
    details = usage.get("completion_tokens_details")
    if isinstance(details, dict):
        thought = details.get("reasoning_tokens")
        figures["completion_tokens_details"] = {
            "reasoning_tokens": thought if type(thought) is int else None
        }
    return msgspec.convert(figures, WireUsage)


def _mended(value: Any) -> Any:
    match value:
        case str():
            return mended(value)
        case list():
            return [_mended(item) for item in value]
        case dict():
            return {mended(name): _mended(item) for name, item in value.items()}
        case _:
            return value
