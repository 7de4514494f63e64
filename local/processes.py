"""Child processes of the local stack: started in a group of their own, ended with all they started.

What a child says goes to its log; its last lines are kept, to be told when it fails.
"""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

READY_SECONDS = 90.0
STOP_SECONDS = 10.0
LAST_LINES = 20
_LINE_BYTES = 65536
_FIRST = asyncio.FIRST_COMPLETED

type Echo = Callable[[str, str], None]
"""Called with a child's name and each line that it prints."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: `ready` matches the line that says that it serves.

    `ends_with_stdin`: the child ends by itself when its standard input does; any other is told
    by the signal `ends_by` (on Windows, which has none, by Ctrl-Break).
    """

    name: str
    argv: tuple[str, ...]
    ready: re.Pattern[str]
    env: Mapping[str, str] | None = None
    folder: Path | None = None
    ends_with_stdin: bool = False
    ends_by: signal.Signals = signal.SIGTERM


class ChildFailed(Exception):
    """A child ended by itself, or never became ready; the message has its last lines."""


class Child(asyncio.SubprocessProtocol):
    """A running child process. Made by `running`."""

    # Not asyncio's Process: its `wait` is over only when the output's pipe is closed, too, and a
    # grandchild may hold that open for ever.

    def __init__(self, command: Command, log: IO[bytes], echo: Echo) -> None:
        self.name = command.name
        self.pid = 0
        self._command = command
        self._log = log
        self._echo = echo
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._rest = b""
        self._family: set[psutil.Process] = set()
        self._ready: asyncio.Future[re.Match[str]] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._silent = asyncio.Event()

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The newest lines of its output, oldest first."""
        return tuple(self._lines)

    async def ready(self, seconds: float = READY_SECONDS) -> re.Match[str]:
        """The match of the line that says that it serves.

        Raises ChildFailed if it ends first or says nothing of the kind within `seconds`.
        """
        failure = asyncio.create_task(self.failure())
        try:
            await asyncio.wait((self._ready, failure), timeout=seconds, return_when=_FIRST)
            if self._ready.done():
                # Known now, in case it dies later: nobody could find its children any more.
                self._family = _descendants(self.pid)
                return self._ready.result()
            if failure.done():
                raise failure.result()
            raise ChildFailed(self._told(f"was not ready within {seconds:.0f} s"))
        finally:
            failure.cancel()

    async def failure(self) -> ChildFailed:
        """Waits until the child ends by itself, and returns what to say of it."""
        await self._ended.wait()
        await _within(self._silent, 1)
        return ChildFailed(self._told(f"ended with exit code {self._transport.get_returncode()}"))

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ends the child and everything that it started: politely first, by force after `seconds`.

        A child that has ended already may have left children behind: they end as well.
        """
        self._family |= _descendants(self.pid)
        if not self._ended.is_set():
            self._ask_to_end()
            await _within(self._ended, seconds)
        self._family |= _descendants(self.pid)
        if not self._ended.is_set():
            self._transport.kill()
        await asyncio.to_thread(_kill, self._family)
        _kill_group(self.pid)
        await self._ended.wait()
        # A stranger that inherited the pipe must not keep us.
        await _within(self._silent, 2)
        self._transport.close()
        self._log.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process runs."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid() or 0

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Copies its output to the log, line by line to whoever wants lines."""
        if not self._log.closed:
            self._log.write(data)
            self._log.flush()
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hear(line)
        if len(self._rest) > _LINE_BYTES:
            self._hear(self._rest)
            self._rest = b""

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Its output is over, or its input."""
        if fd == 1:
            self._hear(self._rest)
            self._silent.set()

    def process_exited(self) -> None:
        """The process has ended; others may still hold its pipes."""
        self._ended.set()

    def _ask_to_end(self) -> None:
        if self._command.ends_with_stdin:
            stdin = self._transport.get_pipe_transport(0)
            assert stdin is not None
            stdin.close()
        elif sys.platform == "win32":
            self._transport.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            self._transport.send_signal(self._command.ends_by)

    def _hear(self, line: bytes) -> None:
        text = _TERMINAL_CODES.sub("", line.decode("utf-8", "replace")).rstrip()
        if text:
            self._lines.append(text)
            self._echo(self.name, text)
        if not self._ready.done() and (match := self._command.ready.search(text)):
            self._ready.set_result(match)

    def _told(self, what: str) -> str:
        said = "\n".join(f"  {line}" for line in self._lines) or "  (it printed nothing)"
        where = "" if self._log.name == os.devnull else f"\n  (all of it: {self._log.name})"
        return f"{self.name} {what}; its last lines:\n{said}{where}"


@asynccontextmanager
async def running(
    command: Command,
    *,
    log: Path | None = None,
    echo: Echo = lambda name, line: None,
    seconds: float = READY_SECONDS,
) -> AsyncIterator[tuple[Child, re.Match[str]]]:
    """Starts a child, waits until it is ready, and ends it with the block.

    Yields the child and the match of its ready line. Raises ChildFailed.
    """
    child = await _start(command, _open(log), echo)
    try:
        yield child, await child.ready(seconds)
    finally:
        await child.stop()


def _open(log: Path | None) -> IO[bytes]:
    if log is None:
        return Path(os.devnull).open("wb")
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("wb")


async def _start(command: Command, log: IO[bytes], echo: Echo) -> Child:
    # A group of its own: Ctrl-C in the terminal reaches only us, who end the parts in order.
    windows = sys.platform == "win32"
    try:
        _, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: Child(command, log, echo),
            *command.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if command.env is None else dict(command.env),
            cwd=command.folder,
            start_new_session=not windows,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if windows else 0,
        )
    except OSError as exc:
        log.close()
        raise ChildFailed(f"{command.name} cannot be started: {exc}") from exc
    return child


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Waits for `event`, but not for longer than `seconds`."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _descendants(pid: int) -> set[psutil.Process]:
    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def _kill(processes: set[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=STOP_SECONDS)


def _kill_group(pid: int) -> None:
    """Ends those whose parent has ended before them, and whom no family tree shows any more."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
