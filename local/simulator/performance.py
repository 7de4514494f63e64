"""How an answer is delivered: its pace, and the faults on the way."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.behaviour import (
    AsyncFilter,
    Behaviour,
    Crlf,
    FilteredOutput,
    Hold,
    Interruption,
    Jitter,
    NoSpace,
    NoUsage,
    Pace,
    Slow,
    Split,
    Stall,
    Tokens,
)
from local.simulator.models import Model
from local.simulator.options import Options


@dataclass(frozen=True)
class Performance:
    """Everything about the delivery; times are in milliseconds."""

    token_ms: float
    jitter: Jitter
    headers_ms: float
    first_ms: float
    before: tuple[Hold | Stall, ...] = ()
    # In the order in which they happen.
    interruptions: tuple[Interruption, ...] = ()
    filter_apart: bool = False
    # The category that fires, and whether that is told apart from the answer, or only after it.
    filtered: str = "violence"
    fires_apart: bool = False
    fires_late: bool = False
    no_usage: bool = False
    crlf: bool = False
    no_space: bool = False
    split: int = 0


def perform(options: Options, model: Model, behaviours: Sequence[Behaviour]) -> Performance:
    """Put a performance together; the last word counts where two contradict each other."""
    token_ms = options.token_ms
    jitter: Jitter = "uniform"
    headers_ms, first_ms = 0.0, options.first_token_ms
    slow = False
    split = 0
    filtered, fires_apart, fires_late = "violence", False, False
    for behaviour in behaviours:
        match behaviour:
            case Pace(ms=ms, jitter=new):
                token_ms, jitter = ms, new
            case Tokens(ms=mean, jitter=new) if mean is not None:
                token_ms, jitter = mean, new
            case Slow(headers=headers, first=first):
                headers_ms, first_ms, slow = headers, first, True
            case Split(size=size):
                split = size
            case FilteredOutput(category=category):
                filtered = category
            case AsyncFilter(category=str(category), late=late):
                filtered, fires_apart, fires_late = category, True, late
    if not slow and not model.shows_reasoning:
        # Unseen thoughts take as long as seen ones: the silence of a reasoning model.
        first_ms += model.reasoning_tokens * token_ms
    stops = [b for b in behaviours if isinstance(b, Interruption)]
    before = tuple(b for b in stops if isinstance(b, Hold | Stall) and b.before)
    kinds = {type(b) for b in behaviours}
    return Performance(
        token_ms=token_ms,
        jitter=jitter,
        headers_ms=headers_ms,
        first_ms=first_ms,
        before=before,
        interruptions=tuple(sorted((b for b in stops if b not in before), key=lambda b: b.after)),
        filter_apart=AsyncFilter in kinds,
        filtered=filtered,
        fires_apart=fires_apart,
        fires_late=fires_late,
        no_usage=NoUsage in kinds,
        crlf=Crlf in kinds,
        no_space=NoSpace in kinds,
        split=split,
    )


class Metronome:
    """Gives the moments at which tokens are due, so that delays do not add up."""

    def __init__(self, ms: float, jitter: Jitter) -> None:
        self._mean = ms / 1000
        self._jitter = jitter
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()

    def restart(self) -> None:
        """Count from now: after a pause there is nothing to catch up on."""
        self._due = self._loop.time()

    async def tick(self) -> None:
        """Wait until the next token is due; always lets others run."""
        if self._mean:
            self._due += self._gap()
        await asyncio.sleep(max(0.0, self._due - self._loop.time()))

    def _gap(self) -> float:
        if self._jitter == "exponential":
            return random.expovariate(1 / self._mean)
        if self._jitter == "uniform":
            return self._mean * (0.5 + random.random())
        return self._mean
