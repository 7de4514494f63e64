"""`python -m local.host` as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.local.host.conftest import GUARD_SECONDS, IMPORTS, gone

ROOT = Path(__file__).parents[3]
ENVIRONMENT = (
    IMPORTS
    + """
@app.route(route="env", methods=["GET"])
async def env(req: Request) -> JSONResponse:
    return JSONResponse({"pid": os.getpid(), **os.environ})


@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")
async def tick(timer: func.TimerRequest) -> None:
    pass
"""
)


@asynccontextmanager
async def command(
    app: Path, *arguments: str, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.host", "--app", str(app), "--port", "0", *arguments),
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def lines_until_ready(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Host ready"):
        line = await process.stdout.readline()
        assert line, "the host ended before it was ready"
        lines.append(line.decode().strip())
    return lines


async def test_serves_and_ends_with_its_workers(
    make_app: Callable[[str], Path], tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    app = make_app(ENVIRONMENT)
    (app / "host.json").write_text('{"extensions": {"http": {"routePrefix": "v2"}}}')
    values = {"ONE": "settings", "TWO": "settings", "THREE": "settings"}
    (app / "local.settings.json").write_text(json.dumps({"Values": values}))
    settings = tmp_path / "settings.json"
    settings.write_text('{"Values": {"THREE": "env-file"}}')
    async with command(
        app, "--env-file", str(settings), TWO="environment", THREE="environment"
    ) as process:
        lines = await lines_until_ready(process)
        url = lines[-1].removeprefix("Host ready at ")
        assert lines[:-1] == [f"env: [GET] {url}/v2/env", "tick: timerTrigger"]
        answer = await (await client.get(f"{url}/v2/env")).json()
        assert (answer["ONE"], answer["TWO"], answer["THREE"]) == (
            *("settings", "environment", "env-file"),
        )
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0 or sys.platform == "win32"
        await gone(answer["pid"])


async def test_worker_ends_when_the_front_is_killed(
    make_app: Callable[[str], Path], client: aiohttp.ClientSession
) -> None:
    async with command(make_app(ENVIRONMENT)) as process:
        url = (await lines_until_ready(process))[-1].removeprefix("Host ready at ")
        answer = await (await client.get(f"{url}/api/env")).json()
        process.kill()
        await gone(answer["pid"])


async def test_app_that_fails_is_said_in_words(make_app: Callable[[str], Path]) -> None:
    async with command(make_app("raise RuntimeError('my own words')")) as process:
        _, errors = await process.communicate()
        assert process.returncode == 1
        assert b"The function app cannot be loaded." in errors
        assert b'function_app.py", line 1' in errors
        assert b"RuntimeError: my own words" in errors


async def test_taken_port_is_said_in_words(make_app: Callable[[str], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        async with command(make_app(ENVIRONMENT), "--port", port) as process:
            _, errors = await process.communicate()
            assert process.returncode == 1
            assert b"The host cannot start" in errors
            assert port.encode() in errors


async def test_bad_settings_are_said_in_words(make_app: Callable[[str], Path]) -> None:
    app = make_app(ENVIRONMENT)
    (app / "local.settings.json").write_text('{"Values": {"LIMIT": 3}}')
    async with command(app) as process:
        _, errors = await process.communicate()
        assert process.returncode == 1
        assert b'the setting "LIMIT" must be a string' in errors


# On Windows another process cannot be sent this signal.
if sys.platform != "win32":

    async def test_interrupt_before_it_is_ready(make_app: Callable[[str], Path]) -> None:
        app = make_app("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)")
        async with command(app) as process:
            assert process.stderr is not None
            worker = int(await process.stderr.readline())
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 0
            await gone(worker)
