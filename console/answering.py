"""A turn from its question to its end, shown as it arrives; Ctrl-C stops it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from console.backend import Backend
from console.errors import ConsoleError, Left, Refused, Unreachable
from console.events import End, Event, Failure, ToolCall
from console.interrupts import Watch
from console.turn import Turn

_FAREWELL_SECONDS = 2.0


class Shown(Protocol):
    """What shows an answer: a page of the terminal, or bare text."""

    def take(self, event: Event) -> None: ...
    def retrying(self, attempt: int) -> None: ...
    def note(self, words: str) -> None: ...
    def finish(self, stored: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Answered:
    """How a turn ended; `failure` is what its error event said, `tools` what it wants called."""

    end: End
    failure: Failure | None
    tools: tuple[str, ...] = ()


async def answer(backend: Backend, turn: Turn, shown: Shown, watch: Watch) -> Answered:
    """Follows the turn to its end. What was shown is finished, whatever happens.

    The first Ctrl-C stops the turn, whose end still comes; the second one leaves it. Raises
    Refused, Unreachable, Left, and BrokenPipeError where nobody reads the answer any more.
    """
    failures: list[Failure] = []
    tools: list[str] = []

    def take(event: Event) -> None:
        if isinstance(event, Failure):
            failures.append(event)
        elif isinstance(event, ToolCall):
            tools.append(event.name)
        shown.take(event)

    following = asyncio.create_task(turn.follow(take, shown.retrying))
    stopping = _Stopping(backend, turn, following.cancel, shown.note)
    stored: str | None = None
    try:
        with watch(stopping.interrupt):
            end = await following
        stored = end.text
    except asyncio.CancelledError:
        if not stopping.left:
            raise
        raise Left("Left the answer before its end; it may still be running.") from None
    except BrokenPipeError:
        # Who reads no more wants no more.
        with suppress(ConsoleError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await backend.stop(turn.conversation, turn.id)
        raise
    finally:
        following.cancel()
        await stopping.close()
        shown.finish(stored)
    return Answered(end, failures[-1] if failures else None, tuple(tools))


class _Stopping:
    """What Ctrl-C does: asks the backend to stop the turn, then leaves."""

    def __init__(
        self, backend: Backend, turn: Turn, leave: Callable[[], object], say: Callable[[str], None]
    ) -> None:
        self.left = False
        self._backend = backend
        self._turn = turn
        self._leave = leave
        self._say = say
        self._asking: asyncio.Task[None] | None = None

    def interrupt(self) -> None:
        if self._asking is None:
            self._say("Stopping … (Ctrl-C again leaves at once)")
            self._asking = asyncio.create_task(self._ask())
        else:
            self._go()

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            with suppress(asyncio.CancelledError):
                await self._asking

    def _go(self) -> None:
        self.left = True
        self._leave()

    async def _ask(self) -> None:
        try:
            if not await self._stop():
                self._say("It is still running, and will stop later. Ctrl-C leaves it.")
        except Unreachable:
            if not self._turn.begun.is_set():
                self._go()
            self._say("The backend cannot be reached to stop it. Ctrl-C again leaves it.")
        except ConsoleError as error:
            self._say(f"It could not be stopped: {error} Ctrl-C again leaves it.")

    async def _stop(self) -> bool:
        try:
            return await self._backend.stop(self._turn.conversation, self._turn.id)
        except Refused as error:
            if error.code != "not_found" or self._turn.begun.is_set():
                raise
        # The question may still be on its way.
        await self._turn.begun.wait()
        return await self._backend.stop(self._turn.conversation, self._turn.id)
