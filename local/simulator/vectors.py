"""Vectors for texts without a model: hashed words and parts of words.

Texts that share words, or parts of them, have a small angle. That is all that it understands, and
enough to try a search: the same text always has the same vector.
"""

import math
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from local.simulator.documents import words_of

_PART = 4
"""Letters of a part: long words are also known by these, so that endings matter little."""
_PART_WEIGHT = 0.4


def vector_of(text: str, dimensions: int) -> list[float]:
    """A vector of length 1; of a text without words, one that is the same for all of those."""
    made = [0.0] * dimensions
    for feature, count in Counter(_features(text)).items():
        weight = (1 + math.log(count)) * (_PART_WEIGHT if feature[0] == "#" else 1.0)
        number = int.from_bytes(blake2b(feature.encode(), digest_size=8).digest())
        made[(number >> 1) % dimensions] += weight if number & 1 else -weight
    length = math.sqrt(sum(value * value for value in made))
    if not length:
        made[0] = length = 1.0
    return [value / length for value in made]


def _features(text: str) -> Iterator[str]:
    for word in sorted(words_of(text)):
        yield word
        for start in range(len(word) - _PART + 1 if len(word) > _PART else 0):
            yield f"#{word[start : start + _PART]}"
