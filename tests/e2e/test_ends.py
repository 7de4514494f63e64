"""How turns end, in every form; a finish reason is never made up."""

from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, NDJSON, SSE, TEXT, Api

SAY = '[simulate: say text="one two three"]'

ENDS = {
    "length": ("[simulate: length after=2]", "one two", "Exceeded max token length!"),
    "content_filter": ("[simulate: filtered_output after=1]", "one", "content filter"),
    "incomplete": ("[simulate: cut after=2]", "one two", "broke off"),
    "error": ("[simulate: error after=1]", "one", "went wrong"),
}


@pytest.mark.parametrize("reason", ENDS)
async def test_plain_text_says_every_other_end(api: Api, reason: str) -> None:
    directive, said, message = ENDS[reason]
    reply = await api.chat(f"{SAY} {directive}", TEXT)
    assert reply.status == 200
    text, error = reply.text.rsplit("\n", 1)
    assert text == said
    assert error.startswith("ERROR: ")
    assert message in error


async def test_length_says_exactly_this(api: Api) -> None:
    reply = await api.chat(f"{SAY} [simulate: length after=1]", TEXT)
    assert reply.body == b"one\nERROR: Exceeded max token length!"


async def test_an_error_is_the_first_line_where_there_is_no_text(api: Api) -> None:
    reply = await api.chat("[simulate: reasoning text=hm] [simulate: error after=0]", TEXT)
    assert reply.text.startswith("ERROR: ")
    assert "\n" not in reply.text


@pytest.mark.parametrize("reason", ENDS)
async def test_every_form_tells_the_same_end(api: Api, reason: str, conversation: str) -> None:
    directive, said, _ = ENDS[reason]
    fields = {"conversationId": conversation, "turnId": "t"}
    events = await api.chat(f"{SAY} {directive}", SSE, **fields)
    assert events.answer == said
    assert events.end["finishReason"] == reason
    assert events.end["result"] == {"response": said}
    lines = await api.chat(f"{SAY} {directive}", NDJSON, **fields)
    assert lines.end == events.end
    whole = (await api.chat(f"{SAY} {directive}", JSON, **fields)).json()
    assert whole["finishReason"] == reason
    assert whole["response"] == said
    errors = [event for event in events.events if event["type"] == "error"]
    if reason == "error":
        assert [event["code"] for event in errors] == ["model_unavailable"]
        assert errors[0]["retryable"] is True
        assert errors[0]["message"]
        assert whole["error"] == {
            name: errors[0][name] for name in ("code", "message", "retryable")
        } | ({"type": "error"} if "type" in whole["error"] else {})
    elif reason == "content_filter":
        assert [event["code"] for event in errors] == ["content_filtered"]
        assert whole["error"]["code"] == "content_filtered"
    else:
        assert errors == []
        assert "error" not in whole


@pytest.mark.parametrize(
    ("directive", "reason"),
    [("end after=2", "incomplete"), ("cut after=2 reset", "incomplete"), ("end", "incomplete")],
)
async def test_a_stream_that_just_ends_is_incomplete(api: Api, directive: str, reason: str) -> None:
    prompt = f'{SAY} [simulate: {directive}] [simulate: reasoning text="hm"]'
    reply = await api.chat(prompt)
    assert reply.end["finishReason"] == reason
    assert "one two three".startswith(reply.answer)
    assert reply.end["usage"]["estimated"] is True


async def test_usage_is_estimated_where_the_model_never_said(api: Api) -> None:
    usage = (await api.chat(f"{SAY} [simulate: no_usage]")).end["usage"]
    assert usage["estimated"] is True
    assert usage["promptTokens"] > 0
    assert usage["completionTokens"] > 0
    assert usage["totalTokens"] == usage["promptTokens"] + usage["completionTokens"]


async def test_junk_in_the_stream_is_never_shown(api: Api) -> None:
    reply = await api.chat(f"{SAY} [simulate: junk after=1]")
    assert reply.end["finishReason"] in ("stop", "error")
    assert "one two three".startswith(reply.answer)


async def test_any_line_format_of_the_model(api: Api) -> None:
    prompt = '[simulate: say text="Grüße 🙂 \\u2028"]'
    for style in ("crlf", "nospace", "split size=1", "crlf] [simulate: nospace"):
        reply = await api.chat(f"{prompt} [simulate: {style}]")
        assert reply.answer == "Grüße 🙂 \u2028"
        assert reply.end["finishReason"] == "stop"


async def test_reasoning_is_told_apart_from_the_answer(alice: Api, model: Simulator) -> None:
    prompt = '[simulate: reasoning text="Let me see"] [simulate: say text="Done"]'
    events = await alice.chat(prompt, model="reasoning-open")
    assert events.answer == "Done"
    thoughts = [event["text"] for event in events.events if event["type"] == "reasoning"]
    assert "".join(thoughts) == "Let me see"
    assert events.end["result"] == {"response": "Done"}
    assert (await alice.chat(prompt, TEXT, model="reasoning-open")).text == "Done"


async def test_tool_calls(alice: Api, conversation: str) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    prompt = (
        '[simulate: say text="Wait"] [simulate: tool name=look arguments="{\\"a\\": 1}"] '
        "[simulate: tool name=look]"
    )
    fields: dict[str, Any] = {
        "options": {"tools": tools},
        "conversationId": conversation,
        "turnId": "t",
    }
    reply = await alice.chat(prompt, **fields)
    calls = [event for event in reply.events if event["type"] == "tool_call"]
    assert [(call["index"], call["name"], call["arguments"]) for call in calls] == [
        (0, "look", '{"a": 1}'),
        (1, "look", "{}"),
    ]
    assert reply.end["finishReason"] == "tool_calls"
    whole = (await alice.chat(prompt, JSON, **fields)).json()
    assert whole["toolCalls"] == [
        {name: call[name] for name in ("id", "name", "arguments")} for call in calls
    ]
    assert (await alice.chat(prompt, TEXT, **fields)).text == "Wait"
    listed = await alice.call("GET", f"/conversations/{conversation}/messages")
    assert listed.json()["items"][0]["toolCalls"] == whole["toolCalls"]


async def test_citations_come_first_and_without_content(api: Api, conversation: str) -> None:
    context = [
        {"content": "c1", "id": "7", "title": "T", "url": "https://x.example", "score": 0.25},
        {"content": "c2"},
    ]
    reply = await api.chat(SAY, context=context, conversationId=conversation, turnId="t")
    assert [event["type"] for event in reply.events][:2] == ["start", "citations"]
    documents = [{"id": "7", "title": "T", "url": "https://x.example", "score": 0.25}, {}]
    assert reply.events[1]["documents"] == documents
    attached = await api.call("GET", f"/conversations/{conversation}/turns/t/stream", accept=SSE)
    assert attached.events[1] == reply.events[1]
    items = (await api.call("GET", f"/conversations/{conversation}/messages")).json()["items"]
    assert items[0]["citations"] == documents
    assert "citations" not in items[1]


async def test_text_context_makes_no_citations(api: Api) -> None:
    reply = await api.chat(SAY, context="ground")
    assert [e["type"] for e in reply.events if e["type"] != "delta"] == ["start", "end"]
