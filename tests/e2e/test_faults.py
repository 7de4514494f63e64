"""What a model can do wrong: the true status before the first event, an honest end after it."""

import asyncio
from pathlib import Path

import pytest

from local.certificates import make_certificate
from local.ports import free_ports
from local.simulator import Simulator, running_simulator
from local.simulator.behaviour import Hold, Say, StatusCode
from tests.e2e.client import JSON, SSE, TEXT, Api
from tests.e2e.conftest import MODEL_KEY, StartApi

SAY = '[simulate: say text="one two three"]'

REFUSALS = [
    ("status code=401", 502, "model_refused"),
    ("status code=403", 502, "model_refused"),
    ("status code=404", 502, "model_refused"),
    ("status code=429 retry_after=17", 429, "rate_limited"),
    ("status code=500 retry_after=60", 503, "model_unavailable"),
    ("status code=503 retry_after=60", 503, "model_unavailable"),
    ("html code=200", 503, "model_unavailable"),
    ("filtered_prompt", 400, "content_filtered"),
    ("cut", 503, "model_unavailable"),
    ("error", 503, "model_unavailable"),
]


@pytest.mark.parametrize(("fault", "status", "code"), REFUSALS)
async def test_a_refused_turn_has_its_status_and_leaves_nothing(
    alice: Api, model: Simulator, conversation: str, fault: str, status: int, code: str
) -> None:
    fields = {"conversationId": conversation, "turnId": "t"}
    prompt = f"{SAY} [simulate: {fault}]"
    reply = await alice.chat(prompt, **fields)
    problem = reply.problem(status, code)
    assert "<html" not in reply.text
    assert "traceback" not in reply.text.lower()
    if "429" in fault:
        assert reply.headers["retry-after"] == "17"
    assert "turnId" not in problem
    # As if it had never been asked.
    path = f"/conversations/{conversation}"
    for gone in (path, f"{path}/messages", f"{path}/export", f"{path}/turns/t"):
        (await alice.call("GET", gone)).problem(404, "not_found")
    (await alice.call("GET", f"{path}/turns/t/stream")).problem(404, "not_found")
    assert (await alice.call("GET", "/conversations")).json()["items"] == []
    # The same id may be tried again, with whatever body.
    again = await alice.chat(SAY, **fields)
    assert again.answer == "one two three"
    assert again.events[0]["new"] is True
    assert len(await alice.messages(conversation)) == 2


async def test_a_refused_turn_in_a_conversation_leaves_it_as_it_was(
    alice: Api, model: Simulator, conversation: str
) -> None:
    other = conversation[::-1]
    await alice.chat(SAY, conversationId=conversation, turnId="t1")
    await alice.chat(SAY, conversationId=other)
    path = f"/conversations/{conversation}"
    before = (await alice.call("GET", path)).json()
    listed = (await alice.call("GET", "/conversations")).body
    for fault in ("filtered_prompt", "status code=401"):
        refused = await alice.chat(f"[simulate: {fault}]", conversationId=conversation, turnId="t2")
        assert refused.status >= 400
        assert (await alice.call("GET", path)).json() == before
        assert (await alice.call("GET", "/conversations")).body == listed
    replaced = await alice.chat(
        "[simulate: filtered_prompt]", conversationId=conversation, replaces="t1"
    )
    replaced.problem(400, "content_filtered")
    assert len(await alice.messages(conversation)) == 2
    assert (await alice.chat("x", conversationId=conversation, turnId="t2")).status == 200
    sent = (await model.requests())[-1].body["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]


async def test_all_who_wait_get_the_same_refusal(
    api: Api, model: Simulator, conversation: str
) -> None:
    # One that comes only after the refusal asks for itself, and is refused as well.
    await model.script(Hold(before=True), StatusCode(code=404))
    await model.script(StatusCode(code=404), times=None)
    fields = {"conversationId": conversation, "turnId": "t"}
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(api.chat("P", SSE, **fields))]
        await model.wait_for(state="held")
        asking.append(group.create_task(api.chat("P", TEXT, **fields)))
        attach = group.create_task(
            api.call("GET", f"/conversations/{conversation}/turns/t/stream", accept=SSE)
        )
        busy = await api.chat("other", conversationId=conversation)
        busy.problem(409, "conversation_busy")
        await model.release()
    for task in asking:
        task.result().problem(502, "model_refused")
    attach.result().problem(404, "not_found")


async def test_a_passing_failure_is_retried_before_anybody_is_told(
    api: Api, model: Simulator
) -> None:
    await model.script(StatusCode(code=500))
    await model.script(StatusCode(code=429, retry_after_ms=10))
    await model.script(Say("at last"))
    assert (await api.chat("P")).answer == "at last"
    assert [record.outcome for record in await model.requests()] == [
        "status 500",
        "status 429",
        "stop",
    ]


async def test_a_prompt_longer_than_the_model_reads(alice: Api, conversation: str) -> None:
    reply = await alice.chat("word " * 600, model="small", conversationId=conversation)
    reply.problem(400, "context_length_exceeded")
    (await alice.call("GET", f"/conversations/{conversation}")).problem(404, "not_found")


async def test_the_models_own_key_and_words_never_leave(api: Api) -> None:
    for fault in ("status code=401", "status code=400", "error after=1"):
        reply = await api.chat(f"{SAY} [simulate: {fault}] secret", JSON)
        assert MODEL_KEY not in reply.text
        assert "Sorry about that" not in reply.text
        assert "Access denied" not in reply.text


async def test_wrong_connections_are_told_by_their_settings(
    start_api: StartApi, model: Simulator, tmp_path: Path
) -> None:
    """Together, as most of them are tried for 4 seconds before anybody is told."""
    right = {"endpoint": model.url, "model": "chat", "apiKey": MODEL_KEY}
    nobody = f"http://127.0.0.1:{next(free_ports())}"
    untrusted = running_simulator(certificate=make_certificate(tmp_path))
    async with untrusted as other:
        wrong = {
            "NOBODY": ("endpoint", nobody, 503),
            "UNTRUSTED": ("endpoint", other.url, 503),
            "KEY": ("apiKey", "bad-1", 502),
            "NONE": ("model", "nonesuch", 502),
        }
        settings = {"CHAT_CONNECTIONS": ",".join(wrong), "CHAT_CALLER_FIELDS": "connection"}
        for name, (part, value, _) in wrong.items():
            settings |= {f"{name}__{key}": text for key, text in (right | {part: value}).items()}
        async with start_api(**settings) as api:
            gateway, *replies = await asyncio.gather(
                api.chat("[simulate: html code=502]"),
                *(api.chat("P", connection=name) for name in wrong),
            )
        assert await other.requests() == []
    gateway.problem(503, "model_unavailable")
    assert "<html" not in gateway.text
    for (name, (part, _, status)), reply in zip(wrong.items(), replies, strict=True):
        code = "model_refused" if status == 502 else "model_unavailable"
        assert f"{name}__{part}" in reply.problem(status, code)["detail"]
        assert "bad-1" not in reply.text


async def test_a_model_that_is_silent_for_too_long(
    start_api: StartApi, model: Simulator, conversation: str
) -> None:
    async with start_api(CHAT_MODEL_TIMEOUT_SECONDS="1") as api:
        fields = {"conversationId": conversation, "turnId": "t"}
        reply = await api.chat(f"{SAY} [simulate: stall after=1]", **fields)
        assert reply.answer == "one"
        *_, error, end = reply.events
        assert (error["type"], error["code"], error["retryable"]) == (
            "error",
            "model_timeout",
            True,
        )
        assert end["finishReason"] == "error"
        await model.wait_for(state="aborted")
        again = await api.chat(f"{SAY} [simulate: stall after=1]", **fields)
        assert again.events[-2:] == reply.events[-2:]
        before = await api.chat(f"{SAY} [simulate: stall before]", conversationId=conversation)
        before.problem(504, "model_timeout")
        await model.wait_for(count=2, state="aborted")
        assert len(await api.messages(conversation)) == 2
