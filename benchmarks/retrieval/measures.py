"""Recall and normalised discounted cumulative gain, of sections: a piece counts for its section."""

import math
from collections.abc import Collection, Sequence


def sections_of(ids: Sequence[str]) -> list[str]:
    """The sections of found pieces, each once, in their order."""
    sections = [id.rpartition(".")[0].partition("/")[2] for id in ids]
    return list(dict.fromkeys(sections))


def recall(found: Sequence[str], relevant: Collection[str], most: int) -> float:
    """The share of what is relevant among the first `most` pieces."""
    return len(set(sections_of(found[:most])) & set(relevant)) / min(most, len(relevant))


def ndcg(found: Sequence[str], relevant: Collection[str], most: int) -> float:
    """How early it comes, among the first `most` pieces: 1 where nothing could come earlier."""
    gained = 0.0
    seen: set[str] = set()
    for rank, id in enumerate(found[:most]):
        (section,) = sections_of([id])
        if section in relevant and section not in seen:
            seen.add(section)
            gained += 1 / math.log2(rank + 2)
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(most, len(relevant))))
    return gained / ideal
