"""Connections of other kinds and names, and named actions."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.simulator import Simulator
from tests.e2e.client import JSON, Api
from tests.e2e.conftest import MODEL_KEY, ROOT, StartApi, StartHost

ACTIONS: dict[str, Any] = {
    "default": {"title": "Chat", "systemPrompt": "Be plain."},
    "poem": {
        "title": "A poem",
        "description": "Writes a poem.",
        "systemPrompt": "You are a poet.",
        "promptTemplate": "Poem about @@userPrompt. @@context",
        "model": "small",
        "temperature": 1.5,
        "maxCompletionTokens": 40,
        "callerFields": ["systemPrompt"],
    },
    "other": {"connection": "OTHER"},
    "finder": {
        "deploymentName": "chat",
        "resultVariableName": "found",
        "options": {
            "tools": [{"type": "function", "function": {"name": "find", "parameters": {}}}],
            "seed": 7,
            "top_p": 0.5,
        },
        "callerFields": ["options"],
    },
    "closed": {"options": {"top_p": 0.5}},
    "wrong": {"options": {"safe_prompt": True}},
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The same code as an app of its own, with actions of its own."""
    code = (ROOT / "function_app.py").read_text("utf-8")
    path = f"import sys\n\nsys.path.append({str(ROOT)!r})\n"
    docstring, rest = code.split("\n", 1)
    (tmp_path / "function_app.py").write_text(f"{docstring}\n{path}{rest}", "utf-8")
    (tmp_path / "host.json").write_bytes((ROOT / "host.json").read_bytes())
    (tmp_path / "actions.json").write_text(json.dumps(ACTIONS), "utf-8")
    return tmp_path


async def test_actions(
    start_host: StartHost, session: aiohttp.ClientSession, model: Simulator, app: Path
) -> None:
    other = {
        "CHAT_CONNECTIONS": "OTHER",
        "OTHER__kind": "openai",
        "OTHER__endpoint": model.openai_url,
        "OTHER__apiKey": MODEL_KEY,
        "OTHER__model": "gpt-4o-mini",
    }
    async with start_host(app, **other) as host:
        api = Api(session, host.url)
        listed = (await api.call("GET", "/actions")).json()
        assert listed == {
            "items": [
                {"name": "default", "title": "Chat", "description": ""},
                {"name": "poem", "title": "A poem", "description": "Writes a poem."},
                *(
                    {"name": name, "title": name, "description": ""}
                    for name in ("other", "finder", "closed", "wrong")
                ),
            ]
        }
        reply = await api.chat("tea", action="poem")
        assert (reply.events[0]["action"], reply.events[0]["model"]) == ("poem", "small")
        body = (await model.requests())[-1].body
        assert [m["content"] for m in body["messages"]] == ["You are a poet.", "Poem about tea. "]
        assert (body["temperature"], body["max_completion_tokens"]) == (1.5, 40)
        await api.chat("tea", action="poem", systemPrompt="S", temperature=0.1)
        body = (await model.requests())[-1].body
        assert (body["messages"][0]["content"], body["temperature"]) == ("S", 0.1)
        locked = await api.chat("tea", action="poem", model="chat")
        assert "actions.json" in locked.problem(403, "field_locked", "model")["detail"]
        (await api.chat("tea", systemPrompt="S")).problem(403, "field_locked", "systemPrompt")
        unknown = await api.chat("tea", action="nonesuch")
        assert "poem" in unknown.problem(400, "invalid_request", "action")["detail"]
        assert (await api.chat("tea", action="other")).status == 200
        [*_, record] = await model.requests()
        assert (record.style, record.deployment) == ("openai", "gpt-4o-mini")


async def test_what_an_action_sets_for_its_callers(
    start_host: StartHost,
    session: aiohttp.ClientSession,
    model: Simulator,
    app: Path,
    conversation: str,
) -> None:
    async with start_host(app) as host:
        api = Api(session, host.url)
        fields = {"conversationId": conversation, "action": "finder"}
        await model.script({"kind": "tool", "name": "find"})
        reply = await api.chat("Find tea", **fields)
        assert reply.end["finishReason"] == "tool_calls"
        assert reply.end["result"] == {"found": ""}
        body = (await model.requests())[-1].body
        assert body["tools"] == ACTIONS["finder"]["options"]["tools"]
        assert (body["model"], body["seed"], body["top_p"]) == ("chat", 7, 0.5)
        # The tools are the action's for what its calls gave, too.
        call = next(event for event in reply.events if event["type"] == "tool_call")
        await model.script({"kind": "say", "text": "green"})
        results = {"toolResults": [{"id": call["id"], "content": "tea"}], "turnId": "t2"}
        whole = await api.call("POST", "/chat", fields | results, accept=JSON)
        assert whole.json()["found"] == "green"
        assert (await model.requests())[-1].body["tools"] == body["tools"]
        # Who attaches gets the name that the turn began with.
        path = f"/conversations/{conversation}/turns/t2/stream"
        assert (await api.call("GET", path, accept=JSON)).json()["found"] == "green"
        # A caller's own wins, field by field.
        own: dict[str, Any] = {
            "options": {"random_seed": 8, "stop": "x"},
            "resultVariableName": "mine",
        }
        reply = await api.chat("tea", store=False, action="finder", **own)
        assert set(reply.end["result"]) == {"mine"}
        body = (await model.requests())[-1].body
        assert (body["seed"], body["top_p"], body["stop"]) == (8, 0.5, "x")
        assert "tools" in body
        locked = await api.chat("tea", action="closed", options={"top_p": 1})
        locked.problem(403, "field_locked", "options")
        asked = len(await model.requests())
        wrong = await api.chat("tea", action="wrong")
        assert "options.safe_prompt" in wrong.problem(500, "misconfigured")["detail"]
        assert len(await model.requests()) == asked
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        details = [failure["detail"] for failure in ready.json()["failures"]]
        assert any("actions.json, other.connection" in detail for detail in details)


async def test_bad_actions_are_told_by_name(
    start_host: StartHost, session: aiohttp.ClientSession, app: Path
) -> None:
    (app / "actions.json").write_text('{"poem": {"sistemPrompt": "x"}}', "utf-8")
    async with start_host(app) as host:
        api = Api(session, host.url)
        for reply in (await api.chat("tea"), await api.call("GET", "/actions")):
            detail = reply.problem(500, "misconfigured")["detail"]
            assert detail.startswith("actions.json, poem.sistemPrompt: there is no such field; ")
        assert (await api.call("GET", "/health")).status == 200


async def test_a_dated_api_version(start_api: StartApi, model: Simulator) -> None:
    changes = {"AZURE_OPENAI_API_VERSION": "2024-10-21", "AZURE_OPENAI_SYSTEM_PROMPT": "Sing."}
    async with start_api(**changes) as api:
        assert (await api.chat("[simulate: say text=x]")).answer == "x"
    [record] = await model.requests()
    assert (record.style, record.api_version) == ("azure-dated", "2024-10-21")
    assert record.body["messages"][0]["content"] == "Sing."


async def test_a_connection_of_the_callers_choice(start_api: StartApi, model: Simulator) -> None:
    changes = {
        "CHAT_CONNECTIONS": "OTHER, SECRET",
        "CHAT_CALLER_FIELDS": "connection,model",
        "OTHER__kind": "openai",
        "OTHER__endpoint": model.openai_url,
        "OTHER__apiKey": MODEL_KEY,
    }
    async with start_api(**changes) as api:
        assert (await api.chat("P", connection="OTHER", model="gpt-4o-mini")).status == 200
        [record] = await model.requests()
        assert record.style == "openai"
        assert "temperature" in record.body
        no_model = await api.chat("P", connection="OTHER")
        assert "OTHER__model" in no_model.problem(500, "misconfigured")["detail"]
        no_endpoint = await api.chat("P", connection="SECRET", model="x")
        assert "SECRET__endpoint" in no_endpoint.problem(500, "misconfigured")["detail"]
        assert (await api.chat("P")).status == 200
