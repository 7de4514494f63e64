"""The body of `POST /api/chat`: every field, and what is said of a wrong one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidRequest
from shared.messages import RESULT_FIELDS, ChatRequest, Document, Message, Options, ToolResult
from shared.protocols.native.request import ChatBody, parse

HELLO = {"userPrompt": "Hello"}


def body(**fields: Any) -> bytes:
    return json.dumps(HELLO | fields).encode()


def problem(raw: bytes) -> tuple[str | None, str]:
    """The field that is named, and what is said."""
    with pytest.raises(InvalidRequest) as raised:
        parse(raw)
    fields = [problem.field for problem in raised.value.problems]
    return (fields[0] if fields else None), raised.value.message


def test_the_least_and_the_defaults() -> None:
    assert parse(body()) == ChatRequest(user_prompt="Hello")


def test_every_field() -> None:
    given = parse(
        body(
            conversationId="c-1_A",
            turnId="t" * 64,
            action="summary",
            connection="OTHER",
            model="gpt",
            systemPrompt="s",
            promptTemplate="@@userPrompt",
            options={"top_p": 1, "stop": ["x"], "seed": None, "tools": [{"type": "function"}]},
            history=[{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}],
            context=[{"content": "c", "id": "i", "title": "t", "url": "u", "score": 1}],
            temperature=2,
            maxCompletionTokens=1,
            resultVariableName="_answer1",
            replaces="t0",
            onDisconnect="cancel",
        )
    )
    assert given == ChatRequest(
        user_prompt="Hello",
        conversation_id="c-1_A",
        turn_id="t" * 64,
        action="summary",
        connection="OTHER",
        model="gpt",
        system_prompt="s",
        prompt_template="@@userPrompt",
        options=Options(top_p=1.0, stop=["x"], tools=[{"type": "function"}]),
        history=(Message(role="user", content="a"), Message(role="assistant", content="")),
        context=(Document(content="c", id="i", title="t", url="u", score=1.0),),
        temperature=2.0,
        max_completion_tokens=1,
        result_variable_name="_answer1",
        replaces="t0",
        on_disconnect="cancel",
    )


def test_null_means_absent() -> None:
    names = [field.encode_name for field in msgspec.structs.fields(ChatBody)]
    assert parse(body(**{name: None for name in names if name != "userPrompt"})) == parse(body())


def test_other_names_and_forms() -> None:
    assert parse(body(deploymentName="gpt")).model == "gpt"
    assert parse(body(deploymentName="gpt", model="gpt")).model == "gpt"
    assert parse(body(context="text")).context == "text"
    assert parse(body(history=[])).history == ()
    assert parse(body(options={})).options is None
    assert parse(body(store=True)).store
    assert not parse(body(store=False)).store


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"userPrompt": None}, "userPrompt", "must not be blank"),
        ({"userPrompt": ""}, "userPrompt", "must not be blank"),
        ({"userPrompt": " \n\t\u3000"}, "userPrompt", "must not be blank"),
        ({"userPrompt": 5}, "userPrompt", "Expected str"),
        ({"conversationId": "a b"}, "conversationId", "1 to 64 letters"),
        ({"conversationId": "ä"}, "conversationId", "1 to 64 letters"),
        ({"conversationId": "a\n"}, "conversationId", "1 to 64 letters"),
        ({"conversationId": ""}, "conversationId", "1 to 64 letters"),
        ({"conversationId": 5}, "conversationId", "got int"),
        ({"turnId": "t" * 65}, "turnId", "1 to 64 letters"),
        ({"replaces": "a/b"}, "replaces", "1 to 64 letters"),
        ({"action": ""}, "action", "length >= 1"),
        ({"action": "a" * 129}, "action", "length <= 128"),
        ({"connection": ""}, "connection", "length >= 1"),
        ({"model": []}, "model", "got array"),
        ({"model": "a", "deploymentName": "b"}, "deploymentName", "another name for model"),
        ({"systemPrompt": {}}, "systemPrompt", "got object"),
        ({"promptTemplate": 1}, "promptTemplate", "got int"),
        ({"options": []}, "options", "got array"),
        ({"options": {"n": 2}}, "options.n", "There is no field options.n. The fields are: top_p"),
        ({"options": {"top_p": 2}}, "options.top_p", "<= 1.0"),
        ({"options": {"top_p": "1"}}, "options.top_p", "got str"),
        ({"options": {"presence_penalty": -3}}, "options.presence_penalty", ">= -2.0"),
        ({"options": {"stop": [1]}}, "options.stop[0]", "got int"),
        ({"options": {"seed": 1.5}}, "options.seed", "got float"),
        ({"history": {}}, "history", "got object"),
        ({"history": [{"role": "system", "content": "x"}]}, "history[0].role", "user or assistant"),
        ({"history": [{"role": "user"}]}, "history[0]", "required field content"),
        ({"history": [{"role": "user", "content": "", "x": 1}]}, "history[0].x", "no field"),
        ({"context": 5}, "context", "got int"),
        ({"context": [{"title": "t"}]}, "context[0]", "required field content"),
        ({"context": [{"content": "", "n": 1}]}, "context[0].n", "no field"),
        ({"temperature": 2.1}, "temperature", "<= 2.0"),
        ({"temperature": -0.1}, "temperature", ">= 0.0"),
        ({"temperature": "hot"}, "temperature", "got str"),
        ({"maxCompletionTokens": 0}, "maxCompletionTokens", ">= 1"),
        ({"maxCompletionTokens": 1.5}, "maxCompletionTokens", "got float"),
        ({"maxCompletionTokens": True}, "maxCompletionTokens", "got bool"),
        ({"resultVariableName": "1a"}, "resultVariableName", "no digit first"),
        ({"resultVariableName": "a-b"}, "resultVariableName", "no digit first"),
        ({"resultVariableName": "a" * 65}, "resultVariableName", "64 at most"),
        ({"store": "no"}, "store", "got str"),
        ({"onDisconnect": "stay"}, "onDisconnect", "must be finish or cancel"),
        ({"user_prompt": "x"}, "user_prompt", "There is no field user_prompt. The fields are: us"),
        ({"x" * 200: 1}, "x" * 80, "There is no field"),
        ({"a`b": 1}, "a`b", "There is no field"),
        ({"toolResults": []}, "toolResults", "instead of userPrompt"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_wrong_and_what_would_be_right(
    fields: dict[str, Any], field: str, said: str
) -> None:
    named, message = problem(body(**fields))
    assert named == field
    assert said in message
    assert "`" not in message.replace("a`b", "")


RESULTS = [{"id": "call_1", "content": "18°"}, {"id": "call_2", "content": ""}]


def results_body(**fields: Any) -> bytes:
    return json.dumps({"conversationId": "c", "toolResults": RESULTS} | fields).encode()


def test_results_of_calls() -> None:
    expected = ChatRequest(
        user_prompt="",
        tool_results=(ToolResult(id="call_1", content="18°"), ToolResult(id="call_2", content="")),
        conversation_id="c",
    )
    assert parse(results_body()) == expected
    absent = dict.fromkeys(("userPrompt", "context", "promptTemplate", "history", "store"))
    assert parse(results_body(**absent)) == expected
    assert parse(results_body(replaces="t")).replaces == "t"
    assert parse(results_body(options={"top_p": 1}, temperature=0)).temperature == 0


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"userPrompt": "Hello"}, "toolResults", "send one of them"),
        ({"userPrompt": ""}, "toolResults", "send one of them"),
        ({"toolResults": None}, "userPrompt", "must not be blank"),
        ({"toolResults": []}, "toolResults", "one result for each call"),
        ({"toolResults": [*RESULTS, RESULTS[0]]}, "toolResults", "'call_1' has two"),
        ({"toolResults": RESULTS[0]}, "toolResults", "got object"),
        ({"toolResults": [{"id": "a"}]}, "toolResults[0]", "required field content"),
        ({"toolResults": [{"id": 1, "content": ""}]}, "toolResults[0].id", "got int"),
        ({"toolResults": [{"id": "a", "content": None}]}, "toolResults[0].content", "got null"),
        ({"toolResults": [{"id": "", "content": "", "n": 1}]}, "toolResults[0].n", "no field"),
        ({"conversationId": None}, "conversationId", "send its conversationId"),
        ({"conversationId": None, "store": False}, "toolResults", "store: false"),
        ({"context": "c"}, "context", "put it into a result"),
        ({"context": []}, "context", "put it into a result"),
        ({"promptTemplate": "@@userPrompt"}, "promptTemplate", "there is none"),
        ({"history": []}, "history", "the stored history"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_wrong_with_results(fields: dict[str, Any], field: str, said: str) -> None:
    named, message = problem(results_body(**fields))
    assert named == field
    assert said in message


@pytest.mark.parametrize("name", sorted(RESULT_FIELDS))
def test_the_result_cannot_have_the_name_of_another_field(name: str) -> None:
    field, message = problem(body(resultVariableName=name))
    assert field == "resultVariableName"
    assert "turnId, usage" in message


@pytest.mark.parametrize("field", ["conversationId", "turnId", "replaces"])
def test_without_the_history_there_is_no_conversation(field: str) -> None:
    named, message = problem(body(store=False, **{field: "x"}))
    assert named == field
    assert "store: false" in message


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"Hello",
        b'{"userPrompt": "a"} x',
        b"\xff\xfe",
        b'{"userPrompt": "\xff"}',
        b'{"userPrompt": "\\ud800"}',
        b'{"userPrompt": "\\ud800x"}',
        b'{"userPrompt": "a", "temperature": NaN}',
        b'{"userPrompt": "a\x00"}',
    ],
)
def test_what_is_no_json_in_utf_8(raw: bytes) -> None:
    field, message = problem(raw)
    assert field is None
    assert "not JSON in UTF-8" in message


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"x"', b"5"])
def test_json_that_is_no_object(raw: bytes) -> None:
    field, message = problem(raw)
    assert field is None
    assert "Expected object" in message


@pytest.mark.parametrize("where", ["%s", '{"userPrompt":"x","options":{"metadata":{"a":%s}}}'])
def test_deeply_nested_json(where: str) -> None:
    raw = (where % ("[" * 100_000 + "]" * 100_000)).encode()
    with pytest.raises(InvalidRequest):
        parse(raw)


def test_a_long_message_is_cut() -> None:
    _, message = problem(body(options={"tool_choice": 1, "x" * 10_000: 1}))
    assert len(message) < 1000
    _, message = problem(body(onDisconnect="y" * 10_000))
    assert len(message) < 1000
    _, message = problem(body(history=[{"role": "y" * 10_000, "content": ""}]))
    assert len(message) < 1000


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda s: s.strip()))
def test_any_text_comes_as_it_was_sent(prompt: str) -> None:
    for ascii_only in (True, False):
        raw = json.dumps({"userPrompt": prompt}, ensure_ascii=ascii_only).encode()
        assert parse(raw).user_prompt == prompt


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_an_error(raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(raw)
