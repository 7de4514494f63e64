"""The part of the service's filter language that compares fields for equality.

https://learn.microsoft.com/azure/search/search-query-odata-filter
"""

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<mark>[()])|(?P<text>'(?:[^']|'')*')|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?))"
)


class BadFilter(Exception):
    """A filter that the service would refuse."""


def matches(condition: str | None, document: Mapping[str, Any], filterable: frozenset[str]) -> bool:
    """Whether a document passes. Raises `BadFilter`."""
    if condition is None:
        return True
    reader = _Reader(_tokens(condition), document, filterable)
    passed = reader.any_of()
    if reader.left:
        raise BadFilter("Invalid expression: Syntax error.")
    return passed


def _tokens(condition: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    condition = condition.rstrip()
    while at < len(condition):
        found = _TOKEN.match(condition, at)
        if found is None or found.lastgroup is None:
            raise BadFilter(f"Invalid expression: Syntax error at position {at}.")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


class _Reader:
    def __init__(
        self,
        tokens: list[tuple[str, str]],
        document: Mapping[str, Any],
        filterable: frozenset[str],
    ) -> None:
        self.left = tokens
        self._document = document
        self._filterable = filterable

    def any_of(self) -> bool:
        passed = self._all_of()
        while self._takes("or"):
            passed = self._all_of() or passed
        return passed

    def _all_of(self) -> bool:
        passed = self._one()
        while self._takes("and"):
            passed = self._one() and passed
        return passed

    def _one(self) -> bool:
        if self._takes("("):
            passed = self.any_of()
            if not self._takes(")"):
                raise BadFilter("Invalid expression: a bracket is missing.")
            return passed
        if self._takes("false"):
            return False
        kind, name = self._next()
        if kind != "word" or name not in self._filterable:
            raise BadFilter(f"Invalid expression: '{name}' is not a filterable field.")
        if not self._takes("eq"):
            raise BadFilter("Invalid expression: eq was expected.")
        wanted = self._value()
        held = self._document.get(name)
        return type(held) is type(wanted) and held == wanted

    def _value(self) -> Any:
        kind, text = self._next()
        match kind:
            case "text":
                return text[1:-1].replace("''", "'")
            case "number":
                return float(text) if re.search(r"[.e]", text) else int(text)
            case "word" if text in ("true", "false"):
                return text == "true"
            case _:
                raise BadFilter("Invalid expression: a value was expected.")

    def _takes(self, word: str) -> bool:
        if self.left and self.left[0][1] == word and self.left[0][0] in ("mark", "word"):
            self.left = self.left[1:]
            return True
        return False

    def _next(self) -> tuple[str, str]:
        if not self.left:
            raise BadFilter("Invalid expression: it ends too early.")
        token, *self.left = self.left
        return token
