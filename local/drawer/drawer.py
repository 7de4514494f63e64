"""The drawer as the proxy knows it: its routes, and what it sees of the turns."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

from local.drawer.hosts import HostAdmin, HostKind
from local.drawer.routes import Routes
from local.drawer.turns import TurnExchange, Turns
from local.principal import principal_proxy
from local.simulator import Simulator
from local.storage_meter import Meter


@dataclass(frozen=True, slots=True)
class LocalParts:
    """What the drawer reaches; `simulator` (an address) and `meter` None: the user's own is used.

    `host` is the Functions host's address.
    """

    host: str
    host_kind: HostKind
    simulator: str | None
    meter: Meter | None


class Drawer:
    """Implements `local.principal.Onlooker`. Made by `running_drawer`."""

    def __init__(self, routes: Routes, turns: Turns) -> None:
        self._routes = routes
        self._turns = turns

    def routes(self) -> list[web.AbstractRouteDef]:
        """Everything below `/api/local`."""
        return self._routes.table()

    def watch(self, request: web.Request) -> TurnExchange | None:
        """Of interest is what asks or follows a turn."""
        return self._turns.watch(request)


@asynccontextmanager
async def running_drawer(parts: LocalParts) -> AsyncIterator[Drawer]:
    """Yields the drawer, to be given to the proxy; it reaches the parts while the block runs."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            # A worker that is stopped has 5 s to end, then it is killed.
            ClientSession(connector=TCPConnector(force_close=True), timeout=ClientTimeout(total=30))
        )
        simulator = None
        if parts.simulator:
            simulator = await stack.enter_async_context(Simulator(parts.simulator))
        turns = Turns()
        host = HostAdmin(parts.host, parts.host_kind, session)
        yield Drawer(Routes(host, simulator, parts.meter, turns), turns)


@asynccontextmanager
async def proxy_with_drawer(parts: LocalParts) -> AsyncIterator[str]:
    """Serves the proxy to the parts' host, with the drawer in it; yields the proxy's address."""
    async with (
        running_drawer(parts) as drawer,
        principal_proxy(parts.host, onlooker=drawer) as address,
    ):
        yield address
