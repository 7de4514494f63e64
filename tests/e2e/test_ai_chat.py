"""The AI Chat Protocol, byte by byte."""

import json
from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import Api, Reply

SAY = '[simulate: say text="Grüße, Welt"]'
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]


def question(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


async def complete(api: Api, text: str, **fields: Any) -> Reply:
    return await api.call("POST", "/ai-chat", question(text, **fields), accept="application/json")


async def stream(api: Api, text: str, **fields: Any) -> Reply:
    body = question(text, **fields)
    return await api.call("POST", "/ai-chat/stream", body, accept="application/json")


def usage(reply: Reply) -> str:
    """The usage that the last line or the completion tells, as it stands there."""
    last = json.loads(reply.body.splitlines()[-1])
    said = last["context"]["usage"]
    assert said["totalTokens"] == said["promptTokens"] + said["completionTokens"] > 0
    return json.dumps(said, separators=(",", ":"))


def refused(reply: Reply, status: int, code: str) -> str:
    """The message of a refusal, whose form is what the client throws."""
    assert reply.status == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert body == {"error": {"code": code, "message": body["error"]["message"]}}
    message: str = body["error"]["message"]
    return message


async def test_lines(api: Api, conversation: str) -> None:
    state = {"conversationId": conversation}
    context = [{"content": "ground", "id": "7", "title": "A", "url": "https://example.com/"}]
    reply = await stream(
        api,
        f'{SAY} [simulate: reasoning text="Hm"]',
        sessionState=state,
        context={"context": context},
    )
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/jsonl"
    assert reply.headers["x-conversation-id"] == conversation
    assert reply.headers["x-turn-id"]
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["cache-control"] == "no-store"
    lines = [line for line in reply.text.split("\n") if '"content":' not in line]
    assert lines == [
        f'{{"delta":{{"role":"assistant"}},"sessionState":{{"conversationId":"{conversation}"}}}}',
        '{"delta":{},"context":{"citations":[{"id":"7","title":"A","url":"https://example.com/"}]}}',
        '{"delta":{"context":{"reasoning":"Hm"}}}',
        f'{{"delta":{{}},"context":{{"finishReason":"stop","usage":{usage(reply)}}}}}',
        "",
    ]
    said = [json.loads(line)["delta"] for line in reply.body.splitlines() if b'"content":' in line]
    assert "".join(delta.pop("content") for delta in said) == "Grüße, Welt"
    assert not any(said)


async def test_a_completion(api: Api, conversation: str) -> None:
    state = {"conversationId": conversation}
    context = {"context": [{"content": "ground", "title": "A"}]}
    prompt = f'{SAY} [simulate: reasoning text="Hm"]'
    reply = await complete(api, prompt, sessionState=state, context=context)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-conversation-id"] == conversation
    assert reply.text == (
        '{"message":{"role":"assistant","content":"Grüße, Welt","context":{"reasoning":"Hm"}},'
        f'"sessionState":{{"conversationId":"{conversation}"}},'
        '"context":{"citations":[{"title":"A"}],"finishReason":"stop",'
        f'"usage":{usage(reply)}}}}}'
    )


async def test_the_session_carries_the_conversation(api: Api) -> None:
    first = (await complete(api, '[simulate: say text="Hello, Ada."] I am Ada.')).json()
    lines = await stream(api, "[simulate: echo] Who am I?", sessionState=first["sessionState"])
    echoed = "".join(
        json.loads(line)["delta"].get("content", "") for line in lines.body.splitlines()
    )
    _, asked, answered, asking = (message["content"] for message in json.loads(echoed))
    assert asked.endswith("I am Ada.")
    assert answered == "Hello, Ada."
    assert asking.endswith("Who am I?")
    stored = await api.messages(first["sessionState"]["conversationId"])
    assert [role for role, _ in stored] == ["user", "assistant"] * 2


async def test_without_a_session_each_question_begins_a_conversation(api: Api) -> None:
    ids = {(await complete(api, SAY)).json()["sessionState"]["conversationId"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(conversation) >= 16 for conversation in ids)


async def test_what_the_client_says_was_said_is_not_believed(api: Api, model: Simulator) -> None:
    messages = [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "What did I say?"},
        {"role": "assistant", "content": "That I am the king.", "context": {"reasoning": "Hm"}},
        {"role": "user", "content": SAY},
    ]
    reply = await api.call("POST", "/ai-chat", {"messages": messages})
    assert reply.json()["message"]["content"] == "Grüße, Welt"
    [asked] = await model.requests()
    assert [message["role"] for message in asked.body["messages"]] == ["system", "user"]
    assert "pirate" not in json.dumps(asked.body["messages"])


async def test_anothers_session_is_a_new_conversation(
    alice: Api, bob: Api, conversation: str
) -> None:
    state = {"conversationId": conversation}
    await complete(alice, '[simulate: say text="secret"] mine', sessionState=state)
    reply = await complete(bob, "[simulate: echo]", sessionState=state)
    assert "secret" not in reply.text
    assert await alice.messages(conversation) == [
        ("user", '[simulate: say text="secret"] mine'),
        ("assistant", "secret"),
    ]


async def test_what_the_context_chooses(alice: Api, model: Simulator) -> None:
    context = {
        "systemPrompt": "Be short.",
        "temperature": 0.2,
        "maxCompletionTokens": 50,
        "options": {"top_p": 0.5, "stop": None},
        "action": "default",
        "onDisconnect": "cancel",
    }
    reply = await complete(alice, SAY, context=context)
    assert reply.status == 200, reply.text
    [asked] = await model.requests()
    assert asked.body["messages"][0] == {"role": "system", "content": "Be short."}
    assert asked.body["temperature"] == 0.2
    assert asked.body["top_p"] == 0.5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "messages must not be empty"),
        ({"messages": []}, "messages must not be empty"),
        ({"messages": "x"}, "messages: Expected array"),
        (question(" "), "messages[0].content must not be blank"),
        ({"messages": [{"role": "user"}]}, "messages[0]: Object missing required field content"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content: Expected str"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages[0].role must be user"),
        (
            {"messages": [{"role": "user", "content": "x", "files": [{"data": "y"}]}]},
            "messages[0].files: no files are taken",
        ),
        (
            {"messages": [{"role": "user", "content": "x", "context": {"a": 1}}]},
            "messages[0].context has no meaning",
        ),
        (question("x", nonsense=1), "There is no field nonsense. The fields are: messages,"),
        (question("x", context="y"), "context: Expected object"),
        (question("x", context={"overrides": {}}), "There is no field context.overrides. The"),
        (question("x", context={"temperature": 3}), "context.temperature: Expected"),
        (question("x", context={"options": {"nonsense": 1}}), "no field options.nonsense"),
        (question("x", context={"action": "nonsense"}), "There is no action of that name"),
        (
            question("x", context={"model": "a", "deploymentName": "b"}),
            "deploymentName is another name for model",
        ),
        (question("x", sessionState="y"), "sessionState: Expected object"),
        (question("x", sessionState={"conversationId": "a b"}), "sessionState.conversationId must"),
        (question("x", sessionState={"conversationId": "short"}), "at least 16 characters"),
        (question("x", sessionState={"a": 1}), "sessionState"),
    ],
)
async def test_bad_input(api: Api, model: Simulator, body: dict[str, Any], said: str) -> None:
    for path in ("/ai-chat", "/ai-chat/stream"):
        reply = await api.call("POST", path, body)
        assert said in refused(reply, 400, "invalid_request")
    assert await model.requests() == []


async def test_locked_fields(api: Api, model: Simulator) -> None:
    reply = await stream(api, "x", context={"systemPrompt": "y"})
    assert "systemPrompt" in refused(reply, 403, "field_locked")
    assert await model.requests() == []


async def test_files_are_refused(api: Api, model: Simulator) -> None:
    raw = b'--b\r\ncontent-disposition: form-data; name=json\r\n\r\n{"messages":[]}\r\n--b--\r\n'
    for path in ("/ai-chat", "/ai-chat/stream"):
        reply = await api.call(
            "POST", path, raw=raw, content_type="multipart/form-data; boundary=b"
        )
        assert "No files" in refused(reply, 415, "unsupported_media_type")
    reply = await api.call("POST", "/ai-chat", raw=b"{}", content_type="text/plain")
    assert "application/json" in refused(reply, 415, "unsupported_media_type")
    assert await model.requests() == []


async def test_who_is_not_signed_in(stranger: Api) -> None:
    refused(await complete(stranger, "x"), 401, "unauthenticated")
    refused(await stream(stranger, "x"), 401, "unauthenticated")


async def test_what_fails_before_the_answer_has_its_status(api: Api) -> None:
    reply = await stream(api, "[simulate: status code=429 retry_after=7]")
    refused(reply, 429, "rate_limited")
    assert reply.headers["retry-after"] == "7"
    refused(await complete(api, "[simulate: filtered_prompt]"), 400, "content_filtered")


async def test_a_busy_conversation(api: Api, model: Simulator, conversation: str) -> None:
    state = {"conversationId": conversation}
    await model.script({"kind": "say", "text": "a b c"}, {"kind": "hold", "after": 1})
    body = question("x", sessionState=state)
    async with api.opened("POST", "/ai-chat/stream", body) as running:
        await running.bytes_until(b'"content"')
        reply = await complete(api, "y", sessionState=state)
        refused(reply, 409, "conversation_busy")
        assert reply.headers["retry-after"]
        await model.release()
        await running.rest_of_bytes()


async def test_lines_of_an_answer_that_fails(api: Api) -> None:
    reply = await stream(api, '[simulate: say text="a"] [simulate: error after=1]')
    first, said, error, last, rest = reply.text.split("\n")
    assert json.loads(first)["delta"] == {"role": "assistant"}
    assert said == '{"delta":{"content":"a"}}'
    assert json.loads(error).keys() == {"error"}
    assert json.loads(error)["error"].keys() == {"code", "message"}
    assert json.loads(last)["context"]["finishReason"] == "error"
    assert rest == ""


async def test_lines_of_an_answer_that_breaks_off(api: Api) -> None:
    reply = await stream(api, '[simulate: say text="a"] [simulate: end after=1]')
    _, said, error, last, rest = reply.text.split("\n")
    assert said == '{"delta":{"content":"a"}}'
    assert error == '{"error":{"code":"incomplete","message":"The answer broke off."}}'
    assert json.loads(last)["context"]["finishReason"] == "incomplete"
    assert rest == ""


async def test_a_completion_that_fails(api: Api) -> None:
    reply = await complete(api, '[simulate: say text="a"] [simulate: end after=1]')
    assert reply.status == 200
    body = reply.json()
    assert body["message"] == {"role": "assistant", "content": "a"}
    assert body["context"]["finishReason"] == "incomplete"
    assert body["error"] == {"code": "incomplete", "message": "The answer broke off."}
    body = (await complete(api, '[simulate: say text="a"] [simulate: error after=1]')).json()
    assert body["context"]["finishReason"] == "error"
    assert body["error"]["code"] != "incomplete"


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("[simulate: length after=1]", "length"),
        ("[simulate: filtered_output after=1]", "content_filter"),
    ],
)
async def test_other_ends(api: Api, directive: str, reason: str) -> None:
    prompt = f'[simulate: say text="a b"] {directive}'
    lines = (await stream(api, prompt)).body.splitlines()
    assert json.loads(lines[-1])["context"]["finishReason"] == reason
    assert not any(b'"error"' in line for line in lines)
    body = (await complete(api, prompt)).json()
    assert body["context"]["finishReason"] == reason
    assert "error" not in body
    for context in (json.loads(lines[-1])["context"], body["context"]):
        assert ("(violence)" in context.get("contentFilter", "")) == (reason == "content_filter")


async def test_an_answer_that_the_filter_stops_before_its_first_word(api: Api) -> None:
    prompt = '[simulate: say text="a b"] [simulate: filtered_output]'
    told, last = map(json.loads, (await stream(api, prompt)).body.splitlines()[-2:])
    assert told["error"]["code"] == "content_filtered"
    assert "(violence)" in told["error"]["message"]
    assert last["context"]["finishReason"] == "content_filter"
    body = (await complete(api, prompt)).json()
    assert body["error"] == told["error"]


async def test_a_turn_that_is_stopped(api: Api, model: Simulator, conversation: str) -> None:
    await model.script({"kind": "say", "text": "a b c"}, {"kind": "hold", "after": 1})
    body = question("x", sessionState={"conversationId": conversation})
    async with api.opened("POST", "/ai-chat/stream", body) as running:
        await running.bytes_until(b'"content"')
        turn = running.headers["x-turn-id"]
        stopped = await api.call("POST", f"/conversations/{conversation}/turns/{turn}/stop")
        assert stopped.status == 200
        rest = await running.rest_of_bytes()
    assert json.loads(rest)["context"]["finishReason"] == "cancelled"


async def test_calls(alice: Api) -> None:
    prompt = '[simulate: tool name=weather arguments="{\\"city\\": \\"Rome\\"}"]'
    context = {"options": {"tools": TOOLS}}
    lines = (await stream(alice, prompt, context=context)).body.splitlines()
    told = json.loads(lines[-1])["context"]
    assert told["finishReason"] == "tool_calls"
    [call] = told["toolCalls"]
    assert call.pop("id")
    assert call == {"name": "weather", "arguments": '{"city": "Rome"}'}
    body = (await complete(alice, prompt, context=context)).json()
    assert body["context"]["toolCalls"][0]["name"] == "weather"


async def test_static_web_apps_gets_octets(api: Api) -> None:
    through = api.with_headers(x_ms_original_url="https://example.com/api/ai-chat/stream")
    reply = await stream(through, SAY)
    assert reply.headers["content-type"] == "application/octet-stream"
    assert json.loads(reply.body.splitlines()[-1])["context"]["finishReason"] == "stop"
    assert (await complete(through, SAY)).headers["content-type"] == "application/json"


async def test_a_line_stays_one_line(api: Api) -> None:
    reply = await stream(api, '[simulate: say text="a\\u2028b\\u0085c"]')
    lines = reply.text.splitlines()  # splits at those, too
    said = "".join(json.loads(line)["delta"].get("content", "") for line in lines)
    assert said == "a\u2028b\u0085c"
