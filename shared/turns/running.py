"""The turns that run on this instance, and the tasks that run them."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from shared.errors import Overloaded
from shared.history.base import Place
from shared.turns.turn import Turn


class RunningTurns:
    """At most `most` at once, those that are being begun included."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns: dict[tuple[Place | None, str], Turn] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._beginning = 0
        self._closing = False

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, nor is held."""
        return not (self._turns or self._tasks or self._beginning)

    def get(self, place: Place, turn_id: str) -> Turn | None:
        return self._turns.get((place, turn_id))

    def stop_all(self, place: Place) -> None:
        """Let the models of a conversation's turns go."""
        for (where, _), turn in list(self._turns.items()):
            if where == place:
                turn.stop()

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Room for one turn while it begins. Raises `Overloaded`."""
        self.check_open()
        if len(self._turns) + self._beginning >= self._most:
            raise Overloaded(
                f"This instance runs {self._most} turns already. Try again.", retry_after=1
            )
        self._beginning += 1
        try:
            yield
        finally:
            self._beginning -= 1

    def check_open(self) -> None:
        """Raises `Overloaded` once the instance is going away."""
        if self._closing:
            raise Overloaded("This instance is going away. Try again.", retry_after=1)

    def launch(self, place: Place | None, turn: Turn) -> None:
        """Run it in a task of its own; `place` None: it has no history, and nobody finds it."""
        key = (place, turn.turn_id)
        self._turns[key] = turn
        self.spawn(self._run(turn, key))

    def spawn[T](self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that is held until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Begin nothing any more, end what runs as `incomplete`, and wait for it."""
        self._closing = True
        for turn in list(self._turns.values()):
            turn.abandon()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, turn: Turn, key: tuple[Place | None, str]) -> None:
        try:
            await turn.run()
        finally:
            if self._turns.get(key) is turn:  # only its own entry: a retry may be there
                del self._turns[key]
