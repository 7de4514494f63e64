"""The console in a real pseudo-terminal, and a terminal emulator that shows what it prints."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[2]
GUARD_SECONDS = 30.0
# Makes the terminal on standard input the process's own, so that it gets its signals.
_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.argv[1], sys.argv[1:])"
)
CTRL_C, CTRL_D, ESCAPE, ENTER, UP = "\x03", "\x04", "\x1b", "\r", "\x1b[A"


class Screen:
    """A running console and its screen. Made by `running_screen`."""

    def __init__(self, columns: int, rows: int, master: int) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self._master = master
        self._changed = asyncio.Condition()
        self.written = b""
        """Every byte that the console wrote."""
        self.exit_code: int | None = None
        self.pid = 0
        self.modes_at_start = self.modes

    @property
    def modes(self) -> list[object]:
        """How the terminal treats what is typed and written."""
        return list(termios.tcgetattr(self._master))

    @property
    def title(self) -> str:
        """What the terminal's window is called."""
        return str(self._screen.title)

    @property
    def shown(self) -> list[str]:
        """The lines of the screen, without blanks at their ends."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def lines(self) -> list[str]:
        """The scrollback and the screen under it."""
        columns = self._screen.columns
        past = [
            "".join(line[x].data for x in range(columns)).rstrip()
            for line in self._screen.history.top
        ]
        return past + self.shown

    @property
    def text(self) -> str:
        """All of it as one text, without empty lines at its end."""
        return "\n".join(self.lines).rstrip()

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self._master, text.encode())

    def enter(self, line: str) -> None:
        """Types a line and presses Enter."""
        self.type(line + ENTER)

    def resize(self, columns: int, rows: int) -> None:
        """Makes the window another size."""
        self._screen.resize(rows, columns)
        set_size(self._master, columns, rows)

    async def until(self, pattern: str, *, count: int = 1) -> str:
        """Waits until scrollback and screen show a text that matches, `count` times; gives it.

        Raises AssertionError with what is there.
        """

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, self.text, re.MULTILINE))
            return matches[count - 1] if len(matches) >= count else None

        await self._wait(lambda: found() is not None or self.exit_code is not None, pattern)
        match = found()
        assert match, f"ended without {pattern!r}:\n{self.text}"
        return match[0]

    async def prompted(self) -> None:
        """Waits for an empty prompt under everything else."""
        await self.until(r"^>\s*\Z")

    async def ended(self) -> int:
        """Waits for the end of the program; gives its exit code."""
        await self._wait(lambda: self.exit_code is not None, "the end")
        assert self.exit_code is not None
        return self.exit_code

    async def feed(self, data: bytes) -> None:
        async with self._changed:
            self.written += data
            self._stream.feed(data)
            self._changed.notify_all()

    async def end(self, code: int) -> None:
        async with self._changed:
            self.exit_code = code
            self._changed.notify_all()

    async def _wait(self, condition, what: str) -> None:
        try:
            async with asyncio.timeout(GUARD_SECONDS), self._changed:
                await self._changed.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"waited for {what!r}, there is:\n{self.text}") from None


def set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def environment(**changes: str) -> dict[str, str]:
    """Nothing of the machine's own environment but what a program needs to start."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **changes}


@asynccontextmanager
async def running_screen(
    *arguments: str,
    columns: int = 80,
    rows: int = 24,
    env: Mapping[str, str] | None = None,
    argv: tuple[str, ...] = (sys.executable, "-W", "error", "-m", "console"),
) -> AsyncIterator[Screen]:
    """Starts the console in a pseudo-terminal of its own; kills it where it is left running."""
    master, slave = pty.openpty()
    set_size(master, columns, rows)
    os.set_blocking(master, False)
    screen = Screen(columns, rows, master)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _OWN_TERMINAL),
            *(*argv, *arguments),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**(env or {})),
            cwd=ROOT,
            start_new_session=True,
        )
    finally:
        os.close(slave)
    screen.pid = process.pid
    reading = asyncio.create_task(_read(master, screen, process))
    try:
        yield screen
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await reading
        os.close(master)


async def _read(master: int, screen: Screen, process: asyncio.subprocess.Process) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        loop.add_reader(master, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(master)
        try:
            data = os.read(master, 65536)
        except OSError:
            break  # Linux: every descriptor of the other side is closed.
        if not data:
            break
        await screen.feed(data)
    await screen.end(await process.wait())
