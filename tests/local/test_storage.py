"""The storage emulator: starts, keeps its data, takes keys and tokens, gives its port back."""

import socket
import time
from pathlib import Path

import jwt
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport import AioHttpTransport
from azure.data.tables.aio import TableServiceClient

from local.certificates import make_certificate
from local.ports import HOST, is_free
from local.storage import ACCOUNT, Storage, running_storage

ENTITY = {"PartitionKey": "p", "RowKey": "r", "text": "kept"}


async def write(storage: Storage) -> None:
    async with TableServiceClient.from_connection_string(storage.connection_string) as client:
        table = await client.create_table("things")
        await table.create_entity(ENTITY)


async def read(storage: Storage) -> str:
    async with TableServiceClient.from_connection_string(storage.connection_string) as client:
        entity = await client.get_table_client("things").get_entity("p", "r")
        return str(entity["text"])


async def test_keeps_what_was_written_until_just_before_its_end(tmp_path: Path):
    async with running_storage(tmp_path) as storage:
        await write(storage)
    async with running_storage(tmp_path) as storage:
        assert await read(storage) == "kept"


async def test_in_memory_it_forgets():
    async with running_storage() as storage:
        await write(storage)
        assert await read(storage) == "kept"
    async with running_storage() as storage:
        with pytest.raises(ResourceNotFoundError):
            await read(storage)


async def test_moves_on_from_a_taken_port_and_gives_its_own_back():
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        async with running_storage(port=taken) as storage:
            assert storage.port != taken
            assert storage.url == f"http://{HOST}:{storage.port}/{ACCOUNT}"
            assert not is_free(storage.port)
    assert is_free(storage.port)


class Unsigned:
    """A credential whose tokens have the right claims; the emulator checks no signature."""

    async def get_token(self, *scopes: str, **kwargs: object) -> AccessToken:
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
        }
        return AccessToken(jwt.encode(claims, "k" * 32), now + 600)

    async def close(self) -> None:
        """Nothing is held."""

    async def __aenter__(self) -> "Unsigned":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


async def test_over_https_it_takes_bearer_tokens(tmp_path: Path):
    certificate = make_certificate(tmp_path)
    async with running_storage(https=certificate) as storage:
        assert storage.url.startswith("https://")
        assert storage.certificate == certificate.certificate
        transport = AioHttpTransport(connection_verify=str(certificate.certificate))
        async with TableServiceClient(
            storage.url, credential=Unsigned(), transport=transport
        ) as client:
            await client.create_table("things")
            assert [table.name async for table in client.list_tables()] == ["things"]
