"""Encodes an answer as chat completion chunks, in Azure's form or in OpenAI's.

Mistral's is in `mistral_chunks`.

Azure sorts the members of its objects by name, adds the content filter's results, and begins with
a chunk that has no choices; OpenAI does none of that. Text goes out as raw UTF-8.
"""

import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from local.simulator.answers import ToolCall
from local.simulator.filters import answer_verdict, prompt_verdict
from local.simulator.parts import logprobs_of, tool_calls_of, tool_deltas

_PADDING = "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=512))
# Stands for the text in a chunk that is encoded once for the whole answer.
_TEXT = "\x7ftext\x7f"
_FINGERPRINT = "fp_5154047bf2"

encode = msgspec.json.encode


@dataclass(frozen=True)
class Header:
    """What all chunks of one answer have in common; `created` is in seconds since 1970."""

    id: str
    created: int
    model: str
    include_usage: bool
    obfuscate: bool
    filter_apart: bool = False
    filtered: str = "violence"
    choices: int = 1
    top_logprobs: int | None = None


class Dialect(Protocol):
    """One service's form of a chunk and of a whole answer."""

    def opening(self) -> bytes | None:
        """Give what comes before the role, where there is something."""

    def delta(
        self,
        delta: dict[str, Any],
        *,
        reason: str | None = None,
        index: int = 0,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        """Encode a chunk with one choice."""

    def calls(self, calls: Sequence[ToolCall], answer_id: str) -> list[dict[str, Any]]:
        """Make the deltas of the calls."""

    def last(self, reason: str, usage: dict[str, Any] | None, index: int = 0) -> bytes:
        """Encode the chunk that says how a choice ended; `usage` for who tells it there."""

    def usage(self, usage: dict[str, Any]) -> bytes | None:
        """Encode the chunk that only has the usage, where there is one."""

    def failure(self, message: str, code: str | None) -> bytes:
        """Encode an error inside the stream."""

    def whole(
        self,
        message: dict[str, Any],
        calls: Sequence[ToolCall],
        reason: str,
        usage: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        """Encode an answer that is not streamed."""


class _Standard:
    """What Azure and OpenAI have in common."""

    def delta(
        self,
        delta: dict[str, Any],
        *,
        reason: str | None = None,
        index: int = 0,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        raise NotImplementedError

    def calls(self, calls: Sequence[ToolCall], answer_id: str) -> list[dict[str, Any]]:
        return [d for i, call in enumerate(calls) for d in tool_deltas(call, i, answer_id)]

    def last(self, reason: str, usage: dict[str, Any] | None, index: int = 0) -> bytes:
        return self.delta({}, reason=reason, index=index)

    def failure(self, message: str, code: str | None) -> bytes:
        error = {"message": message, "type": "server_error", "param": None, "code": code}
        return encode({"error": error})


class Azure(_Standard):
    """Azure OpenAI, in both of its URL styles."""

    def __init__(self, header: Header) -> None:
        self._header = header
        # With an asynchronous filter the results come apart from what they judge.
        self._verdict: dict[str, Any] = {} if header.filter_apart else answer_verdict()

    def opening(self) -> bytes:
        results = [{"prompt_index": 0, "content_filter_results": prompt_verdict()}]
        return encode(
            {
                "choices": [],
                "created": 0,
                "id": "",
                "model": "",
                "object": "",
                "prompt_filter_results": results,
            }
        )

    def delta(
        self,
        delta: dict[str, Any],
        *,
        reason: str | None = None,
        index: int = 0,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        judged = "content" in delta and bool(delta["content"])
        verdict: dict[str, Any] = self._verdict if judged else {}
        if reason == "content_filter":
            verdict = dict(answer_verdict(self._header.filtered))
        choice = {
            "content_filter_results": verdict,
            "delta": dict(sorted(delta.items())),
            "finish_reason": reason,
            "index": index,
            "logprobs": logprobs,
        }
        return self._chunk([choice], _text_in(delta))

    def usage(self, usage: dict[str, Any]) -> bytes:
        return self._chunk([], "", usage)

    def _chunk(
        self, choices: list[dict[str, Any]], text: str, usage: dict[str, Any] | None = None
    ) -> bytes:
        header = self._header
        chunk: dict[str, Any] = {
            "choices": choices,
            "created": header.created,
            "id": header.id,
            "model": header.model,
        }
        if header.obfuscate:
            chunk["obfuscation"] = padding(text)
        chunk |= {"object": "chat.completion.chunk", "system_fingerprint": _FINGERPRINT}
        if header.include_usage:
            chunk["usage"] = usage
        return encode(chunk)

    def whole(
        self,
        message: dict[str, Any],
        calls: Sequence[ToolCall],
        reason: str,
        usage: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        message = message | tool_calls_of(calls, self._header.id)
        filtered = self._header.filtered if reason == "content_filter" else None
        choice = {
            "content_filter_results": answer_verdict(filtered),
            "finish_reason": reason,
            "index": 0,
            "logprobs": logprobs,
            "message": dict(sorted(message.items())),
        }
        results = [{"prompt_index": 0, "content_filter_results": prompt_verdict()}]
        return encode(
            {
                "choices": [choice | {"index": index} for index in range(self._header.choices)],
                "created": self._header.created,
                "id": self._header.id,
                "model": self._header.model,
                "object": "chat.completion",
                "prompt_filter_results": results,
                "system_fingerprint": _FINGERPRINT,
                "usage": usage,
            }
        )


class OpenAI(_Standard):
    """OpenAI's own API, and what is compatible with it."""

    def __init__(self, header: Header) -> None:
        self._header = header

    def opening(self) -> None:
        return None

    def delta(
        self,
        delta: dict[str, Any],
        *,
        reason: str | None = None,
        index: int = 0,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return self._chunk([choice], _text_in(delta))

    def usage(self, usage: dict[str, Any]) -> bytes:
        return self._chunk([], "", usage)

    def _chunk(
        self, choices: list[dict[str, Any]], text: str, usage: dict[str, Any] | None = None
    ) -> bytes:
        chunk = self._common("chat.completion.chunk") | {"choices": choices}
        if self._header.include_usage:
            chunk["usage"] = usage
        if self._header.obfuscate:
            chunk["obfuscation"] = padding(text)
        return encode(chunk)

    def whole(
        self,
        message: dict[str, Any],
        calls: Sequence[ToolCall],
        reason: str,
        usage: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        message = message | tool_calls_of(calls, self._header.id)
        choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": reason}
        choices = [choice | {"index": index} for index in range(self._header.choices)]
        answer = self._common("chat.completion") | {"choices": choices, "usage": usage}
        return encode(answer)

    def _common(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._header.id,
            "object": kind,
            "created": self._header.created,
            "model": self._header.model,
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }


class ContentTemplate:
    """A chunk of content that is encoded once, so that a token costs one small encoding."""

    def __init__(
        self, dialect: Dialect, header: Header, member: str = "content", index: int = 0
    ) -> None:
        chunk = dialect.delta({member: _TEXT}, index=index)
        # The mark holds a control character, so that no other member looks like it.
        self._before, _, rest = chunk.partition(encode(_TEXT))
        self._obfuscate = header.obfuscate
        if not self._obfuscate:
            self._between, self._after = rest, b""
            return
        mark = b'"obfuscation":"'
        self._between, _, tail = rest.partition(mark)
        self._between += mark
        self._after = tail[tail.index(b'"') :]

    def fill(self, text: str) -> bytes:
        """Encode the chunk with this text."""
        if not self._obfuscate:
            return b"%b%b%b" % (self._before, encode(text), self._between)
        pad = padding(text).encode()
        return b"%b%b%b%b%b" % (self._before, encode(text), self._between, pad, self._after)


class ScoredContent:
    """The same for chunks with log probabilities, each encoded as it comes."""

    def __init__(self, dialect: Dialect, header: Header, index: int) -> None:
        self._dialect = dialect
        self._top = header.top_logprobs
        self._index = index

    def fill(self, text: str) -> bytes:
        """Encode the chunk with this text."""
        logprobs = logprobs_of((text,), self._top)
        return self._dialect.delta({"content": text}, index=self._index, logprobs=logprobs)


def content_of(dialect: Dialect, header: Header) -> list[ContentTemplate | ScoredContent]:
    """Give what encodes the content of each choice."""
    indexes = range(header.choices)
    if header.top_logprobs is None:
        return [ContentTemplate(dialect, header, index=index) for index in indexes]
    return [ScoredContent(dialect, header, index) for index in indexes]


def padding(text: str) -> str:
    """Make the filler that hides how long a piece of text is from who sees packets' sizes."""
    start = random.randrange(480)
    return _PADDING[start : start + 16 - len(text) % 16]


def async_filter_chunk(start: int, end: int, filtered: str | None = None) -> bytes:
    """Encode a chunk of the asynchronous filter: no delta; offsets are characters.

    `filtered` names the category that stops the answer here.
    """
    choice = {
        "content_filter_offsets": {
            "check_offset": end,
            "start_offset": start,
            "end_offset": end,
        },
        "content_filter_results": answer_verdict(filtered),
        "finish_reason": "content_filter" if filtered else None,
        "index": 0,
    }
    return encode({"choices": [choice], "created": 0, "id": "", "model": "", "object": ""})


def _text_in(delta: dict[str, Any]) -> str:
    return delta.get("content") or delta.get("reasoning_content") or ""
