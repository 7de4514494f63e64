"""The storage emulator: Azurite's Table service as a child process."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from re import compile as pattern

import aiohttp

from local.certificates import Certificate
from local.node import node_argv
from local.ports import HOST, running_on_port
from local.processes import Child, ChildFailed, Command, Echo

# The emulator's account, the same on every machine: https://learn.microsoft.com/azure/storage/
# common/storage-use-azurite#well-known-storage-account-and-key
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True)
class Storage:
    """A running Table service; `certificate` is what clients have to trust, None without TLS."""

    port: int
    child: Child
    certificate: Path | None = None

    @property
    def url(self) -> str:
        """The table service's URL, account included, without a trailing slash."""
        return f"{self._scheme}://{HOST}:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """What a key-based client connects with."""
        parts = {
            "DefaultEndpointsProtocol": self._scheme,
            "AccountName": ACCOUNT,
            "AccountKey": KEY,
            "TableEndpoint": self.url,
        }
        return "".join(f"{name}={value};" for name, value in parts.items())

    @property
    def _scheme(self) -> str:
        return "https" if self.certificate else "http"


@asynccontextmanager
async def running_storage(
    folder: Path | None = None,
    *,
    https: Certificate | None = None,
    port: int = 0,
    log: Path | None = None,
    echo: Echo = lambda name, line: None,
) -> AsyncIterator[Storage]:
    """Runs the Table service while the block runs; it answers when the block begins.

    Without `folder` the data is in memory only. With `https` bearer tokens are accepted besides
    the key. A `port` that is taken is left for the next free one. Raises ChildFailed.
    """

    def command(port: int) -> Command:
        return _command(port, folder, https)

    async with running_on_port(command, port, log=log, echo=echo) as (child, taken):
        storage = Storage(taken, child, https.certificate if https else None)
        await _until_it_answers(storage)
        yield storage


def _command(port: int, folder: Path | None, https: Certificate | None) -> Command:
    arguments = ["--tableHost", HOST, "--tablePort", str(port)]
    arguments += ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    arguments += ["--location", str(folder)] if folder else ["--inMemoryPersistence"]
    if https:
        # Azurite takes bearer tokens over TLS only, and checks their claims, not their signature.
        arguments += ["--oauth", "basic"]
        arguments += ["--cert", str(https.certificate), "--key", str(https.key)]
    return Command(
        name="storage",
        argv=node_argv("azurite/dist/src/table/main.js", *arguments),
        ready=pattern("successfully started"),
        # SIGTERM would lose what it has not yet written to disk.
        ends_with_stdin=True,
    )


async def _until_it_answers(storage: Storage) -> None:
    """Makes one request, which no key signs: that it is refused is answer enough."""
    trust = ssl.create_default_context(cafile=storage.certificate) if storage.certificate else True
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.get(f"{storage.url}/Tables", ssl=trust) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise ChildFailed(f"storage does not answer at {storage.url}: {exc}") from exc
