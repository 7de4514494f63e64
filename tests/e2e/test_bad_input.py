"""Bad input: each is refused by name, before the model is asked."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.simulator import Simulator
from tests.e2e.client import Api
from tests.e2e.conftest import StartApi


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"hello",
        b'{"userPrompt": "a"} x',
        b'{"userPrompt": "\xff"}',
        b"\xef\xbb\xbf{}",
        '{"userPrompt": "a"}'.encode("utf-16"),
        b'{"userPrompt": NaN}',
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"userPrompt": "a", "options": ' + b'{"a":' * 50_000,
        b'{"userPrompt": "a", "options": {"tools": [' + b"[" * 20_000 + b"]" * 20_000 + b"]}}",
        b'{"userPrompt": "\\ud800"}',
        b'{"userPrompt": "\\udc00\\ud800"}',
        b'{"userPrompt": "a", "context": "\\ud83d"}',
    ],
)
async def test_bodies_that_are_none(api: Api, model: Simulator, raw: bytes) -> None:
    reply = await api.call("POST", "/chat", raw=raw)
    reply.problem(400, "invalid_request")
    assert len(reply.body) < 2000
    assert await model.requests() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"userPrompt": 7}, "userPrompt"),
        ({"userPrompt": ["a"]}, "userPrompt"),
        ({"userPrompt": ""}, "userPrompt"),
        ({"userPrompt": " \n\t\u2003"}, "userPrompt"),
        ({"userPrompt": None}, "userPrompt"),
        ({"nonsense": 1}, "nonsense"),
        ({"user_prompt": "x"}, "user_prompt"),
        ({"store": "no"}, "store"),
        ({"onDisconnect": "stay"}, "onDisconnect"),
        ({"history": "x"}, "history"),
        ({"history": [{"role": "system", "content": "x"}]}, "history[0].role"),
        ({"history": [{"role": "user"}]}, "history[0]"),
        ({"history": [{"role": "user", "content": "x", "name": "y"}]}, "history[0].name"),
        ({"context": 7}, "context"),
        ({"context": [{"title": "x"}]}, "context[0]"),
        ({"context": [{"content": "x", "score": "y"}]}, "context[0].score"),
        ({"context": [{"content": "x", "secret": 1}]}, "context[0].secret"),
        ({"action": "nonsense"}, "action"),
        ({"action": ""}, "action"),
    ],
)
async def test_fields(api: Api, model: Simulator, fields: dict[str, object], field: str) -> None:
    reply = await api.call("POST", "/chat", {"userPrompt": "a", **fields})
    reply.problem(400, "invalid_request", field)
    assert await model.requests() == []


async def test_a_missing_prompt(api: Api) -> None:
    (await api.call("POST", "/chat", {})).problem(400, "invalid_request", "userPrompt")


@pytest.mark.parametrize("field", ["conversationId", "turnId", "replaces"])
@pytest.mark.parametrize(
    "value", ["", "a" * 65, "a/b", "a b", "a\\b", "a#b", "a?b", "a\n", "é", "..", "a,b", "\0", 7]
)
async def test_ids(alice: Api, model: Simulator, field: str, value: Any) -> None:
    reply = await alice.chat("a", **{field: value})
    reply.problem(400, "invalid_request", field)
    assert await model.requests() == []


@pytest.mark.parametrize("name", ["a%2Fb", "a%00b", "..%2F..", "a,b", "%F0%9F%99%82", "a" * 65])
async def test_ids_in_paths(alice: Api, name: str) -> None:
    for path in (
        f"/conversations/{name}",
        f"/conversations/{name}/turns/t",
        f"/conversations/c/turns/{name}/stream",
    ):
        reply = await alice.call("GET", path)
        assert reply.status == 404


async def test_a_body_that_says_it_is_too_large(api: Api, model: Simulator) -> None:
    raw = json.dumps({"userPrompt": "a", "context": "x" * (1 << 20)}).encode()
    reply = await api.call("POST", "/chat", raw=raw)
    assert str(1 << 20) in reply.problem(413, "payload_too_large")["detail"]
    assert await model.requests() == []


async def test_a_body_that_turns_out_too_large(api: Api, model: Simulator) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"userPrompt": "'
        for _ in range(20):
            yield b"x" * (1 << 16)
        yield b'"}'

    reply = await api.call("POST", "/chat", raw=body())
    reply.problem(413, "payload_too_large")
    assert await model.requests() == []


async def test_a_long_body_in_many_pieces_is_taken(api: Api) -> None:
    async def body() -> AsyncIterator[bytes]:
        raw = json.dumps({"userPrompt": "[simulate: say text=x]", "context": "y" * 300_000})
        for start in range(0, len(raw), 7_001):
            yield raw[start : start + 7_001].encode()

    assert (await api.call("POST", "/chat", raw=body())).text == "x"


async def test_a_prompt_that_is_too_long(api: Api, model: Simulator) -> None:
    reply = await api.chat("🙂" * 32_001)
    assert "32000" in reply.problem(413, "payload_too_large", "userPrompt")["detail"]
    assert await model.requests() == []
    assert (await api.chat("🙂" * 31_970 + "[simulate: say text=x]")).answer == "x"


async def test_a_template_that_would_render_to_gigabytes(alice: Api, model: Simulator) -> None:
    template = "@@userPrompt" + "@@context" * 50_000
    reply = await alice.chat("P", promptTemplate=template, context="x" * 500_000)
    detail = reply.problem(413, "payload_too_large", "context")["detail"]
    assert "400000" in detail
    template = "@@userPrompt" * 50_000
    reply = await alice.chat("x" * 30_000, promptTemplate=template)
    reply.problem(413, "payload_too_large", "userPrompt")
    assert await model.requests() == []


@pytest.mark.parametrize("field", ["history", "context", "systemPrompt"])
async def test_together_too_long(alice: Api, model: Simulator, field: str) -> None:
    long = "x" * 390_000
    value: Any = long
    if field == "history":
        value = [{"role": "user", "content": long}, {"role": "assistant", "content": "y" * 9_000}]
    reply = await alice.chat("P" * 11_000, **{field: value})
    reply.problem(413, "payload_too_large", field)
    assert await model.requests() == []


async def test_limits_are_settings(start_api: StartApi) -> None:
    changes = {
        "CHAT_MAX_BODY_BYTES": "2048",
        "CHAT_MAX_PROMPT_CHARS": "100",
        "CHAT_MAX_INPUT_CHARS": "1000",
    }
    async with start_api(**changes) as api:
        (await api.chat("x" * 101)).problem(413, "payload_too_large", "userPrompt")
        (await api.chat("x", context="y" * 1000)).problem(413, "payload_too_large", "context")
        (await api.chat("x", context="y" * 2048)).problem(413, "payload_too_large")
        assert (await api.chat("x", context="y" * 800)).status == 200


TEXTS = {
    "right to left": "שלום עולם \u202eabc\u202c العربية",
    "astral": "🙂𝔘𓀀👩‍👩‍👧‍👦",
    "separators": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg",
    "nul": "a\0b",
    "control": "\x01\x1f\x7f\ufeff\uffff",
    "lines": "a\r\nb\rc\nd",
    "looks like events": "data: x\n\nid: 9\nevent: end\n\n: y",
    "quotes": '"\\"</script>\\u0000',
}


@pytest.mark.parametrize("name", TEXTS)
async def test_any_text_comes_back_whole(api: Api, conversation: str, name: str) -> None:
    text = TEXTS[name]
    prompt = f"{text} [simulate: say text={json.dumps(text)}]"
    fields = {"conversationId": conversation, "turnId": "t"}
    for accept in ("text/event-stream", "application/x-ndjson"):
        reply = await api.chat(prompt, accept, **fields)
        assert reply.answer == text
        assert reply.end["result"] == {"response": text}
        lines = reply.text.splitlines()
        kept = [line for line in lines if line and not line.startswith("id: ")]
        assert len(kept) == len(reply.events), "a line is torn for readers of Unicode's lines"
    assert (await api.chat(prompt, "text/plain", **fields)).body == text.encode()
    assert (await api.chat(prompt, "application/json", **fields)).json()["response"] == text
    assert await api.messages(conversation) == [("user", prompt), ("assistant", text)]
    echo = await api.chat("[simulate: echo]", conversationId=conversation)
    assert json.loads(echo.answer)[1:3] == [
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": text},
    ]
    export = (await api.call("GET", f"/conversations/{conversation}/export")).json()
    assert export["messages"][1]["content"] == text


async def test_wrong_methods(api: Api) -> None:
    for method, path in (("GET", "/chat"), ("DELETE", "/health"), ("PUT", "/conversations")):
        assert (await api.call(method, path)).status in (404, 405)
