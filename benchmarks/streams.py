"""Many streams at once on one worker process, held by Locust: `python -m benchmarks.streams`.

All of it shares this machine: the callers, the host, the worker, the storage emulator and the
simulator. docs/capacity.md says what the figures mean.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.apart import install
from benchmarks.model import running_model
from local.host import running_host
from local.storage import running_storage

ROOT = Path(__file__).parent.parent
APP = ROOT / "benchmarks" / "peers" / "inside"
CALLERS = ROOT / "benchmarks" / "peers" / "locust" / "callers.py"
LOOK_SECONDS = 0.5
TOLD_ERRORS = 5
HELD_SHARE = 0.95
"""Of the streams: between two turns of a caller one is missing for a moment."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`streams` callers who begin within `ramp` seconds, and run `turns` each, one after the
    other; an answer has `tokens` on average, `rate` a second."""

    streams: int
    tokens: int
    rate: float
    turns: int
    ramp: float

    @property
    def prompt(self) -> str:
        ms = 1000 / self.rate
        # Half to one and a half times the pace: in step, streams would share wake-ups.
        # How many tokens, each caller says itself.
        return f"[simulate: slow first=0] [simulate: tokens n=@tokens@ ms={ms:g} jitter=uniform]"

    @property
    def most_seconds(self) -> float:
        """A run that takes longer is broken off."""
        return self.ramp + 3 * self.turns * self.tokens / self.rate + 60


@dataclass(frozen=True, slots=True)
class Look:
    """One moment of a run: turns that ran in the worker, and CPU seconds of each process so far."""

    at: float
    running: int
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave: what the callers saw (seconds), and what was looked at meanwhile."""

    seen: Mapping[str, Any]
    looks: Sequence[Look]

    @property
    def peak(self) -> int:
        return max((look.running for look in self.looks), default=0)

    def held(self, plan: Plan) -> tuple[float, dict[str, float]]:
        """For how many seconds (nearly) all streams ran at once, and the cores that each process
        took then. Ramp and end, where few run, are not in it."""
        full = [look for look in self.looks if look.running >= HELD_SHARE * plan.streams]
        if len(full) < 2:
            return 0.0, {}
        first, last = full[0], full[-1]
        seconds = last.at - first.at
        return seconds, {name: (last.cpu[name] - first.cpu[name]) / seconds for name in first.cpu}

    def failures(self, plan: Plan) -> list[str]:
        """Why the run has failed; empty: it has not."""
        wanted = plan.streams * plan.turns
        errors = sorted(self.seen["errors"].items(), key=lambda error: -error[1])
        found = [f"{count} × {error}" for error, count in errors[:TOLD_ERRORS]]
        if len(errors) > TOLD_ERRORS:
            found.append(f"{len(errors) - TOLD_ERRORS} other kinds of errors")
        whole = len(self.seen["last"])
        if whole != wanted:
            found.append(f"{whole} whole answers instead of {wanted}")
        for who, peak in (("callers", self.seen["peak"]), ("the worker", self.peak)):
            if peak < plan.streams:
                found.append(f"{who} saw at most {peak} streams at once, not {plan.streams}")
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank; `values` need not be sorted. Raises `ValueError` where there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def stream_rate(seen: Mapping[str, Any]) -> float:
    """Tokens a second of one stream, from its first byte to its last."""
    seconds = sum(last - first for first, last in zip(seen["first"], seen["last"], strict=True))
    return float(seen["tokens"]) / seconds if seconds else 0.0


async def run(plan: Plan, log: Path) -> Result:
    """Starts everything, lets Locust call, and ends everything."""
    python = install("locust", "Locust")
    async with (
        running_model() as model,
        running_storage() as storage,
        running_host(
            APP,
            env={
                "AZURE_OPENAI_ENDPOINT": model.url,
                "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
                "AZURE_OPENAI_API_KEY": "benchmark",
                "CHAT_AUTH": "anonymous",
                "CHAT_STORAGE": storage.connection_string,
                "CHAT_MAX_CONCURRENT_TURNS": str(max(500, plan.streams)),
            },
            inherit_env=False,
        ) as host,
    ):
        pids = {
            "worker": host.workers[0],
            "host": os.getpid(),
            "simulator": model.pid,
            "storage": storage.child.pid,
        }
        await _warm(host.url)
        return await _call(plan, python, host.url, pids, log)


async def _warm(url: str) -> None:
    """What the first turn of a worker imports and opens is the cold start's cost."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.post(f"{url}/api/chat", json={"userPrompt": '[simulate: say text="yes"]'}) as got,
    ):
        if (text := await got.text()) != "yes":
            raise RuntimeError(f"{got.status}: {text}")


async def _call(plan: Plan, python: Path, url: str, pids: Mapping[str, int], log: Path) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        with log.open("wb") as out:
            locust = await asyncio.create_subprocess_exec(
                str(python),
                *("-m", "locust", "--headless", "--only-summary"),
                *("--locustfile", str(CALLERS), "--host", url),
                *("--users", str(plan.streams), "--spawn-rate", f"{plan.streams / plan.ramp:g}"),
                *("--run-time", f"{plan.most_seconds:.0f}s", "--stop-timeout", "5"),
                env=os.environ
                | {
                    "STREAMS_PROMPT": plan.prompt,
                    "STREAMS_TOKENS": str(plan.tokens),
                    "STREAMS_TURNS": str(plan.turns),
                    "STREAMS_RESULT": str(result),
                },
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
                cwd=folder,
            )
            looks: list[Look] = []
            looking = asyncio.create_task(_look(url, {**pids, "callers": locust.pid}, looks))
            try:
                async with asyncio.timeout(plan.most_seconds + 30):
                    await locust.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    locust.kill()
                looking.cancel()
                await asyncio.wait({looking})
        return _result(result, looks, log)


def _result(file: Path, looks: list[Look], log: Path) -> Result:
    if not file.exists():
        raise RuntimeError(f"Locust gave no result:\n{log.read_text('utf-8', 'replace')}")
    return Result(json.loads(file.read_text("utf-8")), looks)


async def _look(url: str, pids: Mapping[str, int], looks: list[Look]) -> None:
    """Looks at the worker and all processes, until one of them has ended."""
    async with aiohttp.ClientSession(trust_env=False) as session:
        while True:
            async with session.get(f"{url}/api/inside") as response:
                inside = await response.json()
            try:
                looks.append(Look(time.monotonic(), inside["running"], _cpu(pids)))
            except psutil.Error:
                return
            await asyncio.sleep(LOOK_SECONDS)


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    times = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items()}
    return {name: float(used.user + used.system) for name, used in times.items()}


def report(plan: Plan, result: Result) -> list[str]:
    """The figures, line by line."""
    seen = result.seen
    first = [first - began for began, first in zip(seen["began"], seen["first"], strict=True)]
    if not first:
        return ["no answer was whole"]
    later = [wait for wait, turn in zip(first, seen["turn"], strict=True) if turn]
    seconds, cores = result.held(plan)
    rate = stream_rate(seen)
    lines = [
        f"| callers, each {plan.turns} answers of {plan.tokens} tokens on average, "
        f"{plan.rate:g} a second | {plan.streams} |",
        f"| all begun within | {plan.ramp:g} s |",
        f"| streams at once, as the callers saw it | {seen['peak']} |",
        f"| streams at once, as the worker saw it | {result.peak} |",
        f"| held, at least {HELD_SHARE:.0%} of them | {seconds:.0f} s |",
        f"| whole answers, each read to its end and checked | {len(first)} |",
        f"| errors | {sum(seen['errors'].values())} |",
        f"| first byte, p50, p95, p99 | {_three(first)} |",
    ]
    if later:
        lines.append(f"| first byte after the ramp, p50, p95, p99 | {_three(later)} |")
    lines += [
        f"| between two events, p50, p95, p99 | {_three(seen['gaps'])} |",
        f"| tokens in an event | {seen['tokens'] / (seen['frames'] - 2 * len(first)):.2f} |",
        f"| tokens a second of a stream | {rate:.1f} |",
        f"| tokens a second of all | {rate * plan.streams:.0f} |",
    ]
    for name, used in cores.items():
        a_token = used * 1e6 / (rate * plan.streams)
        lines.append(
            f"| CPU of the {name} while held | {used:.2f} cores, {a_token:.0f} µs a token |"
        )
    lines.append(f"| CPU of all of them | {sum(cores.values()):.2f} cores |")
    return ["| | |", "|---|---|", *lines]


def _three(seconds: Sequence[float]) -> str:
    return (
        ", ".join(f"{percentile(seconds, share) * 1000:.0f}" for share in (0.5, 0.95, 0.99)) + " ms"
    )


def _positive(kind: type[int] | type[float]) -> Any:
    def parse(text: str) -> int | float:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """1 where an answer was not whole, or fewer streams were open at once than wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--streams", type=_positive(int), default=500, help="at once (500)")
    parser.add_argument("--tokens", type=_positive(int), default=400, help="of each answer (400)")
    parser.add_argument("--rate", type=_positive(float), default=20.0, help="tokens a second (20)")
    parser.add_argument("--turns", type=_positive(int), default=3, help="of each caller (3)")
    parser.add_argument("--ramp", type=_positive(float), default=5.0, help="seconds (5)")
    parser.add_argument("--log", type=Path, default=ROOT / ".local" / "streams.log")
    given = parser.parse_args(argv)
    plan = Plan(given.streams, given.tokens, given.rate, given.turns, given.ramp)
    given.log.parent.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(run(plan, given.log))
    print("\n".join(report(plan, result)))
    failures = result.failures(plan)
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
