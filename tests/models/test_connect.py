"""Opening connections: what is refused before anything is sent, and what importing costs."""

import subprocess
import sys
from typing import Any

import pytest

from shared.errors import Misconfigured, ModelRefused, ModelUnavailable
from shared.models.connect import mistral_address, open_model
from shared.settings import Connection
from tests.models.support import HELLO, SSE, STOP, asking, events_of, opened, serving


def connection(**fields: Any) -> Connection:
    standard = {"name": "OTHER", "kind": "azure_openai", "endpoint": "https://a.example"}
    return Connection(**standard | fields)


async def token() -> str:
    return "the-token"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"endpoint": "https://a.example/x?api-version=1"}, "OTHER__endpoint.*without a query"),
        ({"endpoint": "https://a.example/#x"}, "OTHER__endpoint.*without a query"),
        ({"endpoint": "https://"}, "OTHER__endpoint must be the address"),
        ({"endpoint": "https://a.example:port"}, "OTHER__endpoint must be the address"),
        ({"endpoint": "ftp://a.example"}, "OTHER__endpoint must be the address"),
        ({}, "OTHER__apiKey is missing.*OTHER__credential"),
        ({"kind": "mistral"}, "OTHER__apiKey is missing.*OTHER__credential"),
    ],
)
def test_what_cannot_be_opened(fields: dict[str, str], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        open_model(connection(**fields))


@pytest.mark.parametrize("kind", ["azure_openai", "openai", "mistral"])
def test_a_token_is_not_sent_unencrypted(kind: str) -> None:
    with pytest.raises(Misconfigured, match="OTHER__endpoint must begin with https://"):
        open_model(connection(kind=kind, endpoint="http://a.example"), token)


DATED = "2024-05-01-preview"


@pytest.mark.parametrize(
    ("endpoint", "version", "address", "sent"),
    [
        ("https://api.mistral.ai/v1", None, "https://api.mistral.ai/v1", None),
        ("https://api.mistral.ai", None, "https://api.mistral.ai/v1", None),
        ("https://api.mistral.ai/v1/chat/completions", None, "https://api.mistral.ai/v1", None),
        ("https://gateway.example/mine", None, "https://gateway.example/mine", None),
        (
            "https://r.services.ai.azure.com",
            None,
            "https://r.services.ai.azure.com/openai/v1",
            None,
        ),
        (
            "https://r.services.ai.azure.com/openai/v1",
            "preview",
            "https://r.services.ai.azure.com/openai/v1",
            "preview",
        ),
        ("https://r.services.ai.azure.com", DATED, "https://r.services.ai.azure.com/models", DATED),
        (
            "https://r.services.ai.azure.com/models",
            None,
            "https://r.services.ai.azure.com/models",
            DATED,
        ),
        (
            "https://r.services.ai.azure.com/models/chat/completions",
            "2025-04-01",
            "https://r.services.ai.azure.com/models",
            "2025-04-01",
        ),
    ],
)
def test_where_mistral_is(
    endpoint: str, version: str | None, address: str, sent: str | None
) -> None:
    assert mistral_address(endpoint, version) == (address, sent)


@pytest.mark.parametrize(
    ("path", "version", "line", "azures"),
    [
        ("", None, "POST /v1/chat/completions ", False),
        ("/v1", None, "POST /v1/chat/completions ", False),
        ("", DATED, f"POST /models/chat/completions?api-version={DATED} ", True),
        ("/models", None, f"POST /models/chat/completions?api-version={DATED} ", True),
        ("/openai/v1", "preview", "POST /openai/v1/chat/completions?api-version=preview ", False),
    ],
)
async def test_how_mistral_is_asked(
    path: str, version: str | None, line: str, azures: bool
) -> None:
    async with (
        serving(SSE + HELLO + STOP) as service,
        opened(service.url + path, kind="mistral", api_version=version) as model,
    ):
        await events_of(model, asking(parameters={"max_completion_tokens": 5}))
    (head,) = service.heads
    assert head.startswith(line)
    assert "authorization: bearer the-key\r\n" in head.lower()
    assert ("extra-parameters: pass-through" in head) == azures
    assert ("api-key: the-key" in head) == (version is not None or azures)
    assert set(service.bodies[0]) == {"model", "messages", "stream", "max_tokens"}


@pytest.mark.parametrize("version", [None, "2024-10-21"])
async def test_a_token_that_cannot_be_had(version: str | None) -> None:
    async def broken() -> str:
        raise RuntimeError("secret")

    async def empty() -> str:
        return ""

    async def translated() -> str:
        raise ModelUnavailable("No token just now.")

    async with serving(b"") as service:
        for source in (broken, empty):
            async with opened(service.url, token=source, api_version=version) as model:
                with pytest.raises(ModelRefused, match="AZURE_OPENAI__credential") as told:
                    await events_of(model, asking())
                assert "secret" not in told.value.message
                with pytest.raises(ModelRefused):
                    await model.warm()
        async with opened(service.url, token=translated, api_version=version) as model:
            with pytest.raises(ModelUnavailable, match="No token just now"):
                await events_of(model, asking())
        assert service.heads == []


async def test_a_service_that_wants_no_credential() -> None:
    async with (
        serving(SSE + HELLO + STOP) as service,
        opened(service.url, kind="openai", api_key=None) as model,
    ):
        assert await events_of(model, asking())


async def test_the_sdk_adds_nothing_from_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "some-organization")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "some-project")
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "another-token")
    async with serving(SSE + HELLO + STOP) as service:
        styles: list[dict[str, Any]] = [{}, {"kind": "openai"}, {"api_version": "2024-10-21"}]
        for fields in styles:
            async with opened(service.url, **fields) as model:
                await events_of(model, asking())
    for head in service.heads:
        assert "some-" not in head
        assert "another-" not in head
        assert "the-key" in head


async def test_warming_connects_once() -> None:
    reply = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}"
    async with (
        serving(reply, SSE + HELLO + STOP) as service,
        opened(service.url, model="a/b") as model,
    ):
        await model.warm()
        await model.warm()
        await events_of(model, asking())
    assert len(service.heads) == 2
    assert service.heads[0].startswith("GET /openai/v1/models/a%2Fb ")
    assert service.connections == 1


def test_importing_the_package_does_not_import_the_sdks() -> None:
    code = (
        "import sys, pkgutil, importlib, shared.models, shared.identity\n"
        "for package in (shared.models, shared.identity):\n"
        "    for module in pkgutil.iter_modules(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "heavy = {'openai', 'httpx2', 'aiohttp', 'pydantic', 'azure'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
