"""Reads directives out of a message: `[simulate: KIND key=value flag …]`.

A value is a JSON string in double quotes, or a bare word without spaces, quotes and brackets; a
number may carry the unit `ms`. A key without a value is a flag that is true.
"""

import re
from typing import Any

import msgspec

from local.simulator.behaviour import Behaviour, behaviour_from

_OPENING = "[simulate:"
_STRING = r'"(?:[^"\\]|\\.)*"'
_DIRECTIVE = re.compile(rf"\[simulate:\s*((?:{_STRING}|[^\]\"])*)\]", re.DOTALL)
_WORD = re.compile(
    rf"\s*(?P<key>[A-Za-z_]\w*)(?:=(?P<value>{_STRING}|[^\s\"\]]+))?(?=\s|$)", re.DOTALL
)
_MILLISECONDS = re.compile(r"(\d+(?:\.\d+)?)ms")


def take_directives(text: str) -> tuple[str, list[Behaviour]]:
    """Split a message into what is left without its directives, and the directives.

    Raises `ValueError` that quotes the directive that is wrong and says why.
    """
    found = [_parse(match[1]) for match in _DIRECTIVE.finditer(text)]
    rest = _DIRECTIVE.sub("", text).strip() if found else text
    if _OPENING in rest:
        raise ValueError(f"{_OPENING} is not closed: a quote or the bracket at its end is missing")
    return rest, found


def _parse(text: str) -> Behaviour:
    try:
        kind, *rest = _words(text)
        if kind[1] is not True:
            raise ValueError("it must begin with the kind")
        return behaviour_from({**dict(rest), "kind": kind[0]}, strict=False)
    except ValueError as exc:
        raise ValueError(f"[simulate: {text.strip()}]: {exc}") from exc


def _words(text: str) -> list[tuple[str, Any]]:
    words: list[tuple[str, Any]] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _WORD.match(text, position)
        if match is None:
            raise ValueError(f"cannot read {text[position:].strip()!r}; write key=value")
        words.append((match["key"], _value(match["value"])))
        position = match.end()
    if not words:
        raise ValueError("it is empty")
    return words


def _value(raw: str | None) -> Any:
    if raw is None:
        return True
    if raw.startswith('"'):
        try:
            return msgspec.json.decode(raw, type=str)
        except msgspec.DecodeError as exc:
            raise ValueError(f"{raw} is no JSON string: {exc}") from exc
    milliseconds = _MILLISECONDS.fullmatch(raw)
    return milliseconds[1] if milliseconds else raw
