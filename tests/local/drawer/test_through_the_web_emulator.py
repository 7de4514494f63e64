"""The drawer and the ends of streams as a page meets them: behind the web emulator."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from local.web import Web, running_web
from tests.local.drawer.conftest import DRAWER, ROOT, SECONDS, Local

HELD = '[simulate: say text="one two three four"] [simulate: hold after=2]'


@pytest.fixture(scope="module")
async def web(stack: Local) -> AsyncIterator[Web]:
    async with running_web(ROOT / "web", stack.url) as running:
        yield running


@pytest.mark.parametrize("path", ["workers/0/kill", "cut"])
async def test_a_stream_that_breaks_off_in_mid_answer_ends_at_once(
    local: Local, web: Web, path: str
):
    asking = local.client.post(
        f"{web.url}/api/chat", json={"userPrompt": HELD}, headers={"accept": "text/event-stream"}
    )
    async with asking as response:
        seen = b""
        while b" two" not in seen:
            seen += await response.content.readany()
        async with local.client.post(f"{web.url}/api/local/{path}", headers=DRAWER) as done:
            assert done.status == 200, await done.text()
        # The emulator by itself would keep it open, and the backend says something every 15 s.
        async with asyncio.timeout(10):
            seen += await response.read()
    events = [json.loads(line[5:]) for line in seen.decode().splitlines() if line[:5] == "data:"]
    assert events[0]["type"] == "start"
    assert "end" not in [event["type"] for event in events]


async def test_it_says_what_the_page_was_opened_by(local: Local, web: Web):
    for host, status in (
        (f"127.0.0.1:{web.port}", 200),
        (f"localhost:{web.port}", 200),
        (f"evil.example:{web.port}", 403),
    ):
        url = f"{web.url}/api/local/state"
        async with local.client.get(url, headers={"Host": host}) as response:
            assert response.status == status
    async with asyncio.timeout(SECONDS):
        await local.host.ready()
