"""The Functions host, as far as the drawer reaches it: its workers, and their plugs."""

from typing import Any, Literal

from aiohttp import ClientError, ClientSession

type HostKind = Literal["local", "func"]
type Way = Literal["kill", "terminate"]


class HostRefused(Exception):
    """The host did not do it; says why. `status` is what to answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HostAdmin:
    """The admin routes of the host at `url`. Azure Functions Core Tools (`func`) has none here."""

    def __init__(self, url: str, kind: HostKind, session: ClientSession) -> None:
        self.kind = kind
        self._url = url.rstrip("/")
        self._session = session

    async def workers(self) -> list[dict[str, Any]]:
        """Index, process id and readiness of each worker. Raises `HostRefused`."""
        if self.kind == "func":
            return []
        status, body = await self._call("GET", "/admin/host/status")
        if status != 200:
            raise HostRefused(502, f"The Functions host answered {status}.")
        workers: list[dict[str, Any]] = body["workers"]
        return workers

    async def end(self, index: int, way: Way) -> None:
        """Ends a worker; returns when it is gone. Raises `HostRefused`."""
        if self.kind == "func":
            raise HostRefused(
                409, "Azure Functions Core Tools ends no single worker: use `--host local`."
            )
        status, body = await self._call("POST", f"/admin/workers/{index}/{way}")
        if status == 404:
            raise HostRefused(404, f"{body['error']}.".capitalize())
        if status != 204:
            raise HostRefused(502, f"The Functions host answered {status}.")

    async def _call(self, method: str, path: str) -> tuple[int, Any]:
        try:
            async with self._session.request(method, self._url + path) as response:
                return response.status, await response.json() if response.status != 204 else None
        except (ClientError, TimeoutError, ValueError) as exc:
            raise HostRefused(502, f"The Functions host does not answer: {exc}") from exc
