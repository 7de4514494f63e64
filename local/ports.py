"""Free TCP ports on the loopback interface, and children that serve on one."""

import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import islice
from pathlib import Path

from local.processes import Child, ChildFailed, Command, Echo, running

HOST = "127.0.0.1"
_ATTEMPTS = 5


def is_free(port: int) -> bool:
    """Whether a server can listen on `port` of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        # macOS lets two listen on a port, one on all addresses and one on this: ask first.
        if probe.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as listener:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # As servers do: connections that linger from the last run are no obstacle.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_ports(wanted: int = 0, near: int = 20) -> Iterator[int]:
    """Ports to try, without end: `wanted`, the free ones of the `near` after it, then any.

    Another process may take a port before it is used; who starts a server tries the next one.
    """
    if wanted:
        yield from filter(is_free, range(wanted, min(wanted + near + 1, 65536)))
    while True:
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            port: int = listener.getsockname()[1]
        yield port


@asynccontextmanager
async def running_on_port(
    command: Callable[[int], Command],
    wanted: int,
    *,
    log: Path | None = None,
    echo: Echo = lambda name, line: None,
) -> AsyncIterator[tuple[Child, int]]:
    """Runs a child on the `wanted` port, or on the next free one; yields it with its port.

    Raises ChildFailed.
    """
    async with AsyncExitStack() as stack:
        for attempt, port in enumerate(islice(free_ports(wanted), _ATTEMPTS), 1):
            part = running(command(port), log=log, echo=echo)
            try:
                child, _ = await stack.enter_async_context(part)
            except ChildFailed as exc:
                said = str(exc).lower()
                if attempt == _ATTEMPTS or not any(sign in said for sign in _TAKEN):
                    raise
                continue
            yield child, port
            return


# How Node.js, Python, PostgreSQL and Windows say that somebody else listens there.
_TAKEN = ("eaddrinuse", "address already in use", "winerror 10048", "errno 48", "errno 98")
