"""The response forms of `POST /api/chat`, byte by byte."""

import json

import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, NDJSON, SSE, TEXT, Api

PROMPT = '[simulate: say text="Grüße, Welt"]'
SAID = "Grüße, Welt"
OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; charset=utf-8"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/*", "text/plain; charset=utf-8"),
        (OCTETS, OCTETS),
        (NDJSON, NDJSON),
        ("application/jsonl", "application/jsonl"),
        (SSE, SSE),
        (JSON, JSON),
        ("application/*", JSON),
        ("text/html, application/json;q=0.1", JSON),
        ("text/plain;q=0.5, text/event-stream;q=0.9, application/json;q=0.2", SSE),
        ("application/x-ndjson, text/event-stream", NDJSON),
        ("text/event-stream;q=0, application/json;q=0.001", JSON),
        ("TEXT/EVENT-STREAM ; Q=1.0", SSE),
    ],
)
async def test_accept_chooses_the_form(api: Api, accept: str | None, content_type: str) -> None:
    caller = api if accept is None else api.with_headers(accept=accept)
    reply = await caller.call("POST", "/chat", {"userPrompt": PROMPT})
    assert reply.status == 200
    assert reply.headers["content-type"] == content_type
    assert SAID in json.dumps(reply.text, ensure_ascii=False)


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/*", "text/plain;q=x", ";"]
)
async def test_other_forms_are_refused(api: Api, accept: str, model: Simulator) -> None:
    reply = await api.call("POST", "/chat", {"userPrompt": PROMPT}, accept=accept)
    problem = reply.problem(406, "not_acceptable")
    assert "text/event-stream" in problem["detail"]
    assert await model.requests() == []


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
async def test_other_bodies_are_refused(api: Api, content_type: str) -> None:
    raw = json.dumps({"userPrompt": PROMPT}).encode()
    reply = await api.call("POST", "/chat", raw=raw, content_type=content_type)
    reply.problem(415, "unsupported_media_type")


async def test_json_with_a_charset_is_taken(api: Api) -> None:
    raw = json.dumps({"userPrompt": PROMPT}).encode()
    reply = await api.call("POST", "/chat", raw=raw, content_type="Application/JSON; charset=utf-8")
    assert reply.text == SAID


async def test_headers_of_a_turn(api: Api, conversation: str) -> None:
    reply = await api.chat(PROMPT, TEXT, conversationId=conversation, turnId="t")
    expected = {
        "x-conversation-id": conversation,
        "x-turn-id": "t",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }
    assert {name: reply.headers.get(name) for name in expected} == expected
    assert "content-length" not in reply.headers
    assert reply.text == SAID


async def test_new_ids_are_unguessable(api: Api) -> None:
    replies = [await api.chat(PROMPT) for _ in range(2)]
    ids = [reply.headers[f"x-{kind}-id"] for reply in replies for kind in ("conversation", "turn")]
    assert len(set(ids)) == 4
    assert all(16 <= len(name) <= 64 for name in ids)
    start = replies[0].events[0]
    assert (start["conversationId"], start["turnId"]) == tuple(ids[:2])


async def test_server_sent_events_byte_by_byte(api: Api, conversation: str) -> None:
    prompt = '[simulate: say text="Hi"] [simulate: async_filter]'
    reply = await api.chat(prompt, SSE, conversationId=conversation, turnId="t-1")
    used = reply.end["usage"]
    assert used["totalTokens"] == used["promptTokens"] + used["completionTokens"] > 0
    usage = json.dumps(used, separators=(",", ":"))
    assert used["estimated"] is False
    assert reply.text == (
        f'id: 0.1\ndata: {{"type":"start","conversationId":"{conversation}","turnId":"t-1",'
        '"action":"default","model":"chat","new":true,"position":"0.1"}\n\n'
        'id: 1.2\ndata: {"type":"delta","text":"Hi","position":"1.2"}\n\n'
        f'id: 2.0\ndata: {{"type":"end","finishReason":"stop","usage":{usage},'
        '"result":{"response":"Hi"},"position":"2.0"}\n\n'
    )


async def test_lines_byte_by_byte(api: Api, conversation: str) -> None:
    fields = {"conversationId": conversation, "turnId": "t-1"}
    events = await api.chat(PROMPT, SSE, **fields)
    lines = await api.chat(PROMPT, NDJSON, **fields)
    whole = await api.call(
        "GET", f"/conversations/{conversation}/turns/t-1/stream", accept="application/jsonl"
    )
    assert lines.events == whole.events
    assert lines.body == whole.body
    assert lines.body.count(b"\n") == len(lines.events)
    assert lines.end == events.end
    assert lines.answer == events.answer == SAID


async def test_static_web_apps_gets_text_as_octets(api: Api) -> None:
    through = api.with_headers(x_ms_original_url="https://example.com/api/chat")
    for accept in ("*/*", "text/*"):
        reply = await through.chat(PROMPT, accept)
        assert reply.headers["content-type"] == OCTETS
        assert reply.text == SAID
    reply = await through.call("POST", "/chat", {"userPrompt": PROMPT})
    assert reply.headers["content-type"] == OCTETS
    by_name = await through.chat(PROMPT, "text/plain")
    assert by_name.headers["content-type"] == "text/plain; charset=utf-8"
    events = await through.chat(PROMPT, SSE)
    assert events.headers["content-type"] == SSE


async def test_json_object(api: Api, conversation: str) -> None:
    reply = await api.chat(
        PROMPT,
        JSON,
        conversationId=conversation,
        turnId="t",
        context=[{"content": "secret ground", "title": "A", "score": 0.5}, {"content": "b"}],
        resultVariableName="summary",
    )
    body = reply.json()
    usage = body.pop("usage")
    assert set(usage) == {"promptTokens", "completionTokens", "totalTokens", "estimated"}
    assert body == {
        "conversationId": conversation,
        "turnId": "t",
        "finishReason": "stop",
        "citations": [{"title": "A", "score": 0.5}, {}],
        "summary": SAID,
    }


async def test_result_variable_names_the_result(api: Api, conversation: str) -> None:
    reply = await api.chat(
        PROMPT, SSE, conversationId=conversation, turnId="t", resultVariableName="_x1"
    )
    assert reply.end["result"] == {"_x1": SAID}
    attached = await api.call("GET", f"/conversations/{conversation}/turns/t/stream", accept=NDJSON)
    assert attached.end["result"] == {"_x1": SAID}
    again = await api.chat(
        PROMPT, SSE, conversationId=conversation, turnId="t", resultVariableName="other"
    )
    assert again.end["result"] == {"other": SAID}


@pytest.mark.parametrize("name", ["1x", "a-b", "", "a" * 65, "turnId", "usage", "toolCalls", "é"])
async def test_bad_result_variables(api: Api, name: str) -> None:
    reply = await api.chat(PROMPT, resultVariableName=name)
    reply.problem(400, "invalid_request", "resultVariableName")
