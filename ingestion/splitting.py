"""A document as chunks: pieces of one section each, with the way to them as their title."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt

from ingestion.reading import Page, Reading

CHARACTERS = (1000, 1800)
"""Of a chunk: from the first on it may end, at the second it must. About 300 to 500 tokens."""
OVERLAP = 150
"""Characters that the pieces of one long section share, where it must be cut."""
LEAST = 200
"""Characters below which a section goes together with the next one of its parent."""
_PUNCTUATION = re.compile(r"[^\w\- ]", re.UNICODE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a document."""

    title: str
    """Document › heading › heading."""
    anchor: str
    """Of the section, as GitHub makes it; empty: the document's beginning."""
    number: int
    """Among the pieces of its section."""
    text: str


@dataclass(frozen=True, slots=True)
class _Section:
    path: tuple[str, ...]
    anchor: str
    text: str


def split(reading: Reading, name: str) -> list[Chunk]:
    """The chunks, in order. `name`: what the document is called where it does not say."""
    chunks = []
    for page in reading.pages:
        sections = list(_joined(_sections(page, reading.title or name)))
        numbers: Counter[str] = Counter()
        for section in sections:
            for text in _pieces(section.text):
                number = numbers[section.anchor]
                numbers[section.anchor] += 1
                chunks.append(Chunk(" › ".join(section.path), section.anchor, number, text))
    return chunks


def _sections(page: Page, title: str) -> Iterator[_Section]:
    """Cut at the headings; what is in code or in quotes is none."""
    lines = page.text.split("\n")
    slugs: Counter[str] = Counter()
    path: list[tuple[int, str]] = []
    at, anchor, first = 0, page.anchor, title
    tokens = MarkdownIt("commonmark").enable("table").parse(page.text)
    for n, token in enumerate(tokens):
        if token.type != "heading_open" or token.level or token.map is None:
            continue
        yield _Section(_path(first, path, page.name), anchor, "\n".join(lines[at : token.map[0]]))
        level, heading = int(token.tag[1]), _plain(tokens[n + 1].content)
        at = token.map[1]
        if level == 1 and not path and first == title:
            first = heading or title  # the document's own name
        else:
            path = [*((depth, text) for depth, text in path if depth < level), (level, heading)]
        slug = _PUNCTUATION.sub("", heading.lower()).replace(" ", "-")
        anchor = page.anchor or (slug if not slugs[slug] else f"{slug}-{slugs[slug]}")
        slugs[slug] += 1
    yield _Section(_path(first, path, page.name), anchor, "\n".join(lines[at:]))


def _path(first: str, path: list[tuple[int, str]], page: str) -> tuple[str, ...]:
    return (first, *(text for _, text in path if text), *((page,) if page else ()))


def _plain(heading: str) -> str:
    """A heading's words, without its marks."""
    return " ".join(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).split())


def _joined(sections: Iterator[_Section]) -> Iterator[_Section]:
    """Short sections together with the next one below the same parent."""
    short: _Section | None = None
    for section in sections:
        text = section.text.strip()
        if not text:
            continue
        if short is not None and section.path[:-1] != short.path[:-1]:
            yield short
            short = None
        if short is not None:
            text = f"{short.text}\n\n**{section.path[-1]}**\n\n{text}"
            section = _Section(short.path, short.anchor, text)
        else:
            section = _Section(section.path, section.anchor, text)
        short = section if len(text) < LEAST else None
        if short is None:
            yield section
    if short is not None:
        yield short


def _pieces(text: str) -> list[str]:
    from semantic_text_splitter import MarkdownSplitter

    if len(text) <= CHARACTERS[1]:
        return [text]
    return MarkdownSplitter(CHARACTERS, overlap=OVERLAP).chunks(text)
