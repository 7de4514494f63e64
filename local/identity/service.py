"""The endpoint's server, and its control API."""

import asyncio
import secrets
import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from local.identity.records import IdentityFault, IdentityRecord
from local.identity.tokens import RESOURCES, SYSTEM_ASSIGNED, ManagedIdentity, make_token

_API_VERSION = "2019-08-01"
_KEPT = 200
_MAX_SCRIPT = 1000
_DAY_SECONDS = 86_400


class _Refused(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class IdentityService:
    """The endpoint and its control API."""

    def __init__(self, header: str, identities: Sequence[ManagedIdentity]) -> None:
        self._header = header
        self._identities = (SYSTEM_ASSIGNED, *identities)
        self._records: deque[IdentityRecord] = deque(maxlen=_KEPT)
        self._number = 0
        self._faults: list[IdentityFault] = []
        self._held: set[asyncio.Future[None]] = set()
        self._changed = asyncio.Condition()

    def application(self) -> web.Application:
        """Make the application."""
        app = web.Application()
        app.router.add_get("/msi/token", self._token)
        app.router.add_get("/identity/requests", self._list)
        app.router.add_get("/identity/requests/wait", self._wait)
        app.router.add_delete("/identity/requests", self._reset)
        app.router.add_post("/identity/script", self._script)
        app.router.add_post("/identity/release", self._release)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        query = request.query
        self._number += 1
        record = IdentityRecord(
            self._number, query.get("resource"), query.get("client_id"), status=None
        )
        await self._note(record)
        try:
            body: dict[str, Any] = await self._answer(request)
            response = _json(body)
        except _Refused as refused:
            body = {
                "statusCode": refused.status,
                "message": str(refused),
                "correlationId": str(uuid.uuid4()),
            }
            response = _json(body, refused.status, refused.headers)
        await self._note(msgspec.structs.replace(record, status=response.status))
        return response

    async def _answer(self, request: web.Request) -> dict[str, Any]:
        header = request.headers.get("X-IDENTITY-HEADER")
        if header is None:
            raise _Refused(400, "The X-IDENTITY-HEADER header is missing.")
        if not secrets.compare_digest(header.encode(), self._header.encode()):
            raise _Refused(401, "The X-IDENTITY-HEADER header is not valid.")
        if request.query.get("api-version") != _API_VERSION:
            raise _Refused(400, f"The api-version is not supported; use {_API_VERSION}.")
        fault = self._take_fault()
        if fault.hold:
            await self._hold()
        if fault.status is not None:
            retry = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
            raise _Refused(fault.status, "The token service failed.", retry)
        resource = request.query.get("resource", "")
        if resource.rstrip("/") not in RESOURCES:
            raise _Refused(
                400,
                f"AADSTS500011: The resource principal named {resource} was not found in the "
                "tenant. It takes a resource such as https://storage.azure.com, not a scope.",
            )
        identity = self._find(request)
        lifetime = _DAY_SECONDS if fault.lifetime is None else fault.lifetime
        expires = int(time.time()) + lifetime
        return {
            "access_token": make_token(resource, identity, expires),
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": identity.client_id.upper(),
        }

    def _find(self, request: web.Request) -> ManagedIdentity:
        query = request.query
        asked = {
            "client_id": query.get("client_id"),
            "principal_id": query.get("principal_id", query.get("object_id")),
            "resource_id": query.get("mi_res_id"),
        }
        given = {name: value.lower() for name, value in asked.items() if value}
        if not given:
            return SYSTEM_ASSIGNED
        for identity in self._identities:
            if all(getattr(identity, name).lower() == value for name, value in given.items()):
                return identity
        raise _Refused(
            400,
            "No User Assigned or Delegated Managed Identity found for specified "
            "ClientId/ResourceId/PrincipalId.",
        )

    def _take_fault(self) -> IdentityFault:
        if not self._faults:
            return IdentityFault()
        fault = self._faults[0]
        if fault.times > 1:
            self._faults[0] = msgspec.structs.replace(fault, times=fault.times - 1)
        else:
            del self._faults[0]
        return fault

    async def _hold(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._held.add(future)
        try:
            await future
        finally:
            self._held.discard(future)

    async def _note(self, record: IdentityRecord) -> None:
        """Add or replace a record, and tell those who wait."""
        async with self._changed:
            for index, known in enumerate(self._records):
                if known.number == record.number:
                    self._records[index] = record
                    break
            else:
                # After a reset the end of an older request is no news.
                if record.status is None:
                    self._records.append(record)
            self._changed.notify_all()

    async def _list(self, _: web.Request) -> web.Response:
        return _json({"requests": list(self._records)})

    async def _wait(self, request: web.Request) -> web.Response:
        try:
            count = int(request.query.get("count", 1))
            timeout = float(request.query.get("timeout", 10))
        except ValueError:
            return _json({"error": {"message": "count and timeout must be numbers"}}, 400)
        status = 200
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(lambda: len(self._records) >= count)
        except TimeoutError:
            status = 408
        return _json({"requests": list(self._records)}, status)

    async def _reset(self, _: web.Request) -> web.Response:
        self._records.clear()
        self._faults.clear()
        self._release_all()
        return web.Response(status=204)

    async def _script(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=IdentityFault)
        except msgspec.DecodeError as exc:
            return _json({"error": {"message": str(exc)}}, 400)
        if len(self._faults) >= _MAX_SCRIPT:
            return _json({"error": {"message": "the script is full; reset it first"}}, 400)
        self._faults.append(fault)
        return _json({"queued": len(self._faults)}, 201)

    async def _release(self, _: web.Request) -> web.Response:
        return _json({"released": self._release_all()})

    def _release_all(self) -> int:
        waiting = [future for future in self._held if not future.done()]
        for future in waiting:
            future.set_result(None)
        return len(waiting)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(
        body=body, status=status, content_type="application/json", headers=headers or {}
    )
