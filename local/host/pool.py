"""The workers of a host: started together, chosen in turn, restarted when they die."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from local.host.process import WorkerProcess, WorkerStartError
from local.host.routes import RouteError

_WAIT_SECONDS: Final = 30.0
_START_ATTEMPTS: Final = 3
_PAUSE_SECONDS: Final = 0.2
_PAUSE_LIMIT_SECONDS: Final = 5.0


class UnknownWorker(LookupError):
    """There is no worker of that index."""


class NoWorker(RuntimeError):
    """No worker became ready in time to take a request."""


@dataclass(slots=True)
class _Slot:
    """The place of one worker: the process in it changes, the index stays."""

    index: int
    pid: int = 0
    worker: WorkerProcess | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    def fill(self, worker: WorkerProcess) -> None:
        self.worker, self.pid = worker, worker.pid
        self.ready.set()

    def retire(self) -> None:
        self.ready.clear()


class WorkerPool:
    """A fixed number of workers, each replaced by a new process when it ends.

    `start` makes a ready worker; `say` takes one line for the developer.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int], Awaitable[WorkerProcess]],
        say: Callable[[str], None],
    ) -> None:
        self._slots = [_Slot(index) for index in range(count)]
        self._turn = 0
        self._start_worker = start
        self._say = say
        self._supervisors: list[asyncio.Task[None]] = []

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids by index; of one that is being replaced, the old one."""
        return tuple(slot.pid for slot in self._slots)

    @property
    def ready(self) -> tuple[bool, ...]:
        """Which of them can take a request now, by index."""
        return tuple(slot.ready.is_set() for slot in self._slots)

    async def start(self) -> None:
        """Start all workers. Raises WorkerStartError or RouteError of the first that cannot."""
        starts = [asyncio.create_task(self._fill(slot)) for slot in self._slots]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for task in starts:
                task.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.close()
            raise
        self._supervisors = [asyncio.create_task(self._supervise(slot)) for slot in self._slots]

    async def pick(self, index: int | None = None) -> WorkerProcess:
        """A ready worker: the one of that index, else the next in turn.

        One that is being replaced is waited for. Raises UnknownWorker, NoWorker.
        """
        slot = self._next() if index is None else self._slot(index)
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await slot.ready.wait()
        except TimeoutError as exc:
            raise NoWorker(f"no worker became ready within {_WAIT_SECONDS:.0f} s") from exc
        assert slot.worker is not None
        return slot.worker

    async def wait_ready(self) -> None:
        """Wait until every worker is ready."""
        for slot in self._slots:
            await slot.ready.wait()

    async def kill(self, index: int) -> None:
        """Pull a worker's plug; returns when the process is gone. Raises UnknownWorker."""
        slot = self._slot(index)
        slot.retire()
        if slot.worker is not None:
            await slot.worker.kill()

    async def terminate(self, index: int) -> None:
        """Stop a worker as a scale-in does; returns when it has ended. Raises UnknownWorker."""
        slot = self._slot(index)
        slot.retire()
        if slot.worker is not None:
            await slot.worker.stop()

    async def close(self) -> None:
        """Stop all workers, and their replacement."""
        for task in self._supervisors:
            task.cancel()
        await asyncio.gather(*self._supervisors, return_exceptions=True)
        for slot in self._slots:
            slot.retire()
        workers = [slot.worker for slot in self._slots if slot.worker is not None]
        await asyncio.gather(*(worker.stop() for worker in workers))

    def _slot(self, index: int) -> _Slot:
        if not 0 <= index < len(self._slots):
            last = len(self._slots) - 1
            raise UnknownWorker(f"there is no worker {index}; the indexes are 0 to {last}")
        return self._slots[index]

    def _next(self) -> _Slot:
        in_turn = self._slots[self._turn :] + self._slots[: self._turn]
        chosen = next((slot for slot in in_turn if slot.ready.is_set()), in_turn[0])
        self._turn = (chosen.index + 1) % len(self._slots)
        return chosen

    async def _fill(self, slot: _Slot) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                slot.fill(await self._start_worker(slot.index))
            except WorkerStartError as exc:
                # The port that the runtime found free may be taken by the time it is used.
                if not exc.died or attempt == _START_ATTEMPTS:
                    raise
            else:
                return

    async def _supervise(self, slot: _Slot) -> None:
        while True:
            assert slot.worker is not None
            code = await asyncio.shield(slot.worker.ended)
            slot.retire()
            self._say(f"worker {slot.index} (pid {slot.pid}) ended with code {code}: restarting")
            await slot.worker.kill()
            await self._refill(slot)

    async def _refill(self, slot: _Slot) -> None:
        pause = _PAUSE_SECONDS
        while not slot.ready.is_set():
            try:
                await self._fill(slot)
            except (WorkerStartError, RouteError) as exc:
                self._say(f"worker {slot.index} does not start: {exc}\n{getattr(exc, 'stack', '')}")
                await asyncio.sleep(pause)
                pause = min(2 * pause, _PAUSE_LIMIT_SECONDS)
