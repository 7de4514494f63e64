"""The identity endpoint, with Azure's own credential, and its tokens at Azurite over HTTPS."""

import asyncio
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ManagedIdentityCredential
from cryptography import x509

from local.certificates import Certificate, make_certificate
from local.identity import Identity, IdentityFault, running_identity
from local.identity.tokens import SYSTEM_ASSIGNED
from local.simulator.authentication import read_claims

STORAGE = "https://storage.azure.com"
USER = "7a1e3a52-70ab-4a4c-8bb0-1f6a54d3a5cc"
AZURITE = Path(__file__).parents[2] / "node_modules" / "azurite" / "dist" / "src" / "table"


@pytest.fixture
async def identity(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Identity]:
    async with running_identity(client_ids=[USER]) as running:
        for name, value in running.env().items():
            monkeypatch.setenv(name, value)
        yield running


async def get(
    identity: Identity, query: str, header: str | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {} if header is None else {"X-IDENTITY-HEADER": header}
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.get(f"{identity.url}?{query}", headers=headers) as response,
    ):
        return response.status, await response.json()


def asking(resource: str = STORAGE, version: str = "2019-08-01", **more: str) -> str:
    fields = {"api-version": version, "resource": resource, **more}
    return "&".join(f"{name}={value}" for name, value in fields.items())


async def test_a_token_as_the_platform_gives_it(identity: Identity) -> None:
    status, body = await get(identity, asking(), identity.header)
    assert status == 200
    assert set(body) == {"access_token", "expires_on", "resource", "token_type", "client_id"}
    assert (body["resource"], body["token_type"]) == (STORAGE, "Bearer")
    claims = read_claims(body["access_token"])
    assert claims is not None
    assert (claims["aud"], str(claims["exp"])) == (STORAGE, body["expires_on"])
    assert re.fullmatch(r"https://sts\.windows\.net/[0-9a-f-]{36}/", claims["iss"])
    assert claims["iat"] == claims["nbf"] < time.time() < claims["exp"]


async def test_the_credential_gets_one_and_keeps_it(identity: Identity) -> None:
    async with ManagedIdentityCredential() as credential:
        first = await credential.get_token(f"{STORAGE}/.default")
        second = await credential.get_token(f"{STORAGE}/.default")
        await credential.get_token("https://cognitiveservices.azure.com/.default")
    assert first.token == second.token
    assert first.expires_on > time.time() + 3600
    found = [(record.resource, record.status) for record in await identity.requests()]
    assert found == [(STORAGE, 200), ("https://cognitiveservices.azure.com", 200)]


@pytest.mark.parametrize("by", ["client_id", "principal_id", "mi_res_id", "object_id"])
async def test_user_assigned_identities(identity: Identity, by: str) -> None:
    user = identity.identities[1]
    values = {"client_id": user.client_id, "mi_res_id": user.resource_id}
    query = asking(**{by: values.get(by, user.principal_id)})
    status, body = await get(identity, query, identity.header)
    assert status == 200
    claims = read_claims(body["access_token"])
    assert claims is not None
    assert (claims["appid"], claims["oid"]) == (USER, user.principal_id)
    assert SYSTEM_ASSIGNED.client_id != USER


async def test_the_credential_asks_for_a_user_assigned_identity(identity: Identity) -> None:
    async with ManagedIdentityCredential(client_id=USER) as credential:
        await credential.get_token(f"{STORAGE}/.default")
    [record] = await identity.requests()
    assert (record.client_id, record.status) == (USER, 200)


async def test_an_unknown_identity(identity: Identity) -> None:
    status, body = await get(identity, asking(client_id="nobody"), identity.header)
    assert (status, body["statusCode"]) == (400, 400)
    assert body["message"] == (
        "No User Assigned or Delegated Managed Identity found for specified "
        "ClientId/ResourceId/PrincipalId."
    )
    assert body["correlationId"]
    async with ManagedIdentityCredential(client_id="nobody") as credential:
        with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
            await credential.get_token(f"{STORAGE}/.default")


@pytest.mark.parametrize(
    ("query", "header", "status", "message"),
    [
        (asking(), None, 400, "header is missing"),
        (asking(), "wrong", 401, "header is not valid"),
        (asking(version="2017-09-01"), "right", 400, "use 2019-08-01"),
        ("resource=x", "right", 400, "use 2019-08-01"),
        (asking("https://example.org"), "right", 400, "was not found in the tenant"),
        (asking(f"{STORAGE}/.default"), "right", 400, "not a scope"),
    ],
)
async def test_refusals(
    identity: Identity, query: str, header: str | None, status: int, message: str
) -> None:
    sent = identity.header if header == "right" else header
    found, body = await get(identity, query, sent)
    assert found == status
    assert message in body["message"]


async def test_faults(identity: Identity) -> None:
    await identity.script(IdentityFault(status=429, retry_after=0, times=2))
    await identity.script(IdentityFault(lifetime=-60))
    found = [(await get(identity, asking(), identity.header))[0] for _ in range(2)]
    assert found == [429, 429]
    _, body = await get(identity, asking(), identity.header)
    assert int(body["expires_on"]) < time.time()
    claims = read_claims(body["access_token"])
    assert claims is not None
    assert claims["iat"] <= claims["exp"] < time.time()
    _, body = await get(identity, asking(), identity.header)
    assert int(body["expires_on"]) > time.time()


async def test_a_held_request_waits_for_its_release(identity: Identity) -> None:
    await identity.script(IdentityFault(hold=True))
    async with ManagedIdentityCredential() as credential:
        asked = asyncio.ensure_future(credential.get_token(f"{STORAGE}/.default"))
        [record] = await identity.wait_for(1)
        assert record.status is None
        while not await identity.release():
            assert not asked.done()
        await asked
    assert [record.status for record in await identity.requests()] == [200]


async def test_reset(identity: Identity) -> None:
    await identity.script(IdentityFault(status=500))
    await get(identity, asking())
    await identity.reset()
    assert await identity.requests() == []
    assert (await get(identity, asking(), identity.header))[0] == 200


async def test_bad_faults_say_what_is_wrong(identity: Identity) -> None:
    with pytest.raises(ValueError, match=r"`int` >= 400 - at `\$\.status`"):
        await identity.script(IdentityFault(status=200))


async def test_waiting_needs_numbers(identity: Identity) -> None:
    url = identity.url.replace("/msi/token", "/identity/requests/wait?count=x")
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert (response.status, await response.json()) == (
            400,
            {"error": {"message": "count and timeout must be numbers"}},
        )


async def test_the_command_serves() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.identity", "--header", "h", "--client-id", USER),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().strip()
        url = line.removeprefix("identity endpoint ready at ")
        async with Identity(url, "h") as identity:
            status, _ = await get(identity, asking(client_id=USER), "h")
            assert (status, len(await identity.requests())) == (200, 1)
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def azurite(certificate: Certificate) -> AsyncIterator[str]:
    """Azurite's Table service over HTTPS, as it must be for tokens."""
    node = shutil.which("node")
    assert node, "Node.js is missing: install version 20 or newer"
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(node, str(AZURITE / "main.js"), "--inMemoryPersistence", "--disableTelemetry"),
        *("--skipApiVersionCheck", "--silent", "--oauth", "basic", "--tablePort", str(port)),
        *("--cert", str(certificate.certificate), "--key", str(certificate.key)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while b"successfully started" not in (line := await process.stdout.readline()):
                assert line, "Azurite ended before it was ready"
        yield f"https://127.0.0.1:{port}/devstoreaccount1"
    finally:
        process.terminate()
        await process.wait()


def free_port() -> int:
    """Find a port; Azurite cannot say which one it took."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


# In a process of its own: TLS clients read SSL_CERT_FILE when they are imported.
LIST_TABLES = """
import asyncio, sys
from azure.core.exceptions import HttpResponseError
from azure.data.tables.aio import TableServiceClient
from azure.identity.aio import ManagedIdentityCredential

async def main():
    async with (
        ManagedIdentityCredential() as credential,
        TableServiceClient(sys.argv[1], credential=credential, retry_total=0) as tables,
    ):
        try:
            await tables.create_table("numbers")
            print([table.name async for table in tables.list_tables()])
        except HttpResponseError as error:
            print(error.status_code, error.error_code.value)

asyncio.run(main())
"""


async def list_tables(url: str, identity: Identity, certificate: Certificate) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LIST_TABLES, url),
        env={**os.environ, **identity.env(), **certificate.env()},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return output.decode().strip()


async def test_azurite_takes_the_tokens(
    identity: Identity, azurite: str, certificate: Certificate
) -> None:
    assert await list_tables(azurite, identity, certificate) == "['numbers']"
    assert [record.resource for record in await identity.requests()] == [STORAGE]


async def test_azurite_refuses_an_expired_token(
    identity: Identity, azurite: str, certificate: Certificate
) -> None:
    await identity.script(IdentityFault(lifetime=-60, times=5))
    output = await list_tables(azurite, identity, certificate)
    assert output == "403 AuthenticationFailed"


def test_the_certificate_is_for_this_machine(certificate: Certificate) -> None:
    loaded = x509.load_pem_x509_certificate(certificate.certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert b"PRIVATE KEY" in certificate.key.read_bytes()
    assert b"PRIVATE" not in certificate.certificate.read_bytes()
    if sys.platform != "win32":
        assert certificate.key.stat().st_mode & 0o077 == 0
