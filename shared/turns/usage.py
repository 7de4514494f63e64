"""What a model has used, where it never said: an estimate of what came from it."""

from collections.abc import Iterable, Iterator
from typing import Any

from shared.events import Delta, Event, Piece, Reasoning, ToolCall
from shared.prompts.tokens import estimate_tokens


def said_tokens(events: Iterable[Event]) -> int:
    """Of texts, thoughts and calls."""
    return sum(map(_tokens, events))


def _tokens(event: Event) -> int:
    match event:
        case Delta() | Reasoning():
            return estimate_tokens(event.text)
        case ToolCall():
            return estimate_tokens(event.arguments)
        case Piece():
            return sum(map(estimate_tokens, _texts(event.delta)))
        case _:
            return 0


def _texts(delta: dict[str, Any]) -> Iterator[str]:
    """All that a piece says: its texts, and the arguments of its calls."""
    for name in ("content", "reasoning_content", "refusal"):
        yield delta.get(name) or ""
    for call in delta.get("tool_calls", ()):
        yield call.get("function", {}).get("arguments", "")
