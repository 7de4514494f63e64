"""`POST /api/v1/chat/completions`, byte by byte, and what becomes of a request."""

import json
from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import SSE, Api, Reply
from tests.e2e.conftest import ORIGIN, StartApi

PATH = "/v1/chat/completions"
SAID = "Grüße, Welt"
SAY = f'[simulate: say text="{SAID}"]'
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = '[simulate: tool name=look arguments="{\\"x\\": 1}"]'


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def complete(api: Api, *messages: Any, headers: Any = None, **fields: Any) -> Reply:
    """Ask; messages that are text are the user's."""
    said = [user(message) if isinstance(message, str) else message for message in messages]
    body = {"model": "default", "messages": said, **fields}
    return await api.call("POST", PATH, body, **(headers or {}))


def refused(reply: Reply, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """The error that the body must be, and nothing else."""
    assert reply.status == status, f"{reply.status} {reply.text}"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"
    assert set(reply.json()) == {"error"}
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert (error["code"], error["param"]) == (code, param), error
    return error


def chunks(reply: Reply) -> list[Any]:
    """The JSON objects of a stream that ends well."""
    *frames, done, rest = reply.text.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def head_of(created: int) -> str:
    """What every chunk of the turn `t-1` begins with."""
    return (
        f'data: {{"id":"chatcmpl-t-1","object":"chat.completion.chunk","created":{created},'
        '"model":"chat","system_fingerprint":null,"choices":['
    )


def usage_of(usage: dict[str, int]) -> str:
    return json.dumps(usage, separators=(",", ":"))


async def test_a_stream_byte_by_byte(api: Api, conversation: str) -> None:
    reply = await complete(
        api,
        "[simulate: reasoning text=hm] [simulate: say text=Grüße]",
        stream=True,
        stream_options={"include_usage": True},
        metadata={"conversation_id": conversation},
        headers={"idempotency_key": "t-1"},
    )
    assert reply.status == 200
    assert reply.headers["content-type"] == SSE
    assert reply.headers["x-conversation-id"] == conversation
    assert reply.headers["x-turn-id"] == "t-1"
    *_, used = chunks(reply)
    assert set(used["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert used["usage"]["total_tokens"] > used["usage"]["completion_tokens"] > 0
    head = head_of(used["created"])
    going_on = '},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
    assert reply.text == (
        f'{head}{{"index":0,"delta":{{"role":"assistant","content":""{going_on}'
        f'{head}{{"index":0,"delta":{{"reasoning_content":"hm"{going_on}'
        f'{head}{{"index":0,"delta":{{"content":"Grüße"{going_on}'
        f'{head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"stop"}}],"usage":null}}'
        "\n\n"
        f'{head}],"usage":{usage_of(used["usage"])}}}\n\n'
        "data: [DONE]\n\n"
    )


async def test_a_streamed_tool_call_byte_by_byte(alice: Api, conversation: str) -> None:
    reply = await complete(
        alice,
        f"[simulate: say text=Look] {CALL}",
        stream=True,
        tools=[TOOL],
        headers={"x_conversation_id": conversation, "idempotency_key": "t-1"},
    )
    first, *_ = read = chunks(reply)
    [call] = read[2]["choices"][0]["delta"]["tool_calls"]
    head = head_of(first["created"])
    going_on = '},"logprobs":null,"finish_reason":null}]}\n\n'
    assert reply.text == (
        f'{head}{{"index":0,"delta":{{"role":"assistant","content":""{going_on}'
        f'{head}{{"index":0,"delta":{{"content":"Look"{going_on}'
        f'{head}{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"{call["id"]}",'
        f'"type":"function","function":{{"name":"look","arguments":"{{\\"x\\": 1}}"}}}}]{going_on}'
        f'{head}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"tool_calls"}}]}}\n\n'
        "data: [DONE]\n\n"
    )


async def test_an_error_inside_a_stream_byte_by_byte(api: Api, conversation: str) -> None:
    reply = await complete(
        api,
        '[simulate: say text="a b"] [simulate: error after=1]',
        stream=True,
        headers={"x_conversation_id": conversation, "idempotency_key": "t-1"},
    )
    first = json.loads(reply.text.split("\n\n")[0].removeprefix("data: "))
    head = head_of(first["created"])
    going_on = '},"logprobs":null,"finish_reason":null}]}\n\n'
    assert reply.status == 200
    assert reply.text == (
        f'{head}{{"index":0,"delta":{{"role":"assistant","content":""{going_on}'
        f'{head}{{"index":0,"delta":{{"content":"a"{going_on}'
        'data: {"error":{"message":"The model service reported an error in the middle of its '
        'answer.","type":"server_error","param":null,"code":"model_unavailable"}}\n\n'
    )


@pytest.mark.parametrize(
    ("directive", "code"), [("cut after=1", "incomplete"), ("end after=1", "incomplete")]
)
async def test_no_end_is_made_up(api: Api, directive: str, code: str) -> None:
    prompt = f'[simulate: say text="a b"] [simulate: {directive}]'
    streamed = await complete(api, prompt, stream=True)
    assert "[DONE]" not in streamed.text
    assert '"finish_reason":"' not in streamed.text
    last = json.loads(streamed.text.split("\n\n")[-2].removeprefix("data: "))
    assert last == {
        "error": {
            "message": "The answer broke off.",
            "type": "server_error",
            "param": None,
            "code": code,
        }
    }
    whole = await complete(api, prompt)
    refused(whole, 503, code)
    assert whole.json() == last


async def test_one_object_byte_by_byte(alice: Api, conversation: str) -> None:
    reply = await complete(
        alice,
        f"[simulate: reasoning text=hm] [simulate: say text=Look] {CALL}",
        tools=[TOOL],
        headers={"x_conversation_id": conversation, "idempotency_key": "t-1"},
    )
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["x-turn-id"] == "t-1"
    read = reply.json()
    [call] = read["choices"][0]["message"]["tool_calls"]
    assert reply.text == (
        f'{{"id":"chatcmpl-t-1","object":"chat.completion","created":{read["created"]},'
        '"model":"chat","system_fingerprint":null,"choices":[{"index":0,"message":'
        '{"role":"assistant","content":"Look","refusal":null,"reasoning_content":"hm",'
        f'"tool_calls":[{{"id":"{call["id"]}","type":"function","function":{{"name":"look",'
        '"arguments":"{\\"x\\": 1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],'
        f'"usage":{usage_of(read["usage"])}}}'
    )


async def test_content_is_null_where_there_are_only_calls(alice: Api) -> None:
    reply = await complete(alice, "[simulate: tool name=look]", tools=[TOOL])
    [choice] = reply.json()["choices"]
    assert choice["message"]["content"] is None
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("directive", "reason"), [("length after=1", "length"), ("filtered_output after=1", None)]
)
async def test_reasons_of_the_models(api: Api, directive: str, reason: str | None) -> None:
    expected = reason or "content_filter"
    reply = await complete(api, f'[simulate: say text="a b c"] [simulate: {directive}]')
    [choice] = reply.json()["choices"]
    assert choice["finish_reason"] == expected
    streamed = await complete(
        api, f'[simulate: say text="a b c"] [simulate: {directive}]', stream=True
    )
    assert chunks(streamed)[-1]["choices"][0]["finish_reason"] == expected


async def test_accept_says_nothing(api: Api) -> None:
    for accept in ("application/json", "text/event-stream", "text/html"):
        streamed = await complete(api, SAY, stream=True, headers={"accept": accept})
        assert streamed.headers["content-type"] == SSE
        whole = await complete(api, SAY, stream=False, headers={"accept": accept})
        assert whole.json()["choices"][0]["message"]["content"] == SAID


async def test_without_usage_there_is_none(api: Api) -> None:
    reply = await complete(api, SAY, stream=True, stream_options={"include_usage": False})
    assert "usage" not in reply.text
    assert all(chunk["choices"] for chunk in chunks(reply))


async def test_stateless(alice: Api, model: Simulator) -> None:
    messages = [
        user("Hello"),
        {"role": "assistant", "content": "Hi.", "refusal": None, "reasoning_content": "hm"},
        user([{"type": "text", "text": SAY}, {"type": "text", "text": "please"}]),
    ]
    reply = await complete(
        alice, *messages, user="u-1", store=True, headers={"idempotency_key": "t-1"}
    )
    assert reply.json()["id"].startswith("chatcmpl-")
    assert "x-conversation-id" not in reply.headers
    assert "x-turn-id" not in reply.headers
    assert (await alice.call("GET", "/conversations")).json()["items"] == []
    [record] = await model.requests()
    system, *said = record.body["messages"]
    assert system["role"] == "system"
    assert said == [
        user("Hello"),
        {"role": "assistant", "content": "Hi."},
        user(f"{SAY}\nplease"),
    ]
    assert not {"user", "store", "metadata"} & record.body.keys()


async def test_images_are_passed_on(api: Api, model: Simulator) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": SAY},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "https://example.com/b.png"},
    ]
    assert (await complete(api, user(parts))).status == 200
    [record] = await model.requests()
    parts[2]["image_url"] = {"url": "https://example.com/b.png"}
    assert record.body["messages"][-1] == user(parts)


async def test_images_and_answers_get_round_no_limit(api: Api, model: Simulator) -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    large = await complete(api, user([{"type": "text", "text": "x" * 32_001}, image]))
    assert "32000" in refused(large, 413, "payload_too_large", "messages")["message"]
    answer = await complete(api, "Hi", {"role": "assistant", "content": "x"})
    refused(answer, 400, "invalid_request", "messages[1]")
    assert await model.requests() == []


async def test_every_field_goes_by_its_name(alice: Api, model: Simulator) -> None:
    fields: dict[str, Any] = {
        "temperature": 0.3,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["x", "y"],
        "random_seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": -0.1,
        "response_format": {"type": "json_object"},
        "tools": [TOOL],
        "tool_choice": "any",
        "parallel_tool_calls": False,
        "n": 1,
        "logprobs": False,
        "prediction": None,
    }
    assert (await complete(alice, "Say JSON", **fields)).status == 200
    sent = (await model.requests())[-1].body
    del sent["messages"], sent["stream"], sent["stream_options"], sent["model"]
    for name in ("n", "logprobs", "prediction"):
        del fields[name]
    fields["max_completion_tokens"] = fields.pop("max_tokens")
    fields["seed"] = fields.pop("random_seed")
    assert sent == fields | {"tool_choice": "required"}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "messages"),
    ({"messages": None}, "messages"),
    ({"messages": "hello"}, "messages"),
    ({"messages": [user("")]}, "messages[0].content"),
    ({"messages": [user(None)]}, "messages[0].content"),
    ({"messages": [{"role": "system", "content": "S"}]}, "messages"),
    ({"messages": [{"role": "function", "content": "S"}]}, "messages[0].role"),
    ({"messages": [{"content": "S"}]}, "messages[0]"),
    ({"messages": [user("a") | {"colour": 1}]}, "messages[0].colour"),
    ({"messages": [user([{"type": "input_audio"}])]}, "messages[0].content[0].type"),
    ({"messages": [user("a"), {"role": "assistant"}]}, "messages[1].content"),
    (
        {"messages": [user("a"), {"role": "assistant", "content": "b", "prefix": True}]},
        "messages[1].prefix",
    ),
    (
        {"messages": [user("a"), {"role": "tool", "content": "b", "tool_call_id": "c"}]},
        "messages[1].tool_call_id",
    ),
    (
        {
            "messages": [
                user("a"),
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
                },
                user("d"),
            ]
        },
        "messages",
    ),
    ({"functions": []}, "functions"),
    ({"function_call": "auto"}, "function_call"),
    ({"colour": "red"}, "colour"),
    ({"stream_options": {"colour": 1}}, "stream_options.colour"),
    ({"stream": "yes"}, "stream"),
    ({"model": 5}, "model"),
    ({"model": ""}, "model"),
    ({"model": "x" * 513}, "model"),
    ({"temperature": 2.5}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
    ({"max_completion_tokens": 16385}, "max_completion_tokens"),
    ({"n": 5}, "n"),
    ({"n": 4, "max_tokens": 4097}, "max_completion_tokens"),
    ({"top_logprobs": 2}, "top_logprobs"),
    ({"top_p": "x"}, "top_p"),
    ({"tool_choice": "some"}, "tool_choice"),
    ({"metadata": {"conversation_id": "a b"}}, "metadata.conversation_id"),
    ({"metadata": {"conversation_id": 1}}, "metadata.conversation_id"),
    ({"metadata": {"conversation_id": "c"}, "n": 2}, "n"),
    ({"metadata": {"conversation_id": "c"}, "logprobs": True}, "logprobs"),
    ({"metadata": {"topic": "tea"}}, "metadata"),
    ({"prompt_mode": "reasoning"}, "prompt_mode"),
]


@pytest.mark.parametrize(("fields", "param"), BAD, ids=[f"{param}" for _, param in BAD])
async def test_bad_fields(alice: Api, model: Simulator, fields: dict[str, Any], param: str) -> None:
    reply = await alice.call("POST", PATH, {"messages": [user("P")], **fields})
    error = refused(reply, 400, "invalid_request", param)
    assert error["type"] == "invalid_request_error"
    assert param in error["message"] or param.partition("[")[0] in error["message"]
    assert "maxCompletionTokens" not in error["message"]
    assert " options." not in f" {error['message']}"
    assert await model.requests() == []


async def test_bad_bodies(api: Api) -> None:
    refused(
        await api.call("POST", PATH, raw=b"{", content_type="text/plain"),
        415,
        "unsupported_media_type",
    )
    as_json = {"content_type": "application/json"}
    refused(await api.call("POST", PATH, raw=b"{", **as_json), 400, "invalid_request")
    refused(await api.call("POST", PATH, raw=b"[]", **as_json), 400, "invalid_request")
    large = await complete(api, "x" * 32_001)
    assert "32000" in refused(large, 413, "payload_too_large", "messages")["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [{"role": "system", "content": "S"}, user("P")]}, "messages"),
        ({"messages": [user("P"), {"role": "developer", "content": "S"}, user("P")]}, "messages"),
        ({"top_p": 1}, None),
        ({"tools": [TOOL]}, None),
        ({"logprobs": True}, None),
        ({"model": "small"}, "model"),
        ({"model": "AZURE_OPENAI/small"}, "model"),
    ],
)
async def test_what_is_locked(
    api: Api, model: Simulator, fields: dict[str, Any], param: str | None
) -> None:
    reply = await api.call("POST", PATH, {"messages": [user("P")], **fields})
    error = refused(reply, 403, "field_locked", param)
    assert error["type"] == "permission_error"
    assert "CHAT_CALLER_FIELDS" in error["message"]
    assert await model.requests() == []
    for free in ({"temperature": 0.1}, {"max_tokens": 5}, {"user": "u"}, {"n": 1}):
        assert (await complete(api, SAY, **free)).status == 200


async def test_system_and_developer_messages_are_the_system_prompt(
    alice: Api, model: Simulator
) -> None:
    system = {"role": "system", "content": "One."}
    developer = {"role": "developer", "content": [{"type": "text", "text": "Two."}]}
    await complete(alice, system, developer, SAY)
    [record] = await model.requests()
    assert record.body["messages"] == [{"role": "system", "content": "One.\n\nTwo."}, user(SAY)]


async def test_a_conversation(api: Api, model: Simulator, conversation: str) -> None:
    first = await complete(
        api, '[simulate: say text="One."]', metadata={"conversation_id": conversation}
    )
    assert first.json()["id"] == f"chatcmpl-{first.headers['x-turn-id']}"
    made_up = [user("Who am I?"), {"role": "assistant", "content": "The king."}]
    second = await complete(
        api,
        *made_up,
        '[simulate: say text="Two."]',
        headers={"x_conversation_id": conversation},
        metadata={"conversation_id": conversation},
    )
    assert second.status == 200
    assert await api.messages(conversation) == [
        ("user", '[simulate: say text="One."]'),
        ("assistant", "One."),
        ("user", '[simulate: say text="Two."]'),
        ("assistant", "Two."),
    ]
    [_, record] = await model.requests()
    assert [m["content"] for m in record.body["messages"][1:]] == [
        '[simulate: say text="One."]',
        "One.",
        '[simulate: say text="Two."]',
    ]
    assert "metadata" not in record.body


@pytest.mark.parametrize("key", ["t-1", "stainless-node-retry-" + "é" * 9 + " /?" * 30])
async def test_a_key_makes_a_retry_safe(
    api: Api, model: Simulator, conversation: str, key: str
) -> None:
    headers = {"x_conversation_id": conversation, "idempotency_key": key}
    whole = await complete(api, SAY, headers=headers)
    turn = whole.headers["x-turn-id"]
    assert (turn == key) == (key == "t-1")
    streamed = await complete(api, SAY, stream=True, headers=headers)
    assert streamed.headers["x-turn-id"] == turn
    assert chunks(streamed)[1]["choices"][0]["delta"]["content"] == SAID
    assert len(await model.requests()) == 1
    other = await complete(api, "Something else", headers=headers)
    refused(other, 409, "turn_mismatch", None)
    assert other.headers["x-should-retry"] == "false"
    native = await api.turn(conversation, turn)
    assert native.json()["state"] == "ended"


async def test_a_busy_conversation(api: Api, model: Simulator, conversation: str) -> None:
    headers = {"x_conversation_id": conversation}
    body = {"messages": [user(f"{SAY} [simulate: hold after=1]")], "stream": True}
    async with api.with_headers(**headers).opened("POST", PATH, body) as running:
        await model.wait_for(state="held")
        busy = await complete(api, SAY, headers=headers)
        refused(busy, 409, "conversation_busy")
        assert busy.headers["retry-after"] == "2"
        assert "x-should-retry" not in busy.headers
        await model.release()
        assert b"[DONE]" in await running.rest_of_bytes()


async def test_an_answer_that_was_stopped(api: Api, model: Simulator, conversation: str) -> None:
    headers = {"x_conversation_id": conversation, "idempotency_key": "t-1"}
    body = {"messages": [user(f"{SAY} [simulate: hold after=1]")], "stream": True}
    async with api.with_headers(**headers).opened("POST", PATH, body) as running:
        await model.wait_for(state="held")
        await api.call("POST", f"/conversations/{conversation}/turns/t-1/stop")
        told = (await running.rest_of_bytes()).decode()
    error = json.loads(told.split("\n\n")[-2].removeprefix("data: "))["error"]
    assert error["code"] == "cancelled"
    again = await complete(api, f"{SAY} [simulate: hold after=1]", headers=headers)
    assert refused(again, 409, "cancelled") == error
    assert again.headers["x-should-retry"] == "false"


async def test_tools_in_a_conversation(alice: Api, model: Simulator, conversation: str) -> None:
    headers = {"x_conversation_id": conversation}
    asked = await complete(alice, CALL, tools=[TOOL], headers=headers)
    answer = asked.json()["choices"][0]["message"]
    [call] = answer["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
    reply = await complete(alice, CALL, answer, result, tools=[TOOL], headers=headers)
    assert reply.status == 200, reply.text
    assert "42" in reply.json()["choices"][0]["message"]["content"]
    sent = (await model.requests())[-1].body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool"]
    assert sent[-1]["tool_call_id"] == call["id"]
    wrong = await complete(alice, result | {"tool_call_id": "x"}, headers=headers)
    refused(wrong, 400, "invalid_request", "messages")


async def test_only_text_and_results_go_on_with_a_conversation(api: Api, conversation: str) -> None:
    headers = {"x_conversation_id": conversation}
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    reply = await complete(api, user([image]), headers=headers)
    refused(reply, 400, "invalid_request", "messages[0]")
    answer = {"role": "assistant", "content": "Hi"}
    reply = await complete(api, "Hello", answer, headers=headers)
    refused(reply, 400, "invalid_request", "messages[1]")


async def test_two_names_of_a_conversation(api: Api, conversation: str) -> None:
    reply = await complete(
        api,
        SAY,
        metadata={"conversation_id": conversation},
        headers={"x_conversation_id": f"{conversation}-2"},
    )
    refused(reply, 400, "invalid_request", "metadata.conversation_id")
    short = await complete(api, SAY, metadata={"conversation_id": "guessable"})
    refused(short, 400, "invalid_request", "metadata.conversation_id")


async def test_leaving_lets_the_model_go(api: Api, model: Simulator) -> None:
    for stream in (True, False):
        await model.reset()
        body = {"messages": [user(f"{SAY} [simulate: hold after=1]")], "stream": stream}
        if stream:
            async with api.opened("POST", PATH, body) as running:
                await running.bytes_until(b"Gr")
        else:
            await leave_once_held(api, model, body)
        await model.wait_for(state="aborted")


async def leave_once_held(api: Api, model: Simulator, body: Any) -> None:
    """Nothing is sent of one object before its end, so that leaving is a cancelled request."""
    import asyncio

    asking = asyncio.create_task(api.call("POST", PATH, body))
    await model.wait_for(state="held")
    asking.cancel()
    await asyncio.wait({asking})


@pytest.mark.parametrize(
    ("directive", "status", "code", "kind"),
    [
        ("status code=401", 502, "model_refused", "server_error"),
        ("filtered_prompt", 400, "content_filtered", "invalid_request_error"),
        ("status code=400", 400, "invalid_request", "invalid_request_error"),
        ("status code=429 retry_after=30", 429, "rate_limited", "rate_limit_error"),
        ("error after=0", 503, "model_unavailable", "server_error"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_fails_at_once_has_its_status(
    api: Api, directive: str, status: int, code: str, kind: str, stream: bool
) -> None:
    reply = await complete(api, f"[simulate: {directive}]", stream=stream)
    param = "messages" if code == "invalid_request" else None
    assert refused(reply, status, code, param)["type"] == kind
    assert reply.headers.get("retry-after") == ("30" if status == 429 else None)
    assert reply.headers.get("x-should-retry") == ("false" if status == 502 else None)


async def test_a_caller_who_is_not_signed_in(stranger: Api) -> None:
    caller = stranger.with_headers(authorization="Bearer a-key")
    for reply in (await complete(caller, SAY), await caller.call("GET", "/v1/models")):
        assert refused(reply, 401, "unauthenticated")["type"] == "authentication_error"


async def test_a_wrong_setting_is_named(start_api: StartApi) -> None:
    async with start_api(AZURE_OPENAI_ENDPOINT=None) as api:
        error = refused(await complete(api, SAY), 500, "misconfigured")
        assert "AZURE_OPENAI_ENDPOINT" in error["message"]
        listed = await api.call("GET", "/v1/models")
        assert [model["id"] for model in listed.json()["data"]] == ["default"]


@pytest.mark.parametrize("path", [PATH, "/v1/models", "/v1/models/default"])
async def test_preflights_of_browsers(api: Api, path: str) -> None:
    wanted = (
        "authorization,content-type,idempotency-key,openai-organization,x-conversation-id,"
        "x-stainless-arch,x-stainless-retry-count,x-evil"
    )
    reply = await api.call("OPTIONS", path, origin=ORIGIN, access_control_request_headers=wanted)
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    allowed = {name.strip() for name in reply.headers["access-control-allow-headers"].split(",")}
    assert allowed >= set(wanted.split(",")) - {"x-evil"}
    assert "x-evil" not in allowed
    elsewhere = await api.call(
        "OPTIONS", "/chat", origin=ORIGIN, access_control_request_headers=wanted
    )
    assert "x-stainless-arch" not in elsewhere.headers["access-control-allow-headers"]


async def test_errors_can_be_read_by_browsers(api: Api) -> None:
    reply = await complete(api, SAY, colour=1, headers={"origin": ORIGIN})
    refused(reply, 400, "invalid_request", "colour")
    assert reply.headers["access-control-allow-origin"] == ORIGIN
    reply = await complete(api, "[simulate: status code=401]", headers={"origin": ORIGIN})
    assert reply.headers["x-should-retry"] == "false"
    exposed = reply.headers["access-control-expose-headers"].split(",")
    assert {"x-should-retry", "retry-after"} <= {name.strip() for name in exposed}
