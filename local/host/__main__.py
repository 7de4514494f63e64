"""`python -m local.host`: serve a function app until Ctrl-C or SIGTERM."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.host.environment import SettingsError, route_prefix, settings_file
from local.host.process import WorkerStartError
from local.host.routes import Function, RouteError
from local.host.running import running_host


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, default=Path(), help="folder with function_app.py")
    parser.add_argument("--port", type=int, default=7071, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--workers", type=int, default=1, help="how many worker processes")
    parser.add_argument(
        "--env-file", type=Path, help="settings that win over all others, as local.settings.json"
    )
    parser.add_argument(
        "--idle-limit", type=float, default=240.0, help="seconds without a byte, as in Azure"
    )
    parser.add_argument("--verbose", action="store_true", help="the runtime's own log as well")
    return parser.parse_args(argv)


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(signum: int, frame: object) -> None:
        loop.call_soon_threadsafe(stop.set)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), on_signal)
    app = options.app.resolve()
    settings = settings_file(options.env_file) if options.env_file else {}
    serving = running_host(
        app,
        env=settings,
        workers=options.workers,
        port=options.port,
        idle_limit=options.idle_limit,
        verbose=options.verbose,
        log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    entering = asyncio.ensure_future(serving.__aenter__())
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({entering, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not entering.done():
        entering.cancel()
        await asyncio.wait({entering})
        return
    host = entering.result()
    try:
        for function in host.functions:
            print(_line(function, host.url, route_prefix(app)), flush=True)
        print(f"Host ready at {host.url}", flush=True)
        await stopping
    finally:
        await serving.__aexit__(None, None, None)


def _line(function: Function, url: str, prefix: str) -> str:
    if function.route is None:
        return f"{function.name}: {function.trigger}"
    methods = ",".join(sorted(function.methods)) or "*"
    path = "/".join(part for part in (prefix.strip("/"), function.route.strip("/")) if part)
    return f"{function.name}: [{methods}] {url}/{path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where the app, its settings or the port do not allow a start."""
    try:
        asyncio.run(_serve(_arguments(argv)))
    except WorkerStartError as exc:
        print(f"The function app cannot be loaded.\n{exc.stack or exc}", file=sys.stderr)
        return 1
    except (SettingsError, RouteError, OSError, ValueError) as exc:
        print(f"The host cannot start: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
