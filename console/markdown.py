"""A model's Markdown: cut into blocks that can be printed for good, and rendered as lines.

Safe whatever the text says: no HTML, no links but to web and mail, no control characters, also
none that only an entity (`&#13;`) makes.
"""

import re
from itertools import pairwise
from typing import ClassVar
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown, MarkdownElement
from rich.syntax import Syntax

from console.printable import printable

# What a line may be that is still arriving: the next characters decide whether it underlines a
# heading, begins a list or a fence, or is text.
_UNDECIDED = re.compile(r"\s*(?:[-=*_+#`~>|:\s]+|\d+[.)]?)\s*")
# Rich pads paragraphs to the full width, which would be copied, and wrapped where it gets narrower.
_PADDING = re.compile(r" +$")
_BLANK = re.compile(r"(?: |\x1b\[[\d;]*m)*")


def is_safe_link(url: str) -> bool:
    """Whether an address may be a link: http, https or mailto, and absolute."""
    try:
        return urlsplit(url).scheme in ("http", "https", "mailto")
    except ValueError:
        return False


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    # Definitions would vanish from the answer, and belong to links in other blocks.
    parser.disable("reference")
    parser.validateLink = is_safe_link  # type: ignore[method-assign]
    return parser


_PARSER = _parser()
_BLOCKS = _parser().disable("inline")


def split_blocks(text: str) -> tuple[list[str], str]:
    """The blocks of `text` that nothing behind it can change any more, and the rest.

    CommonMark decides about blocks by whole lines: a top-level block is closed where the next one
    begins, so all but the last one are complete. A line without its end belongs to the rest.
    """
    whole = text[: text.rfind("\n") + 1]
    starts = [
        token.map[0]
        for token in _BLOCKS.parse(whole)
        if token.level == 0 and token.nesting >= 0 and token.map
    ]
    if len(starts) < 2:
        return [], text
    lines = text.split("\n")
    cuts = [0, *starts[1:]]
    blocks = ["\n".join(lines[a:b]) for a, b in pairwise(cuts)]
    return blocks, "\n".join(lines[cuts[-1] :])


def settled(text: str) -> str:
    """`text` without a last line that may still become one thing or another."""
    end = text.rfind("\n") + 1
    return text[:end] if _UNDECIDED.fullmatch(text, end) else text


def render(text: str, console: Console, width: int) -> list[str]:
    """`text` as lines for the terminal of `console`, without empty ones around them."""
    with console.capture() as capture:
        console.print(_Page(_safe(_PARSER.parse(text))), width=width)
    return trimmed(capture.get())


def trimmed(rendered: str) -> list[str]:
    """Lines without padding behind them, and without empty ones before and behind all."""
    lines = [_PADDING.sub("", line) for line in rendered.split("\n")]
    while lines and _BLANK.fullmatch(lines[0]):
        lines.pop(0)
    while lines and _BLANK.fullmatch(lines[-1]):
        lines.pop()
    return lines


class _Heading(Heading):
    """A heading at the left, where the answer's text is."""

    LEVEL_ALIGN: ClassVar = {}


class _CodeBlock(CodeBlock):
    """Code without empty lines around it: blocks have them between them anyway."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = str(self.text).rstrip()
        yield Syntax(code, self.lexer_name, theme=self.theme, word_wrap=True, padding=(0, 1))


class _Page(Markdown):
    """Rich's renderer, for tokens of our own parser."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "heading_open": _Heading,
        "fence": _CodeBlock,
        "code_block": _CodeBlock,
    }

    def __init__(self, tokens: list[Token]) -> None:
        # A theme without a background, so that code is copied without spaces behind it.
        super().__init__("", code_theme="ansi_dark")
        self.parsed = tokens


def _safe(tokens: list[Token]) -> list[Token]:
    for token in tokens:
        token.content = printable(token.content)
        token.info = printable(token.info)
        if token.children:
            token.children = _inline(_safe(token.children))
    return tokens


def _inline(tokens: list[Token]) -> list[Token]:
    """Shows every address beside its link, and images as what they are in a terminal: links."""
    shown: list[Token] = []
    hrefs: list[tuple[str, int]] = []
    for token in tokens:
        if token.type == "link_open":
            hrefs.append((_address(token, "href"), len(shown)))
        if token.type == "image":
            source = _address(token, "src")
            token = _text(f"[image: {token.content}] ({source})")
        shown.append(token)
        if token.type == "link_close":
            href, begin = hrefs.pop()
            said = "".join(inner.content for inner in shown[begin:])
            if href.removeprefix("mailto:") != said:
                shown.append(_text(f" ({href})"))
    return shown


def _address(token: Token, name: str) -> str:
    address = printable(str(token.attrs.get(name, "")))
    token.attrs[name] = address
    return address


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
