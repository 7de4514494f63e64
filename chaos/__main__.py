"""Runs the fault campaign: `python -m chaos`, or `make chaos`. docs/chaos.md explains it."""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from chaos.campaign import ROUND_TURNS, Options, Round, run_round
from chaos.report import figures, told


async def run(options: Options, quiet: bool) -> list[Round]:
    """All rounds, one after the other; each says what it found."""
    began = time.monotonic()

    def say(line: str) -> None:
        if not quiet:
            print(f"  {time.monotonic() - began:6.0f} s  {line}", flush=True)

    rounds: list[Round] = []
    left = options.turns
    while left > 0 and (spent := time.monotonic() - began) < options.seconds:
        part = replace(
            options,
            turns=min(left, ROUND_TURNS),
            seconds=options.seconds - spent,
            seed=f"{options.seed}/{len(rounds)}",
        )
        done = await run_round(part, say)
        rounds.append(done)
        left -= max(1, done.turns)
        print(
            f"round {len(rounds)}: {done.turns} turns in {done.seconds[0]:.0f} s, looked at after "
            f"{done.seconds[1]:.0f} s: {len(done.findings)} findings",
            flush=True,
        )
        for line in told(done, quiet):
            print(line, flush=True)
    return rounds


def main(argv: Sequence[str] | None = None) -> int:
    """1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--turns", type=int, default=1000, help="how many, about (1000)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="begin none after so many")
    parser.add_argument("--seed", help="of the plans and faults; a random one, which is printed")
    parser.add_argument("--callers", type=int, default=60, help="at once (60)")
    parser.add_argument("--workers", type=int, default=2, help="instances of the app (2)")
    parser.add_argument("--brisk", action="store_true", help="short answers, troubles in a row")
    parser.add_argument("--quiet", action="store_true", help="figures and kinds of findings only")
    given = parser.parse_args(argv)
    for name in ("turns", "seconds", "callers", "workers"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1")
    seed = given.seed or secrets.token_hex(4)
    print(f"seed {seed}", flush=True)
    options = Options(given.turns, given.seconds, seed, given.callers, given.workers, given.brisk)
    rounds = asyncio.run(run(options, given.quiet))
    print()
    for line in figures(rounds):
        print(line)
    found = sum(len(done.findings) for done in rounds)
    print(f"\n{found} findings; again: --seed {seed} (the plans are the same, timing is not)")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
