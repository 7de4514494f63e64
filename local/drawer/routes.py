"""The drawer's endpoints below `/api/local`, and the panel's files."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, web

from local.drawer.faults import BY_NAME, FAULTS, fault_of
from local.drawer.guard import refusal
from local.drawer.hosts import HostAdmin, HostRefused
from local.drawer.last import model_side, store_side
from local.drawer.turns import Turns
from local.problems import problem
from local.simulator import Simulator, SimulatorError
from local.storage_meter import Meter

type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

PREFIX: Final = "/api/local"
_PANEL = Path(__file__).resolve().parent / "panel"
_ROOT = Path(__file__).resolve().parents[2]
_TYPES = {".js": "text/javascript", ".css": "text/css"}
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_OWN_MODEL = "A model of your own is asked, so the simulator is not there to play a fault."


class Routes:
    """What the drawer can do, over HTTP."""

    def __init__(
        self, host: HostAdmin, simulator: Simulator | None, meter: Meter | None, turns: Turns
    ) -> None:
        self._host = host
        self._simulator = simulator
        self._meter = meter
        self._turns = turns

    def table(self) -> list[web.AbstractRouteDef]:
        """Every route; whatever else is asked for below the prefix is 404."""
        worker = PREFIX + "/workers/{index:[0-9]{1,4}}/{way:kill|terminate}"
        return [
            web.get(f"{PREFIX}/state", _guarded(self._state)),
            web.get(f"{PREFIX}/last", _guarded(self._last)),
            web.post(PREFIX + "/faults/{name}", _guarded(self._arm)),
            web.delete(f"{PREFIX}/faults", _guarded(self._disarm)),
            web.post(f"{PREFIX}/release", _guarded(self._release)),
            web.post(f"{PREFIX}/cut", _guarded(self._cut)),
            web.post(worker, _guarded(self._end_worker)),
            web.get(PREFIX + r"/{file:[a-z]+\.(?:js|css)}", _guarded(_file)),
            web.get(PREFIX + r"/documents/{file:(?:docs/)?[A-Za-z0-9-]+\.md}", _guarded(_document)),
            web.route("*", PREFIX + "{rest:(?:/.*)?}", _guarded(_unknown)),
        ]

    async def _state(self, _: web.Request) -> web.Response:
        return _json(
            {
                "model": "simulator" if self._simulator else "own",
                "store": "emulator" if self._meter else "own",
                "host": self._host.kind,
                "workers": await self._host.workers(),
                "faults": [
                    {"name": f.name, "group": f.group, "title": f.title, "about": f.about}
                    for f in FAULTS
                ],
                "armed": await self._armed(),
            }
        )

    async def _armed(self) -> list[dict[str, str | None]]:
        """What the simulator's script holds still; without a name where others queued it."""
        if self._simulator is None:
            return []
        found = [fault_of(queued.behaviour) for queued in await self._simulator.scripted()]
        other = "Something that another program has queued"
        return [
            {"name": f.name, "title": f.title} if f else {"name": None, "title": other}
            for f in found
        ]

    async def _arm(self, request: web.Request) -> web.Response:
        fault = BY_NAME.get(request.match_info["name"])
        if fault is None:
            return problem(404, f"There is no such fault. There are: {', '.join(BY_NAME)}.")
        if self._simulator is None:
            return problem(409, _OWN_MODEL)
        # One at a time: what was armed before would meet the question after the next one.
        await self._simulator.clear_script()
        await self._simulator.script(fault.behaviour)
        return _json({"armed": await self._armed()})

    async def _disarm(self, _: web.Request) -> web.Response:
        if self._simulator:
            await self._simulator.clear_script()
        return _json({"armed": []})

    async def _release(self, _: web.Request) -> web.Response:
        if self._simulator is None:
            return problem(409, _OWN_MODEL)
        return _json({"released": await self._simulator.release()})

    async def _cut(self, _: web.Request) -> web.Response:
        return _json({"cut": self._turns.cut()})

    async def _end_worker(self, request: web.Request) -> web.Response:
        index, way = int(request.match_info["index"]), request.match_info["way"]
        await self._host.end(index, "kill" if way == "kill" else "terminate")
        return _json({"workers": await self._host.workers()})

    async def _last(self, _: web.Request) -> web.Response:
        turn = self._turns.last
        if turn is None:
            return _json({"turn": None})
        return _json(
            {
                "turn": _camel(asdict(turn)),
                "model": await model_side(turn, self._simulator) if self._simulator else None,
                "store": store_side(turn, self._meter) if self._meter else None,
            }
        )


async def _file(request: web.Request) -> web.StreamResponse:
    file = _PANEL / request.match_info["file"]
    if not file.is_file():
        return await _unknown(request)
    return web.Response(
        body=file.read_bytes(), content_type=_TYPES[file.suffix], charset="utf-8", headers=_HEADERS
    )


async def _document(request: web.Request) -> web.StreamResponse:
    """One of this project's own documents, which the local answers cite."""
    file = _ROOT / request.match_info["file"]
    if not file.is_file():
        return await _unknown(request)
    return web.Response(
        body=file.read_bytes(), content_type="text/plain", charset="utf-8", headers=_HEADERS
    )


async def _unknown(request: web.Request) -> web.StreamResponse:
    return problem(404, f"The drawer has no {request.method} {request.path}.")


def _guarded(handler: Handler) -> Handler:
    """The handler, for those who may call it; what parts of the stack refuse is told in words."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if refused := refusal(request):
            return refused
        try:
            return await handler(request)
        except HostRefused as exc:
            return problem(exc.status, str(exc))
        except (SimulatorError, ClientError, TimeoutError) as exc:
            return problem(502, f"The model simulator does not answer: {exc}")

    return guarded


def _camel(values: dict[str, Any]) -> dict[str, Any]:
    parts = {name: name.split("_") for name in values}
    return {
        first + "".join(word.capitalize() for word in rest): values[name]
        for name, (first, *rest) in parts.items()
    }


def _json(value: Any) -> web.Response:
    return web.json_response(value, headers=_HEADERS)
