"""Which exchange goes wrong, and how: by chance, in spells of calm, rough and none at all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from chaos.history import Outage, World

type Where = Literal["store", "model"]


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one exchange.

    `pass`, with a delay or none; `reset`: broken off, the server never hears of it; `lost`: the
    server did it, and the reply is lost; `cut`: in the middle of the reply; `refuse`: `status`
    without asking the server; `false`: `status` although the server did it; `late`: it reaches the
    server after the app has given up; `hiccup`: silence in the middle of the reply.
    """

    kind: str = "pass"
    delay: float = 0.0
    """Seconds before the server is asked; of a `hiccup`, the silence."""
    status: int = 0
    share: float = 0.0
    """Of `cut` and `hiccup`: how far the reply comes, 0 to 1; of a stream, by 4,000 bytes."""


FINE: Final = Fate()
_KINDS: Final = {
    "store": {"slow": 5, "reset": 3, "lost": 5, "cut": 2, "refuse": 3, "false": 3, "late": 1},
    "model": {"slow": 4, "reset": 2, "lost": 3, "cut": 4, "refuse": 3, "false": 1, "hiccup": 2},
}
_PASSING: Final = ("slow", "hiccup")
_CALM: Final = {"store": 0.04, "model": 0.06}
_ROUGH: Final = {"store": 0.3, "model": 0.3}
_STATUSES: Final = {"store": (500, 503), "model": (500, 503, 429)}


class Weather:
    """What one relay does: its own generator, and the spells that `blow` brings."""

    def __init__(self, where: Where, instance: int, seed: str) -> None:
        self.where = where
        self.instance = instance
        self._rng = Random(f"{seed}/weather/{where}/{instance}")
        self._spells = Random(f"{seed}/spells/{where}/{instance}")
        self.level: float | None = None
        """The share of exchanges that go wrong; None: it is fine."""

    def fate(self) -> Fate:
        """The next exchange's."""
        if self.level is None or self._rng.random() >= self.level:
            return FINE
        rng, where = self._rng, self.where
        kinds = _KINDS[where]
        if self.level == 1.0:  # an outage lets nothing through
            kinds = {kind: weight for kind, weight in kinds.items() if kind not in _PASSING}
        [kind] = rng.choices(list(kinds), list(kinds.values()))
        status = rng.choice(_STATUSES[where])
        share = rng.random()
        if kind == "slow":
            longest = 1.0 if rng.random() < 0.8 else 7.0
            return Fate("pass", delay=rng.uniform(0.02, longest))
        if kind == "late":
            return Fate(kind, delay=rng.uniform(8.5, 14.0))
        if kind == "hiccup":
            return Fate(kind, delay=rng.uniform(0.5, 6.0), share=share)
        return Fate(kind, status=status, share=share)

    async def blow(self, world: World, clock: Callable[[], float], calm: float = 1.0) -> None:
        """Change the weather until cancelled; then it is fine for good.

        `calm` makes the calm spells longer or shorter.
        """
        rng = self._spells
        try:
            while True:
                self.level = _CALM[self.where]
                await asyncio.sleep(calm * rng.uniform(8.0, 40.0))
                if rng.random() < 0.5:
                    self.level = _ROUGH[self.where]
                    await asyncio.sleep(rng.uniform(2.0, 6.0))
                    continue
                long = rng.random() < 0.25
                outage = Outage(self.where, self.instance, clock(), float("inf"))
                self.level = 1.0
                try:
                    await asyncio.sleep(rng.uniform(24.0, 30.0) if long else rng.uniform(1.0, 7.0))
                finally:
                    ended = Outage(self.where, self.instance, outage.at, clock())
                    world.outages.append(ended)
        finally:
            self.level = None
