"""What a hostile caller, or a service that was taken over, tries: nothing of it works."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from local.host import Host
from local.loopback import serving
from local.simulator import Simulator
from local.simulator.behaviour import StatusCode
from tests.e2e.client import Api
from tests.e2e.conftest import MODEL_KEY, StartApi, StartHost

SAY = "[simulate: say text=x]"
BOMB_BYTES = 256 * 2**20


class Noted:
    """A server of somebody else's, that notes who comes."""

    def __init__(self) -> None:
        self.url = ""
        self.came: list[dict[str, str]] = []

    async def note(self, request: web.Request) -> web.Response:
        self.came.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(text="data: {}\n\n", content_type="text/event-stream")


@pytest.fixture
async def elsewhere() -> AsyncIterator[Noted]:
    noted = Noted()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", noted.note)
    async with serving(app) as url:
        noted.url = url
        yield noted


@asynccontextmanager
async def model_that(answers: Any) -> AsyncIterator[str]:
    """A model's address whose every answer is a test's own."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answers)
    async with serving(app) as url:
        yield url


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_the_models_service_takes_no_key_along(
    start_api: StartApi, elsewhere: Noted, conversation: str, status: int
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        assert MODEL_KEY in str(request.headers)
        return web.Response(status=status, headers={"location": f"{elsewhere.url}/taken"})

    async with model_that(redirect) as url, start_api(AZURE_OPENAI_ENDPOINT=url) as api:
        reply = await api.chat(SAY, conversationId=conversation)
    assert reply.status >= 500
    assert elsewhere.came == []


async def test_images_are_the_models_to_fetch_never_the_apps(
    alice: Api, model: Simulator, elsewhere: Noted
) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"{elsewhere.url}/metadata/identity"}}
    content = [{"type": "text", "text": SAY}, picture]
    body = {"model": "default", "messages": [{"role": "user", "content": content}]}
    assert (await alice.call("POST", "/v1/chat/completions", body)).status == 200
    (record,) = [record for record in await model.requests() if record.body]
    assert picture in record.body["messages"][-1]["content"]
    assert elsewhere.came == []


async def test_what_a_model_packs_is_not_unpacked_without_bounds(
    start_api: StartApi, conversation: str
) -> None:
    packed = gzip.compress(b"data: " + b"0" * BOMB_BYTES, compresslevel=9)
    assert len(packed) < BOMB_BYTES // 500

    async def bomb(request: web.Request) -> web.Response:
        assert request.headers["accept-encoding"] == "identity"
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        return web.Response(body=packed, headers=headers)

    async with model_that(bomb) as url, start_api(AZURE_OPENAI_ENDPOINT=url) as api:
        reply = await api.chat(SAY, conversationId=conversation)
        assert (await api.call("GET", "/health")).status == 200
    reply.problem(503, "model_unavailable")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_a_packed_body_is_not_unpacked(api: Api, model: Simulator, coding: str) -> None:
    packed = gzip.compress(json.dumps({"userPrompt": SAY}).encode())
    headers: dict[str, Any] = {"content-encoding": coding}
    reply = await api.call("POST", "/chat", raw=packed, **headers)
    reply.problem(400, "invalid_request")
    assert await model.requests() == []


async def test_bodies_that_never_end_hold_up_nobody(
    start_host: StartHost, session: aiohttp.ClientSession, model: Simulator
) -> None:
    waiting = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"userPrompt": "'
        await waiting.wait()

    async with start_host(CHAT_MAX_CONCURRENT_TURNS="1") as host:
        headers = {"content-type": "application/json"}
        url = f"{host.url}/api/chat"
        slow = [
            asyncio.create_task(session.post(url, data=slowly(), headers=headers).__aenter__())
            for _ in range(50)
        ]
        api = Api(session, host.url)
        # None of them is a turn: there is room for one, and it runs.
        assert (await api.chat(SAY)).answer == "x"
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        waiting.set()
        assert (await api.chat(SAY)).answer == "x"


FORGED = "ERROR shared.forged: this was never logged"


def lines_of(host: Host) -> list[str]:
    return [line for text in host.logs for line in text.splitlines()]


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x1b[2K"])
async def test_no_caller_writes_a_line_of_the_log(
    signed_host: Host, alice: Api, model: Simulator, break_: str
) -> None:
    hostile = f"x{break_}{FORGED}"
    await model.script(StatusCode(code=404), times=None)
    refused = await alice.chat("Hello", model=hostile)
    assert refused.status >= 400
    for fields in (
        {"userPrompt": hostile, "connection": hostile},
        {"userPrompt": hostile, "action": hostile},
        {"userPrompt": hostile, "turnId": hostile},
        {"userPrompt": hostile, "options": {hostile: 1}},
        {hostile: 1},
    ):
        assert (await alice.call("POST", "/chat", fields)).status >= 400
    assert (await alice.call("GET", "/conversations?cursor=x%0A" + FORGED)).status == 400
    assert not [line for line in lines_of(signed_host) if line.startswith(FORGED)]
    assert not [line for line in lines_of(signed_host) if "\x1b" in line]


@pytest.mark.parametrize("name", ["x-conversation-id", "idempotency-key"])
async def test_no_caller_makes_a_header_of_the_response(
    alice: Api, model: Simulator, name: str
) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": SAY}]}
    for value in ("a\u00e4b", "a b", "%0d%0aset-cookie:x", "x" * 65):
        sent: dict[str, Any] = {name: value}
        reply = await alice.call("POST", "/v1/chat/completions", body, **sent)
        assert "set-cookie" not in reply.headers
        told = reply.headers.get("x-conversation-id", "")
        assert all(char.isalnum() or char in "_-" for char in told)


async def test_a_guessed_id_tells_nothing(alice: Api, bob: Api, conversation: str) -> None:
    await alice.chat(SAY, conversationId=conversation)
    for path in ("", "/messages", "/export", "/turns/t", "/turns/t/stream"):
        there = await bob.call("GET", f"/conversations/{conversation}{path}")
        nowhere = await bob.call("GET", f"/conversations/{'0' * 32}{path}")
        there.problem(404, "not_found")
        assert there.json() == nowhere.json()
