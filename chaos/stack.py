"""The parts of a run: one store, one model, and instances of the app behind relays of their own.

An instance is a local host with one worker: the pool restarts what dies, and because each has its
own relays, one can be cut off from store or model while the others are not.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from chaos.history import World
from chaos.ledger import ModelNotes, StoreNotes
from chaos.relay import Relay, running_relay
from chaos.weather import Weather
from local.host import Host, running_host
from local.ports import HOST, running_on_port
from local.processes import Command
from local.storage import Storage, running_storage

ROOT = Path(__file__).resolve().parent.parent
_MISTAKE = re.compile(r"(?:ERROR|CRITICAL)\b|.*never awaited")
_LEVEL = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
MODEL_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of the app; `relays` are those before its store and its model."""

    index: int
    host: Host
    relays: tuple[Relay, Relay]
    weathers: tuple[Weather, Weather]

    @property
    def pid(self) -> int:
        return self.host.workers[0]

    async def quiet(self) -> None:
        """Wait until the worker serves, and nothing that the relays hold may still arrive."""
        await self.host.ready()
        for relay in self.relays:
            await relay.quiet()


@asynccontextmanager
async def running_stack(
    seed: str, workers: int, world: World, clock: Callable[[], float]
) -> AsyncIterator[list[Instance]]:
    """Everything that runs, with the weather fine; all of it ends with the block."""
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(running_storage())
        model = await stack.enter_async_context(_simulator())
        starts = [
            asyncio.create_task(_instance(index, seed, storage, model, world, clock))
            for index in range(workers)
        ]
        try:
            done = await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            for ended in await asyncio.gather(*starts, return_exceptions=True):
                if not isinstance(ended, BaseException):
                    await ended[1].aclose()
            raise
        for _, part in done:
            stack.push_async_exit(part)
        yield [instance for instance, _ in done]


async def _instance(
    index: int,
    seed: str,
    storage: Storage,
    model: int,
    world: World,
    clock: Callable[[], float],
) -> tuple[Instance, AsyncExitStack]:
    weathers = Weather("store", index, seed), Weather("model", index, seed)

    following = False

    def log(line: str) -> None:
        nonlocal following
        if _MISTAKE.match(line):
            world.log.append(f"{clock():.1f} instance {index}: {line}")
            following = True
        elif following and not _LEVEL.match(line):
            world.log[-1] += f"\n{line}"
        else:
            following = False

    async with AsyncExitStack() as stack:
        store_notes = StoreNotes(weathers[0], world, clock)
        store = await stack.enter_async_context(running_relay(storage.port, store_notes))
        model_notes = ModelNotes(weathers[1], world, clock)
        asked = await stack.enter_async_context(running_relay(model, model_notes))
        env = {
            "AZURE_OPENAI_ENDPOINT": f"http://{HOST}:{asked.port}",
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "any",
            "CHAT_STORAGE": replace(storage, port=store.port).connection_string,
            "CHAT_AUTH": "staticwebapps",
            "WEBSITE_AUTH_ENABLED": "True",
            "CHAT_DISCONNECT_GRACE_SECONDS": f"{world.grace:g}",
            "CHAT_MODEL_TIMEOUT_SECONDS": str(MODEL_TIMEOUT_SECONDS),
        }
        host = await stack.enter_async_context(
            running_host(ROOT, env=env, inherit_env=False, log=log)
        )
        return Instance(index, host, (store, asked), weathers), stack.pop_all()
    raise AssertionError


@asynccontextmanager
async def _simulator() -> AsyncIterator[int]:
    """The model simulator in a process of its own; gives its port."""

    def command(port: int) -> Command:
        argv = (sys.executable, "-m", "local.simulator", "--port", str(port))
        return Command(
            "model",
            (*argv, "--first-token-ms", "0"),
            re.compile("ready at http"),
            folder=ROOT,
        )

    async with running_on_port(command, 0) as (_, port):
        yield port
