"""What the relays note: every ask of the model, and every fault of either."""

import json
from collections.abc import Callable

from chaos.history import Ask, Fault, World
from chaos.http import Request
from chaos.relay import Exchange
from chaos.weather import Fate, Weather
from local.storage import ACCOUNT
from local.storage_meter.words import said_of

_FINISH = b'"finish_reason":"'
_CONTENT = b'"content":"'
_TAIL = 64
_EMPTY = b'"content":""'


class StoreNotes:
    """Notes one instance's exchanges with the store."""

    def __init__(self, weather: Weather, world: World, clock: Callable[[], float]) -> None:
        self._weather = weather
        self._world = world
        self._clock = clock

    def begin(self, request: Request) -> tuple[Fate, Exchange]:
        fate = self._weather.fate()
        said = said_of(
            request.method, request.target.decode("latin-1"), ACCOUNT, bytes(request.body)
        )
        fault = _fault(self._weather, fate, self._clock(), said.conversation, said.what)
        return fate, _Faulted(fault, self._world, self._clock)

    def refused(self, status: int) -> bytes:
        code = "InternalError" if status == 500 else "ServerBusy"
        return json.dumps({"odata.error": {"code": code, "message": {"value": "Chaos."}}}).encode()


class ModelNotes:
    """Notes one instance's exchanges with the model."""

    def __init__(self, weather: Weather, world: World, clock: Callable[[], float]) -> None:
        self._weather = weather
        self._world = world
        self._clock = clock

    def begin(self, request: Request) -> tuple[Fate, Exchange]:
        fate, now = self._weather.fate(), self._clock()
        marker = marker_of(bytes(request.body))
        fault = _fault(self._weather, fate, now, marker, "ask")
        exchange = _Asking(fault, self._world, self._clock)
        if marker is not None:
            ask = Ask(marker, self._weather.instance, now, fault.kind if fault else "")
            exchange.ask = ask
            self._world.asks.append(ask)
        return fate, exchange

    def refused(self, status: int) -> bytes:
        return json.dumps({"error": {"message": "Chaos.", "type": "server_error"}}).encode()


def marker_of(body: bytes) -> str | None:
    """The first word of the last message of a chat request; None: it is none."""
    if not body:
        return None
    messages = json.loads(body)["messages"]
    return str(messages[-1]["content"]).partition(" ")[0]


class _Faulted:
    """An exchange that is noted where something was done to it."""

    def __init__(self, fault: Fault | None, world: World, clock: Callable[[], float]) -> None:
        self._fault = fault
        self._clock = clock
        if fault is not None:
            world.faults.append(fault)

    def passed(self) -> None:
        pass

    def told(self, status: int, body: bytes) -> None:
        pass

    def over(self) -> None:
        if self._fault is not None:
            self._fault.until = self._clock()


class _Asking(_Faulted):
    """An ask of the model."""

    ask: Ask | None = None
    _tail = b""

    def passed(self) -> None:
        if self.ask is not None:
            self.ask.passed = True

    def told(self, status: int, body: bytes) -> None:
        ask = self.ask
        if ask is None:
            return
        ask.status = status or ask.status
        # The names may be cut anywhere.
        seen = self._tail + body
        ask.finished = ask.finished or _FINISH in seen
        ask.spoke = ask.spoke or _CONTENT in seen.replace(_EMPTY, b"")
        self._tail = seen[-_TAIL:]

    def over(self) -> None:
        super().over()
        if self.ask is not None:
            self.ask.closed = self._clock()


def _fault(
    weather: Weather, fate: Fate, now: float, subject: str | None, what: str
) -> Fault | None:
    kind = "slow" if fate.kind == "pass" and fate.delay else fate.kind
    if kind == "pass":
        return None
    status = f" {fate.status}" if kind in ("refuse", "false") else ""
    return Fault(weather.where, weather.instance, kind + status, now, float("inf"), subject, what)
