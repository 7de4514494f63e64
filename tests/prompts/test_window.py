"""The window: whole turns, newest first, within messages and tokens; the last one always."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import ToolCall
from shared.messages import FinishReason, ToolResult, Usage
from shared.prompts.tokens import estimate_messages, estimate_tokens
from shared.prompts.window import PARTIAL, PastTurn, choose_window

text = st.text(max_size=30)
reasons: st.SearchStrategy[FinishReason | None] = st.sampled_from(
    ["stop", "length", "content_filter", "tool_calls", "cancelled", "incomplete", "error", None]
)
usages = st.one_of(
    st.none(),
    st.builds(
        Usage,
        prompt_tokens=st.integers(0, 20),
        completion_tokens=st.integers(0, 20),
        total_tokens=st.just(0),
        estimated=st.booleans(),
    ),
)
turns = st.lists(st.builds(PastTurn, text, text, reasons, usages, st.integers(0, 5)), max_size=10)


def turn(name: str, answer: str | None = None, reason: FinishReason = "stop") -> PastTurn:
    return PastTurn(f"q{name}", f"a{name}" if answer is None else answer, reason)


def contents(window: tuple[dict[str, Any], ...]) -> list[Any]:
    return [message["content"] for message in window]


def calling(name: str, *ids: str, answer: str = "", after: Sequence[str] = ()) -> PastTurn:
    """A turn that ends in calls; `after`: the calls whose results it brings itself."""
    calls = tuple(ToolCall(n, id, "f", "{}") for n, id in enumerate(ids))
    reason: FinishReason = "tool_calls" if calls else "stop"
    return PastTurn(f"q{name}", answer, reason, results=results(*after), calls=calls)


def results(*ids: str) -> tuple[ToolResult, ...]:
    return tuple(ToolResult(id=id, content=f"r{id}") for id in ids)


def shape(window: tuple[dict[str, Any], ...]) -> list[str]:
    """Role and text of each message, and the ids of its calls, or of the call it answers."""
    return [
        " ".join(
            filter(
                None,
                (
                    message["role"],
                    message["content"],
                    message.get("tool_call_id"),
                    *(call["id"] for call in message.get("tool_calls", ())),
                ),
            )
        )
        for message in window
    ]


@given(turns, st.integers(0, 12), st.integers(0, 200))
def test_the_window_is_bounded_and_roles_alternate(
    given: list[PastTurn], messages: int, tokens: int
) -> None:
    window = choose_window(given, messages, tokens)
    useful = [t for t in given if t.answer.strip() and t.finish_reason != "content_filter"]
    assert len(window) <= max(2, messages)
    assert len(window) % 2 == 0
    assert [message["role"] for message in window] == ["user", "assistant"] * (len(window) // 2)
    assert bool(window) == bool(useful)
    chosen = useful[: len(window) // 2]
    if len(chosen) > 1 or (chosen and chosen[0].tokens <= tokens):
        assert sum(turn.tokens for turn in chosen) <= tokens
        expected = [c for turn in reversed(chosen) for c in (turn.question, turn.whole_answer)]
        assert contents(window) == expected
        if len(chosen) < len(useful) and len(window) + 2 <= messages:
            assert sum(turn.tokens for turn in useful[: len(chosen) + 1]) > tokens


@given(text, text, st.integers(20, 60))
def test_the_last_turn_is_cut_at_its_front(question: str, answer: str, tokens: int) -> None:
    answer = f"{answer}.{question * 3}"
    past = PastTurn(question, answer, "stop")
    window = choose_window([past], 40, tokens)
    shown_question, shown_answer = contents(window)
    for shown, whole in ((shown_question, question), (shown_answer, answer)):
        assert shown == whole or (shown[0] == "…" and whole.endswith(shown[1:]))
    assert estimate_messages(window) <= tokens + 3  # one mark where nothing is left


def test_turns_come_whole_and_oldest_first() -> None:
    given = [turn("3"), turn("2"), turn("1")]
    assert contents(choose_window(given, 4, 1000)) == ["q2", "a2", "q3", "a3"]
    assert contents(choose_window(given, 5, 1000)) == ["q2", "a2", "q3", "a3"]
    both = given[0].tokens + given[1].tokens
    assert len(choose_window(given, 40, both)) == 4
    assert len(choose_window(given, 40, both - 1)) == 2
    assert choose_window([], 40, 1000) == ()


def test_what_is_left_out_and_what_is_marked() -> None:
    given = [
        turn("6", ""),
        turn("5", " \n", "tool_calls"),
        turn("4", reason="content_filter"),
        turn("3", reason="cancelled"),
        turn("2", reason="tool_calls"),
        turn("1", "", "error"),
    ]
    assert contents(choose_window(given, 40, 1000)) == ["q2", "a2", "q3", "a3" + PARTIAL]


def test_a_turn_in_the_middle_that_does_not_fit_ends_the_window() -> None:
    given = [turn("3"), turn("2", "x" * 3000), turn("1")]
    assert contents(choose_window(given, 40, 500)) == ["q3", "a3"]


def test_a_turn_that_is_far_too_long_leaves_only_marks() -> None:
    assert contents(choose_window([turn("1", "x" * 100)], 40, 0)) == ["…", "…"]


def test_the_models_own_figures_count_where_it_gave_some() -> None:
    def tokens(usage: Usage | None, reasoning: int = 0, reason: FinishReason = "stop") -> int:
        return PastTurn("q" * 30, "a" * 300, reason, usage, reasoning).tokens

    estimate = tokens(None)
    assert estimate == 10 + 100 + 8
    assert tokens(Usage(500, 60, 560)) == 10 + 60 + 8
    assert tokens(Usage(500, 60, 560), 20) == 10 + 40 + 8
    assert tokens(Usage(5, 60, 65)) == 5 + 60 + 8
    assert tokens(Usage(500, 60, 560, estimated=True)) == estimate
    assert tokens(Usage(0, 0, 0)) == estimate
    assert tokens(Usage(500, 60, 560), reason="length") == 10 + 60 + 8 + estimate_tokens(PARTIAL)


@pytest.mark.parametrize(
    ("sample", "least"),
    [
        ("The quick brown fox jumps.", 6),
        ("Быстрая лиса", 5),
        ("快速的狐狸", 5),
        ("🦊🦊", 6),
        ("", 0),
    ],
)
def test_estimates_are_on_the_safe_side(sample: str, least: int) -> None:
    assert least <= estimate_tokens(sample) <= 3 * least + 4


@given(st.text(), st.text())
def test_more_text_never_takes_fewer_tokens(one: str, other: str) -> None:
    assert estimate_tokens(one) <= estimate_tokens(one + other)
    sizes = [estimate_tokens(one[:n]) for n in range(len(one))]
    assert all(a <= b for a, b in pairwise(sizes))


def test_messages_without_text_count_too() -> None:
    assert estimate_messages([{"role": "user"}, {"role": "user", "content": None}]) == 8


def test_calls_and_their_results_stay_together() -> None:
    past = [
        calling("3", answer="a3", after=["c", "d"]),
        calling("2", "c", "d", answer="a2", after=["b"]),
        calling("1", "b"),
        turn("0"),
    ]
    whole = [
        "user q0",
        "assistant a0",
        "user q1",
        "assistant b",
        "tool rb b",
        "assistant a2 c d",
        "tool rc c",
        "tool rd d",
        "assistant a3",
    ]
    assert shape(choose_window(past, 40, 1000)) == whole
    assert shape(choose_window(past, 8, 1000)) == whole[2:]
    chain = sum(t.tokens for t in past[:3])
    assert shape(choose_window(past, 40, chain)) == whole[2:]
    # The last turn, with all that belongs to it, is there whatever the bounds are.
    assert shape(choose_window(past, 2, chain)) == whole[2:]
    cut = choose_window(past, 40, 10)
    assert [m["role"] for m in cut] == [m["role"] for m in choose_window(past, 8, 1000)]
    assert cut[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
    # As one of several it does not come in parts.
    assert shape(choose_window([turn("4"), *past], 8, 1000)) == ["user q4", "assistant a4"]


def test_calls_whose_results_nobody_brought_are_cut_out() -> None:
    said = calling("1", "b", answer="one moment")
    assert shape(choose_window([said], 40, 1000)) == ["user q1", "assistant one moment"]
    assert choose_window([calling("1", "b")], 40, 1000) == ()
    assert shape(choose_window([turn("2"), calling("1", "b")], 40, 1000)) == [
        "user q2",
        "assistant a2",
    ]
    failed = PastTurn("", "", "error", results=results("b"))
    assert shape(choose_window([turn("2"), failed, said], 40, 1000)) == [
        "user q1",
        "assistant one moment",
        "user q2",
        "assistant a2",
    ]


def test_results_that_have_lost_their_calls_are_left_out() -> None:
    orphan = calling("2", answer="a2", after=["b"])
    assert shape(choose_window([orphan, calling("1", "other", answer="a1")], 40, 1000)) == [
        "user q1",
        "assistant a1",
    ]
    filtered = PastTurn("q", "a", "content_filter", calls=calling("1", "b").calls)
    assert choose_window([orphan, filtered], 40, 1000) == ()


def test_a_prompt_that_brings_results_finds_the_calls() -> None:
    past = [calling("2", "c", after=["b"]), calling("1", "b"), turn("0")]
    window = choose_window(past, 2, 1000, results("c"))
    assert shape(window) == ["user q1", "assistant b", "tool rb b", "assistant c"]
    # A chain that goes back further than was read begins with the calls.
    assert shape(choose_window(past[:1], 2, 1000, results("c"))) == ["assistant c"]
    assert shape(choose_window(past[2:], 2, 1000, results("c"))) == ["user q0", "assistant a0"]


def test_the_last_turn_is_there_where_its_chain_goes_back_further_than_was_read() -> None:
    last = calling("3", answer="a3", after=["c"])
    assert shape(choose_window([last], 2, 1000)) == ["assistant a3"]
    chain = [last, calling("2", "c", after=["b"])]
    assert shape(choose_window(chain, 40, 1000)) == ["assistant c", "tool rc c", "assistant a3"]
    # A turn that says nothing is no last turn.
    silent = PastTurn("q", "", "error")
    assert choose_window([silent, *chain], 40, 1000) == choose_window(chain, 40, 1000)
    [cut] = choose_window([replace(last, answer="a" * 500)], 40, 20)
    assert cut["content"].startswith("…a")
    # An older turn is whole or left out.
    assert shape(choose_window([turn("4"), *chain], 40, 1000)) == ["user q4", "assistant a4"]


made = st.builds(
    calling,
    st.just(""),
    st.sampled_from("bc"),
    answer=st.sampled_from(["", "text"]),
    after=st.lists(st.sampled_from("bc"), max_size=1),
)


@given(st.lists(st.one_of(made, st.builds(turn, st.just("")))), st.integers(0, 12))
def test_no_call_is_parted_from_its_results(given: list[PastTurn], messages: int) -> None:
    window = choose_window(given, messages, 1000)
    for before, message in pairwise([{"role": "none"}, *window, {"role": "none"}]):
        called = [call["id"] for call in before.get("tool_calls", ())]
        answered = [message["tool_call_id"]] if message["role"] == "tool" else []
        assert called == answered
