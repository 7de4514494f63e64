"""The app in its host, for clients that others wrote: anonymous callers, who may set everything."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from local.host import Host
from tests.e2e.client import Api
from tests.e2e.conftest import (  # noqa: F401 - fixtures
    StartHost,
    conversation,
    emulator,
    model,
    session,
    settings,
    simulator,
    start_host,
)


@pytest.fixture(scope="session")
async def open_host(start_host: StartHost) -> AsyncIterator[Host]:  # noqa: F811
    async with start_host(CHAT_CALLER_FIELDS="*") as host:
        yield host


@pytest.fixture(scope="session")
def api(open_host: Host, session: aiohttp.ClientSession) -> Api:  # noqa: F811
    """A caller without a client, to look at what the others did."""
    return Api(session, open_host.url)
