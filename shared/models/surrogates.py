"""UTF-16 surrogates in a model's JSON, mended.

A service that cuts its answer between two UTF-16 units sends half a character as `\\ud83d` in one
chunk and the other half in the next. Python's text may hold such a half, UTF-8 may not.
"""

REPLACEMENT = "\ufffd"


class SurrogateJoiner:
    """Mends a run of text that comes in pieces: joins halves, replaces what stays alone."""

    __slots__ = ("_high",)

    def __init__(self) -> None:
        self._high = ""

    @property
    def holding(self) -> bool:
        """Whether the first half of a character waits for the second."""
        return bool(self._high)

    def join(self, text: str) -> str:
        """`text` as it can be shown now; a half at its end is kept for the next piece."""
        text = self._high + text
        self._high = text[-1] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return mended(text[:-1] if self._high else text)

    def flush(self) -> str:
        """What stands for a half whose other half will not come; mostly nothing."""
        held, self._high = self._high, ""
        return REPLACEMENT if held else ""


def mended(text: str) -> str:
    """The text with neighbouring halves joined and single ones replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
