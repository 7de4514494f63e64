"""No key anywhere: the whole managed-identity path, the store and the model over HTTPS."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.certificates import Certificate, make_certificate
from local.identity import Identity, IdentityFault, running_identity
from local.simulator import Simulator, running_simulator
from local.storage import Storage, running_storage
from tests.e2e.conftest import StartApi

SAY = "[simulate: say text=x]"
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
COGNITIVE = "https://cognitiveservices.azure.com"
STORAGE = "https://storage.azure.com"


@dataclass(frozen=True)
class Azure:
    """What the app meets in Azure, on this machine."""

    identity: Identity
    model: Simulator
    storage: Storage
    certificate: Certificate

    def settings(self, **more: str | None) -> dict[str, str | None]:
        return {
            "AZURE_OPENAI_ENDPOINT": self.model.url,
            "AZURE_OPENAI_API_KEY": None,
            "AZURE_OPENAI__credential": "managedidentity",
            "CHAT_STORAGE": None,
            "CHAT_STORAGE__tableServiceUri": self.storage.url,
            "CHAT_STORAGE__credential": "managedidentity",
            **self.identity.env(),
            **self.certificate.env(),
            **more,
        }


@pytest.fixture(scope="module")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Azure]:
    folder: Path = tmp_path_factory.mktemp("certificate")
    certificate = make_certificate(folder)
    async with AsyncExitStack() as stack:
        identity = await stack.enter_async_context(running_identity(client_ids=[CLIENT_ID]))
        simulator = running_simulator(require_token=True, certificate=certificate)
        model = await stack.enter_async_context(simulator)
        storage = await stack.enter_async_context(running_storage(https=certificate))
        yield Azure(identity, model, storage, certificate)


@pytest.fixture
async def azure(parts: Azure) -> Azure:
    await parts.identity.reset()
    await parts.model.reset()
    return parts


async def test_everything_without_a_key(
    start_api: StartApi, azure: Azure, conversation: str
) -> None:
    assert azure.model.url.startswith("https://")
    assert azure.storage.url.startswith("https://")
    async with start_api(**azure.settings()) as api:
        calls = [api.chat(SAY, conversationId=f"{conversation}-{n}") for n in range(20)]
        replies = await asyncio.gather(*calls)
        assert [reply.answer for reply in replies] == ["x"] * 20
        assert (await api.call("GET", "/health?probe=ready")).json() == {"status": "ready"}
        assert len(await api.messages(f"{conversation}-7")) == 2
        assert (await api.call("DELETE", f"/conversations/{conversation}-7")).status == 204
    asked = await azure.identity.requests()
    assert sorted(str(record.resource) for record in asked) == [COGNITIVE, STORAGE]
    assert {record.client_id for record in asked} == {None}
    for record in await azure.model.requests():
        assert (record.authentication.kind, record.authentication.audience) == ("token", COGNITIVE)


async def test_a_user_assigned_identity_and_another_scope(
    start_api: StartApi, azure: Azure
) -> None:
    changes = {
        "AZURE_OPENAI__clientId": CLIENT_ID,
        "AZURE_OPENAI__scope": "https://ai.azure.com/.default",
        "CHAT_STORAGE__clientId": CLIENT_ID,
        "AZURE_OPENAI_API_VERSION": "2024-10-21",
    }
    async with start_api(**azure.settings(**changes)) as api:
        assert (await api.chat(SAY)).answer == "x"
    asked = await azure.identity.requests()
    assert sorted((str(r.resource), str(r.client_id)) for r in asked) == [
        ("https://ai.azure.com", CLIENT_ID),
        (STORAGE, CLIENT_ID),
    ]
    [record] = await azure.model.requests()
    assert record.style == "azure-dated"
    assert record.authentication.client_id == CLIENT_ID


async def test_an_identity_that_gives_no_token(start_api: StartApi, azure: Azure) -> None:
    await azure.identity.script(IdentityFault(status=400, times=100))
    async with start_api(**azure.settings()) as api:
        reply = await api.chat(SAY, store=False)
        assert "AZURE_OPENAI__credential" in reply.problem(502, "model_refused")["detail"]
        ready = await api.call("GET", "/health?probe=ready")
        assert ready.status == 503
        assert {failure["part"] for failure in ready.json()["failures"]} == {"store", "model"}
        assert azure.identity.header not in reply.text + ready.text
        await azure.identity.reset()
        assert (await api.chat(SAY, store=False)).answer == "x"
