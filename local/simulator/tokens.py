"""Cuts text into pieces about as a tokenizer does, and counts them.

The pieces are not those of any real vocabulary; they have its shape: short words whole and with
their leading space, long ones in parts, digits in threes, other scripts by one or two characters.
"""

import re
from collections.abc import Iterable

_PIECE = re.compile(
    r"""
      [ ]?[A-Za-z\u00c0-\u024f]{1,8}   # Latin letters
    | [ ]?[0-9]{1,3}
    | [^\W_]{1,2}                      # letters and digits of every other script
    | [ ]?[^\w\s]{1,3}                 # punctuation, symbols, emoji, combining marks
    | [ ]?_{1,8}
    | \n+
    | \s
    """,
    re.VERBOSE,
)

# What a chat model's own framing adds: per message, and once for the answer that follows.
_PER_MESSAGE = 4
_PER_ANSWER = 3

_WORDS = (
    " the stream goes on and one word after another leaves the model at its own pace until "
    "the number that was asked for has been reached"
)


def pieces_of(text: str) -> list[str]:
    """Cut the text; the pieces joined are the text again."""
    return _PIECE.findall(text)


def count_tokens(text: str) -> int:
    """Count the pieces of a text."""
    return len(_PIECE.findall(text))


def count_prompt(texts: Iterable[str]) -> int:
    """Count the tokens of a prompt that consists of messages with these texts."""
    return _PER_ANSWER + sum(_PER_MESSAGE + count_tokens(text) for text in texts)


def filler(count: int) -> list[str]:
    """Make exactly so many pieces."""
    words = pieces_of(_WORDS)
    whole, rest = divmod(count, len(words))
    return words * whole + words[:rest]
