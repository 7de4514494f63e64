"""The HTTP front: routes requests to functions, and the admin routes beside them."""

import json
import uuid
from collections.abc import Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

from aiohttp import hdrs, web

from local.host.forward import WORKER_HEADER, Forwarder, untype
from local.host.pool import NoWorker, UnknownWorker, WorkerPool
from local.host.routes import Function, RouteTable

_ADMIN: Final = "/admin/"
_TIMER: Final = "timerTrigger"
# What the runtime's timer trigger reads, in the host's spelling.
_TIMER_DATA: Final = {"IsPastDue": False, "ScheduleStatus": {}, "Schedule": {"AdjustForDST": True}}


class Front:
    """The host's HTTP side, as an aiohttp application (`app`)."""

    def __init__(
        self, pool: WorkerPool, forwarder: Forwarder, prefix: str, say: Callable[[str], None]
    ) -> None:
        self._pool = pool
        self._forwarder = forwarder
        self._prefix = prefix
        self._say = say
        self._functions: Sequence[Function] = ()
        self._routes = RouteTable((), prefix)
        self.app = web.Application()
        self.app.on_response_prepare.append(untype)
        self.app.add_routes(
            [
                web.get("/admin/host/status", self._status),
                web.post("/admin/workers/{index:[0-9]+}/kill", self._kill),
                web.post("/admin/workers/{index:[0-9]+}/terminate", self._terminate),
                web.post("/admin/functions/{name}", self._run),
                # A dot would leave out paths with an encoded line break.
                web.route("*", r"/{path:[\s\S]*}", self._call),
            ]
        )
        self.app.middlewares.append(_guard_admin)

    @property
    def functions(self) -> Sequence[Function]:
        """The app's functions, as the worker that started last has indexed them."""
        return self._functions

    def serve(self, functions: Sequence[Function]) -> None:
        """Take over what a worker has indexed. Raises RouteError, and keeps what was there."""
        self._routes = RouteTable(functions, self._prefix)
        self._functions = functions

    async def _call(self, request: web.Request) -> web.StreamResponse:
        match = self._routes.match(request.method, request.rel_url.raw_path)
        if match is None:
            return web.Response(status=404)
        index = request.headers.get(WORKER_HEADER)
        if index is not None and not index.isdecimal():
            return _refusal(400, f"{WORKER_HEADER} must be a worker's index, such as 0")
        try:
            return await self._forwarder.forward(
                request, match, None if index is None else int(index)
            )
        except UnknownWorker as exc:
            return _refusal(400, f"{WORKER_HEADER}: {exc}")

    async def _status(self, request: web.Request) -> web.Response:
        ready = self._pool.ready
        return web.json_response(
            {
                "state": "Running" if any(ready) else "Starting",
                "workers": [
                    {"index": index, "pid": pid, "ready": ready[index]}
                    for index, pid in enumerate(self._pool.pids)
                ],
                "functions": [
                    {"name": function.name, "trigger": function.trigger}
                    for function in self._functions
                ],
            }
        )

    async def _kill(self, request: web.Request) -> web.Response:
        return await self._end(request, self._pool.kill)

    async def _terminate(self, request: web.Request) -> web.Response:
        return await self._end(request, self._pool.terminate)

    async def _end(self, request: web.Request, end: Callable[[int], Any]) -> web.Response:
        try:
            await end(int(request.match_info["index"]))
        except UnknownWorker as exc:
            return _refusal(404, str(exc))
        return web.Response(status=204)

    async def _run(self, request: web.Request) -> web.Response:
        """Run a timer's function now: 202, before it has ended, as in Azure."""
        name = request.match_info["name"]
        function = next((f for f in self._functions if f.name.lower() == name.lower()), None)
        if function is None:
            return _refusal(404, f"there is no function {name!r}")
        if function.trigger != _TIMER:
            return _refusal(400, f"{name!r} has a {function.trigger}; only timers are run this way")
        try:
            worker = await self._pool.pick()
        except NoWorker as exc:
            return _refusal(503, str(exc))
        worker.invoke(
            {
                "id": str(uuid.uuid4()),
                "function": function.id,
                "name": function.name,
                "parameter": function.parameter,
                "json": json.dumps(_TIMER_DATA),
                "trace": ["", ""],
            }
        )
        return web.Response(status=202)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status, reason=HTTPStatus(status).phrase)


@web.middleware
async def _guard_admin(request: web.Request, handler: Any) -> web.StreamResponse:
    """No admin route for web pages: neither by a rebound name, nor across origins."""
    if request.path.startswith(_ADMIN):
        if not _is_loopback(request.url.host or ""):
            return _refusal(403, "admin routes are for loopback addresses and localhost only")
        if hdrs.ORIGIN in request.headers:
            return _refusal(403, "admin routes are not for web pages")
    response: web.StreamResponse = await handler(request)
    return response


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
