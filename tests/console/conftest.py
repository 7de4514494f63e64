"""The app in its host, with simulator and storage; the console against it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.host import Host, running_host
from local.principal import principal_proxy
from local.simulator import Simulator, running_simulator
from local.storage import Storage, running_storage
from tests.console.screen import Screen, running_screen

ROOT = Path(__file__).resolve().parents[2]

type OpenScreen = Callable[..., AbstractAsyncContextManager[Screen]]
"""`async with open_screen("--usage", columns=40) as screen`: the console against the host."""


@pytest.fixture(scope="session")
async def storage() -> AsyncIterator[Storage]:
    async with running_storage() as running:
        yield running


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The simulator, with a journal of this test's requests only."""
    await simulator.reset()
    yield simulator
    await simulator.reset()


@pytest.fixture(scope="session")
def settings(storage: Storage, simulator: Simulator) -> dict[str, str]:
    return {
        "AZURE_OPENAI_ENDPOINT": simulator.url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_KEY": "any",
        "CHAT_STORAGE": storage.connection_string,
    }


@pytest.fixture(scope="session")
async def anonymous(settings: dict[str, str]) -> AsyncIterator[Host]:
    """Anonymous callers, who may set nothing."""
    env = settings | {"CHAT_AUTH": "anonymous"}
    async with running_host(ROOT, env=env, inherit_env=False) as host:
        yield host


@pytest.fixture(scope="session")
async def signed_in(settings: dict[str, str]) -> AsyncIterator[str]:
    """The address of a host whose callers are signed in as the local developer."""
    env = settings | {
        "CHAT_AUTH": "staticwebapps",
        "WEBSITE_AUTH_ENABLED": "True",
        "CHAT_CALLER_FIELDS": "*",
    }
    async with (
        running_host(ROOT, env=env, inherit_env=False) as host,
        principal_proxy(host.url) as url,
    ):
        yield url


def port_of(host: Host) -> int:
    """The port that the host listens on."""
    port = urlsplit(host.url).port
    assert port is not None
    return port


@pytest.fixture
def open_screen(anonymous: Host, model: Simulator) -> OpenScreen:
    def start(
        *arguments: str, url: str = anonymous.url, **options
    ) -> AbstractAsyncContextManager[Screen]:
        return running_screen("--url", url, *arguments, **options)

    return start
