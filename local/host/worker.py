"""The worker process: one function app in Microsoft's runtime, as in Azure.

Run as `python -m local.host.worker`. It is told where its front listens by one JSON line on stdin
(`{"app", "port", "token", "verbose", "grace"}`), connects there, and speaks JSON lines: first
`{"token"}`, then `{"ready": {"uri", "functions"}}` or `{"failed": {"message", "stack"}}`. It takes
`{"invoke": …}` and `{"stop": true}`. Its stdin stays open as a lifeline: when it ends, the front is
gone, and the worker ends too. Before the app's own modules, only the runtime and the standard
library are imported.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import azure_functions_runtime as runtime

from local.host import protos

_HOST: Final = "127.0.0.1"
_MESSAGE_BYTES: Final = 2**20
_POLL_SECONDS: Final = 0.005
_log: Final = logging.getLogger("local.host.worker")


class _Worker:
    """The app in its runtime, and the channel to the front."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._invocations: set[asyncio.Task[None]] = set()
        self._properties = {"host": _HOST, "protos": protos}

    async def run(self) -> int:
        """Serve until told to stop, or until SIGTERM ended the web server; the exit code.

        A stop is a SIGTERM. Where the app has a handler of its own, the worker lives until the
        app's tasks have ended; else the web server's drained end is the worker's, as in Azure.
        """
        self._watch_front()
        signal.signal(signal.SIGTERM, self._on_sigterm)
        reader, writer = await asyncio.open_connection(
            _HOST, self._start["port"], limit=_MESSAGE_BYTES
        )
        _send(writer, {"token": self._start["token"]})
        try:
            ready = await self._load()
        except _LoadError as exc:
            _send(writer, {"failed": {"message": str(exc), "stack": exc.stack}})
            await writer.drain()
            return 1
        # What the app takes while it is imported is hidden by the web server, which comes later.
        taken_early = signal.getsignal(signal.SIGTERM) != self._on_sigterm
        if ready["uri"]:
            await _accepting(ready["uri"])
        if not self._start["verbose"]:
            _hush("uvicorn.access", "uvicorn.error")
        standing = asyncio.all_tasks()
        handler = signal.getsignal(signal.SIGTERM)
        _send(writer, {"ready": ready})
        commands = asyncio.create_task(self._obey(reader))
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait({commands, ended}, return_when=asyncio.FIRST_COMPLETED)
        if not self._ended.is_set():
            taken_late = signal.getsignal(signal.SIGTERM) != handler
            signal.raise_signal(signal.SIGTERM)
            if taken_late or (taken_early and not ready["uri"]):
                await _quiet(standing | {commands, ended})
            elif taken_early:
                await _handed_back(handler)
                await _quiet(standing | {commands, ended})
            else:
                await self._ended.wait()
        commands.cancel()
        ended.cancel()
        return 0

    def _on_sigterm(self, signum: int, frame: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _load(self) -> dict[str, Any]:
        runtime.start_threadpool_executor()
        init = await self._ask(
            runtime.worker_init_request,
            worker_init_request=protos.WorkerInitRequest(self._start["app"]),
        )
        if init.result.status != protos.StatusResult.Success:
            raise _LoadError(init.result.exception.message, init.result.exception.stack_trace)
        metadata = await self._ask(runtime.functions_metadata_request)
        functions = metadata.function_metadata_results or []
        if not functions:
            raise _LoadError("the function app has no functions", "")
        for function in functions:
            await self._ask(
                runtime.function_load_request,
                function_load_request=protos.FunctionLoadRequest(function.function_id),
            )
        return {
            "uri": init.capabilities.get("HttpUri"),
            "functions": [
                {"id": entry.function_id, "name": entry.name, "bindings": entry.raw_bindings}
                for entry in functions
            ],
        }

    async def _ask(self, handler: Callable[[Any], Awaitable[Any]], **message: Any) -> Any:
        return await handler(
            protos.WorkerRequest(protos.StreamingMessage(**message), self._properties)
        )

    async def _obey(self, reader: asyncio.StreamReader) -> None:
        """Start an invocation for every message; ends with the stop message or the channel."""
        async for line in reader:
            command = json.loads(line)
            if "invoke" not in command:
                return
            task = asyncio.create_task(self._invoke(command["invoke"]))
            self._invocations.add(task)
            task.add_done_callback(self._invocations.discard)

    async def _invoke(self, call: dict[str, Any]) -> None:
        if "json" in call:
            data = protos.TypedData(json=call["json"])
        else:
            http = protos.RpcHttp(call["method"], call["url"], params=call["params"])
            data = protos.TypedData(http=http)
        request = protos.InvocationRequest(
            invocation_id=call["id"],
            function_id=call["function"],
            input_data=[protos.ParameterBinding(call["parameter"], data)],
            trace_context=protos.RpcTraceContext(*call["trace"]),
        )
        response = await self._ask(runtime.invocation_request, invocation_request=request)
        failure = response.result.exception
        # The web server logs the whole of an HTTP function's exception itself.
        if failure is not None:
            trace = "" if data.http else f"\n{failure.stack_trace}"
            _log.error("Function %s failed: %s%s", call["name"], failure.message, trace)

    def _watch_front(self) -> None:
        lifeline = os.dup(0)
        # The app's own children must not hold or read the lifeline.
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        threading.Thread(target=self._follow, args=(lifeline,), daemon=True).start()

    def _follow(self, lifeline: int) -> None:
        while os.read(lifeline, 1):
            pass
        # The channel ends with the front and stops the worker; this is for one that hangs.
        time.sleep(self._start["grace"])
        os._exit(1)


class _LoadError(Exception):
    """The app cannot be loaded; the message is for its developer."""

    def __init__(self, message: str, stack: str) -> None:
        super().__init__(message)
        self.stack = stack


def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(json.dumps(message).encode() + b"\n")


async def _accepting(uri: str) -> None:
    """Wait until the web server, which the runtime only begins to start, accepts connections."""
    port = urlsplit(uri).port
    while True:
        try:
            _, writer = await asyncio.open_connection(_HOST, port)
        except OSError:
            await asyncio.sleep(_POLL_SECONDS)
        else:
            writer.close()
            return


async def _handed_back(handler: Any) -> None:
    """Wait until the web server has drained and given SIGTERM back to the app."""
    # Nothing tells when a handler changes.
    while signal.getsignal(signal.SIGTERM) == handler:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECONDS)


async def _quiet(standing: set["asyncio.Task[Any]"]) -> None:
    """Wait until no task is left that was not there when the worker became ready."""
    standing = standing | {task for task in (asyncio.current_task(),) if task}
    while rest := asyncio.all_tasks() - standing:
        await asyncio.wait(rest)


def _hush(*names: str) -> None:
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)


def _set_up_logging(verbose: bool) -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    if not verbose:
        _hush("azure.functions")
        # The web server sets its own levels when it starts; a filter outlives that.
        logging.getLogger("uvicorn.error").addFilter(
            lambda record: record.levelno >= logging.WARNING
        )


async def _run(start: dict[str, Any]) -> int:
    return await _Worker(start).run()


def main() -> int:
    """Read the start line, take the app's folder as Azure's worker does, and run."""
    start = json.loads(sys.stdin.buffer.readline())
    os.chdir(start["app"])
    # The first entry is this project's folder, from `python -m`: the app's own takes its place.
    sys.path[0] = start["app"]
    _set_up_logging(start["verbose"])
    return asyncio.run(_run(start))


if __name__ == "__main__":
    sys.exit(main())
