"""The terminal that we print to: its size, what it can do, and pages for answers."""

import os
import sys
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from console.answering import Shown
from console.bare import Bare
from console.markdown import render
from console.page import Page
from console.printable import printable

_DEFAULT_SIZE = (80, 24)


class Terminal:
    """Standard output, where that is a terminal."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, markup=False, highlight=False, emoji=False)
        self.can_draw = can_draw() and not self._console.legacy_windows

    def size(self) -> tuple[int, int]:
        """Columns and rows now, whatever COLUMNS said once."""
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return _DEFAULT_SIZE
        return columns or _DEFAULT_SIZE[0], rows or _DEFAULT_SIZE[1]

    def page(self) -> Shown:
        """Where one answer is shown."""
        if not self.can_draw:
            return Bare(sys.stdout, self.say, whole=True)
        return Page(self._console, self._write, self.size)

    def say(self, words: str, style: str = "") -> None:
        """Prints a sentence, or lines, of our own."""
        self._console.print(Text(printable(words), style=style), width=self.size()[0])

    def show_lines(self, lines: Sequence[str]) -> None:
        """Prints lines as they are, each cut where the terminal ends."""
        for line in lines:
            self._console.print(Text(line, no_wrap=True, overflow="ellipsis"), width=self.size()[0])

    def show_answer(self, text: str) -> None:
        """Prints a whole answer."""
        if self.can_draw:
            self._write(
                "".join(
                    f"{line}\n" for line in render(printable(text), self._console, self.size()[0])
                )
            )
        else:
            self._write(f"{printable(text).rstrip()}\n")

    def gap(self) -> None:
        """Prints an empty line."""
        self._write("\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def can_draw(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal understands more than text."""
    return environ.get("TERM", "") not in ("dumb", "unknown") and sys.stdout.isatty()
