"""Workers that die, stop, restart, and run beside each other."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local.host import Host, RouteError, WorkerStartError, running_host
from tests.local.host.conftest import GUARD_SECONDS, IMPORTS, gone

FINISHING = """
FINISH = asyncio.Event()
loop = asyncio.get_running_loop()
{early}


@app.route(route="stream")
async def stream(req: Request) -> StreamingResponse:
    {late}

    async def body():
        yield b"begun "
        await FINISH.wait()
        yield b"finished"

    return StreamingResponse(body())


@app.route(route="background")
async def background(req: Request) -> Response:
    async def work():
        await FINISH.wait()
        await asyncio.sleep(0)
        note("worked")

    app.work = asyncio.create_task(work())
    return Response()


def note(name):
    with open(name, "w"):
        pass


atexit.register(note, "left")
"""

BY_SIGNAL = "signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(FINISH.set))"
BY_LOOP = "loop.add_signal_handler(signal.SIGTERM, FINISH.set)"
# The loop of Windows has no signal handlers.
HANDLERS = [{"early": "", "late": BY_SIGNAL}] + (
    []
    if sys.platform == "win32"
    else [{"early": "", "late": BY_LOOP}, {"early": BY_LOOP, "late": ""}]
)


async def who(host: Host, client: aiohttp.ClientSession, index: int | None = None) -> Any:
    headers = {} if index is None else {"x-local-worker": str(index)}
    response = await client.get(f"{host.url}/api/who", headers=headers)
    assert response.status == 200
    return (await response.json())["pid"]


async def test_requests_go_round(pair: Host, client: aiohttp.ClientSession) -> None:
    assert {await who(pair, client), await who(pair, client)} == set(pair.workers)
    assert len(set(pair.workers)) == 2


@pytest.mark.parametrize("index", [0, 1])
async def test_a_named_worker(pair: Host, client: aiohttp.ClientSession, index: int) -> None:
    assert [await who(pair, client, index) for _ in range(3)] == [pair.workers[index]] * 3


@pytest.mark.parametrize("index", ["2", "-1", "x"])
async def test_an_unknown_worker(pair: Host, client: aiohttp.ClientSession, index: str) -> None:
    response = await client.get(f"{pair.url}/api/who", headers={"x-local-worker": index})
    assert response.status == 400
    assert "x-local-worker" in (await response.json())["error"]


async def test_killed_worker_breaks_its_responses_and_is_replaced(
    pair: Host, client: aiohttp.ClientSession
) -> None:
    old, other = pair.workers
    streaming = await client.get(f"{pair.url}/api/stream", headers={"x-local-worker": "0"})
    assert await streaming.content.readany() == b"0"
    silent = asyncio.create_task(
        client.get(f"{pair.url}/api/silent", headers={"x-local-worker": "0"})
    )
    await who(pair, client, 0)
    await pair.kill(0)
    await gone(old)
    with pytest.raises(aiohttp.ClientPayloadError):
        await streaming.read()
    assert (await silent).status == 502
    assert await who(pair, client, 0) not in (old, other)
    assert pair.workers[1] == other
    assert any(f"worker 0 (pid {old}) ended" in line for line in pair.logs)


async def test_worker_that_ends_by_itself_is_replaced(
    make_app: Callable[[str], Path], client: aiohttp.ClientSession
) -> None:
    app = make_app(
        IMPORTS
        + """
@app.route(route="end")
async def end(req: Request) -> Response:
    os._exit(7)


@app.route(route="who")
async def who(req: Request) -> JSONResponse:
    return JSONResponse({"pid": os.getpid()})
"""
    )
    async with running_host(app, inherit_env=False) as host:
        old = host.workers[0]
        assert (await client.get(f"{host.url}/api/end")).status == 502
        assert await who(host, client) != old
        assert any("ended with code 7" in line for line in host.logs)


@pytest.mark.parametrize("handler", HANDLERS)
async def test_sigterm_lets_the_app_finish(
    make_app: Callable[[str], Path], client: aiohttp.ClientSession, handler: dict[str, str]
) -> None:
    app = make_app(IMPORTS + FINISHING.format(**handler))
    async with running_host(app, inherit_env=False, grace=GUARD_SECONDS) as host:
        old = host.workers[0]
        response = await client.get(f"{host.url}/api/stream")
        assert await response.content.readany() == b"begun "
        await client.get(f"{host.url}/api/background")
        await host.terminate()
        assert await response.read() == b"finished"
        assert (app / "worked").exists()
        assert (app / "left").exists()
        await gone(old)
        await host.ready()
        assert host.workers[0] != old


async def test_stop_of_an_idle_worker_is_an_orderly_exit(make_app: Callable[[str], Path]) -> None:
    app = make_app(IMPORTS + FINISHING.format(early="", late=""))
    async with running_host(app, inherit_env=False, grace=GUARD_SECONDS) as host:
        (pid,) = host.workers
    await gone(pid)
    assert (app / "left").exists()


async def test_a_stream_that_does_not_end_is_cut_after_the_grace(
    make_app: Callable[[str], Path], client: aiohttp.ClientSession
) -> None:
    app = make_app(IMPORTS + FINISHING.format(early="", late=""))
    async with running_host(app, inherit_env=False, grace=0.3) as host:
        old = host.workers[0]
        response = await client.get(f"{host.url}/api/stream")
        assert await response.content.readany() == b"begun "
        await host.terminate()
        await gone(old)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
        assert not (app / "left").exists()


async def test_a_worker_whose_stop_was_given_up_is_replaced_all_the_same(
    make_app: Callable[[str], Path], client: aiohttp.ClientSession
) -> None:
    app = make_app(IMPORTS + FINISHING.format(early="", late=""))
    async with running_host(app, inherit_env=False, grace=GUARD_SECONDS) as host:
        old = host.workers[0]
        response = await client.get(f"{host.url}/api/stream")
        assert await response.content.readany() == b"begun "
        stopping = asyncio.ensure_future(host.terminate())
        await asyncio.sleep(0)
        stopping.cancel()
        await gone(old)
        await host.ready()
        assert host.workers[0] != old


async def test_function_without_streaming_http_is_not_served(
    make_app: Callable[[str], Path],
) -> None:
    app = make_app(
        """
import azure.functions as func

app = func.FunctionApp()


@app.route(route="old")
def old(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("old")
"""
    )
    with pytest.raises(RouteError, match="azurefunctions-extensions-http-fastapi"):
        async with running_host(app, inherit_env=False):
            pass


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("raise RuntimeError('my own words')", "RuntimeError: my own words"),
        ("x = 1", "Could not find top level function app instances"),
        (IMPORTS, "no functions"),
        ("import os; os._exit(3)", "exit code 3"),
    ],
)
async def test_app_that_cannot_be_loaded(
    make_app: Callable[[str], Path], source: str, message: str
) -> None:
    with pytest.raises(WorkerStartError, match=message):
        async with running_host(make_app(source), inherit_env=False):
            pass


async def test_route_that_cannot_be_served(make_app: Callable[[str], Path]) -> None:
    source = (
        IMPORTS
        + """
@app.route(route="c/{id:colour}")
async def paint(req: Request) -> Response:
    return Response()
"""
    )
    with pytest.raises(RouteError, match="unknown constraint 'colour'"):
        async with running_host(make_app(source), inherit_env=False):
            pass


async def test_folder_without_app(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no function_app\.py"):
        async with running_host(tmp_path):
            pass


async def test_a_host_needs_a_worker(sample_app: Path) -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        async with running_host(sample_app, workers=0):
            pass


async def test_worker_environment(host: Host, client: aiohttp.ClientSession) -> None:
    answer = await (await client.get(f"{host.url}/api/who")).json()
    assert Path(answer["env"]["AzureWebJobsScriptRoot"]) == Path(answer["cwd"])
    assert "PYTEST_CURRENT_TEST" not in answer["env"]


async def test_logs_hold_what_the_app_prints(host: Host, client: aiohttp.ClientSession) -> None:
    await who(host, client)
    async with asyncio.timeout(GUARD_SECONDS):
        while "asked who" not in host.logs:  # noqa: ASYNC110 - the pipe has no other end to ask
            await asyncio.sleep(0)
