"""One chunk of a chat-completions stream, with only the fields that are used.

https://platform.openai.com/docs/api-reference/chat-streaming, and what Azure OpenAI, Mistral and
others add. What is missing or null is None; a field of another type counts as missing.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from shared.errors import ModelUnavailable


class FunctionDelta(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallDelta(Struct, gc=False):
    """A piece of a tool call: id and name come with the first, then only arguments."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class ChoiceDelta(Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    """What a model says instead of an answer in the form that was asked for."""
    reasoning_content: str | None = None
    reasoning: str | None = None
    """Another name for the same, among OpenAI-compatible services."""
    tool_calls: list[CallDelta] | None = None


class Choice(Struct, gc=False):
    index: int | None = None
    delta: ChoiceDelta | None = None
    finish_reason: str | None = None


class CompletionDetails(Struct, gc=False):
    reasoning_tokens: int | None = None


class WireUsage(Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    completion_tokens_details: CompletionDetails | None = None


class Chunk(Struct, gc=False):
    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: Any = None


_decode = msgspec.json.Decoder(Chunk).decode


def decode(data: bytes) -> tuple[Chunk, bool]:
    """The chunk, and whether its text is clean: free of lone surrogates.

    Raises `ModelUnavailable` where the data is no JSON object.
    """
    try:
        return _decode(data), True
    except (ValueError, RecursionError):
        return _tolerant(data)


def _tolerant(data: bytes) -> tuple[Chunk, bool]:
    """What the strict decoder refuses: half characters, bad UTF-8, fields of another type, and
    those of Mistral that have two: `content` as a list of parts, `arguments` as an object."""
    value, clean = _value(data)
    if not isinstance(value, dict):
        raise ModelUnavailable("The model's stream could not be read: a chunk is no object.")
    chunk = Chunk(
        choices=[
            choice for c in _list(value, "choices") if isinstance(c, dict) for choice in _choices(c)
        ],
        usage=_usage(u) if (u := _object(value, "usage")) is not None else None,
        error=value.get("error"),
    )
    return chunk, clean


def _value(data: bytes) -> tuple[Any, bool]:
    """Any JSON, and whether its text is clean. Raises `ModelUnavailable`."""
    try:
        return msgspec.json.decode(data), True
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(data.decode("utf-8", "replace")), False
    except (ValueError, RecursionError) as exc:
        raise ModelUnavailable("The model's stream could not be read: it is not JSON.") from exc


def _choices(value: dict[str, Any]) -> Iterator[Choice]:
    """The choice, after one for each part of its content where that is a list of parts."""
    index, delta = _integer(value, "index"), _object(value, "delta")
    for thinking, text in parts(_list(delta, "content")) if delta else ():
        part = ChoiceDelta(reasoning_content=text) if thinking else ChoiceDelta(content=text)
        yield Choice(index=index, delta=part)
    yield Choice(
        index=index,
        delta=None
        if delta is None
        else ChoiceDelta(
            content=_text(delta, "content"),
            refusal=_text(delta, "refusal"),
            reasoning_content=_text(delta, "reasoning_content"),
            reasoning=_text(delta, "reasoning"),
            tool_calls=[call(c) for c in _list(delta, "tool_calls") if isinstance(c, dict)],
        ),
        finish_reason=_text(value, "finish_reason"),
    )


def parts(content: list[Any]) -> Iterator[tuple[bool, str]]:
    """Whether it is thought, and the text, of each part that has text.

    `{"type": "text", "text"}` and `{"type": "thinking", "thinking": [parts of text]}`:
    https://docs.mistral.ai/capabilities/reasoning.
    """
    for part in content:
        if not isinstance(part, dict):
            continue
        if part.get("type") == "thinking":
            for inner in _list(part, "thinking"):
                if isinstance(inner, dict) and (text := _text(inner, "text")):
                    yield True, text
        elif text := _text(part, "text"):
            yield False, text


def call(value: dict[str, Any]) -> CallDelta:
    """A piece of a tool call; arguments that are an object as JSON text."""
    function = _object(value, "function") or {}
    arguments: Any = function.get("arguments")
    if isinstance(arguments, dict):
        arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return CallDelta(
        index=_integer(value, "index"),
        id=_text(value, "id"),
        function=FunctionDelta(
            _text(function, "name"), arguments if isinstance(arguments, str) else None
        ),
    )


def _usage(value: dict[str, Any]) -> WireUsage:
    details = _object(value, "completion_tokens_details") or {}
    return WireUsage(
        prompt_tokens=_integer(value, "prompt_tokens"),
        completion_tokens=_integer(value, "completion_tokens"),
        total_tokens=_integer(value, "total_tokens"),
        completion_tokens_details=CompletionDetails(_integer(details, "reasoning_tokens")),
    )


def _text(value: dict[str, Any], name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None


def _integer(value: dict[str, Any], name: str) -> int | None:
    found = value.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _object(value: dict[str, Any], name: str) -> dict[str, Any] | None:
    found = value.get(name)
    return found if isinstance(found, dict) else None


def _list(value: dict[str, Any], name: str) -> list[Any]:
    found = value.get(name)
    return found if isinstance(found, list) else []


def reported(data: bytes) -> dict[str, Any] | None:
    """The error that a chunk without choices is, in the form that has no `error`; mostly None.

    Mistral's: `{"object": "error", "message": …, "type": …, "code": …}`.
    """
    value, _ = _value(data)
    return value if isinstance(value, dict) and value.get("object") == "error" else None
