"""What Azure's content filter says of a prompt or an answer: the categories that fired.

Results come as `{"violence": {"filtered", "severity"}, "jailbreak": {"filtered", "detected"}}`, a
blocklist's as an object or a list. They stand in an error's `innererror`, beside the finish reason
of an answer that was stopped, or, with the asynchronous filter, in a choice of their own without a
delta, which may follow the finish reason:
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter-annotations and
https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

MOST: Final = 16
"""Categories that are named."""

_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def fired(results: object) -> tuple[str, ...]:
    """The categories that filtered; what was detected only, to be told, is not among them."""
    if not isinstance(results, Mapping):
        return ()
    names = (
        name
        for name, result in results.items()
        if _CATEGORY.fullmatch(str(name)) and _filtered(result)
    )
    return tuple(names)[:MOST]


def fired_in_error(error: object) -> tuple[str, ...]:
    """The same of an error: of `innererror`, or of the `content_filters` of newer versions."""
    inner = _member(error, "innererror")
    for found in (inner, *_list(_member(error, "content_filters"))):
        for name in ("content_filter_result", "content_filter_results"):
            if names := fired(_member(found, name)):
                return names
    return ()


def fired_in_chunk(payload: bytes) -> tuple[str, ...]:
    """The same of the first choice of a stream's chunk; none where it cannot be read."""
    try:
        choices = _decode(payload).choices or ()
    except ValueError:
        return ()
    return next((fired(c.content_filter_results) for c in choices if not c.index), ())


def named(categories: tuple[str, ...]) -> str:
    """The categories, for a message."""
    return ", ".join(categories) or "no category named"


class _Judged(Struct):
    index: int | None = None
    content_filter_results: Any = None


class _Judgement(Struct):
    choices: list[_Judged] | None = None


_decode = msgspec.json.Decoder(_Judgement).decode


def _filtered(result: object) -> bool:
    return any(_member(part, "filtered") is True for part in _list(result) or [result])


def _member(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
