"""The client module by itself: in Node.js and Chromium, installed from its package, and typed."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from local import chromium
from local.host import running_host
from local.principal import principal_proxy
from local.settings import AppSettings
from local.simulator import Simulator, running_simulator
from local.storage import running_storage
from tests.web.misbehaving import CLIENT, Misbehaving, running_misbehaving
from tests.web.runtimes import Chromium, Node, Runtime, find_node, run_program

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "web" / "client"


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = chromium.find()
    assert path, "There is no Chromium: install one, or set CHROMIUM to its path."
    # Root has no sandbox to run it in.
    root = sys.platform != "win32" and os.geteuid() == 0
    arguments = ["--no-sandbox"] if root else []
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        await running.close()


@pytest.fixture
def node() -> Node:
    return Node(CLIENT.as_uri())


@pytest.fixture(params=["node", "chromium"])
def runtime(request: pytest.FixtureRequest, node: Node, browser: Browser) -> Runtime:
    return node if request.param == "node" else Chromium(browser)


@pytest.fixture
async def server() -> AsyncIterator[Misbehaving]:
    """A server that misbehaves; what it was told to do has to be asked for."""
    async with running_misbehaving() as running:
        yield running
        assert running.left_over == 0


@dataclass(frozen=True, slots=True)
class Stack:
    """The backend as `make run` starts it, without the page."""

    url: str
    """Where the API is, for the local developer."""
    model: Simulator


@pytest.fixture(scope="session")
async def running_stack() -> AsyncIterator[Stack]:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(running_simulator())
        storage = await stack.enter_async_context(running_storage())
        settings = AppSettings({}).completed(
            simulator=simulator.url, storage=storage.connection_string
        )
        settings |= {"CHAT_CALLER_FIELDS": "options"}
        host = await stack.enter_async_context(running_host(ROOT, env=settings, inherit_env=False))
        proxy = await stack.enter_async_context(principal_proxy(host.url))
        yield Stack(f"{proxy}/api", simulator)


@pytest.fixture
async def stack(running_stack: Stack) -> AsyncIterator[Stack]:
    """The stack, with a model that has heard nothing of other tests."""
    await running_stack.model.reset()
    yield running_stack
    await running_stack.model.reset()


@pytest.fixture(scope="session")
async def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm pack` makes of the package folder."""
    folder = tmp_path_factory.mktemp("packed")
    _, npm = find_node()
    packed = await run_program(
        npm, "pack", "--silent", "--pack-destination", str(folder), cwd=PACKAGE
    )
    return folder / packed.strip()


@pytest.fixture(scope="session")
async def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with the package installed, from no registry."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"name": "somebody", "private": true, "type": "module"}')
    _, npm = find_node()
    options = ("--offline", "--silent", "--no-audit", "--no-fund", "--cache", str(folder / ".npm"))
    await run_program(npm, "install", str(tarball), *options, cwd=folder)
    return folder
