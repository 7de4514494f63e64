"""The console in a pipe."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

from tests.console.screen import GUARD_SECONDS, ROOT, environment


async def start(
    url: str,
    *arguments: str,
    stdin: bool = False,
    module: tuple[str, ...] = ("console",),
    **env: str,
) -> Process:
    """Starts it; whoever does waits for it."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", *module, "--url", url, *arguments),
        stdin=PIPE if stdin else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=ROOT,
        env=environment(**env),
    )


async def ask(
    url: str,
    *arguments: str,
    stdin: str | bytes | None = None,
    module: tuple[str, ...] = ("console",),
    **env: str,
) -> tuple[int, str, str]:
    """Runs it to its end: exit code, standard output, standard error."""
    process = await start(url, *arguments, stdin=stdin is not None, module=module, **env)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            out, err = await process.communicate(data)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"it did not end: {out!r} {err!r}") from None
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
