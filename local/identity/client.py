"""The control API's client, and the endpoint in this process."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
import msgspec

from local.identity.records import IdentityFault, IdentityRecord
from local.identity.service import IdentityService
from local.identity.tokens import SYSTEM_ASSIGNED, ManagedIdentity
from local.loopback import serving

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class Identity:
    """A running identity endpoint; `url` and `header` are what the platform's settings say."""

    def __init__(self, url: str, header: str, identities: Sequence[ManagedIdentity] = ()) -> None:
        self.url = url
        self.header = header
        self.identities = tuple(identities)
        self._base = url.removesuffix("/msi/token")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def env(self) -> dict[str, str]:
        """Give the environment in which Azure's credentials find this endpoint."""
        return {"IDENTITY_ENDPOINT": self.url, "IDENTITY_HEADER": self.header}

    async def requests(self) -> list[IdentityRecord]:
        """List the last requests for tokens, oldest first."""
        return _records(await self._call("GET", "requests"))

    async def wait_for(self, count: int) -> list[IdentityRecord]:
        """Wait until so many requests have arrived; raises `TimeoutError` after 10 s."""
        return _records(await self._call("GET", f"requests/wait?count={count}"))

    async def script(self, fault: IdentityFault) -> None:
        """Queue a fault for the next requests."""
        await self._call("POST", "script", fault)

    async def release(self) -> int:
        """Let held requests go on; gives how many."""
        return msgspec.json.decode(await self._call("POST", "release"), type=dict[str, int])[
            "released"
        ]

    async def reset(self) -> None:
        """Forget requests and faults, and release what is held."""
        await self._call("DELETE", "requests")

    async def _call(
        self, method: Literal["GET", "POST", "DELETE"], path: str, body: Any = None
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("the identity's client is closed: use it as `async with`")
        data = None if body is None else msgspec.json.encode(body)
        url = f"{self._base}/identity/{path}"
        async with self._session.request(method, url, data=data) as response:
            raw = await response.read()
        if response.status == 408:
            raise TimeoutError(f"waited for {path}, but there was: {raw.decode()}")
        if response.status >= 400:
            raise ValueError(f"{method} {path}: {response.status} {raw.decode()}")
        return raw


@asynccontextmanager
async def running_identity(
    *, client_ids: Sequence[str] = (), header: str | None = None
) -> AsyncIterator[Identity]:
    """Run the endpoint on the running loop; `client_ids` are user-assigned identities."""
    identities = tuple(ManagedIdentity(client_id) for client_id in client_ids)
    secret = header or secrets.token_hex(16)
    async with (
        serving(IdentityService(secret, identities).application()) as url,
        Identity(f"{url}/msi/token", secret, (SYSTEM_ASSIGNED, *identities)) as identity,
    ):
        yield identity


def _records(raw: bytes) -> list[IdentityRecord]:
    return msgspec.json.decode(raw, type=dict[str, list[IdentityRecord]])["requests"]
