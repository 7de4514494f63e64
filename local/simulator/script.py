"""Behaviour that was queued for coming requests, and the holds that wait for a release."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from local.simulator.behaviour import Behaviour
from local.simulator.records import Queued, ScriptMatch

_LONGEST = 1000


@dataclass
class _Queued:
    match: ScriptMatch
    left: int | None
    behaviours: tuple[Behaviour, ...]


class Script:
    """A queue: the first entry that matches a request is used, and used up."""

    def __init__(self) -> None:
        self._queue: list[_Queued] = []

    def add(self, match: ScriptMatch, times: int | None, behaviours: Sequence[Behaviour]) -> int:
        """Queue behaviour for so many requests (None: all) and give the length of the queue.

        Raises `ValueError` when the queue is full.
        """
        if len(self._queue) >= _LONGEST:
            raise ValueError(f"the script has {_LONGEST} entries; reset it first")
        self._queue.append(_Queued(match, times, tuple(behaviours)))
        return len(self._queue)

    def take(self, deployment: str, text: str) -> tuple[Behaviour, ...]:
        """Give what is queued for a request with this last user message."""
        for index, entry in enumerate(self._queue):
            if not _matches(entry.match, deployment, text):
                continue
            if entry.left is not None:
                entry.left -= 1
                if entry.left == 0:
                    del self._queue[index]
            return entry.behaviours
        return ()

    def queued(self) -> list[Queued]:
        """What is queued, in the order in which it is tried."""
        return [Queued(entry.behaviours, entry.match, entry.left) for entry in self._queue]

    def clear(self) -> None:
        """Forget everything that is queued."""
        self._queue.clear()


class Holds:
    """Requests that are paused, by the name of their hold."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], str] = {}

    async def wait(self, name: str) -> None:
        """Pause until a release of this name."""
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = name
        try:
            await future
        finally:
            self._waiting.pop(future, None)

    def release(self, name: str | None = None) -> int:
        """Let those go on that are paused now, all or by name; gives how many."""
        chosen = [f for f, n in self._waiting.items() if name in (None, n) and not f.done()]
        for future in chosen:
            future.set_result(None)
        return len(chosen)


def _matches(match: ScriptMatch, deployment: str, text: str) -> bool:
    return match.deployment in (None, deployment) and (match.contains or "") in text
