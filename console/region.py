"""The end of what is printed, which may still change: a few lines that are drawn over.

Not rich's Live, which shows the first lines of what is taller than the screen, not the newest, and
repeats text where a line is wider than it thought.
"""

from collections.abc import Callable, Sequence
from math import ceil

from rich.text import Text

# Synchronized output: terminals that know it show a frame at once, others ignore it.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
# Without autowrap a line is one row, however wide the terminal thinks that its characters are.
_NO_WRAP, _WRAP = "\x1b[?7l", "\x1b[?7h"
_ERASE_BELOW = "\r\x1b[J"
_MORE = "…"


class Region:
    """The live lines under everything that was printed for good.

    `write` gets whole frames; `size` gives the terminal's columns and rows.
    """

    def __init__(self, write: Callable[[str], None], size: Callable[[], tuple[int, int]]) -> None:
        self._write = write
        self._size = size
        self._live: list[str] = []
        self._columns = 0

    def draw(self, above: Sequence[str], live: Sequence[str]) -> None:
        """Prints `above` for good, and shows `live` under it instead of what was live before.

        Of `live` the last lines are shown, as many as fit. Lines may hold SGR sequences.
        """
        columns, rows = self._size()
        most = max(1, rows - 1)
        new = list(live) if len(live) <= most else [_MORE, *live[len(live) - most + 1 :]][-most:]
        old = self._live
        if not above and new == old and columns == self._columns:
            return
        # A line that is printed for good is written anew: it may be wider than it was shown.
        keep = 0 if above or columns != self._columns else _same(old, new)
        up = min(sum(_rows(line, self._columns, columns) for line in old[keep:]), rows) - 1
        frame = [_BEGIN]
        if up > 0:
            frame.append(f"\x1b[{up}A")
        frame.append(_ERASE_BELOW)
        frame += [f"{line}\r\n" for line in above]
        frame += [_NO_WRAP, "\r\n".join(new[keep:]), _WRAP, _END]
        self._live, self._columns = new, columns
        self._write("".join(frame))

    def close(self) -> None:
        """Takes the live lines away."""
        self.draw((), ())


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    """How many lines at the beginning stay; at least the last one is always drawn."""
    most = min(len(old), len(new)) - 1
    return next((i for i in range(most) if old[i] != new[i]), max(most, 0))


def _rows(line: str, before: int, now: int) -> int:
    """How many rows a line takes once the terminal is narrower, where it wraps it anew."""
    if now >= before:
        return 1
    return max(1, ceil(min(Text.from_ansi(line).cell_len, before) / max(now, 1)))
