"""The web emulator: the Static Web Apps CLI's server as a child process, in front of page and API.

Its server script runs directly: `swa start` would only wrap it in a shell and a supervisor, which
leave it behind on its port when they end, and ask questions where the port is taken.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from re import compile as pattern

from local.node import node_argv
from local.ports import HOST, running_on_port
from local.processes import Child, Command, Echo


@dataclass(frozen=True, slots=True)
class Web:
    """A running web emulator."""

    port: int
    child: Child

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://{HOST}:{self.port}"


@asynccontextmanager
async def running_web(
    folder: Path,
    api: str,
    *,
    port: int = 0,
    log: Path | None = None,
    echo: Echo = lambda name, line: None,
) -> AsyncIterator[Web]:
    """Serves the page in `folder`, and `/api` from the address `api`, while the block runs.

    A `port` that is taken is left for the next free one. Raises ChildFailed.
    """

    def command(port: int) -> Command:
        return _command(port, folder, api)

    async with running_on_port(command, port, log=log, echo=echo) as (child, taken):
        yield Web(taken, child)


def _command(port: int, folder: Path, api: str) -> Command:
    # What `swa start FOLDER --api-devserver-url API --host … --port …` tells its server.
    settings = {
        "SWA_CLI_HOST": HOST,
        "SWA_CLI_PORT": str(port),
        "SWA_CLI_APP_LOCATION": str(folder),
        "SWA_CLI_OUTPUT_LOCATION": str(folder),
        "SWA_RUNTIME_CONFIG_LOCATION": str(folder),
        "SWA_CLI_API_LOCATION": api,
        "SWA_CLI_APP_SSL": "false",
        "SWA_CLI_OPEN_BROWSER": "false",
        "SWA_CLI_DEBUG": "log",
    }
    # The developer's own settings of the CLI are for other projects.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SWA_", "NODE_OPTIONS"))}
    return Command(
        name="web",
        argv=node_argv("@azure/static-web-apps-cli/dist/msha/server.js"),
        ready=pattern("emulator started at"),
        env=inherited | settings,
        ends_with_stdin=True,
    )
