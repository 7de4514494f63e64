"""Blocks that can be printed for good, and Markdown that is safe to print."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from console.markdown import is_safe_link, render, settled, split_blocks
from console.printable import one_line, printable

PIECES = st.sampled_from(
    (
        *("# h\n", "a", "b ", "\n", "\n\n", "- ", "1. ", "2) x\n", "```\n", "```py\n", "~~~", "> "),
        *("|a|b|\n", "|---|---|\n", "---\n", "===\n", "[a]: http://b\n", "[a]", "<div>\n", "\t"),
        *("*", "`", "    "),
    )
)
MARKDOWN = st.lists(PIECES, max_size=30).map("".join)


def shown(text: str, width: int = 60, color: bool = False) -> str:
    console = Console(
        file=io.StringIO(), force_terminal=True, color_system="standard" if color else None
    )
    return "\n".join(render(text, console, width))


@given(MARKDOWN)
def test_nothing_is_lost_between_blocks(text: str):
    blocks, rest = split_blocks(text)
    assert "\n".join([*blocks, rest]) == text


@given(MARKDOWN, st.integers(min_value=1, max_value=7))
def test_blocks_are_the_same_however_the_text_arrives(text: str, size: int):
    arrived: list[str] = []
    rest = ""
    for begin in range(0, len(text), size):
        blocks, rest = split_blocks(rest + text[begin : begin + size])
        arrived += blocks
    assert "\n".join([*arrived, rest]) == text
    blocks, last = split_blocks(text)
    assert [*arrived, rest] == [*blocks, last]


@given(MARKDOWN)
def test_block_by_block_is_drawn_as_the_whole_is(text: str):
    blocks, rest = split_blocks(text)
    drawn = [lines for block in [*blocks, rest] if (lines := shown(block))]
    whole = re.sub(r"\n\n+", "\n", shown(text))
    assert re.sub(r"\n\n+", "\n", "\n".join(drawn)) == whole


@pytest.mark.parametrize(
    ("text", "blocks", "rest"),
    [
        ("", [], ""),
        ("a", [], "a"),
        ("a\n\nb", [], "a\n\nb"),  # b may become `b\n===`, and yet a is complete: one line later.
        ("a\n\nb\n", ["a\n"], "b\n"),
        ("- a\n\n1", [], "- a\n\n1"),
        ("1. a\n\n2", [], "1. a\n\n2"),
        ("1. a\n\n2. b\n\nc\n", ["1. a\n\n2. b\n"], "c\n"),
        ("```\na\n\nb\n\n# c\n", [], "```\na\n\nb\n\n# c\n"),
        ("```\na\n```\nb\n", ["```\na\n```"], "b\n"),
        ("# a\n\n\nb\nc\n", ["# a\n\n"], "b\nc\n"),
    ],
)
def test_blocks(text: str, blocks: list[str], rest: str):
    assert split_blocks(text) == (blocks, rest)


@pytest.mark.parametrize(
    "last", ["-", "--", "=", "1", "12.", "#", "``", "* ", "|", "  ", ">", "**"]
)
def test_a_line_that_may_still_become_anything_is_not_shown(last: str):
    assert settled(f"text\n{last}") == "text\n"
    assert settled(f"text\n{last}word") == f"text\n{last}word"


def test_html_is_text():
    assert shown("a <b>c</b>\n\n<script>x</script>") == "a <b>c</b>\n\n<script>x</script>"


def test_addresses_are_shown_beside_their_links():
    assert shown("[a](https://b.c/d)") == "a (https://b.c/d)"
    assert shown("<https://b.c>") == "https://b.c"
    assert shown("<me@b.c>") == "me@b.c"
    assert shown("![a](https://b.c/d.png)") == "[image: a] (https://b.c/d.png)"
    assert shown("[![a](https://b.c/i)](https://d.e)") == (
        "[image: a] (https://b.c/i) (https://d.e)"
    )
    assert "\x1b]8;" in shown("[a](https://b.c/d)", color=True)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "file:///etc/passwd", "data:x", "a/b", "//b"]
)
def test_other_addresses_are_no_links(url: str):
    assert not is_safe_link(url)
    assert shown(f"[a]({url})") == f"[a]({url})"
    assert "\x1b]8" not in shown(f"[a]({url}) <{url}>", color=True)


def test_a_definition_is_not_swallowed():
    assert shown("[1]: https://b.c") == "[1]: https://b.c"


@given(st.text())
def test_nothing_steers_the_terminal(text: str):
    drawn = shown(printable(text), color=True)
    plain = re.sub(r"\x1b\[[\d;]*m|\x1b\]8;[^\x1b\x07]*\x1b\\", "", drawn)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", plain)


@pytest.mark.parametrize("entity", ["&#27;", "&#13;", "&#x9b;", "&#7;", "&#12;", "&#8;"])
def test_entities_neither(entity: str):
    for text in (f"a{entity}b", f"[a{entity}](https://b.c/{entity})", f"# {entity}", f"`{entity}`"):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown(text))


def test_lines_have_no_padding():
    assert shown("a\n\n```\nb\n```\n\n# c\n") == "a\n\n b\n\nc"


def test_printable_text():
    assert printable("a\x1b[2J\x9b\x07\r\nb\tc\u202ed\u2028\ud800") == "a[2J\nb\tcd\u2028\ufffd"
    assert one_line(" a\n b\x1bc ", 10) == "a bc"
    assert one_line("abcdef", 4) == "abc…"
