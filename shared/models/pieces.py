"""What a chat-completions stream says, choice by choice, as the model said it.

For requests that want several choices or log probabilities: nothing is put together, so that their
callers get what the model gave. Each choice's delta is a `Piece`, in the order of the wire; a chunk
in which a choice says nothing, such as the content filter's own, is none. Half characters are
mended, as everywhere: UTF-8 has none.

`Finish` says all that is known so far, once every choice has ended or the stream has: the reason of
the first choice, or, where that never ended, of the last one that did. It comes once more if
figures of usage follow.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from shared.errors import ChatError, ModelUnavailable
from shared.events import Finish, ModelEvent, Piece
from shared.messages import FinishReason, ModelRequest
from shared.models.chunks import REASONS, ChunkReader, usage_of
from shared.models.failures import in_stream
from shared.models.surrogates import SurrogateJoiner, mended
from shared.models.wire import WireUsage, reported

_TEXTS: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_ANNOTATIONS: Final = "content_filter"
"""How the names of what the filter adds begin."""


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
        for choice in chunk.choices if isinstance(chunk.choices, list) else ():
            if isinstance(choice, dict):
                self._choice(choice, clean, events)

    def _choice(self, choice: dict[str, Any], clean: bool, events: list[ModelEvent]) -> None:
        index, reason = choice.get("index"), choice.get("finish_reason")
        index = index if type(index) is int else 0
        reason = reason if isinstance(reason, str) and reason else None
        if reason == "error":
            raise in_stream()
        said = choice.get("delta")
        delta = {
            name: value
            for name, value in (said if isinstance(said, dict) else {}).items()
            if not name.startswith(_ANNOTATIONS)
        }
        if self._joiners or not clean:
            delta = self._mend(index, delta)
        logprobs = choice.get("logprobs")
        if not clean:
            logprobs, reason = _mended(logprobs), _mended(reason)
        if delta or logprobs is not None or reason is not None:
            events.append(Piece(index, delta, logprobs, reason))
        if reason is not None:
            self._end(index, REASONS.get(reason))

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


class _Chunk(Struct):
    choices: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


def _decoded(payload: bytes) -> tuple[_Chunk, bool]:
    """The chunk, and whether its text is clean: free of lone surrogates."""
    try:
        return _decode(payload), True
    except ValueError:
        pass
    try:
        value = json.loads(payload.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as exc:
        raise ModelUnavailable("The model's stream could not be read: it is not JSON.") from exc
    if not isinstance(value, dict):
        raise ModelUnavailable("The model's stream could not be read: a chunk is no object.")
    return _Chunk(value.get("choices"), value.get("usage"), value.get("error")), False


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
