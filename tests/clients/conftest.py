"""The app in its host, and the parts beside it, for clients that others wrote."""

from collections.abc import AsyncIterator

import pytest

from tests.e2e.conftest import (  # noqa: F401 - fixtures
    ORIGIN,
    StartHost,
    conversation,
    emulator,
    model,
    session,
    settings,
    simulator,
    start_api,
    start_host,
)


@pytest.fixture(scope="session")
async def backend(start_host: StartHost) -> AsyncIterator[str]:  # noqa: F811
    """Where an app is whose callers are anonymous and may set everything."""
    async with start_host(CHAT_CALLER_FIELDS="*", CHAT_ALLOWED_ORIGINS=ORIGIN) as host:
        yield f"{host.url}/api"


@pytest.fixture(scope="session")
async def locked_backend(start_host: StartHost) -> AsyncIterator[str]:  # noqa: F811
    """Where an app is whose callers may set nothing, and that wants them signed in."""
    changes = {"CHAT_AUTH": "easyauth", "WEBSITE_AUTH_ENABLED": "True"}
    async with start_host(**changes) as host:
        yield f"{host.url}/api"
