"""The whole local stack, as `make run` starts it, and a browser in front."""

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from local import chromium
from local.host import running_host
from local.principal import principal_proxy
from local.settings import AppSettings
from local.simulator import Simulator, running_simulator
from local.storage import running_storage
from local.web import Web, running_web
from tests.browser.chat import GUARD_MS, WATCH_POLICY, Chat

ROOT = Path(__file__).resolve().parents[2]

type OpenChat = Callable[..., Awaitable[Chat]]
"""`await open_chat(url=…, width=…)`: the page in a fresh profile."""


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture(scope="session")
async def web(simulator: Simulator) -> AsyncIterator[Web]:
    """The web emulator, with storage, host and the local developer's proxy behind it."""
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(running_storage())
        settings = AppSettings({}).completed(
            simulator=simulator.url, storage=storage.connection_string
        )
        host = await stack.enter_async_context(running_host(ROOT, env=settings, inherit_env=False))
        proxy = await stack.enter_async_context(principal_proxy(host.url))
        yield await stack.enter_async_context(running_web(ROOT / "web", proxy))


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium.find()
    assert path, "There is no Chromium: install one, or set CHROMIUM to its path."
    # Root has no sandbox to run it in.
    root = sys.platform != "win32" and os.geteuid() == 0
    arguments = ["--no-sandbox"] if root else []
    expect.set_options(timeout=GUARD_MS)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        await running.close()


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The simulator, with a journal of this test's requests only."""
    await simulator.reset()
    yield simulator
    await simulator.reset()


@pytest.fixture
async def open_chat(browser: Browser, web: Web, model: Simulator) -> AsyncIterator[OpenChat]:
    contexts: list[BrowserContext] = []

    async def open_page(url: str = web.url, width: int = 1200) -> Chat:
        context = await browser.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        context.set_default_timeout(GUARD_MS)
        await context.add_init_script(WATCH_POLICY)
        # The web emulator's own pages load things from elsewhere.
        await context.route(lambda url: "//127.0.0.1:" not in url, lambda route: route.abort())
        chat = Chat(await context.new_page(), url)
        await chat.open()
        return chat

    yield open_page
    for context in contexts:
        await context.close()


@pytest.fixture
async def chat(open_chat: OpenChat) -> Chat:
    return await open_chat()
