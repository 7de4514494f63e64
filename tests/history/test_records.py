"""Rows and values round-trip, and a row of somebody else's is refused."""

from dataclasses import replace

import pytest

from shared.events import Delta
from shared.history import keys
from shared.history.base import Answer, Conversation, Head
from shared.history.codec import Undecodable, encode_runs
from shared.history.records import (
    TOMBSTONE,
    answer_values,
    clean_title,
    end_values,
    head_values,
    index_values,
    question_values,
    read_answer,
    read_head,
    read_index,
    read_question,
    turn_number,
)
from shared.history.rows import Row
from shared.messages import Usage

ANSWER = Answer(
    number=5,
    turn_id="t",
    nonce="n",
    digest="d",
    action="default",
    model="m",
    result_name="response",
    created=7,
    running=True,
    lease=9,
    etag="e",
    hides=2,
    runs=(Delta("x"),),
    body=encode_runs([Delta("x")]),
)
HEAD = Head("e", title="t", created=1, updated=2, next=4, count=2, indexed=2)


def test_a_head_round_trips() -> None:
    assert read_head(Row("k", "e", head_values(HEAD))) == HEAD
    assert read_head(Row("k", "e", TOMBSTONE)) == Head("e", deleted=True)


def test_a_line_of_the_list_round_trips() -> None:
    row = Row(keys.index(2, "c"), "e", index_values(HEAD))
    assert read_index(row) == Conversation("c", "t", 1, 2, 2)


def test_an_answer_round_trips() -> None:
    row = Row(keys.message("c", 5), "e", answer_values(ANSWER))
    assert read_answer(row) == ANSWER
    usage = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3, estimated=True)
    ended = Row(row.key, "f", {**row.values, **end_values("length", usage, 4)})
    assert read_answer(ended) == replace(
        ANSWER,
        etag="f",
        running=False,
        lease=0,
        finish_reason="length",
        usage=usage,
        reasoning_tokens=4,
    )


@pytest.mark.parametrize("name", ["turn", "nonce", "digest", "running", "lease", "size", "from"])
def test_a_property_of_the_wrong_type_is_refused(name: str) -> None:
    values = {**answer_values(ANSWER), name: 0.5}
    with pytest.raises(Undecodable):
        read_answer(Row(keys.message("c", 5), "e", values))


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(Undecodable):
        read_question(Row("v,c,!", "e", question_values("t", b"text", 1)))
    with pytest.raises(Undecodable):
        read_index(Row("v,c,!", "e", index_values(HEAD)))
    with pytest.raises(Undecodable):
        turn_number(Row("t,c,t", "e", {"number": "5"}))


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("  a  ", "a"),
        ("a\tb\x00c\x7f\x85d", "a b c  d"),
        ("x" * 300, "x" * 200),
        ("a\ud800", "a\ufffd"),
        ("\n", ""),
        ("\u202e\u2028😀", "\u202e\u2028😀"),
    ],
)
def test_titles_are_cleaned(title: str, kept: str) -> None:
    assert clean_title(title) == kept
