"""`python -m local.simulator`: serves until it is interrupted."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from local.certificates import Certificate
from local.simulator.models import KINDS, Model, parse_deployments
from local.simulator.options import AUDIENCES, REPOSITORY, Options
from local.simulator.running import serving_simulator


def _deployments(text: str) -> dict[str, Model]:
    try:
        return parse_deployments(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3_600_000:
        raise argparse.ArgumentTypeError("must be between 0 and 3600000")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.simulator",
        description="A model service that speaks Azure OpenAI's chat completions on 127.0.0.1.",
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 (default) takes a free one")
    add(
        "--deployments",
        type=_deployments,
        default={},
        metavar="NAME=KIND[:WINDOW],…",
        help=f"further deployments; kinds: {', '.join(KINDS)}; window in tokens",
    )
    add("--token-ms", type=_milliseconds, default=33.0, help="time between tokens; 0: none")
    add("--first-token-ms", type=_milliseconds, default=400.0, help="silence before the first")
    add("--api-key", help="the only key that opens (default: any)")
    add("--require-token", action="store_true", help="refuse keys, take tokens only")
    add("--audience", action="append", help="audience that a token may have (repeatable)")
    add("--documents", type=Path, default=REPOSITORY, help="folder with README.md and docs/")
    add("--cert", type=Path, help="PEM certificate: serve HTTPS")
    add("--key", type=Path, help="PEM private key of --cert")
    return parser


async def _serve(options: Options, port: int, certificate: Certificate | None) -> None:
    async with serving_simulator(options, port=port, certificate=certificate) as url:
        print(f"model simulator ready at {url}", flush=True)
        await asyncio.Event().wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; gives the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if bool(given.cert) != bool(given.key):
        parser.error("--cert and --key belong together")
    options = Options(
        deployments=given.deployments,
        token_ms=given.token_ms,
        first_token_ms=given.first_token_ms,
        api_key=given.api_key,
        require_token=given.require_token,
        audiences=tuple(given.audience or AUDIENCES),
        documents=given.documents,
    )
    certificate = Certificate(given.cert, given.key) if given.cert else None
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_serve(options, given.port, certificate))
        except OSError as exc:
            print(f"model simulator: {exc}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
