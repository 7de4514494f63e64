"""Connections of other kinds and names, and named actions."""

import json
from pathlib import Path

import aiohttp
import pytest

from local.simulator import Simulator
from tests.e2e.client import Api
from tests.e2e.conftest import MODEL_KEY, ROOT, StartApi, StartHost

ACTIONS = {
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
                {"name": "other", "title": "other", "description": ""},
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


async def test_bad_actions_are_told_by_name(
    start_host: StartHost, session: aiohttp.ClientSession, app: Path
) -> None:
    (app / "actions.json").write_text('{"poem": {"sistemPrompt": "x"}}', "utf-8")
    async with start_host(app) as host:
        api = Api(session, host.url)
        for reply in (await api.chat("tea"), await api.call("GET", "/actions")):
            detail = reply.problem(500, "misconfigured")["detail"]
            assert "actions.json" in detail
            assert "sistemPrompt" in detail
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
