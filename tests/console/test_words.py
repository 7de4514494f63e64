"""Commands, lists and ends: what is read from a line, and what is said."""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from console.bare import Bare, missing
from console.commands import NAMES, Command, command_of, is_leaving, unknown_words
from console.ends import Exit, end_words, error_code, exit_code, usage_words
from console.errors import ConsoleError, Left, Refused, Unreachable, UsageError
from console.events import Delta, End, Failure, Thought, Usage, decode
from console.listing import Entry, age, chosen, how_many, list_lines

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
REASONS = ["length", "content_filter", "tool_calls", "cancelled", "disconnected", "incomplete"]


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/list", Command("list", "")),
        ("/LIST  5 ", Command("list", "5")),
        ("/open a b", Command("open", "a b")),
        ("/", Command("", "")),
        (" /list", None),
        ("/etc/hosts", None),
        ("/list\nand more", None),
        ("list", None),
    ],
)
def test_what_is_a_command(line: str, command: Command | None):
    assert command_of(line) == command


def test_an_unknown_command_says_what_there_is():
    assert all(f"/{name}" in unknown_words("nope") for name in NAMES)


@pytest.mark.parametrize("line", ["", " \t", "exit", " Quit ", "/exit"])
def test_what_leaves(line: str):
    assert is_leaving(line)
    assert not is_leaving(f"{line} x")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "now"), (59, "now"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (90_000, "1 d")],
)
def test_ages(seconds: int, words: str):
    assert age(NOW - timedelta(seconds=seconds), NOW) == words


def test_a_list():
    entries = [Entry("a", "one\n\x1b[2Jtwo", NOW), Entry("b", "x" * 200, NOW)]
    lines = list_lines(entries, "b", NOW, 40)
    assert lines[0] == "  1     now  one [2Jtwo"
    assert lines[1].startswith("* 2     now  xxx")
    assert len(lines[1]) <= 40


def test_what_was_chosen():
    entries = [Entry("first", "", NOW), Entry("second", "", NOW)]
    assert chosen("2", entries) == "second"
    assert chosen("0123456789", entries) == "0123456789"
    for wrong in ("", "0", "3", "a b", "ü"):
        with pytest.raises(UsageError):
            chosen(wrong, entries)
    assert (how_many(""), how_many("7")) == (20, 7)
    for wrong in ("0", "101", "-1", "x", "9" * 5000):
        with pytest.raises(UsageError):
            how_many(wrong)


@pytest.mark.parametrize("reason", REASONS)
def test_every_end_has_words_and_a_code(reason: str):
    assert end_words(End("", reason, "", None), None)
    assert exit_code(reason) not in (Exit.OK, Exit.ERROR, Exit.USAGE)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "The model asks for tools, which the console cannot run."),
        (("find",), "The model asks for the tool find, which"),
        (("find", "find"), "The model asks for the tool find, which"),
        (("find", "{0}\x1b[2J"), "The model asks for the tools find, {0}[2J, which"),
        (("x" * 300,), f"for the tool {'x' * 199}…, which"),
    ],
)
def test_which_tools_an_answer_ended_in(names: tuple[str, ...], said: str):
    words = end_words(End("", "tool_calls", "", None), None, tools=names)
    assert words is not None
    assert said in words


def test_the_result_is_whatever_its_name_is():
    end = {"type": "end", "position": "1.2", "finishReason": "stop", "result": {"summary": "yes"}}
    decoded = decode(json.dumps(end))
    assert isinstance(decoded, End)
    assert decoded.text == "yes"
    decoded = decode(json.dumps(end | {"result": {}}))
    assert isinstance(decoded, End)
    assert decoded.text == ""


def test_other_ends():
    failure = Failure("", "model_timeout", "It was silent.", retryable=True)
    assert end_words(End("", "stop", "", None), None) is None
    assert exit_code("stop") == 0
    assert end_words(End("", "error", "", None), failure) == (
        "The answer ended with an error (model_timeout): It was silent. Asking again may help."
    )
    assert end_words(End("", "new\x1b", "", None), None) == "The answer ended: new."
    assert (
        usage_words(Usage(1, 2, 3, estimated=True)) == "Tokens: 1 in, 2 out, 3 in all, estimated."
    )
    assert usage_words(None) == "Tokens: not known."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError(""), 2),
        (Refused("", code="x"), 9),
        (Unreachable(""), 10),
        (Left(""), 130),
    ],
)
def test_errors_have_codes(error: ConsoleError, code: int):
    assert error_code(error) == code


def test_bare_text_ends_with_one_line_break_and_an_empty_one_with_none():
    for texts, written in [
        (["a\n", "\n", "b\n\n"], "a\n\nb\n"),
        (["a"], "a\n"),
        ([], ""),
        (["\n"], "\n"),
    ]:
        out = io.StringIO()
        bare = Bare(out, lambda words: None)
        bare.take(Thought("", "hm"))
        for text in texts:
            bare.take(Delta("", text))
        bare.finish("".join(texts))
        assert out.getvalue() == written


def test_what_is_missing_of_an_answer():
    assert missing("one", "one two") == (" two", "")
    assert missing("one", None) == ("", "")
    assert missing("one two", "one")[0] == ""
    assert "3 of 7" in missing("one two", "one")[1]
    assert missing("one", "two")[0].strip() == "two"


@pytest.mark.parametrize(
    "data", ["[]", "1", "{}", '{"position": "1", "type": "delta"}', "{", "[" * 9999]
)
def test_what_is_no_event(data: str):
    with pytest.raises(ValueError):
        decode(data)
