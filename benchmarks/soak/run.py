"""The run: the app's worker under its callers, and beside it one whose function does nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.model import running_model
from benchmarks.soak.callers import Callers
from benchmarks.soak.verdict import Sample
from local.host import Host, running_host
from local.storage import running_storage

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "benchmarks" / "peers" / "inside"
LOOK_SECONDS = 0.25
SLACK = 4
"""Connections more than before that do not count: they come and go."""


@dataclass(frozen=True, slots=True)
class Options:
    """`turns` after `warm_up` ones, with so many `callers` at once and `samples` in between."""

    turns: int
    warm_up: int
    samples: int
    callers: int
    quiet: float
    """Seconds that the worker rests before the first sample, so that connections go."""
    patience: float
    """Seconds that it may take at a later one until it is as quiet as it was then."""
    app: Path = APP


@dataclass(frozen=True, slots=True)
class Soaked:
    """The samples of both workers, of the same moments: `app[0]` is after the warm-up."""

    app: list[Sample]
    nothing: list[Sample]
    kinds: dict[str, int]


class Worker:
    """A worker that is asked what lives in it."""

    def __init__(self, session: aiohttp.ClientSession, host: Host) -> None:
        self._session = session
        self._process = psutil.Process(host.workers[0])
        self.url = host.url
        self.requests = 0
        """That this sent it."""

    async def do_nothing(self, requests: int, callers: int) -> None:
        """So many requests that the app's code has no part in."""
        left = iter(range(requests))

        async def call() -> None:
            for _ in left:
                self.requests += 1
                async with self._session.get(f"{self.url}/api/nothing") as response:
                    response.raise_for_status()

        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(call())

    async def sample(self, turns: int, requests: int) -> Sample:
        """As it is now."""
        return (await self._look(turns, requests))[0]

    async def quiet_sample(
        self, turns: int, requests: int, patience: float, calm: Callable[[Sample], bool]
    ) -> Sample:
        """Once it is idle and `calm`; after `patience` seconds, however it is."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            found, idle = await self._look(turns, requests)
            if (idle and calm(found)) or loop.time() >= until:
                return found
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, turns: int, requests: int) -> tuple[Sample, bool]:
        inside = await self._inside()
        return self._found(turns, requests, inside), inside["idle"]

    async def _inside(self) -> dict[str, Any]:
        self.requests += 1
        async with self._session.get(f"{self.url}/api/inside?collect=1") as response:
            response.raise_for_status()
            inside: dict[str, Any] = await response.json()
            return inside

    def _found(self, turns: int, requests: int, inside: dict[str, Any]) -> Sample:
        return Sample(
            turns=turns,
            requests=requests,
            memory=_memory(self._process),
            blocks=inside["blocks"],
            descriptors=_descriptors(self._process),
            threads=inside["threads"],
            tasks=inside["tasks"],
            running=inside["running"],
        )


def _memory(process: psutil.Process) -> int:
    return int(process.memory_full_info().uss)


def _descriptors(process: psutil.Process) -> int:
    if sys.platform == "win32":
        return int(process.num_handles())
    return int(process.num_fds())


async def soak(options: Options, say: Callable[[Sample, Sample], None]) -> Soaked:
    """Runs it all; `say` is told each pair of samples. Raises what a caller found wrong."""
    async with _stack(options.app) as (app, nothing, session):
        callers = Callers(session, app.url, options.callers)
        apps: list[Sample] = []
        nothings: list[Sample] = []
        steps = _steps(options)
        for turns in steps:
            await callers.run(turns - callers.turns)
            if not apps:
                await asyncio.sleep(options.quiet)
            calm = partial(_calm, apps, last=turns == steps[-1])
            patience = options.patience
            apps.append(await app.quiet_sample(turns, callers.requests, patience, calm))
            # As many requests, the one that looks included: the runtime keeps something of each.
            behind = callers.requests + app.requests - nothing.requests - 1
            await nothing.do_nothing(behind, options.callers)
            nothings.append(await nothing.sample(turns, callers.requests))
            say(apps[-1], nothings[-1])
        return Soaked(apps, nothings, dict(callers.kinds))


def _calm(apps: Sequence[Sample], found: Sample, *, last: bool) -> bool:
    """Whether it is as quiet as it was after the warm-up. Connections, which are kept alive for
    some seconds, have to be gone at the end only."""
    if not apps:
        return True
    fewer = found.descriptors <= apps[0].descriptors + SLACK
    return found.tasks <= apps[0].tasks and (fewer or not last)


def _steps(options: Options) -> list[int]:
    """After how many turns samples are taken."""
    return [
        options.warm_up + round(options.turns * part / options.samples)
        for part in range(options.samples + 1)
    ]


@asynccontextmanager
async def _stack(app: Path) -> AsyncIterator[tuple[Worker, Worker, aiohttp.ClientSession]]:
    """A worker for the app and one that does nothing, with one model and one store."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(running_model())
        storage = await stack.enter_async_context(running_storage())
        env = {
            "AZURE_OPENAI_ENDPOINT": model.url,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "soak",
            "CHAT_AUTH": "staticwebapps",
            "WEBSITE_AUTH_ENABLED": "True",
            "CHAT_STORAGE": storage.connection_string,
            # Who leaves for good must not keep the worker busy until the next sample.
            "CHAT_DISCONNECT_GRACE_SECONDS": "1",
        }
        app_host = await stack.enter_async_context(running_host(app, env=env, inherit_env=False))
        idle_host = await stack.enter_async_context(running_host(APP, env=env, inherit_env=False))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=60.0),
                trust_env=False,
            )
        )
        yield Worker(session, app_host), Worker(session, idle_host), session
