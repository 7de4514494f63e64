"""An event loop whose clock jumps to the next timer when nothing else is ready: no test waits."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class NothingCanHappen(BaseException):
    """Every task waits, and no timer is set: in real time the test would hang."""


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise NothingCanHappen
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class ClockLoop(asyncio.SelectorEventLoop):
    """`time()` begins at 0 and stands still while anything runs."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def pause(self, seconds: float) -> None:
        """Let time pass while nothing runs, as where the whole process was stopped."""
        self._jumping.now += seconds


def in_virtual_time[**P](
    test: Callable[P, Coroutine[Any, Any, None]],
) -> Callable[P, None]:
    """Run an async test on a `ClockLoop` of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=ClockLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


def pause(seconds: float) -> None:
    """Stop the process for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    loop.pause(seconds)


async def settle() -> None:
    """Let everything that is ready run, without any time passing."""
    for _ in range(50):
        await asyncio.sleep(0)
