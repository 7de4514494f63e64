"""Finds the section of this project's documents that a question is about."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_WORD = re.compile(r"\w+")
_TITLE_WEIGHT = 3.0
# Below this a match is chance: one rare word of several says little.
_LEAST_SHARE = 0.34
_COMMON = frozenset(
    """
    a about an and are as at be by can could do does explain for from give have how i in is it its
    me my of on or please show tell that the there these this to was what when where which who why
    will with would you your
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    source: str
    title: str
    text: str


def words_of(text: str) -> set[str]:
    """Give the words that say what a text is about, without endings of the plural."""
    return {
        word.removesuffix("s") or word
        for word in _WORD.findall(text.lower())
        if word not in _COMMON
    }


def sections_of(source: str, markdown: str) -> list[Section]:
    """Split a Markdown text at its headings; sections without text are left out."""
    sections: list[Section] = []
    title, lines, fenced = source, list[str](), False

    def close() -> None:
        text = "\n".join(lines).strip()
        if text:
            sections.append(Section(source, title, text))

    for line in markdown.splitlines():
        fenced ^= bool(_FENCE.match(line))
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            lines.append(line)
            continue
        close()
        title, lines = heading[1], []
    close()
    return sections


class Library:
    """Sections, and how telling each of their words is."""

    def __init__(self, sections: Iterable[Section]) -> None:
        self._sections = [(s, words_of(s.title), words_of(s.text)) for s in sections]
        counts = Counter(word for _, title, text in self._sections for word in title | text)
        total = len(self._sections) + 1
        self._weights = {word: math.log(total / count) + 0.1 for word, count in counts.items()}
        self._unknown = math.log(total) + 0.1

    @classmethod
    def load(cls, folder: Path) -> "Library":
        """Read `README.md` and `docs/*.md` of a folder; what is missing is left out."""
        files = [folder / "README.md", *sorted((folder / "docs").glob("*.md"))]
        return cls(
            section
            for file in files
            if file.is_file()
            for section in sections_of(
                file.relative_to(folder).as_posix(), file.read_text("utf-8", errors="replace")
            )
        )

    def titles(self, count: int) -> list[str]:
        """Give the first titles, as examples of what can be asked."""
        return [section.title for section, _, _ in self._sections[:count]]

    def find(self, question: str, least: float = _LEAST_SHARE) -> Section | None:
        """Find the best section, or None where nothing fits, or less than the `least` share."""
        asked = words_of(question)
        if not asked:
            return None
        best: tuple[float, Section] | None = None
        for section, title, text in self._sections:
            score = sum(
                self._weights[word] * (_TITLE_WEIGHT if word in title else 1.0)
                for word in asked & (title | text)
            )
            if best is None or score > best[0]:
                best = (score, section)
        whole = sum(self._weights.get(word, self._unknown) for word in asked)
        return best[1] if best and best[0] > 0 and best[0] >= whole * least else None
