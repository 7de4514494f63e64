"""Reading directives out of text, and cutting text into tokens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator.behaviour import (
    KINDS,
    Cut,
    Echo,
    Hold,
    Pace,
    Say,
    Slow,
    StatusCode,
    Tokens,
    Tool,
    behaviour_from,
)
from local.simulator.directives import take_directives
from local.simulator.models import CHAT, REASONING
from local.simulator.options import Options
from local.simulator.performance import perform
from local.simulator.tokens import count_prompt, count_tokens, filler, pieces_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[simulate: echo]", Echo()),
        ("[simulate:echo ]", Echo()),
        ('[simulate: say text="a ] \\"b\\" \\u00e9"]', Say('a ] "b" é')),
        ("[simulate: cut after=3 reset]", Cut(3, reset=True)),
        ("[simulate: hold before name=door]", Hold(before=True, name="door")),
        ("[simulate: pace ms=12.5]", Pace(12.5)),
        ("[simulate: slow first=2000ms]", Slow(first=2000.0)),
        ("[simulate: tokens n=5 ms=10 jitter=none]", Tokens(5, 10.0, "none")),
        ("[simulate: status code=429 retry_after=2]", StatusCode(429, 2)),
        ('[simulate: tool name=f arguments="{}"]', Tool("f")),
    ],
)
def test_directives_are_read(text: str, expected: Any) -> None:
    assert take_directives(f" before {text} after ") == ("before  after", [expected])


def test_text_without_directives_stays_as_it_is() -> None:
    assert take_directives(" a [simulation] b ") == (" a [simulation] b ", [])


def test_several_directives_keep_their_order() -> None:
    rest, found = take_directives("[simulate: echo] x [simulate: cut after=1]")
    assert (rest, found) == ("x", [Echo(), Cut(1)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[simulate: ]", "it is empty"),
        ("[simulate: cat after=1]", "unknown kind 'cat'; known are async_filter, crlf, cut,"),
        ("[simulate: after=1]", "it must begin with the kind"),
        ("[simulate: cut after=x]", "Expected `int`"),
        ("[simulate: cut after=-1]", ">= 0"),
        ("[simulate: cut affter=1]", "unknown field `affter`"),
        ("[simulate: say]", "missing required field `text`"),
        ('[simulate: say text=,"]', "is not closed"),
        ('[simulate: say text="\\q"]', "no JSON string"),
        ("[simulate: say =x]", "write key=value"),
        ("[simulate: echo", "is not closed"),
        ("[simulate: status code=200]", ">= 400"),
        ("[simulate: tool name=f arguments=1]", "must be a JSON object as text"),
    ],
)
def test_bad_directives_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\[simulate:") as caught:
        take_directives(text)
    assert message in str(caught.value)


def test_json_behaviour_is_not_lenient() -> None:
    assert behaviour_from({"kind": "cut", "after": 2}) == Cut(2)
    with pytest.raises(ValueError, match="Expected `int`"):
        behaviour_from({"kind": "cut", "after": "2"})
    with pytest.raises(ValueError, match="unknown kind None"):
        behaviour_from(["cut"])


def test_every_kind_has_a_name() -> None:
    assert len(KINDS) == len(set(KINDS)) == 24


@given(st.text())
def test_pieces_are_the_text_again(text: str) -> None:
    assert "".join(pieces_of(text)) == text


def test_pieces_have_the_shape_of_tokens() -> None:
    assert pieces_of("Hello, extraordinary world_x 12345\n\n  你好吗 👍🏽") == [
        *["Hello", ",", " extraord", "inary", " world", "_", "x", " 123", "45", "\n\n", " "],
        *[" ", "你好", "吗", " 👍🏽"],
    ]


@given(st.integers(0, 500))
def test_filler_has_exactly_so_many_pieces(count: int) -> None:
    assert len(filler(count)) == count


def test_prompts_are_counted() -> None:
    assert count_tokens("a b c") == 3
    assert count_prompt(["a b c", "d"]) == 3 + 4 + 3 + 4 + 1


def test_the_reasoning_model_is_silent_first() -> None:
    options = Options(token_ms=10, first_token_ms=100)
    assert perform(options, CHAT, []).first_ms == 100
    assert perform(options, REASONING, []).first_ms == 100 + 64 * 10
    assert perform(options, REASONING, [Slow(first=5)]).first_ms == 5


def test_the_last_pace_counts() -> None:
    made = perform(Options(), CHAT, [Tokens(5, 10), Pace(3, "none"), Tokens(5)])
    assert (made.token_ms, made.jitter) == (3, "none")
    assert perform(Options(), CHAT, [Tokens(5, 10)]).jitter == "exponential"
