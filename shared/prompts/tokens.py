"""How many tokens a text may take, where no model has said so."""

from collections.abc import Iterable, Mapping
from typing import Any

PER_MESSAGE = 4
"""Tokens that a message costs besides its text, by OpenAI's own counting recipe."""


def estimate_tokens(text: str) -> int:
    """An estimate on the safe side, in tokens, for the tokenizers of today.

    English takes about 4 characters a token, Cyrillic 2 to 3, Chinese 1; a rare emoji takes 3
    tokens. Bytes beyond one a character tell them apart without reading the text.
    """
    characters = len(text)
    surplus = len(text.encode("utf-8", "replace")) - characters
    return -(-characters // 3) + -(-3 * surplus // 4)


def estimate_messages(messages: Iterable[Mapping[str, Any]]) -> int:
    """The same for a whole prompt."""
    return sum(PER_MESSAGE + estimate_tokens(str(m.get("content") or "")) for m in messages)


def head(text: str, tokens: int) -> str:
    """The beginning of a text that takes at most so many tokens."""
    if estimate_tokens(text) <= tokens:
        return text
    low, high = 0, min(len(text), 3 * tokens)
    while low < high:
        middle = (low + high + 1) // 2
        if estimate_tokens(text[:middle]) <= tokens:
            low = middle
        else:
            high = middle - 1
    return text[:low]
