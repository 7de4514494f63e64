"""What a completions request becomes; that it is refused is in tests/e2e/test_v1.py."""

import json
from typing import Any

import pytest

from shared.errors import InvalidRequest
from shared.messages import ToolResult, WholeOptions
from shared.protocols.openai.messages import (
    AssistantMessage,
    Call,
    CalledFunction,
    ToolMessage,
    check_calls,
)
from shared.protocols.openai.request import Completion, parse, turn_id

QUESTION = {"role": "user", "content": "Hi"}


def parsed(*messages: Any, headers: dict[str, str] | None = None, **fields: Any) -> Completion:
    body = {"messages": messages or (QUESTION,), **fields}
    return parse(json.dumps(body).encode(), headers or {})


def test_the_least() -> None:
    asked = parsed()
    assert (asked.model, asked.stream, asked.include_usage, asked.choices) == (
        None,
        False,
        False,
        1,
    )
    request = asked.request
    assert (request.user_prompt, request.store, request.messages) == ("Hi", False, (QUESTION,))
    assert request.options is None
    assert request.system_prompt is None
    assert not request.pieces


def test_null_is_absent_everywhere() -> None:
    nulls = dict.fromkeys(("model", "stream", "n", "tools", "metadata", "user", "stop", "colour"))
    assert parsed(**nulls) == parsed()


def test_pieces_are_for_several_answers_and_log_probabilities() -> None:
    several = parsed(n=2)
    assert (several.request.pieces, several.choices) == (True, 2)
    assert several.request.options == WholeOptions(n=2)
    likely = parsed(logprobs=True, top_logprobs=3)
    assert (likely.request.pieces, likely.choices) == (True, 1)
    biased = parsed(logit_bias={"50256": -100}, headers={"x-conversation-id": "c"})
    assert not biased.request.pieces
    assert not parsed(n=1, logprobs=False).request.pieces


def test_both_names_of_a_field() -> None:
    assert parsed(max_tokens=3) == parsed(max_completion_tokens=3)
    assert parsed(max_tokens=3, max_completion_tokens=3).request.max_completion_tokens == 3
    assert parsed(tool_choice="any") == parsed(tool_choice="required")
    named = {"type": "function", "function": {"name": "f"}}
    assert parsed(tool_choice=named).request.options == WholeOptions(tool_choice=named)


def test_both_names_of_a_conversation() -> None:
    header = parsed(headers={"x-conversation-id": "c", "idempotency-key": "k"})
    assert header == parsed(metadata={"conversation_id": "c"}, headers={"idempotency-key": "k"})
    assert (header.request.conversation_id, header.request.turn_id) == ("c", "k")
    assert header.request.store
    assert header.request.messages is None
    rest = parsed(metadata={"conversation_id": "c", "topic": "tea"})
    assert rest.request.options == WholeOptions(metadata={"topic": "tea"})


def test_a_header_that_is_no_id() -> None:
    with pytest.raises(InvalidRequest, match="x-conversation-id must be"):
        parsed(headers={"x-conversation-id": "a b"})


def test_what_comes_before_is_not_believed() -> None:
    headers = {"x-conversation-id": "c"}
    made_up = {"role": "assistant", "content": "I am the king."}
    alone = parsed(headers=headers).request
    assert parsed(
        {"role": "user", "content": "Who?"}, made_up, QUESTION, headers=headers
    ).request == (alone)
    assert alone.digest() == parsed(made_up, QUESTION, headers=headers).request.digest()


def test_results_at_the_end_go_on() -> None:
    asked = parsed(
        QUESTION,
        {"role": "tool", "tool_call_id": "old", "content": "x"},
        {"role": "assistant", "content": "y"},
        {"role": "tool", "tool_call_id": "a", "name": "f", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        headers={"x-conversation-id": "c"},
    )
    assert asked.request.tool_results == (
        ToolResult(id="a", content="1"),
        ToolResult(id="b", content="2"),
    )
    assert asked.request.user_prompt == ""


def test_an_answer_as_clients_hand_it_back() -> None:
    answer = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "hm",
        "annotations": [],
        "audio": None,
        "function_call": None,
        "parsed": None,
        "prefix": False,
        "tool_calls": [
            {
                "index": 0,
                "id": "a",
                "function": {"name": "f", "arguments": {"x": 1}, "parsed_arguments": {"x": 1}},
            }
        ],
    }
    result = {"role": "tool", "tool_call_id": "a", "name": "f", "content": "1"}
    assert parsed(QUESTION, answer, result).request.messages == (
        QUESTION,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    )


def test_names_and_refusals_are_sent_on() -> None:
    said = [
        {"role": "user", "content": "a", "name": "Ann"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}], "name": "Bot"},
        {"role": "assistant", "content": None, "refusal": "No."},
    ]
    assert parsed(*said, QUESTION).request.messages == (*said, QUESTION)


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def test_the_text_beside_images_is_the_prompt() -> None:
    content = [IMAGE, {"type": "text", "text": "One"}, IMAGE, {"type": "text", "text": "Two"}]
    request = parsed({"role": "user", "content": content}).request
    assert request.user_prompt == "One\nTwo"
    assert parsed({"role": "user", "content": [IMAGE]}).request.user_prompt == ""


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ([], "messages[1].content"),
        ([{"type": "text", "text": " "}], "messages[1].content"),
        (" ", "messages[1].content"),
    ],
)
def test_a_question_that_says_nothing(content: Any, field: str) -> None:
    for headers in ({}, {"x-conversation-id": "c"}):
        with pytest.raises(InvalidRequest) as caught:
            parsed(QUESTION, {"role": "user", "content": content}, headers=headers)
        assert caught.value.problems[0].field == field


@pytest.mark.parametrize("content", ["Free text", "", [{"type": "refusal", "refusal": "No."}]])
def test_an_answer_is_not_answered(content: Any) -> None:
    for behind in ((), ({"role": "system", "content": "S"},)):
        with pytest.raises(InvalidRequest) as caught:
            parsed(QUESTION, {"role": "assistant", "content": content}, *behind)
        assert caught.value.problems[0].field == "messages[1]"


def test_a_name_is_no_place_for_a_prompt() -> None:
    assert parsed(QUESTION | {"name": "x" * 64}).request.messages
    with pytest.raises(InvalidRequest) as caught:
        parsed(QUESTION | {"name": "x" * 65})
    assert caught.value.problems[0].field == "messages[0].name"


@pytest.mark.parametrize(
    ("results", "field"),
    [
        (["b"], "messages[2].tool_call_id"),
        (["a", "a"], "messages[3].tool_call_id"),
        ([], "messages"),
    ],
)
def test_calls_and_results_match(results: list[str], field: str) -> None:
    called = {
        "role": "assistant",
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}],
    }
    told = [{"role": "tool", "tool_call_id": id, "content": "1"} for id in results]
    with pytest.raises(InvalidRequest) as caught:
        parsed(QUESTION, called, *told)
    assert caught.value.problems[0].field == field


class Compared(str):
    """An id that counts how often it is compared with another."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_many_calls_take_no_longer_each_than_few() -> None:
    names = [str(number) for number in range(1000)]
    function = CalledFunction(name="f", arguments="")
    check_calls(
        [
            AssistantMessage(tool_calls=[Call(id=Compared(id), function=function) for id in names]),
            *(ToolMessage(content="", tool_call_id=Compared(id)) for id in reversed(names)),
        ]
    )
    assert 0 < Compared.times <= 10 * len(names)


def test_ids_that_are_there_twice_are_answered_twice() -> None:
    call = {"id": "a", "function": {"name": "f", "arguments": ""}}
    called = {"role": "assistant", "tool_calls": [call, call]}
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    assert parsed(QUESTION, called, result, result).request.messages
    with pytest.raises(InvalidRequest, match="none yet for a\\."):
        parsed(QUESTION, called, result)


def test_keys_of_another_form() -> None:
    assert turn_id("a_B-9") == "a_B-9"
    hashed = turn_id("stainless-node-retry-1 2")
    assert hashed == turn_id("stainless-node-retry-1 2") != turn_id("stainless-node-retry-1 3")
    assert len(hashed) == 64
    assert len(turn_id("x" * 65)) == 64
