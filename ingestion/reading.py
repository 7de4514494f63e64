"""Files as Markdown: what a person would read in them, and nothing that runs."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

MAX_BYTES = 50_000_000
_DROPPED = ("script", "style", "template", "noscript", "iframe", "object", "svg", "nav", "form")
_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?\n)---[ \t]*\n", re.DOTALL)
"""Settings of a site's generator at the top of a page, which nobody reads there."""
_TITLE = re.compile(r"^title:[ \t]*(\S.*)$", re.MULTILINE)
_HIDDEN = re.compile(r"(^(```|~~~).*?^\2|`[^`\n]+`)|<!--.*?-->", re.DOTALL | re.MULTILINE)
"""Comments, which no reader sees; in code they are text, and stay."""
_UNSEEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_BLANK_LINES = re.compile(r"\n{3,}")


class Unreadable(Exception):
    """A file that gives no text; says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a file that has an address of its own; of most files the only one."""

    text: str
    """Markdown."""
    anchor: str = ""
    """Behind the file's address, without the #; empty: headings have their own."""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What stands in a file."""

    title: str | None
    """What the file itself says that it is called."""
    pages: tuple[Page, ...]


def read(file: Path, max_bytes: int = MAX_BYTES) -> Reading:
    """Raises `Unreadable`."""
    try:
        size = file.stat().st_size
        if size > max_bytes:
            raise Unreadable(f"it has {size:,} bytes, more than --max-bytes {max_bytes:,}")
        return READERS[file.suffix.lower()](file)
    except OSError as exc:
        raise Unreadable(exc.strerror or "it cannot be read") from exc


def files_in(
    paths: Iterable[Path], root: Path, exclude: Iterable[str] = ()
) -> Iterator[tuple[str, Path]]:
    """Every file of a kind that can be read below the paths, by its path below `root`, in order.

    Links that lead out of the root are not followed. Raises `Unreadable` for a path that is not
    there, not below the root, or cannot be looked into.
    """
    root = root.resolve()
    patterns = tuple(exclude)
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise Unreadable(f"{path}: there is no such file or folder")
        if not path.resolve().is_relative_to(root):
            raise Unreadable(f"{path} is not below the root, {root}: name another --root")
        for file in _below(path) if path.is_dir() else [path]:
            real = file.resolve()
            if not real.is_file() or file.suffix.lower() not in READERS:
                continue
            if not real.is_relative_to(root):
                continue
            name = real.relative_to(root)
            if not any(name.full_match(pattern) for pattern in patterns):
                found[name.as_posix()] = real
    yield from sorted(found.items())


def _below(folder: Path) -> Iterator[Path]:
    """Everything in it. Raises `Unreadable` for a folder that cannot be looked into: what is in it
    would seem to be gone."""

    def fail(error: OSError) -> NoReturn:
        raise Unreadable(f"{error.filename}: {error.strerror}") from error

    for parent, _, names in folder.walk(on_error=fail):
        yield from (parent / name for name in names)


def _text(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Unreadable(f"it is not UTF-8, at byte {exc.start}: save it as that") from exc
    return text.replace("\r\n", "\n").replace("\0", " ")


def _markdown(file: Path) -> Reading:
    text = _HIDDEN.sub(lambda found: found[1] or "", _text(file))
    if (front := _FRONT_MATTER.match(text)) is None:
        return Reading(None, (Page(text),))
    title = _TITLE.search(front[1])
    return Reading(title[1].strip("'\" ") if title else None, (Page(text[front.end() :]),))


def _html(file: Path) -> Reading:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    soup = BeautifulSoup(file.read_bytes(), "html.parser")
    title = soup.title.get_text(" ", strip=True) if soup.title else None
    for element in soup.find_all(_DROPPED):
        element.decompose()
    for element in soup.select("[hidden], [aria-hidden=true]"):
        element.decompose()
    for element in soup.select("[style]"):
        if not element.decomposed and _UNSEEN.search(str(element["style"])):
            element.decompose()
    body = soup.find("main") or soup.body or soup
    converter = MarkdownConverter(heading_style="ATX", strip=["a", "img"])
    text = converter.convert_soup(body)  # type: ignore[no-untyped-call, unused-ignore]
    return Reading(title, (Page(_BLANK_LINES.sub("\n\n", text).replace("\0", " ")),))


def _pdf(file: Path) -> Reading:
    import logging

    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it warns of every oddity of every file
    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("it is encrypted")
        title = reader.metadata.title if reader.metadata else None
        pages = tuple(
            Page(page.extract_text().replace("\0", " "), f"page={n}", f"page {n}")
            for n, page in enumerate(reader.pages, 1)
        )
    except Unreadable:
        raise
    except Exception as exc:  # a broken file breaks the library in ways of its own
        raise Unreadable(f"it is no PDF that can be read ({type(exc).__name__})") from exc
    if not any(page.text.strip() for page in pages):
        raise Unreadable("it holds no text: scanned pages need a text layer first")
    return Reading(title or None, pages)


READERS: Mapping[str, Callable[[Path], Reading]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".txt": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
}
"""By the end of a file's name."""
