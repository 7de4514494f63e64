"""A run: callers and troubles at once, then calm, then the verdict. Long ones go in rounds."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

import aiohttp

from chaos.caller import Caller
from chaos.findings import Finding
from chaos.history import ConversationHistory, World
from chaos.killer import trouble
from chaos.look import Looker
from chaos.plan import Scene, scenes
from chaos.player import Player
from chaos.stack import Instance, running_stack
from chaos.verdict import verdict

GRACE_SECONDS: Final = 3.0
ROUND_TURNS: Final = 1000
"""Each round has a store of its own: the emulator gets slower with what it holds."""
_LOOKERS: Final = 12
_BRISK: Final = 0.25
_LAST_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """`seconds`: for how long new turns are begun, at most.

    `brisk`: no answer takes long, and troubles come close together.
    """

    turns: int = 1000
    seconds: float = 3600.0
    seed: str = "1"
    callers: int = 60
    workers: int = 2
    brisk: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What a round left. `seconds`: until the last turn was over, and of all of it."""

    seed: str
    turns: int
    conversations: list[ConversationHistory]
    world: World
    findings: list[Finding]
    seconds: tuple[float, float]


async def run_round(options: Options, say: Callable[[str], None]) -> Round:
    """One round with a stack of its own; everything that it starts has ended when it returns."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    def clock() -> float:
        return loop.time() - began

    world = World(GRACE_SECONDS)
    async with running_stack(options.seed, options.workers, world, clock) as instances:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        no_limit = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with aiohttp.ClientSession(
            connector=connector, timeout=no_limit, trust_env=False
        ) as session:
            players = [
                Player(
                    Caller(session, instances, f"user{number}", clock),
                    options.seed,
                    number,
                    options.workers,
                )
                for number in range(options.callers)
            ]
            turns = await _storm(options, instances, players, world, clock, say)
            stormed = clock()
            await asyncio.gather(*(instance.quiet() for instance in instances))
            say(f"{turns} turns asked in {stormed:.0f} s; all faults are off, looking")
            await _look(options, players, world)
    conversations = [made for player in players for made in player.conversations]
    findings = verdict(conversations, world)
    return Round(options.seed, turns, conversations, world, findings, (stormed, clock()))


async def _storm(
    options: Options,
    instances: list[Instance],
    players: list[Player],
    world: World,
    clock: Callable[[], float],
    say: Callable[[str], None],
) -> int:
    """Every caller's scenes, under faults, until there have been enough; how many turns."""
    calm = _BRISK if options.brisk else 1.0
    enough = _Enough(options.turns, clock() + options.seconds, clock)
    blowing = [
        asyncio.create_task(weather.blow(world, clock, calm))
        for instance in instances
        for weather in instance.weathers
    ]
    blowing += (
        asyncio.create_task(trouble(instance, world, clock, options.seed, calm))
        for instance in instances
    )
    telling = asyncio.create_task(_progress(enough, world, say))
    try:
        async with asyncio.TaskGroup() as group:
            for number, player in enumerate(players):
                plans = scenes(options.seed, number, options.workers, brisk=options.brisk)
                group.create_task(_play(player, plans, enough))
            await enough.full.wait()
            # What runs still meets some of it; what comes then is only waiting.
            await asyncio.sleep(_LAST_SECONDS)
            await _calm(blowing, world)
    finally:
        telling.cancel()
        await _calm([*blowing, telling], world)
    return enough.begun


async def _calm(blowing: list["asyncio.Task[None]"], world: World) -> None:
    """End what troubles; whatever was paused or cut off is so no more."""
    for task in blowing:
        task.cancel()
    for ended in await asyncio.gather(*blowing, return_exceptions=True):
        if isinstance(ended, Exception):
            world.log.append(f"chaos itself failed: {ended!r}")


class _Enough:
    """Counts turns that were begun."""

    def __init__(self, turns: int, until: float, clock: Callable[[], float]) -> None:
        self.full = asyncio.Event()
        """No more may begin."""
        self.begun = 0
        self.done = 0
        self._turns = turns
        self._until = until
        self._clock = clock

    def take(self, turns: int) -> bool:
        """Whether so many more may begin."""
        if self.begun >= self._turns or self._clock() > self._until:
            self.full.set()
            return False
        self.begun += turns
        return True


async def _play(player: Player, plans: Iterator[Scene], enough: _Enough) -> None:
    for scene in plans:
        if not enough.take(len(scene.turns)):
            return
        await player.play(scene)
        enough.done += len(scene.turns)


async def _progress(enough: _Enough, world: World, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(10.0)
        say(
            f"{enough.done} turns over, {enough.begun - enough.done} under way; "
            f"{len(world.faults)} faults, {len(world.disturbances)} kills and pauses"
        )


async def _look(options: Options, players: list[Player], world: World) -> None:
    at_once = asyncio.Semaphore(_LOOKERS)

    async def look(number: int, player: Player) -> None:
        rng = Random(f"{options.seed}/look/{number}")
        async with at_once:
            await Looker(player.caller, world, rng, options.workers).look(player.conversations)

    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            for number, player in enumerate(players):
                if player.conversations:
                    group.create_task(look(number, player))
