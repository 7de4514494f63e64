"""Ctrl-C while something runs: as a key where the terminal is ours, as a signal elsewhere."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

type Act = Callable[[], object]
type Watch = Callable[[Act], AbstractContextManager[None]]
"""`with watch(act):` calls `act` at every Ctrl-C while the block runs, from the event loop."""

_PATIENCE = 2


@contextmanager
def on_interrupt(act: Act) -> Iterator[None]:
    """Watches for the signal. Not `loop.add_signal_handler`, which Windows does not have."""
    loop = asyncio.get_running_loop()
    count = 0

    def handle(number: int, frame: object) -> None:
        nonlocal count
        count += 1
        if count > _PATIENCE:
            # The loop does not get to it: a pipe that nobody reads may block it.
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(act)

    with _handled(signal.SIGINT, handle):
        yield


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Where prompts and answers watch for Ctrl-C, one that falls between them changes nothing."""
    with _handled(signal.SIGINT, lambda number, frame: None):
        yield


@contextmanager
def on_termination(act: Act) -> Iterator[None]:
    """Calls `act` when the program is told to end, so that it leaves the terminal as it was."""
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: object) -> None:
        loop.call_soon_threadsafe(act)

    with _handled(signal.SIGTERM, handle):
        yield


@contextmanager
def on_interrupt_key(keyboard: Input, act: Act) -> Iterator[None]:
    """Watches for the key, and for the signal that may come from elsewhere.

    A terminal would send its signal to `make` as well, which ends at the second one. What else is
    typed is not echoed into the answer: it waits for the next prompt.
    """
    typed: list[KeyPress] = []

    def read() -> None:
        for key in keyboard.read_keys():
            if key.key == Keys.ControlC:
                typed.clear()  # As the terminal's own Ctrl-C forgets what was typed before it.
                act()
            else:
                typed.append(key)

    with on_interrupt(act), keyboard.raw_mode(), keyboard.attach(read):
        try:
            yield
        finally:
            typed += keyboard.flush_keys()
            store_typeahead(keyboard, typed)


@contextmanager
def _handled(number: int, handle: Callable[[int, object], None]) -> Iterator[None]:
    before = signal.signal(number, handle)
    try:
        yield
    finally:
        signal.signal(number, before)
