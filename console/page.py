"""An answer in a terminal: finished blocks are printed, the last one is live."""

import asyncio
from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from console.bare import missing, source_lines, tool_words
from console.events import Citations, Delta, Event, Thought, ToolCall
from console.markdown import render, settled, split_blocks, trimmed
from console.printable import printable
from console.region import Region

_FRAME_SECONDS = 1 / 20
# Drawing a long block takes time, and must never take all of it.
_DRAWING_SHARE = 4
_WAITING = "… (Ctrl-C stops the answer)"


class Page:
    """Shows one answer; `size` gives the terminal's columns and rows. Finish it, whatever happens.

    Thoughts are dim, behind a bar; the answer is Markdown.
    """

    def __init__(
        self, console: Console, write: Callable[[str], None], size: Callable[[], tuple[int, int]]
    ) -> None:
        self._console = console
        self._size = size
        self._region = Region(write, size)
        self._text = ""
        self._rest = ""
        self._thinking = False
        self._above: list[str] = []
        self._printed = False
        self._sources: list[str] = []
        self._note = _WAITING
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._draw()

    def take(self, event: Event) -> None:
        """Shows one event."""
        match event:
            case Delta(text=text):
                self._text += text
                self._add(text, thinking=False)
            case Thought(text=text):
                self._add(text, thinking=True)
            case ToolCall():
                self._close_block()
                self._put(self._styled(tool_words(event), "cyan"))
            case Citations():
                self._sources = source_lines(event)
        self._later()

    def retrying(self, attempt: int) -> None:
        """Says that the connection is lost, until it works again."""
        self.note(f"Connection lost, trying again ({attempt}) …" if attempt else "")

    def note(self, words: str) -> None:
        """Shows a line under the answer, instead of the last one."""
        self._note = words
        self._draw()

    def finish(self, stored: str | None) -> None:
        """Prints what is left. `stored` is what the backend keeps, None if that is not known."""
        rest, words = missing(self._text, stored)
        if rest:
            self._add(rest, thinking=False)
        self._close_block()
        if self._sources:
            self._put(self._styled("\n".join(["Sources", *self._sources]), "dim"))
        if words:
            self._put(self._styled(words, "yellow"))
        self._note = ""
        self._draw()
        self._region.close()

    def _add(self, text: str, *, thinking: bool) -> None:
        if thinking != self._thinking:
            self._close_block()
            self._thinking = thinking
            self._rest = "Thoughts: " if thinking else ""
        if self._note == _WAITING:
            self._note = ""
        self._rest += printable(text)

    def _later(self) -> None:
        """Draws now, or when the last frame is long enough ago."""
        if self._timer is None:
            delay = max(0.0, self._next - self._loop.time())
            self._timer = self._loop.call_later(delay, self._draw)

    def _draw(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        begun = self._loop.time()
        blocks, self._rest = self._split()
        for block in blocks:
            self._put(self._render(block))
        live = self._render(settled(self._rest))
        if live:
            live = self._spaced(live)
        if self._note:
            live = [*live, *self._styled(self._note, "dim")]
        above, self._above = self._above, []
        self._region.draw(above, live)
        cost = self._loop.time() - begun
        self._next = begun + max(_FRAME_SECONDS, cost * _DRAWING_SHARE)

    def _split(self) -> tuple[list[str], str]:
        if not self._thinking:
            return split_blocks(self._rest)
        *paragraphs, rest = self._rest.split("\n\n")
        return paragraphs, rest

    def _close_block(self) -> None:
        blocks, rest = self._split()
        for block in (*blocks, rest):
            self._put(self._render(block))
        self._rest = ""

    def _put(self, lines: list[str]) -> None:
        """Prints lines for good, with the next frame."""
        if lines:
            self._above += self._spaced(lines)
            self._printed = True

    def _spaced(self, lines: list[str]) -> list[str]:
        return ["", *lines] if self._printed else lines

    def _render(self, source: str) -> list[str]:
        if not source.strip():
            return []
        if not self._thinking:
            return render(source, self._console, self._size()[0])
        bar = self._styled("│", "dim")[0]
        lines = self._styled(source.strip(), "dim italic", margin=2)
        return [f"{bar} {line}" for line in lines]

    def _styled(self, text: str, style: str, margin: int = 0) -> list[str]:
        with self._console.capture() as capture:
            width = max(1, self._size()[0] - margin)
            self._console.print(Text(text, style=style), width=width)
        return trimmed(capture.get())
