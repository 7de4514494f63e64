"""A small function app that does on request what a host must carry, and hosts that run it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from local.host import Host, running_host

GUARD_SECONDS = 30.0

IMPORTS = """\
import asyncio, atexit, hashlib, os, signal, sys
import azure.functions as func
from azurefunctions.extensions.http.fastapi import (
    JSONResponse, Request, Response, StreamingResponse
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""

SAMPLE = (
    IMPORTS
    + """
ALLOWED = asyncio.Semaphore(0)
SEEN = {}


def seen(name):
    return SEEN.setdefault(name, asyncio.Event())


@app.route(route="echo/{name}/{number:int?}")
async def echo(req: Request) -> JSONResponse:
    return JSONResponse({
        "method": req.method, "path": req.url.path, "query": req.url.query,
        "params": dict(req.path_params), "headers": req.headers.items(),
        "body": (await req.body()).decode(),
    })


@app.route(route="who", methods=["GET"])
async def who(req: Request) -> JSONResponse:
    print("asked who")
    return JSONResponse({"pid": os.getpid(), "cwd": os.getcwd(), "env": dict(os.environ)})


@app.route(route="bare/{status:int}")
async def bare(req: Request) -> Response:
    response = Response(status_code=int(req.path_params["status"]))
    response.headers.append("set-cookie", "a=1")
    response.headers.append("set-cookie", "b=2")
    return response


@app.route(route="stream", methods=["GET"])
async def stream(req: Request) -> StreamingResponse:
    async def body():
        number = 0
        try:
            while True:
                yield b"%d" % number
                number += 1
                await ALLOWED.acquire()
        except asyncio.CancelledError:
            seen("left").set()
            raise
    return StreamingResponse(body(), media_type="text/event-stream")


@app.route(route="allow", methods=["POST"])
async def allow(req: Request) -> Response:
    ALLOWED.release()
    return Response(status_code=204)


@app.route(route="seen/{name}", methods=["GET"])
async def wait_seen(req: Request) -> Response:
    await seen(req.path_params["name"]).wait()
    return Response(status_code=204)


@app.route(route="upload", methods=["POST"])
async def upload(req: Request) -> JSONResponse:
    size, digest = 0, hashlib.sha256()
    async for chunk in req.stream():
        size += len(chunk)
        digest.update(chunk)
        seen("upload").set()
    return JSONResponse({"size": size, "sha256": digest.hexdigest()})


@app.route(route="refuse", methods=["POST"])
async def refuse(req: Request) -> Response:
    return Response(status_code=413)


@app.route(route="download/{size:int}", methods=["GET"])
async def download(req: Request) -> Response:
    return Response(b"x" * int(req.path_params["size"]))


@app.route(route="silent", methods=["GET"])
async def silent(req: Request) -> Response:
    await asyncio.Event().wait()


@app.route(route="raises", methods=["GET"])
async def raises(req: Request) -> Response:
    raise LookupError("there is no such thing")


@app.route(route="breaks", methods=["GET"])
async def breaks(req: Request) -> StreamingResponse:
    async def body():
        yield b"so far"
        raise LookupError("and no further")
    return StreamingResponse(body())


@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")
async def tick(timer: func.TimerRequest) -> None:
    if timer.past_due is False:
        seen("tick").set()
"""
)


@pytest.fixture(scope="session")
def make_app(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Write an app's source into a folder of its own."""

    def make(source: str) -> Path:
        folder = tmp_path_factory.mktemp("app")
        (folder / "function_app.py").write_text(source, encoding="utf-8")
        return folder

    return make


@pytest.fixture(scope="session")
def sample_app(make_app: Callable[[str], Path]) -> Path:
    """The sample app's folder."""
    return make_app(SAMPLE)


@pytest.fixture(scope="session")
async def host(sample_app: Path) -> AsyncIterator[Host]:
    """One worker with the sample app, for tests that leave it as it was."""
    async with running_host(sample_app, inherit_env=False, grace=1.0) as host:
        yield host


@pytest.fixture(scope="session")
async def pair(sample_app: Path) -> AsyncIterator[Host]:
    """Two workers with the sample app."""
    async with running_host(sample_app, inherit_env=False, workers=2, grace=1.0) as host:
        yield host


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose requests fail rather than hang."""
    timeout = aiohttp.ClientTimeout(total=GUARD_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


async def gone(pid: int) -> None:
    """Wait until a process has ended; one that nobody has collected yet counts as ended."""
    async with asyncio.timeout(GUARD_SECONDS):
        while _lives(pid):  # noqa: ASYNC110 - the end of another's child makes no event
            await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
