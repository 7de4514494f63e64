"""`GET /api/v1/models`, and what a request's `model` means."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.simulator import Simulator
from tests.e2e.client import Api
from tests.e2e.conftest import MODEL_KEY, StartHost
from tests.e2e.test_connections import app as other_app  # noqa: F401 - a fixture
from tests.e2e.test_v1 import complete, refused

SAY = "[simulate: say text=x]"
ACTIONS = {
    "default": {"title": "Chat", "systemPrompt": "Be plain."},
    "poem": {
        "systemPrompt": "You are a poet.",
        "model": "small",
        "temperature": 1.5,
        "maxCompletionTokens": 40,
        "callerFields": ["options"],
    },
    "other": {"connection": "OTHER", "systemPrompt": "Other."},
}
CREATED = 1_764_028_800


@pytest.fixture
def app(other_app: Path) -> Path:  # noqa: F811
    """The same code as an app of its own, with these actions."""
    (other_app / "actions.json").write_text(json.dumps(ACTIONS), "utf-8")
    return other_app


def connections(model: Simulator) -> dict[str, str]:
    found = {"CHAT_CONNECTIONS": "OTHER THIRD"}
    for name, deployment in (("OTHER", "gpt-4o-mini"), ("THIRD", "o4-mini")):
        found |= {
            f"{name}__kind": "openai",
            f"{name}__endpoint": model.openai_url,
            f"{name}__apiKey": MODEL_KEY,
            f"{name}__model": deployment,
        }
    return found


def entry(id: str, owner: str, temperature: float) -> dict[str, Any]:
    return {
        "id": id,
        "object": "model",
        "created": CREATED,
        "owned_by": owner,
        "default_temperature": temperature,
        "default_model_temperature": temperature,
        "type": "base",
        "capabilities": {"completion_chat": True},
    }


async def asked(api: Api, model: Simulator, name: str | None) -> tuple[str, ...]:
    """Who was asked: the URL's form, the deployment, and the system prompt that it got."""
    reply = await complete(api, SAY, model=name)
    assert reply.status == 200, reply.text
    record = (await model.requests())[-1]
    assert reply.json()["model"] == record.deployment
    assert record.deployment is not None
    return record.style, record.deployment, record.body["messages"][0]["content"]


async def test_with_nothing_open(
    start_host: StartHost, session: aiohttp.ClientSession, model: Simulator, app: Path
) -> None:
    async with start_host(app, **connections(model)) as host:
        api = Api(session, host.url)
        listed = (await api.call("GET", "/v1/models")).json()
        assert listed == {
            "object": "list",
            "data": [
                entry("default", "actions", 0.7),
                entry("poem", "actions", 1.5),
                entry("other", "actions", 0.7),
                entry("chat", "AZURE_OPENAI", 0.7),
                entry("small", "AZURE_OPENAI", 1.5),
                entry("gpt-4o-mini", "OTHER", 0.7),
            ],
        }
        for one in listed["data"]:
            assert (await api.call("GET", f"/v1/models/{one['id']}")).json() == one
        azure = "azure-v1"
        for name in (None, "default", "chat", "AZURE_OPENAI/chat"):
            assert await asked(api, model, name) == (azure, "chat", "Be plain.")
        for name in ("poem", "small", "AZURE_OPENAI/small"):
            assert await asked(api, model, name) == (azure, "small", "You are a poet.")
        for name in ("other", "gpt-4o-mini", "OTHER/gpt-4o-mini"):
            assert await asked(api, model, name) == ("openai", "gpt-4o-mini", "Other.")
        count = len(await model.requests())
        for name in (
            "o4-mini",
            "THIRD/o4-mini",
            "THIRD/reasoning",
            "reasoning",
            "nonesuch",
        ):
            error = refused(await complete(api, SAY, model=name), 403, "field_locked", "model")
            assert "default, poem, other, chat, small, gpt-4o-mini" in error["message"]
            refused(await api.call("GET", f"/v1/models/{name}"), 404, "model_not_found", "model")
        assert len(await model.requests()) == count


async def test_with_connection_and_model_open(
    start_host: StartHost, session: aiohttp.ClientSession, model: Simulator, app: Path
) -> None:
    changes = connections(model) | {"CHAT_CALLER_FIELDS": "connection, model"}
    async with start_host(app, **changes) as host:
        api = Api(session, host.url)
        listed = (await api.call("GET", "/v1/models")).json()["data"]
        assert listed[6:] == [
            entry("AZURE_OPENAI/chat", "AZURE_OPENAI", 0.7),
            entry("OTHER/gpt-4o-mini", "OTHER", 0.7),
            entry("THIRD/o4-mini", "THIRD", 0.7),
        ]
        for path in ("THIRD%2Fo4-mini", "THIRD/o4-mini"):
            assert (await api.call("GET", f"/v1/models/{path}")).json() == listed[-1]
        for name in ("o4-mini", "THIRD/o4-mini"):
            assert await asked(api, model, name) == ("openai", "o4-mini", "Be plain.")
        assert await asked(api, model, "small") == ("azure-v1", "small", "You are a poet.")
        assert await asked(api, model, "reasoning-open") == (
            "azure-v1",
            "reasoning-open",
            "Be plain.",
        )
        unknown = await complete(api, SAY, model="nonesuch")
        refused(unknown, 404, "model_not_found", "model")


async def test_a_connection_alone_opens_its_own_model_only(
    start_host: StartHost, session: aiohttp.ClientSession, model: Simulator, app: Path
) -> None:
    changes = connections(model) | {"CHAT_CALLER_FIELDS": "connection"}
    async with start_host(app, **changes) as host:
        api = Api(session, host.url)
        assert await asked(api, model, "THIRD/o4-mini") == (
            "openai",
            "o4-mini",
            "Be plain.",
        )
        for name in ("THIRD/gpt-4o-mini", "reasoning"):
            refused(await complete(api, SAY, model=name), 403, "field_locked", "model")


@pytest.mark.parametrize(
    ("cap", "asked", "sent"), [("100", None, 40), ("100", 50, 50), ("60", None, 30), ("60", 30, 30)]
)
async def test_several_answers_share_the_cap(
    start_host: StartHost,
    session: aiohttp.ClientSession,
    model: Simulator,
    app: Path,
    cap: str,
    asked: int | None,
    sent: int,
) -> None:
    async with start_host(app, CHAT_MAX_COMPLETION_TOKENS=cap) as host:
        api = Api(session, host.url)
        await complete(api, SAY, model="poem", n=2, max_tokens=asked)
        body = (await model.requests())[-1].body
        assert (body["n"], body["max_completion_tokens"]) == (2, sent)
        too_many = await complete(api, SAY, model="poem", n=2, max_tokens=int(cap) // 2 + 1)
        error = refused(too_many, 400, "invalid_request", "max_completion_tokens")
        assert cap in error["message"]
