"""An answer as bare text: for pipes and files, and for terminals that can do nothing else."""

from collections.abc import Callable
from typing import TextIO

from console.events import Citations, Delta, Event, Thought, ToolCall
from console.printable import one_line, printable

ARGUMENTS_SHOWN = 500


class Bare:
    """Writes the answer's text to `out` as it arrives, and ends it with one line break.

    `say` gets every sentence about it. In a terminal (`whole`) it also gets what belongs to an
    answer beside its text: thoughts, tool calls and sources.
    """

    def __init__(self, out: TextIO, say: Callable[[str], None], *, whole: bool = False) -> None:
        self._out = out
        self._say = say
        self._whole = whole
        self._text = ""
        self._breaks = ""
        self._sources: list[str] = []
        self._thoughts = ""

    def take(self, event: Event) -> None:
        """Shows one event; raises BrokenPipeError where nobody reads any more."""
        match event:
            case Delta(text=text):
                self._tell_thoughts()
                self._add(text)
            case Thought(text=text) if self._whole:
                self._thoughts += text
            case ToolCall() if self._whole:
                self._say(tool_words(event))
            case Citations():
                self._sources = source_lines(event)

    def retrying(self, attempt: int) -> None:
        """A lost connection that is found again needs no word here."""

    def note(self, words: str) -> None:
        """Says something while the answer arrives."""
        if words:
            self._say(words)

    def finish(self, stored: str | None) -> None:
        """Ends the answer. `stored` is what the backend keeps of it, None if that is not known."""
        self._tell_thoughts()
        rest, words = missing(self._text, stored)
        self._add(rest)
        if self._text:
            # Breaks at the end were kept back: exactly one is wanted.
            self._write("\n")
        if words:
            self._say(words)
        if self._whole:
            for line in self._sources:
                self._say(line)

    def _tell_thoughts(self) -> None:
        if self._thoughts:
            self._say(f"Thoughts: {printable(self._thoughts).strip()}")
            self._thoughts = ""

    def _add(self, text: str) -> None:
        self._text += text
        safe = self._breaks + printable(text)
        body = safe.rstrip("\n")
        self._breaks = safe[len(body) :]
        self._write(body)

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()


def missing(shown: str, stored: str | None) -> tuple[str, str]:
    """What is still to be shown, and words where that is not just the rest.

    They differ where the backend's instance died with text that it had not stored yet.
    """
    if stored is None or stored == shown:
        return "", ""
    if stored.startswith(shown):
        return stored[len(shown) :], ""
    if shown.startswith(stored):
        words = f"Of this answer only the first {len(stored)} of {len(shown)} characters are kept."
        return "", words
    return f"\n\n{stored}", "The answer arrived in two versions; the last one is kept."


def tool_words(call: ToolCall) -> str:
    """A tool call on one line."""
    arguments = one_line(call.arguments, ARGUMENTS_SHOWN)
    return f"Tool call: {one_line(call.name, 80)}({arguments})"


def source_lines(found: Citations) -> list[str]:
    """The sources of an answer, and what there is to say of the search, a line each."""
    sources = [
        source_words(number, item.title, item.url) for number, item in enumerate(found.documents, 1)
    ]
    return sources + [one_line(note, 300) for note in found.notes]


def source_words(number: int, title: str, url: str) -> str:
    """A source on one line; the number is the one that the answer cites."""
    return f"[{number}] {one_line(' '.join((title, url)), 300)}"
