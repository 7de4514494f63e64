"""The stack behind the drawer, whole but for the web emulator, and a caller of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, ClientTimeout, TCPConnector

from local.drawer import LocalParts, proxy_with_drawer
from local.host import Host, running_host
from local.settings import AppSettings
from local.simulator import Simulator, running_simulator
from local.storage import running_storage
from local.storage_meter import running_meter

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60
DRAWER = {"x-local-drawer": "1"}


@dataclass
class Local:
    """The proxy's address, what is behind it, and a client that fails rather than hangs."""

    url: str
    client: ClientSession
    simulator: Simulator
    host: Host

    async def get(self, path: str) -> Any:
        async with self.client.get(f"{self.url}/api/local/{path}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def do(self, method: str, path: str, status: int = 200) -> Any:
        url = f"{self.url}/api/local/{path}"
        async with self.client.request(method, url, headers=DRAWER) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None)

    async def asking(self, prompt: str, accept: str = "text/event-stream", **fields: Any) -> Any:
        """The response to a question, as soon as it begins."""
        return await self.client.post(
            f"{self.url}/api/chat",
            json={"userPrompt": prompt, **fields},
            headers={"accept": accept},
        )

    async def ask(self, prompt: str, **fields: Any) -> str:
        """Everything that a question is answered with."""
        response: ClientResponse = await self.asking(prompt, **fields)
        async with response:
            return await response.text()


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Local]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running_simulator())
        storage = await stack.enter_async_context(running_storage())
        meter = await stack.enter_async_context(running_meter(storage))
        settings = AppSettings({}).completed(
            simulator=simulator.url, storage=meter.connection_string
        )
        host = await stack.enter_async_context(running_host(ROOT, env=settings, inherit_env=False))
        parts = LocalParts(host.url, "local", simulator.url, meter)
        proxy = await stack.enter_async_context(proxy_with_drawer(parts))
        client = await stack.enter_async_context(
            ClientSession(
                timeout=ClientTimeout(total=SECONDS), connector=TCPConnector(force_close=True)
            )
        )
        yield Local(proxy, client, simulator, host)


@pytest.fixture
async def local(stack: Local) -> AsyncIterator[Local]:
    """The stack, with a journal of this test's requests only."""
    await stack.simulator.reset()
    yield stack
    await stack.simulator.reset()
    await stack.host.ready()
