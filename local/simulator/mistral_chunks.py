"""Encodes an answer as Mistral's API does.

Thoughts are parts of the content, usage rides on the last chunk without being asked for, a tool
call comes whole, and an error has no member `error`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from local.simulator.answers import ToolCall
from local.simulator.chunks import Header, encode

_DROPPED = frozenset({"refusal", "annotations"})


class Mistral:
    """Mistral's own service, and its models on Azure."""

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
        return self._chunk(delta, reason, None, index, logprobs)

    def calls(self, calls: Sequence[ToolCall], answer_id: str) -> list[dict[str, Any]]:
        return [
            {"content": "", "tool_calls": [_call(call, index, answer_id)]}
            for index, call in enumerate(calls)
        ]

    def last(self, reason: str, usage: dict[str, Any] | None, index: int = 0) -> bytes:
        return self._chunk({"content": ""}, reason, usage, index)

    def usage(self, usage: dict[str, Any]) -> None:
        return None

    def failure(self, message: str, code: str | None) -> bytes:
        kind = "internal_server_error"
        error = {"object": "error", "message": message, "type": kind, "param": None}
        return encode(error | {"code": code or "1000"})

    def whole(
        self,
        message: dict[str, Any],
        calls: Sequence[ToolCall],
        reason: str,
        usage: dict[str, Any],
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        message = _translated(message)
        if calls:
            answer_id = self._header.id
            message["tool_calls"] = [_call(c, i, answer_id) for i, c in enumerate(calls)]
        choice = {"index": 0, "message": message, "finish_reason": reason} | _scored(logprobs)
        choices = [choice | {"index": index} for index in range(self._header.choices)]
        answer = self._common("chat.completion") | {"choices": choices, "usage": _usage(usage)}
        return encode(answer)

    def _chunk(
        self,
        delta: dict[str, Any],
        reason: str | None,
        usage: dict[str, Any] | None = None,
        index: int = 0,
        logprobs: dict[str, Any] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": _translated(delta), "finish_reason": reason}
        choice |= _scored(logprobs)
        chunk = self._common("chat.completion.chunk") | {"choices": [choice]}
        return encode(chunk | {"usage": _usage(usage)} if usage else chunk)

    def _common(self, kind: str) -> dict[str, Any]:
        header = self._header
        return {
            "id": header.id.removeprefix("chatcmpl-"),
            "object": kind,
            "created": header.created,
            "model": header.model,
        }


def _scored(logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"logprobs": logprobs} if logprobs else {}


def _translated(delta: dict[str, Any]) -> dict[str, Any]:
    members = {name: value for name, value in delta.items() if name not in _DROPPED}
    if "reasoning_content" in members:
        thought = {"type": "text", "text": members.pop("reasoning_content")}
        parts: list[dict[str, Any]] = [{"type": "thinking", "thinking": [thought]}]
        if text := members.get("content"):
            parts.append({"type": "text", "text": text})
        members["content"] = parts
    elif members.get("content", "") is None:
        members["content"] = ""
    return members


def _call(call: ToolCall, index: int, answer_id: str) -> dict[str, Any]:
    arguments: Any = "".join(call.arguments)
    if call.bare:
        # What its own client stands ready for, too: no id, and arguments that are no text.
        function = {"name": call.name, "arguments": msgspec.json.decode(arguments)}
        return {"id": "null", "function": function, "index": index}
    letters = [c for c in answer_id if c.isascii() and c.isalnum()]
    made = "".join(letters)[-5:].rjust(5, "0") + f"{index:04d}"
    return {"id": made, "function": {"name": call.name, "arguments": arguments}, "index": index}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {name: usage[name] for name in ("prompt_tokens", "total_tokens", "completion_tokens")}
