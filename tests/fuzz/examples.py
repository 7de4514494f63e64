"""How many examples, and what they are made of: the same at every run, or random ones on request.

`PROPERTY_EXAMPLES=5000` in the environment makes so many random ones instead.
"""

import json
import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "0"))


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """So many examples of a test, unless the environment says otherwise."""
    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


# Characters that parsers stumble over, beside all others.
ODD = "\x00\n\r\t\x7f\u0085\u2028\u2029\ufeff\ufffd\U0001f600\"'\\%,;=@#&<>{}[]"
texts = st.text(st.one_of(st.characters(), st.sampled_from(ODD)), max_size=40)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
"""Any JSON."""


def encoded(value: Any) -> bytes:
    """JSON, with the lone surrogates that JSON can say and UTF-8 cannot."""
    return json.dumps(value).encode()


def changed(value: Any, path: list[int], instead: Any) -> Any:
    """The value with something else in the one place that `path` leads to."""
    if not path or not isinstance(value, dict | list) or not value:
        return instead
    here, *below = path
    if isinstance(value, dict):
        name = list(value)[here % len(value)]
        return {**value, name: changed(value[name], below, instead)}
    index = here % len(value)
    return [*value[:index], changed(value[index], below, instead), *value[index + 1 :]]


def mutated(*valid: Any) -> st.SearchStrategy[Any]:
    """One of the valid values, something in it replaced, taken out or added."""
    base = st.sampled_from(valid)
    paths = st.lists(st.integers(0, 9), min_size=1, max_size=5)
    replaced = st.builds(changed, base, paths, values)
    added = st.builds(
        lambda value, name, more: {**value, name: more} if isinstance(value, dict) else [value],
        base,
        texts,
        values,
    )
    without = st.builds(
        lambda value, index: {
            name: value[name] for number, name in enumerate(value) if number != index % len(value)
        },
        st.sampled_from([value for value in valid if isinstance(value, dict)] or [{"a": 1}]),
        st.integers(0, 9),
    )
    return st.one_of(base, replaced, added, without)


def damaged(blob: bytes) -> st.SearchStrategy[bytes]:
    """Bytes with a piece cut out, put in, or changed."""
    places = st.integers(0, len(blob))
    return st.builds(
        lambda a, b, more: blob[: min(a, b)] + more + blob[max(a, b) :],
        places,
        places,
        st.binary(max_size=6),
    )
