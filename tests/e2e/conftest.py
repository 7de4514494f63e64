"""The app in its host, real storage and the model simulator, started once for all tests."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from local.host import Host, running_host
from local.simulator import Simulator, running_simulator
from local.simulator.models import CHAT
from local.storage import Storage, running_storage
from tests.e2e.client import Api

ROOT = Path(__file__).resolve().parents[2]
GUARD_SECONDS = 30.0
MODEL_KEY = "the-model-key"
ORIGIN = "https://pages.example.com"

type StartHost = Callable[..., AbstractAsyncContextManager[Host]]
"""`async with start_host(NAME="value", …)`: a host with other settings; None takes one away."""
type StartApi = Callable[..., AbstractAsyncContextManager[Api]]
"""The same, giving an anonymous caller of that host."""


@pytest.fixture(scope="session")
async def emulator() -> AsyncIterator[Storage]:
    async with running_storage() as storage:
        yield storage


@pytest.fixture(scope="session")
async def simulator() -> AsyncIterator[Simulator]:
    small = replace(CHAT, context_window=512)
    async with running_simulator(deployments={"small": small}, api_key=MODEL_KEY) as running:
        yield running


@pytest.fixture
async def model(simulator: Simulator) -> AsyncIterator[Simulator]:
    """The simulator, with a journal of this test's requests only."""
    await simulator.reset()
    yield simulator
    await simulator.reset()


@pytest.fixture(scope="session")
def settings(emulator: Storage, simulator: Simulator) -> dict[str, str]:
    """What every host is given unless a test says otherwise."""
    return {
        "AZURE_OPENAI_ENDPOINT": simulator.url,
        "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
        "AZURE_OPENAI_API_KEY": MODEL_KEY,
        "CHAT_STORAGE": emulator.connection_string,
        "CHAT_AUTH": "anonymous",
    }


@pytest.fixture(scope="session")
def start_host(settings: dict[str, str]) -> StartHost:
    def start(
        app: Path = ROOT, workers: int = 1, **changes: str | None
    ) -> AbstractAsyncContextManager[Host]:
        env = {name: value for name, value in (settings | changes).items() if value is not None}
        return running_host(app, env=env, inherit_env=False, workers=workers)

    return start


@pytest.fixture(scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Fails rather than hangs."""
    timeout = aiohttp.ClientTimeout(total=GUARD_SECONDS)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield session


@pytest.fixture(scope="session")
def start_api(start_host: StartHost, session: aiohttp.ClientSession) -> StartApi:
    @asynccontextmanager
    async def start(**changes: str | None) -> AsyncIterator[Api]:
        async with start_host(**changes) as host:
            yield Api(session, host.url)

    return start


@pytest.fixture(scope="session")
async def host(start_host: StartHost) -> AsyncIterator[Host]:
    """Anonymous callers, who may set nothing."""
    async with start_host(CHAT_ALLOWED_ORIGINS=ORIGIN) as host:
        yield host


@pytest.fixture(scope="session")
def api(host: Host, session: aiohttp.ClientSession) -> Api:
    """An anonymous caller."""
    return Api(session, host.url)


@pytest.fixture(scope="session")
async def signed_host(start_host: StartHost) -> AsyncIterator[Host]:
    """Signed-in callers only, who may set everything."""
    changes = {
        "CHAT_AUTH": "staticwebapps",
        "WEBSITE_AUTH_ENABLED": "True",
        "CHAT_CALLER_FIELDS": "*",
    }
    async with start_host(**changes) as host:
        yield host


@pytest.fixture(scope="session")
def stranger(signed_host: Host, session: aiohttp.ClientSession) -> Api:
    """A caller of the signed-in host who is not signed in."""
    return Api(session, signed_host.url)


@pytest.fixture
def alice(stranger: Api) -> Api:
    """A user of this test's own."""
    return stranger.as_user(f"alice-{secrets.token_hex(8)}")


@pytest.fixture
def bob(stranger: Api) -> Api:
    """Another one."""
    return stranger.as_user(f"bob-{secrets.token_hex(8)}")


@pytest.fixture
def conversation() -> str:
    """An id that nobody has used."""
    return secrets.token_hex(16)
