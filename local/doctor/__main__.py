"""The command: looks, tells, and exits with 1 where something is wrong."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from local.doctor import inside, outside
from local.doctor.findings import Finding, told
from local.host.environment import SettingsError
from local.settings import AppSettings
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
EPILOG = """\
Without --url it looks at the settings in local.settings.json and the environment: who the app is,
whether model and store let it in, clocks, and how long each takes. The model is asked for one short
answer. With --url it looks at a running app, local or deployed, by one turn; --settings does both.
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local doctor",
        description="Find out what is wrong with an app, and what to do about it.",
        epilog=EPILOG,
    )
    parser.add_argument("--url", help="of the site or its API, such as http://127.0.0.1:4280")
    parser.add_argument(
        "--token", default=os.environ.get("CHAT_TOKEN"), help="who asks; else CHAT_TOKEN"
    )
    parser.add_argument("--settings", action="store_true", help="look at the settings as well")
    given = parser.parse_args(arguments)
    if given.url and not given.url.startswith(("http://", "https://")):
        parser.error("--url must begin with http:// or https://")
    return given


async def findings(given: argparse.Namespace, root: Path) -> AsyncIterator[Finding]:
    """Everything that was asked for. Raises SettingsError."""
    if given.settings or not given.url:
        values = AppSettings.read(root).values
        async for finding in inside.examine(Settings(values), root):
            yield finding
    if given.url:
        async for finding in outside.examine(given.url, given.token):
            yield finding


async def run(given: argparse.Namespace, root: Path = ROOT) -> int:
    """Tells each thing as it is found; 1 where there is a fault, 2 where nothing can be read."""
    faults = 0
    try:
        async for finding in findings(given, root):
            print(told([finding]), flush=True)
            faults += finding.state == "fault"
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"\n{'Nothing is wrong.' if not faults else f'{faults} found wrong.'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(parse(sys.argv[1:]))))
