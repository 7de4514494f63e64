"""One worker process, seen from the front: start, call, stop, kill."""

import asyncio
import contextlib
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from local.host.routes import Function, RouteError, functions_from_metadata

_ROOT: Final = Path(__file__).resolve().parents[2]
_START_SECONDS: Final = 60.0
_READY_BYTES: Final = 16 * 2**20
_LOG_LINE_BYTES: Final = 16 * 2**10


class WorkerStartError(RuntimeError):
    """The function app cannot be loaded; the message is the runtime's own, for the developer.

    `stack` is its traceback, or empty; `died` tells that the process ended without a word, which
    a further attempt may mend.
    """

    def __init__(self, message: str, *, stack: str = "", died: bool = False) -> None:
        super().__init__(message)
        self.stack = stack
        self.died = died


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What every worker of a host is started with."""

    app: Path
    environment: Mapping[str, str]
    verbose: bool
    grace: float
    """Seconds between the request to stop and the kill."""
    python: str = sys.executable
    """What runs it, in which environment."""


class WorkerProcess:
    """A running worker. Made by `start`; `ended` completes with its exit code."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        channel: asyncio.StreamWriter,
        ended: "asyncio.Task[int]",
        grace: float,
        ready: Mapping[str, Any],
    ) -> None:
        self.pid = process.pid
        self.ended = ended
        self.uri: str | None = ready["uri"]
        """Where HTTP requests are forwarded to; None where the app has no streaming HTTP."""
        self.functions: list[Function] = functions_from_metadata(ready["functions"])
        if self.uri is None and any(function.route is not None for function in self.functions):
            raise RouteError(
                "HTTP functions are served by azurefunctions-extensions-http-fastapi only: "
                "import it in function_app.py"
            )
        self._process = process
        self._channel = channel
        self._grace = grace

    @classmethod
    async def start(cls, config: WorkerConfig, log: Callable[[str], None]) -> Self:
        """Start a worker and wait until it serves; `log` takes each line that it prints.

        Raises WorkerStartError, and RouteError for a route that cannot be served.
        """
        process = await asyncio.create_subprocess_exec(
            config.python,
            "-m",
            "local.host.worker",
            cwd=_ROOT,
            env=dict(config.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            **_own_group(),
        )
        ended = asyncio.create_task(_end(process, log))
        channel: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(_START_SECONDS):
                channel, ready = await _first_word(process, ended, config)
            return cls(process, channel, ended, config.grace, ready)
        except BaseException as exc:
            _kill(process)
            await asyncio.shield(ended)
            if channel is not None:
                channel.close()
            if isinstance(exc, TimeoutError):
                message = f"the worker was not ready after {_START_SECONDS:.0f} s"
                raise WorkerStartError(message) from exc
            raise

    def invoke(self, call: Mapping[str, Any]) -> None:
        """Announce a call: `id`, `function`, `name`, `parameter`, `trace`, and its data."""
        self._send({"invoke": call})

    async def stop(self) -> None:
        """SIGTERM to the app, the grace to finish, then the kill; returns when it has ended."""
        self._send({"stop": True})
        try:
            await asyncio.wait({self.ended}, timeout=self._grace)
        finally:  # also where who waits is cancelled: one that was told to stop serves nobody
            if not self.ended.done():
                _kill(self._process)
        await asyncio.shield(self.ended)
        self._channel.close()

    async def kill(self) -> None:
        """Pull the plug; returns when the process is gone."""
        _kill(self._process)
        await asyncio.shield(self.ended)
        self._channel.close()

    def _send(self, message: Mapping[str, Any]) -> None:
        if not self._channel.is_closing():
            self._channel.write(json.dumps(message).encode() + b"\n")


def _own_group() -> dict[str, Any]:
    # A Ctrl-C at the terminal is for the front alone, which then stops its workers in order.
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _end(process: asyncio.subprocess.Process, log: Callable[[str], None]) -> int:
    """Pass on what the worker prints until it ends; its exit code."""
    assert process.stdout is not None
    assert process.stdin is not None
    output = process.stdout
    rest = b""
    while data := await output.read(2**16):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _LOG_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        for line in lines:
            log(line.rstrip(b"\r").decode(errors="replace"))
    if rest:
        log(rest.decode(errors="replace"))
    code = await process.wait()
    process.stdin.close()
    return code


async def _first_word(
    process: asyncio.subprocess.Process, ended: "asyncio.Task[int]", config: WorkerConfig
) -> tuple[asyncio.StreamWriter, Mapping[str, Any]]:
    """Tell the worker where to connect, and wait for its channel and its `ready`."""
    token = secrets.token_hex()
    loop = asyncio.get_running_loop()
    spoken: asyncio.Future[tuple[asyncio.StreamWriter, Mapping[str, Any]]] = loop.create_future()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.readline()
        # Any process of this machine can connect; only the worker knows the token.
        if hello.strip() != json.dumps({"token": token}).encode():
            writer.close()
            return
        line = await reader.readline()
        if line and not spoken.done():
            spoken.set_result((writer, json.loads(line)))
        else:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_READY_BYTES)
    try:
        start = {
            "app": str(config.app),
            "port": server.sockets[0].getsockname()[1],
            "token": token,
            "verbose": config.verbose,
            "grace": config.grace,
        }
        assert process.stdin is not None
        process.stdin.write(json.dumps(start).encode() + b"\n")
        either: set[asyncio.Future[Any]] = {spoken, ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.close()
    if not spoken.done():
        message = f"the worker ended with exit code {ended.result()} before it was ready"
        raise WorkerStartError(message, died=True)
    channel, word = spoken.result()
    if "failed" in word:
        channel.close()
        raise WorkerStartError(word["failed"]["message"], stack=word["failed"]["stack"])
    return channel, word["ready"]
