"""`make ingest`: fills a retriever's table from files. See docs/ingestion.md."""

import argparse
import asyncio
import dataclasses
import json
import os
import re
import sys
import time
from pathlib import Path

from ingestion.filling import Filling, fill
from ingestion.progress import showing
from ingestion.reading import MAX_BYTES, Unreadable, files_in
from ingestion.run import Report
from ingestion.table import Busy
from local.host.environment import SettingsError
from local.settings import AppSettings
from shared.errors import ChatError
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


def parse(arguments: list[str]) -> argparse.Namespace:
    """Reads the command line; exits with its help or with what is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m ingestion",
        description="Bring Markdown, text, HTML and PDF files to where a retriever finds them. The "
        "settings are the app's: the environment, and local.settings.json.",
    )
    parser.add_argument("retriever", help="one of CHAT_RETRIEVERS")
    parser.add_argument("paths", nargs="+", type=Path, help="files and folders")
    parser.add_argument(
        "--root", type=Path, default=Path(), help="what the names of files begin at (%(default)s)"
    )
    parser.add_argument(
        "--collection",
        default="default",
        help="what this command line fills: what is gone from it is removed (%(default)s)",
    )
    parser.add_argument("--base-url", help="before a file's name in the documents' addresses")
    parser.add_argument(
        "--metadata",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help="for filters; may be given several times",
    )
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="such as '**/old/*'"
    )
    parser.add_argument("--max-bytes", type=int, default=MAX_BYTES, help="of a file (%(default)s)")
    parser.add_argument(
        "--prune",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="remove what is gone from the collection (the default)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args(arguments)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


async def ingest(options: argparse.Namespace, settings: Settings) -> int:
    """Runs it and prints what was done; the exit code is 1 where a file could not be read.

    Raises `ChatError`, `Busy` and `Unreadable`.
    """
    begun = time.monotonic()
    files = list(files_in(options.paths, options.root, options.exclude))
    filling = Filling(
        retriever=options.retriever,
        files=files,
        collection=options.collection,
        base_url=options.base_url,
        metadata=dict(options.metadata),
        max_bytes=options.max_bytes,
        prune=options.prune,
        dry_run=options.dry_run,
    )
    with showing(len(files)) as progress:
        report, tokens = await fill(filling, settings, progress)
    _tell(report, tokens, time.monotonic() - begun, options)
    return 1 if report.failed else 0


def _tell(report: Report, tokens: int, seconds: float, options: argparse.Namespace) -> None:
    for failure in report.failed:
        print(f"Not read: {failure}.", file=sys.stderr)
    if options.json:
        told = {**dataclasses.asdict(report), "tokens": tokens, "seconds": round(seconds, 1)}
        print(json.dumps(told))
        return
    would = "Would be: " if options.dry_run else ""
    print(
        f"{would}{report.documents} documents; chunks: {report.new} new, {report.changed} changed, "
        f"{report.unchanged} unchanged, {report.removed} removed; {tokens} tokens, {seconds:.1f} s."
    )


def main(arguments: list[str]) -> int:
    """The exit code."""
    options = parse(arguments)
    try:
        settings = Settings.from_env(AppSettings.read(ROOT, os.environ).values)
        return asyncio.run(ingest(options, settings))
    except (ChatError, SettingsError, Unreadable) as error:
        print(error, file=sys.stderr)
    except Busy:
        print(
            f"Another run fills the collection {options.collection}: wait for its end.",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("\nInterrupted; the next run goes on from here.", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
