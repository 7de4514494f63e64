"""Kills, terminates and pauses an instance, again and again, by a generator of its own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final

import psutil

from chaos.history import Disturbance, Trouble, World
from chaos.stack import Instance

LEASE_SECONDS: Final = 20.0
_KINDS: Final[dict[Trouble, int]] = {"kill": 4, "terminate": 3, "pause": 4}


async def trouble(
    instance: Instance,
    world: World,
    clock: Callable[[], float],
    seed: str,
    calm: float = 1.0,
) -> None:
    """Go on until cancelled; whatever was paused goes on then. `calm` scales the time between."""
    rng = Random(f"{seed}/killer/{instance.index}")
    while True:
        await asyncio.sleep(calm * rng.uniform(3.0, 16.0))
        [kind] = rng.choices(list(_KINDS), list(_KINDS.values()))
        long = rng.random() < 0.25
        seconds = rng.uniform(1.25, 1.6) * LEASE_SECONDS if long else rng.uniform(0.5, 7.0)
        began = clock()
        try:
            if kind == "pause":
                await _pause(instance, seconds)
            elif kind == "kill":
                await instance.host.kill()
            else:
                await instance.host.terminate()
            await instance.host.ready()
        finally:
            world.disturbances.append(Disturbance(instance.index, kind, began, clock()))


async def _pause(instance: Instance, seconds: float) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(instance.pid)
        process.suspend()
        try:
            await asyncio.sleep(seconds)
        finally:
            process.resume()
