"""One worker, very many turns: does anything in it only grow? `python -m benchmarks.soak`, or
`make soak`. docs/capacity.md says how it is judged."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks.soak.callers import Unexpected
from benchmarks.soak.run import Options, Soaked, soak
from benchmarks.soak.verdict import Bounds, Finding, Sample, judge, slope

TELLING_TURNS = 10_000
HEAD = """\
MB, and blocks of Python's allocator; `more`: than a worker that did nothing as often.

| turns | requests | MB | nothing | more | blocks | more | open files | tasks | threads | running |
|---|---|---|---|---|---|---|---|---|---|---|"""


def row(app: Sample, nothing: Sample) -> str:
    """One pair of samples, as a line of the table."""
    more = app.memory - nothing.memory
    return (
        f"| {app.turns} | {app.requests} | {app.memory / 1e6:.2f} | {nothing.memory / 1e6:.2f} "
        f"| {more / 1e6:.2f} | {app.blocks} | {app.blocks - nothing.blocks} "
        f"| {app.descriptors} | {app.tasks} | {app.threads} | {app.running} |"
    )


def told(soaked: Soaked, findings: Sequence[Finding]) -> list[str]:
    """What was found, line by line."""
    half = len(soaked.nothing) // 2
    requests = [sample.requests for sample in soaked.nothing[half:]]
    memory = slope(requests, [sample.memory for sample in soaked.nothing[half:]])
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(soaked.kinds.items()))
    lines = [
        f"Turns: {kinds}",
        f"The runtime itself keeps {memory:.0f} bytes of each request.",
        "",
        "| from the warm-up to the end, beyond the runtime | | at most | |",
        "|---|---|---|---|",
    ]
    for found in findings:
        verdict = "flat" if found.flat else "GROWS"
        lines.append(f"| {found.what} | {found.value:.2f} | {found.bound:g} | {verdict} |")
    flat = all(found.flat for found in findings)
    return [*lines, "", "FLAT" if flat else "NOT FLAT"]


def main(argv: Sequence[str] | None = None) -> int:
    """1 where something grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--turns", type=int, default=50_000, help="after the warm-up (50000)")
    parser.add_argument("--warm-up", type=int, help="turns before the first sample (a tenth)")
    parser.add_argument("--samples", type=int, default=20, help="after the warm-up (20)")
    parser.add_argument("--callers", type=int, default=40, help="at once (40)")
    parser.add_argument(
        "--quiet", type=float, default=20.0, help="seconds to rest before the first sample (20)"
    )
    parser.add_argument(
        "--patience", type=float, default=30.0, help="seconds to become as quiet as then (30)"
    )
    given = parser.parse_args(argv)
    if given.samples < 4:
        parser.error("--samples must be at least 4")
    for name in ("turns", "callers"):
        if getattr(given, name) < 1:
            parser.error(f"--{name} must be at least 1")
    warm_up = given.turns // 10 if given.warm_up is None else given.warm_up
    options = Options(
        given.turns, warm_up, given.samples, given.callers, given.quiet, given.patience
    )
    began = time.monotonic()
    print(HEAD, flush=True)
    try:
        soaked = asyncio.run(soak(options, lambda *pair: print(row(*pair), flush=True)))
    except ExceptionGroup as group:  # the callers' task group
        wrong, others = group.split(Unexpected)
        if wrong is None or others is not None:
            raise
        print(f"FAILED: {wrong.exceptions[0]}")
        return 1
    findings = judge(soaked.app, soaked.nothing, Bounds())
    print(f"\n{time.monotonic() - began:.0f} s")
    print("\n".join(told(soaked, findings)))
    if given.turns < TELLING_TURNS:
        print(f"Of memory, fewer than {TELLING_TURNS:,} turns tell little: it grows by steps.")
    return 0 if all(found.flat for found in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
