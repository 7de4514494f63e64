"""Child processes: ready, failing, and ended with all that they started."""

import asyncio
import re
import sys
from pathlib import Path

import psutil
import pytest

from local.processes import Child, ChildFailed, Command, running

READY = re.compile(r"ready ?(\d*)")


def python(code: str, *, ends_with_stdin: bool = False) -> Command:
    argv = (sys.executable, "-u", "-c", code)
    return Command("part", argv, READY, ends_with_stdin=ends_with_stdin)


FOREVER = "import threading; threading.Event().wait()"
# Prints its child's id and outlives every polite request, as does the child.
STUBBORN = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
print("ready", child.pid)
{FOREVER}
"""


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_yields_the_ready_line_and_keeps_the_output(tmp_path: Path):
    log = tmp_path / "logs" / "part.log"
    said: list[tuple[str, str]] = []
    command = python(f"print('\\x1b[32mhello\\x1b[0m'); print('ready 7'); {FOREVER}")
    async with running(command, log=log, echo=lambda *line: said.append(line)) as (child, match):
        assert match[1] == "7"
        assert child.last_lines == ("hello", "ready 7")
        assert is_alive(child.pid)
    assert not is_alive(child.pid)
    assert log.read_text().splitlines() == ["\x1b[32mhello\x1b[0m", "ready 7"]
    assert said == [("part", "hello"), ("part", "ready 7")]


async def test_a_child_that_ends_early_is_told_with_its_last_lines():
    code = "print('cannot find the thing'); raise SystemExit(3)"
    with pytest.raises(ChildFailed, match=r"(?s)part ended with exit code 3.*find the thing"):
        async with running(python(code)):
            pytest.fail("it is not ready")


async def test_a_child_that_says_nothing_is_given_up_and_ended():
    pids: list[int] = []
    code = f"import os; print(os.getpid()); {FOREVER}"
    with pytest.raises(ChildFailed, match="not ready within 1 s"):
        async with running(python(code), echo=lambda _, line: pids.append(int(line)), seconds=1):
            pytest.fail("it is not ready")
    assert not any(is_alive(pid) for pid in pids)


async def test_a_command_that_is_not_there_is_told(tmp_path: Path):
    command = Command("part", (str(tmp_path / "nothing"),), READY)
    with pytest.raises(ChildFailed, match="part cannot be started"):
        async with running(command):
            pytest.fail("it is not ready")


async def test_a_long_line_without_an_end_is_read_all_the_same(tmp_path: Path):
    log = tmp_path / "log"
    code = f"import sys; sys.stdout.write('x' * 300_000); print(); print('ready'); {FOREVER}"
    async with running(python(code), log=log):
        pass
    assert log.stat().st_size > 300_000


async def test_stop_ends_those_who_do_not_want_to_and_their_children():
    async with running(python(STUBBORN)) as (child, match):
        grandchild = int(match[1])
        assert is_alive(grandchild)
        await child.stop(seconds=0.1)
        assert not is_alive(child.pid)
        assert not is_alive(grandchild)


async def test_a_child_that_died_leaves_no_children_behind():
    async with running(python(STUBBORN)) as (child, match):
        psutil.Process(child.pid).kill()
        failure = await child.failure()
        assert "part ended with exit code" in str(failure)
        assert is_alive(int(match[1]))
    assert not is_alive(int(match[1]))


async def test_a_child_that_ends_with_its_input_is_not_told_otherwise(tmp_path: Path):
    code = "import sys; print('ready'); sys.stdin.read(); print('bye')"
    log = tmp_path / "log"
    async with running(python(code, ends_with_stdin=True), log=log):
        pass
    assert log.read_text().split() == ["ready", "bye"]


async def test_cancelling_while_it_starts_ends_it():
    children: list[int] = []
    begun = asyncio.Event()

    def hear(name: str, line: str) -> None:
        children.append(int(line))
        begun.set()

    async def start() -> Child:
        code = f"import os; print(os.getpid()); {FOREVER}"
        async with running(python(code), echo=hear) as (child, _):
            return child

    task = asyncio.create_task(start())
    await asyncio.wait_for(begun.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(children[0])
