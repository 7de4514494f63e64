"""What an instance does before it goes: SIGTERM comes first, and the end some seconds later."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


def before_sigterm(work: Callable[[], Awaitable[None]]) -> None:
    """Have SIGTERM do `work` on the running loop, once, and then what it did before.

    By the loop's own handler: what `signal.signal` sets while the app is loaded is replaced when
    the runtime starts its web server. That handles SIGTERM as well, beside this: it serves what is
    under way to its end, and then raises the signal again. Windows has no SIGTERM.
    """
    if sys.platform == "win32":
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)
    working: asyncio.Task[None] | None = None

    def told() -> None:
        nonlocal working
        if working is None:
            working = loop.create_task(_try(work))
            working.add_done_callback(unless_served)
        elif working.done():
            go()
        else:
            working.add_done_callback(lambda _: go())

    def unless_served(_: asyncio.Task[None]) -> None:
        if signal.getsignal(signal.SIGTERM) is ours:  # no web server, which would come back
            go()

    def go() -> None:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)
        signal.raise_signal(signal.SIGTERM)

    try:
        loop.add_signal_handler(signal.SIGTERM, told)
    except (RuntimeError, ValueError):  # not the main thread's loop, where no signal comes
        return
    ours = signal.getsignal(signal.SIGTERM)


async def _try(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:
        logger.exception("Not everything could be ended before the instance goes")
