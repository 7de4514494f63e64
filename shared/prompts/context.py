"""Which documents a prompt takes: the best first, within a token budget of their own."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from shared.messages import Document
from shared.prompts.template import document_heading
from shared.prompts.tokens import estimate_tokens

_BREAKS = 2
"""Tokens for the lines between two documents, on the safe side."""


class Chosen(NamedTuple):
    """What goes into the prompt, in the order of its numbers, and what had no room."""

    documents: tuple[Document, ...]
    left_out: tuple[Document, ...] = ()


NOTHING = Chosen(())


def choose_documents(documents: Sequence[Document], max_tokens: int) -> Chosen:
    """The best documents that fit, in the order in which they came.

    Best is the greater score where every document has one, else the earlier one. One that has no
    room is left out whole, and lesser ones may still fit.
    """
    ranked = list(range(len(documents)))
    scores = [document.score for document in documents]
    if None not in scores:
        ranked.sort(key=lambda n: -(scores[n] or 0.0))
    left, taken = max_tokens, set[int]()
    for n in ranked:
        tokens = _tokens(n + 1, documents[n])
        if tokens <= left:
            taken.add(n)
            left -= tokens
    return Chosen(
        tuple(document for n, document in enumerate(documents) if n in taken),
        tuple(documents[n] for n in ranked if n not in taken),
    )


def without_content(documents: Sequence[Document]) -> tuple[Document, ...]:
    """What callers are shown, and the history keeps: the content may be long, and not theirs."""
    return tuple(msgspec.structs.replace(document, content="") for document in documents)


def _tokens(number: int, document: Document) -> int:
    return estimate_tokens(document_heading(number, document) + document.content) + _BREAKS
