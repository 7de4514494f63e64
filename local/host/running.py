"""A whole host in the caller's event loop, with its workers as processes beside it."""

import os
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from local.host.environment import route_prefix, worker_environment
from local.host.forward import Forwarder
from local.host.front import Front
from local.host.pool import WorkerPool
from local.host.process import WorkerConfig, WorkerProcess
from local.host.routes import Function

_LOG_LINES: Final = 200
_MAX_HEADER_BYTES: Final = 32 * 2**10


class Host:
    """A running host. Made by `running_host`."""

    def __init__(self, url: str, front: Front, pool: WorkerPool, logs: deque[str]) -> None:
        self.url = url
        """Where it listens, without the route prefix or a slash at the end."""
        self._front = front
        self._pool = pool
        self._logs = logs

    @property
    def functions(self) -> tuple[Function, ...]:
        """The app's functions, HTTP and others."""
        return tuple(self._front.functions)

    @property
    def workers(self) -> tuple[int, ...]:
        """The workers' process ids, by index."""
        return self._pool.pids

    @property
    def logs(self) -> list[str]:
        """The last 200 lines that the workers printed, and the host about them."""
        return list(self._logs)

    async def ready(self) -> None:
        """Wait until every worker is ready, after a kill for instance."""
        await self._pool.wait_ready()

    async def kill(self, index: int = 0) -> None:
        """Pull a worker's plug; returns when it is gone, and a new one is on its way."""
        await self._pool.kill(index)

    async def terminate(self, index: int = 0) -> None:
        """Stop a worker by SIGTERM and grace; returns when it is gone."""
        await self._pool.terminate(index)


@asynccontextmanager
async def running_host(
    app: Path | str,
    *,
    env: Mapping[str, str] | None = None,
    inherit_env: bool = True,
    workers: int = 1,
    port: int = 0,
    idle_limit: float = 240.0,
    grace: float = 5.0,
    verbose: bool = False,
    python: Path | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> AsyncIterator[Host]:
    """Serve the function app in the folder `app` on 127.0.0.1 until the block ends.

    `env` is added to the workers' environment and wins. With `inherit_env=False` there is nothing
    else in it but what any process needs: neither this process's variables nor the app's
    local.settings.json. `idle_limit` and `grace` (between SIGTERM and kill) are seconds; `port` 0
    is a free one. `python` runs the workers; None: the one that runs this. `log` takes each line as
    it comes.

    Raises SettingsError, WorkerStartError (the app cannot be loaded), RouteError, and OSError
    where the port is taken.
    """
    folder = _app_folder(app)
    if workers < 1:
        raise ValueError(f"workers is {workers}; a host needs at least 1")
    logs: deque[str] = deque(maxlen=_LOG_LINES)

    def say(line: str) -> None:
        logs.append(line)
        log(line)

    config = WorkerConfig(
        folder,
        worker_environment(folder, os.environ, env or {}, inherit=inherit_env),
        verbose,
        grace,
        str(python or sys.executable),
    )

    async def start(index: int) -> WorkerProcess:
        prefix = f"[worker {index}] " if workers > 1 else ""
        worker = await WorkerProcess.start(config, lambda line: say(prefix + line))
        try:
            front.serve(worker.functions)
        except BaseException:
            await worker.kill()
            raise
        return worker

    pool = WorkerPool(workers, start, say)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(_listen(port))
        forwarder = Forwarder(pool, idle_limit, say)
        stack.push_async_callback(forwarder.close)
        front = Front(pool, forwarder, route_prefix(folder), say)
        runner = web.AppRunner(
            front.app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=1.0,
            auto_decompress=False,  # a body goes to the app as it came
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await pool.start()
        stack.push_async_callback(pool.close)
        site = web.SockSite(runner, listener)
        await site.start()
        stack.push_async_callback(site.stop)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Host(url, front, pool, logs)


def _app_folder(app: Path | str) -> Path:
    folder = Path(app).resolve()
    if not (folder / "function_app.py").exists():
        raise FileNotFoundError(f"{folder}: there is no function_app.py in this folder")
    return folder


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # On Windows this option would let two hosts share a port.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
    except OSError as exc:
        listener.close()
        raise OSError(
            exc.errno, f"port {port} of 127.0.0.1 cannot be used: {exc.strerror}"
        ) from exc
    return listener
