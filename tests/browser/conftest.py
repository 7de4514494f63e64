"""The whole local stack, as `make run` starts it, and a browser in front."""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright, expect

from local import chromium
from local.drawer import LocalParts, proxy_with_drawer
from local.host import Host, running_host
from local.settings import AppSettings
from local.simulator import Simulator, running_simulator
from local.storage import running_storage
from local.storage_meter import Meter, running_meter
from local.web import Web, running_web
from tests.browser.chat import GUARD_MS, WATCH_POLICY, Chat, logged_in

ROOT = Path(__file__).resolve().parents[2]
ACTIONS = {
    "default": {"title": "Chat"},
    "poem": {"title": "A poem", "description": "Writes a poem.", "systemPrompt": "You rhyme."},
    "thinker": {"title": "Thinks aloud", "model": "reasoning-open"},
}

type OpenChat = Callable[..., Awaitable[Chat]]
"""`await open_chat(url=…, …)`: the page in a fresh profile; see the fixture for what it takes."""
type Theme = Literal["light", "dark"]


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture(scope="session")
async def meter() -> AsyncIterator[Meter]:
    """The storage emulator, and a meter before it."""
    async with running_storage() as storage, running_meter(storage) as running:
        yield running


@pytest.fixture(scope="session")
def settings(simulator: Simulator, meter: Meter) -> dict[str, str]:
    """What every host is given: the simulator as the model, Azurite as the store."""
    given = AppSettings({})
    return given.completed(simulator=simulator.url, storage=meter.connection_string)


@pytest.fixture(scope="session")
async def host(settings: dict[str, str]) -> AsyncIterator[Host]:
    async with running_host(ROOT, env=settings, inherit_env=False) as running:
        yield running


@pytest.fixture(scope="session")
async def web(host: Host, simulator: Simulator, meter: Meter) -> AsyncIterator[Web]:
    """The web emulator, with the local developer's proxy and the drawer behind it."""
    async with web_before(host, simulator, meter) as running:
        yield running


@pytest.fixture(scope="session")
async def signed_out_web(host: Host) -> AsyncIterator[Web]:
    """The same app, and nobody is signed in: there is no proxy that says who calls."""
    async with running_web(ROOT / "web", host.url) as running:
        yield running


@pytest.fixture(scope="session")
async def open_web(
    settings: dict[str, str],
    simulator: Simulator,
    meter: Meter,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Web]:
    """An app that has no sign-in, offers several actions, and lets callers set every field."""
    changes = {"CHAT_AUTH": "anonymous", "CHAT_CALLER_FIELDS": "*"}
    folder = _app_with_actions(tmp_path_factory.mktemp("app"))
    async with (
        running_host(folder, env=settings | changes, inherit_env=False) as host,
        web_before(host, simulator, meter) as running,
    ):
        yield running


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
    """`width` of the screen, `path` behind the address, `user`: somebody who has logged in,
    `theme`: the system's, `clock`: whether the test moves the page's time."""
    contexts: list[BrowserContext] = []

    async def open_page(
        url: str = web.url,
        path: str = "",
        width: int = 1200,
        user: str | None = None,
        theme: Theme = "light",
        clock: bool = False,
    ) -> Chat:
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=theme
        )
        contexts.append(context)
        context.set_default_timeout(GUARD_MS)
        await context.add_init_script(WATCH_POLICY)
        # The web emulator's own pages load things from elsewhere.
        await context.route(lambda url: "//127.0.0.1:" not in url, lambda route: route.abort())
        if user:
            await context.add_cookies([logged_in(user, url)])
        if clock:
            await context.clock.install()
        chat = Chat(await context.new_page(), url)
        await chat.open(path)
        return chat

    yield open_page
    for context in contexts:
        await context.close()


@pytest.fixture
async def chat(open_chat: OpenChat) -> Chat:
    return await open_chat()


@asynccontextmanager
async def web_before(host: Host, simulator: Simulator, meter: Meter) -> AsyncIterator[Web]:
    parts = LocalParts(host.url, "local", simulator.url, meter)
    async with proxy_with_drawer(parts) as proxy, running_web(ROOT / "web", proxy) as running:
        yield running


def _app_with_actions(folder: Path) -> Path:
    """The same code as an app of its own, with actions of its own."""
    docstring, rest = (ROOT / "function_app.py").read_text("utf-8").split("\n", 1)
    path = f"import sys\n\nsys.path.append({str(ROOT)!r})\n"
    (folder / "function_app.py").write_text(f"{docstring}\n{path}{rest}", "utf-8")
    (folder / "host.json").write_bytes((ROOT / "host.json").read_bytes())
    (folder / "actions.json").write_text(json.dumps(ACTIONS), "utf-8")
    return folder
