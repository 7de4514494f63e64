"""The parts of the local stack: each is started, watched, and said in one line when it serves."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from local.drawer import LocalParts, proxy_with_drawer
from local.drawer.hosts import HostKind
from local.lock import try_lock
from local.ports import running_on_port
from local.postgres import Postgres, running_postgres
from local.processes import Child, ChildFailed, Command, Echo
from local.setup import SetupFailed
from local.storage import running_storage
from local.storage_meter import Meter, running_meter
from local.web import running_web

STATE = ".local"
HOST_PORT, SIMULATOR_PORT, STORAGE_PORT, POSTGRES_PORT = 7071, 4290, 10002, 5433
_NO_FUNC = (
    "`func` is not on the PATH. Get Azure Functions Core Tools from "
    "https://aka.ms/functions-core-tools, or leave out `--host func`."
)


class Parts:
    """Starts the parts of the stack in the folder `root`; they end, last first, with `stack`."""

    def __init__(self, stack: AsyncExitStack, root: Path, echo: Echo) -> None:
        self._stack = stack
        self._root = root
        self._echo = echo
        self.state = root / STATE
        # Two emulators on the same files would overwrite each other's data.
        self._alone = stack.enter_context(try_lock(self.state / "run.lock"))
        self._children: list[Child] = []

    @property
    def logs(self) -> Path:
        """Where the parts' output is: a second stack does not write over the first one's."""
        return self.state / "logs" if self._alone else self.state / "logs" / "second"

    async def storage(self) -> Meter:
        """Starts the storage emulator, which keeps its data, and a meter before it."""
        folder = self.state / "azurite" if self._alone else None
        part = running_storage(folder, port=STORAGE_PORT, log=self._log("storage"), echo=self._echo)
        storage = await self._stack.enter_async_context(part)
        self._children.append(storage.child)
        where = f"in {STATE}/azurite" if folder else "in memory, as another stack runs here"
        say("storage", f"Azurite, data {where}", storage.port, STORAGE_PORT)
        return await self._stack.enter_async_context(running_meter(storage))

    async def simulator(self) -> str:
        """Starts the model simulator; returns its address."""

        def command(port: int) -> Command:
            argv = (sys.executable, "-m", "local.simulator", "--port", str(port))
            env = _python_env(os.environ)
            return Command("model", argv, re.compile("ready at http"), env=env, folder=self._root)

        return await self._serve(command, SIMULATOR_PORT, "simulator")

    async def postgres(self) -> Postgres | None:
        """Starts PostgreSQL, which keeps its data; None where it does not start, and says so."""
        folder = self.state / "postgres" if self._alone else None
        part = running_postgres(
            folder, port=POSTGRES_PORT, log=self._log("search"), echo=self._echo
        )
        try:
            postgres = await self._stack.enter_async_context(part)
        except ChildFailed as error:
            say("search", f"left out: {str(error).splitlines()[0]}")
            return None
        self._children.append(postgres.child)
        where = "" if folder else ", in memory, as another stack runs here"
        say("search", f"PostgreSQL with pgvector{where}", postgres.port, POSTGRES_PORT)
        return postgres

    async def host(
        self, kind: str, workers: int, environment: Mapping[str, str]
    ) -> tuple[str, HostKind]:
        """Starts the Functions host; returns its address, and which one it is.

        `kind` is `func` (Core Tools), `local`, or `auto`: `func` where it is installed. Raises
        SetupFailed where it is wanted and is not.
        """
        func = shutil.which("func") if kind != "local" else None
        if kind == "func" and func is None:
            raise SetupFailed(_NO_FUNC)

        def command(port: int) -> Command:
            if func:
                return _func(func, self._root, port, workers, environment)
            return _local_host(self._root, port, workers, environment)

        what = "Azure Functions Core Tools" if func else "local Functions host"
        plural = "" if workers == 1 else "s"
        url = await self._serve(command, HOST_PORT, f"{what}, {workers} worker{plural}")
        return url, "func" if func else "local"

    async def web(self, parts: LocalParts, port: int) -> str:
        """Starts the web emulator in front of the host, with the drawer; returns its address."""
        proxy = await self._stack.enter_async_context(proxy_with_drawer(parts))
        folder = self._root / "web"
        part = running_web(folder, proxy, port=port, log=self._log("web"), echo=self._echo)
        web = await self._stack.enter_async_context(part)
        self._children.append(web.child)
        say("web", "Static Web Apps emulator", web.port, port)
        return web.url

    async def first_failure(self) -> ChildFailed:
        """Waits until a part ends that nobody told to, and returns what to say of it."""
        waiting = [asyncio.create_task(child.failure()) for child in self._children]
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return done.pop().result()

    async def _serve(self, command: Callable[[int], Command], wanted: int, what: str) -> str:
        name = command(wanted).name
        part = running_on_port(command, wanted, log=self._log(name), echo=self._echo)
        child, port = await self._stack.enter_async_context(part)
        self._children.append(child)
        say(name, what, port, wanted)
        return f"http://127.0.0.1:{port}"

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def say(name: str, what: str, port: int | None = None, wanted: int | None = None) -> None:
    """Prints a part's line; a port other than the `wanted` one is explained."""
    moved = "" if port == wanted else f" ({wanted} is taken)"
    where = f", port {port}{moved}" if port else ""
    print(f"  {name:<8} {what}{where}", flush=True)


def _local_host(root: Path, port: int, workers: int, environment: Mapping[str, str]) -> Command:
    argv = [sys.executable, "-m", "local.host", "--app", str(root)]
    argv += ["--port", str(port), "--workers", str(workers)]
    ready = re.compile("Host ready at")
    return Command("host", tuple(argv), ready, env=_python_env(environment), folder=root)


def _func(
    func: str, root: Path, port: int, workers: int, environment: Mapping[str, str]
) -> Command:
    # App settings by Functions' own names; the third is how a host setting is overridden.
    env = _python_env(environment) | {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "FUNCTIONS_WORKER_PROCESS_COUNT": str(workers),
        "languageWorkers__python__defaultExecutablePath": sys.executable,
    }
    argv = (func, "start", "--port", str(port))
    # Once it serves, it lists every function with its address.
    return Command("host", argv, re.compile(r"\] http://\S+/"), env=env, folder=root)


def _python_env(environment: Mapping[str, str]) -> dict[str, str]:
    return {**environment, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
