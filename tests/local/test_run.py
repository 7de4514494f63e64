"""`make run` from outside: one address, a page, an answer; and nothing is left behind."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from aiohttp import ClientSession

from local.lock import try_lock
from local.parts import STATE
from local.ports import free_ports, is_free
from local.run import parse
from local.settings import MODEL, RETRIEVAL, STORES

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
# The developer's own settings may name a real model or store: no test goes there.
CLEAN = {**os.environ, **dict.fromkeys((*MODEL, *STORES, *RETRIEVAL, "CHAT_AUTH"), "")}


@dataclass
class Stack:
    """A running stack: the process, what it printed, and the address to open."""

    process: asyncio.subprocess.Process
    lines: list[str]
    address: str

    async def rest(self) -> str:
        """What else it prints, until it ends."""
        assert self.process.stdout is not None
        text = await asyncio.wait_for(self.process.stdout.read(), SECONDS)
        await asyncio.wait_for(self.process.wait(), SECONDS)
        return text.decode()


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """Every stack here is a second one: it leaves the developer's data and logs alone."""
    with try_lock(ROOT / STATE / "run.lock"):
        yield


@asynccontextmanager
async def running_stack(*arguments: str) -> AsyncIterator[Stack]:
    windows = os.name == "nt"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.run", "--host", "local", *arguments),
        cwd=ROOT,
        env=CLEAN,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if windows else 0,
    )
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(SECONDS):
            while line := (await process.stdout.readline()).decode():
                lines.append(line.strip())
                if opened := re.match(r"Open (\S+)", line):
                    yield Stack(process, lines, opened[1])
                    break
            else:
                pytest.fail("it did not start:\n" + "\n".join(lines))
    finally:
        if process.returncode is None:
            process.send_signal(end_signal())
            await process.stdout.read()
            await process.wait()


def end_signal() -> int:
    return getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)


def family(stack: Stack) -> list[psutil.Process]:
    return psutil.Process(stack.process.pid).children(recursive=True)


def ports(lines: list[str]) -> list[int]:
    return [int(port) for line in lines for port in re.findall(r"port (\d+)", line)]


async def test_starts_every_part_answers_and_leaves_nothing_behind():
    wanted = next(free_ports())
    async with running_stack("--port", str(wanted)) as running:
        parts = [line.split()[0] for line in running.lines if line and "Open" not in line]
        assert parts == ["storage", "model", "search", "host", "web", "search"]
        assert running.address == f"http://127.0.0.1:{wanted}"
        async with ClientSession() as client:
            async with client.get(running.address) as response:
                assert response.status == 200
                assert response.content_type == "text/html"
            prompt = {"userPrompt": "What are you?"}
            headers = {"Accept": "application/json"}
            url = f"{running.address}/api/chat"
            async with client.post(url, json=prompt, headers=headers) as response:
                answer = await response.json()
                assert response.status == 200, answer
                assert answer["finishReason"] == "stop"
                assert answer["response"]
            # Its own documents are there to be asked.
            prompt = {"userPrompt": "How do I deploy it?", "action": "documents"}
            async with client.post(url, json=prompt, headers=headers) as response:
                cited = (await response.json())["citations"]
            async with client.get(cited[0]["url"]) as response:
                assert response.status == 200
                assert response.content_type == "text/plain"
            # Before any sign-in, as a local developer who has a list of conversations.
            async with client.get(f"{running.address}/api/conversations") as response:
                listed = [item["id"] for item in (await response.json())["items"]]
                assert answer["conversationId"] in listed
        processes = family(running)
        assert len(processes) >= 4
        running.process.send_signal(end_signal())
        assert (await running.rest()).split() == ["Stopping", "…", "Stopped."]
        assert running.process.returncode == 0
        assert not [process for process in processes if process.is_running()]
        used = ports(running.lines)
        assert len(used) >= 4
        assert all(is_free(port) for port in used)


async def test_a_part_that_dies_is_said_and_takes_all_down():
    async with running_stack("--port", str(next(free_ports()))) as running:
        processes = family(running)
        storage = next(p for p in processes if "azurite" in " ".join(p.cmdline()))
        storage.kill()
        told = await running.rest()
        assert "storage ended with exit code" in told
        assert "successfully started" in told
        assert "storage.log" in told
        assert running.process.returncode == 1
        psutil.wait_procs(processes, timeout=SECONDS)
        assert not [process for process in processes if process.is_running()]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "0"], "'0' is no port"),
        (["--port", "x"], "'x' is no port"),
        (["--workers", "0"], "'0' is no number of workers"),
        (["--host", "docker"], "invalid choice"),
    ],
)
def test_bad_options_are_named(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(arguments)
    assert told in capsys.readouterr().err


def test_options_without_any():
    options = parse([])
    assert (options.port, options.workers, options.host) == (4280, 1, "auto")
    assert not options.open
    assert not options.verbose
