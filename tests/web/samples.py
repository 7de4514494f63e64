"""The code samples of a Markdown page, and a process that runs one as a page would."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.web.runtimes import GUARD_SECONDS, find_node

_PART = re.compile(r"^#+ (?P<heading>[^\n]+)$|^```(?P<kind>js|ts)\n(?P<code>.*?)^```$", re.M | re.S)

STAGE = """
import { ChatClient } from "streaming-chat-client";

const given = JSON.parse(process.argv[2]);
const say = (kind, value) => process.stdout.write(`${JSON.stringify({ kind, value })}\\n`);
const kept = new Map(Object.entries(given.kept));
Object.assign(globalThis, {
  chat: new ChatClient({ baseUrl: given.url }),
  conversationId: given.conversationId,
  show: (text) => say("shown", text),
  getToken: async () => "a-token",
  location: new URL(given.url),
  button: { set onclick(press) { press(); } },
  sessionStorage: {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => { kept.set(name, value); say("kept", { [name]: value }); },
    removeItem: (name) => { kept.delete(name); say("kept", {}); },
  },
});
await import(given.sample);
"""
"""What a page has and Node.js has not, and what the samples leave to their reader."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample, by the heading above it and its number below that one."""

    heading: str
    number: int
    kind: str
    code: str

    @property
    def name(self) -> str:
        return f"{self.heading} {self.number}"


def samples(page: Path) -> list[Sample]:
    """The JavaScript and TypeScript samples of a page."""
    found: list[Sample] = []
    heading = ""
    for part in _PART.finditer(page.read_text("utf-8")):
        heading = part["heading"] or heading
        if part["code"]:
            number = 1 + sum(sample.heading == heading for sample in found)
            found.append(Sample(heading, number, part["kind"], part["code"]))
    return found


class Running:
    """A sample that runs; what it said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.shown: list[str] = []
        self.kept: dict[str, str] = {}
        self.printed = ""
        self._process = process

    async def until(self, text: str) -> None:
        """Reads until it has shown or kept this text."""
        while text not in "".join([*self.shown, *self.kept.values()]):
            assert await self._next(), "It ended."

    async def end(self) -> None:
        """Reads to its end, which must come without a complaint."""
        while await self._next():
            pass
        assert self._process.stderr is not None
        complaint = (await self._process.stderr.read()).decode()
        assert (await self._process.wait(), complaint) == (0, "")

    async def _next(self) -> bool:
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), GUARD_SECONDS)).decode()
        if line.startswith('{"kind":'):
            said = json.loads(line)
            if said["kind"] == "shown":
                self.shown.append(said["value"])
            else:
                self.kept = said["value"]
        else:
            self.printed += line
        return line != ""


@asynccontextmanager
async def running_sample(
    code: str, project: Path, given: Mapping[str, Any]
) -> AsyncIterator[Running]:
    """Runs code as a module of `project`; leaving the block ends it, as a reload does."""
    node, _ = find_node()
    (project / "stage.mjs").write_text(STAGE)
    (project / "sample.mjs").write_text(code)
    options = {"kept": {}, "sample": (project / "sample.mjs").as_uri(), **given}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(node, "--unhandled-rejections=strict", "stage.mjs", json.dumps(options)),
        stdout=pipe,
        stderr=pipe,
        cwd=project,
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        # Its pipes are read to their end, so that nothing of it is left to be collected.
        await process.communicate()
