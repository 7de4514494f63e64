"""The control API's client, for tests and for whoever starts a simulator."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from local.simulator.behaviour import Behaviour
from local.simulator.records import Queued, QueuedList, RecordList, RequestRecord, State

_MARGIN_SECONDS = 10.0


class SimulatorError(Exception):
    """The simulator did not do what it was asked; says why."""


class Simulator:
    """A running simulator, in this process or another one, at `url` (no slash at the end).

    With TLS, `certificate` is the PEM file to trust. Use it as `async with`.
    """

    def __init__(self, url: str, *, certificate: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self._certificate = certificate
        self._session: aiohttp.ClientSession | None = None

    @property
    def azure_v1_url(self) -> str:
        """The base URL of Azure's v1 API."""
        return f"{self.url}/openai/v1/"

    @property
    def openai_url(self) -> str:
        """The base URL of OpenAI's own API."""
        return f"{self.url}/v1/"

    @property
    def mistral_url(self) -> str:
        """The base URL of Mistral's own API."""
        return f"{self.url}/mistral/v1/"

    @property
    def azure_models_url(self) -> str:
        """The base URL of Azure's API for the models of others; it wants an `api-version`."""
        return f"{self.url}/models/"

    async def __aenter__(self) -> Self:
        context = (
            ssl.create_default_context(cafile=self._certificate) if self._certificate else True
        )
        # None of its connections is kept, so that stopping the server never waits for one.
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def script(
        self,
        *behaviours: Behaviour | Mapping[str, Any],
        times: int | None = 1,
        deployment: str | None = None,
        contains: str | None = None,
    ) -> None:
        """Queue behaviour for the next requests that match; `times=None` for all of them."""
        match = {"deployment": deployment, "contains": contains}
        body = {"behaviour": list(behaviours), "times": times, "match": match}
        await self._call("POST", "/simulator/script", body=body)

    async def scripted(self) -> list[Queued]:
        """What is still queued, in the order in which it is tried."""
        raw = await self._call("GET", "/simulator/script")
        return msgspec.json.decode(raw, type=QueuedList).queued

    async def clear_script(self) -> None:
        """Forget what is queued; the journal and the holds stay."""
        await self._call("DELETE", "/simulator/script")

    async def requests(
        self, *, after: int = 0, state: State | None = None, chunks: int = 0, since: int = 0
    ) -> list[RequestRecord]:
        """List the last requests, oldest first; `since` in milliseconds since 1970."""
        query = _query(after=after, state=state, chunks=chunks) | {"since": str(since)}
        raw = await self._call("GET", "/simulator/requests", query=query)
        return _records(raw)

    async def wait_for(
        self,
        *,
        count: int = 1,
        after: int = 0,
        state: State | None = None,
        chunks: int = 0,
        timeout: float = 10.0,  # noqa: ASYNC109
    ) -> list[RequestRecord]:
        """Wait until so many requests are in a state or have sent so many chunks.

        Raises `TimeoutError` that says what there was instead.
        """
        query = _query(after=after, state=state, chunks=chunks)
        query |= {"count": str(count), "timeout": str(timeout)}
        path = "/simulator/requests/wait"
        return _records(await self._call("GET", path, query=query, seconds=timeout))

    async def release(self, hold: str | None = None) -> int:
        """Let paused requests go on, all or those of one hold; gives how many."""
        raw = await self._call("POST", "/simulator/release", body={"hold": hold})
        return msgspec.json.decode(raw, type=dict[str, int])["released"]

    async def reset(self) -> None:
        """Forget requests and script, and release every hold."""
        await self._call("DELETE", "/simulator/requests")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        seconds: float = 0.0,
    ) -> bytes:
        if self._session is None:
            raise SimulatorError("the simulator's client is closed: use it as `async with`")
        data = None if body is None else msgspec.json.encode(body)
        limit = aiohttp.ClientTimeout(total=seconds + _MARGIN_SECONDS)
        url = self.url + path
        async with self._session.request(
            method, url, params=query, data=data, timeout=limit
        ) as response:
            raw = await response.read()
        if response.status == 408:
            raise TimeoutError(f"waited for {dict(query or {})}, but there was: {raw.decode()}")
        if response.status >= 400:
            raise SimulatorError(f"{method} {path}: {response.status} {raw.decode()}")
        return raw


def _query(*, after: int, state: State | None, chunks: int) -> dict[str, str]:
    query = {"after": str(after), "chunks": str(chunks)}
    return query | {"state": state} if state else query


def _records(raw: bytes) -> list[RequestRecord]:
    return msgspec.json.decode(raw, type=RecordList).requests
