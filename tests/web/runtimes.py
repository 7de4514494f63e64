"""Where JavaScript runs: Node.js and Chromium. Both run the same code against the same server."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import Browser, Error

from local import setup

GUARD_SECONDS = 60.0

find_node = cache(setup.find_node)
"""The paths of `node` and `npm`, looked for once."""

HELPERS = """
const shown = (error) => {
  const { name, code, status, retryAfter, turnId, errors, message } = error;
  return { name, code, status, retryAfter, turnId, errors, message };
};
const make = (options) => new client.ChatClient({
  baseUrl: `${given.url}/api`, retryPauses: [0, 0, 0], silenceLimit: 20_000, ...options,
});
const tell = (event) => fetch(`${given.url}/seen?${event.position}`);
const read = async (events) => {
  const seen = [];
  try {
    for await (const event of events) {
      seen.push(event);
      await tell(event);
    }
    return { seen };
  } catch (error) {
    return { seen, error: shown(error) };
  }
};
const failing = async (work) => {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: shown(error) };
  }
};
"""
"""What the code of a test may call beside the module `client` and its argument `given`."""


class Runtime(Protocol):
    name: str

    async def run(self, code: str, given: Mapping[str, Any]) -> Any:
        """What the code, a function's body, returns as JSON. Fails where anything complains."""
        ...


class Node:
    """Node.js: a process for each run, which has to end by itself."""

    name = "node"

    def __init__(self, module: str) -> None:
        self._module = module

    async def run(self, code: str, given: Mapping[str, Any]) -> Any:
        program = (
            f"import * as client from {json.dumps(self._module)};\n"
            f"const given = {json.dumps(given)};\n{HELPERS}\n"
            f"const result = await (async () => {{\n{code}\n}})();\n"
            "process.stdout.write(JSON.stringify(result ?? null));\n"
        )
        return json.loads(await run_node("--input-type=module", "-", stdin=program))


class Chromium:
    """A fresh page of the server's origin for each run."""

    name = "chromium"

    def __init__(self, browser: Browser) -> None:
        self._browser = browser

    async def run(self, code: str, given: Mapping[str, Any]) -> Any:
        page = await self._browser.new_page()
        uncaught: list[Error] = []
        page.on("pageerror", lambda error: uncaught.append(error))
        try:
            await page.goto(f"{given['url']}/page")
            body = f"const client = await import('/client.js');\n{HELPERS}\n"
            # As JSON, which leaves out what is undefined.
            body += f"return JSON.stringify(await (async () => {{\n{code}\n}})() ?? null);"
            result = json.loads(await page.evaluate(f"async (given) => {{\n{body}\n}}", given))
        finally:
            await page.close()
        assert uncaught == []
        return result


async def run_node(*arguments: str, stdin: str = "", cwd: Path | None = None) -> str:
    """Runs Node.js to its end and gives what it printed; a warning is an error."""
    node, _ = find_node()
    return await run_program(
        node, "--unhandled-rejections=strict", *arguments, stdin=stdin, cwd=cwd
    )


async def run_program(*command: str, stdin: str = "", cwd: Path | None = None) -> str:
    """Runs a program to its end and gives what it printed; it must not complain."""
    code, out, complaint = await call(*command, stdin=stdin, cwd=cwd)
    assert (code, complaint) == (0, ""), f"{code} {out}\n{complaint}"
    return out


async def call(*command: str, stdin: str = "", cwd: Path | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a program."""
    async with _process(*command, cwd=cwd) as process:
        out, complaint = await asyncio.wait_for(
            process.communicate(stdin.encode()), timeout=GUARD_SECONDS
        )
    code = process.returncode
    assert code is not None
    return code, out.decode(), complaint.decode()


@asynccontextmanager
async def _process(*command: str, cwd: Path | None) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("NODE_")}
    process = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, cwd=cwd, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
