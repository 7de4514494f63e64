"""The control API: queue behaviour, look at what arrived, wait for it, release holds."""

import asyncio
from typing import Annotated, Any, get_args

import msgspec
from aiohttp import web

from local.simulator.behaviour import Behaviour, behaviour_from
from local.simulator.records import QueuedList, RecordList, ScriptMatch, State
from local.simulator.server import Service

_STATES = get_args(State)
_LONGEST_WAIT = 120.0


class _ScriptBody(msgspec.Struct, forbid_unknown_fields=True):
    behaviour: dict[str, Any] | list[dict[str, Any]]
    match: ScriptMatch = ScriptMatch()
    # None: every matching request until the next reset.
    times: Annotated[int, msgspec.Meta(ge=1)] | None = 1


class _ReleaseBody(msgspec.Struct, forbid_unknown_fields=True):
    hold: str | None = None


def add_routes(app: web.Application, service: Service) -> None:
    """Add the control API of a service to its application."""
    control = _Control(service)
    app.router.add_post("/simulator/script", control.script)
    app.router.add_get("/simulator/script", control.scripted)
    app.router.add_delete("/simulator/script", control.unscript)
    app.router.add_post("/simulator/release", control.release)
    app.router.add_get("/simulator/requests", control.requests)
    app.router.add_get("/simulator/requests/wait", control.wait)
    app.router.add_delete("/simulator/requests", control.reset)


class _Control:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def script(self, request: web.Request) -> web.Response:
        body = await _read(request, _ScriptBody)
        wanted = body.behaviour if isinstance(body.behaviour, list) else [body.behaviour]
        try:
            behaviours: list[Behaviour] = [behaviour_from(item) for item in wanted]
            length = self._service.script.add(body.match, body.times, behaviours)
        except ValueError as exc:
            raise _bad_request(str(exc)) from exc
        return _json({"queued": length}, 201)

    async def scripted(self, _: web.Request) -> web.Response:
        return _json(QueuedList(self._service.script.queued()))

    async def unscript(self, _: web.Request) -> web.Response:
        self._service.script.clear()
        return web.Response(status=204)

    async def release(self, request: web.Request) -> web.Response:
        body = await _read(request, _ReleaseBody)
        return _json({"released": self._service.holds.release(body.hold)})

    async def requests(self, request: web.Request) -> web.Response:
        return _json(RecordList(self._service.journal.find(**_filter(request))))

    async def wait(self, request: web.Request) -> web.Response:
        count = int(_number(request, "count", 1))
        timeout = min(_number(request, "timeout", 10.0), _LONGEST_WAIT)
        wanted = _filter(request)
        try:
            async with asyncio.timeout(timeout):
                return _json(RecordList(await self._service.journal.wait(count, **wanted)))
        except TimeoutError:
            return _json(RecordList(self._service.journal.find(**wanted)), 408)

    async def reset(self, _: web.Request) -> web.Response:
        self._service.journal.clear()
        self._service.script.clear()
        self._service.holds.release()
        return web.Response(status=204)


def _filter(request: web.Request) -> dict[str, Any]:
    state = request.query.get("state")
    if state is not None and state not in _STATES:
        raise _bad_request(f"state must be one of {', '.join(_STATES)}")
    return {
        "after": int(_number(request, "after", 0)),
        "chunks": int(_number(request, "chunks", 0)),
        "since": int(_number(request, "since", 0)),
        "state": state,
    }


def _number(request: web.Request, name: str, default: float) -> float:
    try:
        value = float(request.query.get(name, default))
    except ValueError as exc:
        raise _bad_request(f"{name} must be a number") from exc
    if not 0 <= value < 1e15:
        raise _bad_request(f"{name} must not be negative")
    return value


async def _read[T](request: web.Request, kind: type[T]) -> T:
    raw = await request.read()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except msgspec.DecodeError as exc:
        raise _bad_request(str(exc)) from exc


def _bad_request(message: str) -> web.HTTPBadRequest:
    text = msgspec.json.encode({"error": {"message": message}}).decode()
    return web.HTTPBadRequest(text=text, content_type="application/json")


def _json(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
