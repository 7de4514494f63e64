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

from ingestion.chunks import Metadata, Naming
from ingestion.progress import showing
from ingestion.reading import MAX_BYTES, Unreadable, files_in
from ingestion.run import Report, Run
from ingestion.table import Busy, opened
from local.host.environment import SettingsError
from local.settings import AppSettings
from shared.backends import Backends
from shared.errors import ChatError, Misconfigured
from shared.settings import PostgresSettings, Settings

ROOT = Path(__file__).resolve().parent.parent
RETRY_SECONDS = 300.0
"""How long a service that is busy is asked again, for one batch."""


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
    retriever = settings.retriever(options.retriever)
    if not isinstance(retriever, PostgresSettings):
        raise Misconfigured(
            f"{options.retriever} is an index of Azure AI Search, which its own indexers fill: "
            "https://learn.microsoft.com/azure/search/search-indexer-overview."
        )
    files = list(files_in(options.paths, options.root, options.exclude))
    backends = Backends(settings)
    try:
        connection = settings.connection(retriever.connection)
        embeddings = backends.embeddings(connection, retriever.dimensions, RETRY_SECONDS)
        (probe,) = await embeddings.embed(["dimensions"])
        metadata: Metadata = dict(options.metadata)
        model = f"{embeddings.model} {len(probe)}"
        naming = Naming(options.collection, options.base_url, metadata, model)
        password = retriever.password or await backends.database_token(retriever)
        async with opened(retriever, password, options.collection) as table:
            if not options.dry_run:
                await table.ensure(len(probe))
            async with table.alone():
                with showing(len(files)) as progress:
                    run = Run(
                        table=table,
                        naming=naming,
                        embeddings=None if options.dry_run else embeddings,
                        max_bytes=options.max_bytes,
                        prune=options.prune,
                        progress=progress,
                    )
                    report = await run.fill(files)
        _tell(report, embeddings.tokens, time.monotonic() - begun, options)
        return 1 if report.failed else 0
    finally:
        await backends.aclose()


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
