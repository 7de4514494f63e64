"""`make run`: starts the whole local stack, prints one address, ends all of it on Ctrl-C."""

import argparse
import asyncio
import os
import signal
import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local import documents
from local.drawer import LocalParts
from local.host.environment import SettingsError
from local.parts import Parts, say
from local.processes import ChildFailed
from local.settings import AppSettings
from local.setup import SetupFailed

ROOT = Path(__file__).resolve().parent.parent
WEB_PORT = 4280


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    port: int
    workers: int
    host: str
    open: bool
    verbose: bool


def parse(arguments: list[str]) -> Options:
    """Reads the command line; exits with its help or with what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m local run", description="Start the whole local stack; Ctrl-C ends it."
    )
    parser.add_argument(
        "--port", type=_port, default=WEB_PORT, help="the page's port (%(default)s)"
    )
    parser.add_argument("--workers", type=_count, default=1, help="worker processes (%(default)s)")
    parser.add_argument(
        "--host",
        choices=("auto", "func", "local"),
        default="auto",
        help="what runs the app: Core Tools' `func`, the project's own host, or `func` where it "
        "is installed (auto, the default)",
    )
    parser.add_argument(
        "--open", action=argparse.BooleanOptionalAction, default=False, help="open a browser"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the parts print")
    return Options(**vars(parser.parse_args(arguments)))


async def run(options: Options) -> int:
    """Runs the stack until it is told to end or a part fails; returns the exit code."""
    work = asyncio.create_task(_serve(options))

    def end() -> None:
        print("\nStopping …", flush=True)
        work.cancel()

    with _on_signal(end):
        try:
            await work
        except asyncio.CancelledError:
            return 0
        except (ChildFailed, SettingsError, SetupFailed) as error:
            print(f"\n{error}", file=sys.stderr, flush=True)
    return 1


async def _serve(options: Options) -> None:
    """Starts the parts in order, and returns only by raising: ChildFailed, or as cancelled."""
    settings = AppSettings.read(ROOT)
    async with AsyncExitStack() as stack:
        stack.callback(print, "Stopped.", flush=True)
        parts = Parts(stack, ROOT, _show if options.verbose else _silent)
        meter = simulator = None
        if settings.store:
            say("storage", f"your own ({settings.store})")
        else:
            meter = await parts.storage()
        if settings.model:
            say("model", f"your own ({settings.model})")
        else:
            simulator = await parts.simulator()
        postgres = None
        if settings.searches:
            say("search", f"your own ({settings.searches})")
        elif simulator:
            postgres = await parts.postgres()
        storage = meter.connection_string if meter else None
        added = settings.completed(simulator=simulator, storage=storage)
        if postgres:
            added |= documents.environment(ROOT, parts.state, postgres)
        host, kind = await parts.host(options.host, options.workers, {**os.environ, **added})
        address = await parts.web(LocalParts(host, kind, simulator, meter), options.port)
        if postgres:
            await documents.fill(ROOT, {**settings.values, **added}, address)
        print(f"\nOpen {address}   (Ctrl-C stops everything)", flush=True)
        if options.open:
            await asyncio.to_thread(webbrowser.open, address)
        raise await parts.first_failure()


@contextmanager
def _on_signal(act: Callable[[], object]) -> Iterator[None]:
    """Calls `act` at the first Ctrl-C (SIGTERM, SIGHUP, Ctrl-Break); later ones change nothing.

    Not `loop.add_signal_handler`, which Windows does not have.
    """
    loop = asyncio.get_running_loop()
    told = False

    def handle(number: int, frame: object) -> None:
        nonlocal told
        if not told:
            told = True
            loop.call_soon_threadsafe(act)

    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show(name: str, line: str) -> None:
    print(f"{name:>10} | {line}", flush=True)


def _silent(name: str, line: str) -> None:
    """Leaves a part's output to its log."""


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; 1 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of workers; 1 or more")
    return int(text)


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse(sys.argv[1:]))))
