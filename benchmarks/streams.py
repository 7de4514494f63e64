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


@dataclass(frozen=True, slots=True)
class Plan:
    """`streams` callers who begin within `ramp` seconds, and run `turns` each, one after the
    other; each answer has `tokens`, `rate` a second."""

    streams: int
    tokens: int
    rate: float
    turns: int
    ramp: float

    @property
    def prompt(self) -> str:
        ms = 1000 / self.rate
        # Half to one and a half times the pace: in step, streams would share wake-ups.
        return (
            f"[simulate: slow first=0] [simulate: tokens n={self.tokens} ms={ms:g} jitter=uniform]"
        )

    @property
    def most_seconds(self) -> float:
        """A run that takes longer is broken off."""
        return self.ramp + 3 * self.turns * self.tokens / self.rate + 60


@dataclass(frozen=True, slots=True)
class Result:
    """What one run gave; times in seconds, CPU in seconds by process."""

    seen: Mapping[str, Any]
    peak_inside: int
    cpu: Mapping[str, float]
    seconds: float

    def failures(self, plan: Plan) -> list[str]:
        """Why the run has failed; empty: it has not."""
        wanted = plan.streams * plan.turns
        found = [f"{count} × {error}" for error, count in self.seen["errors"].items()]
        whole = len(self.seen["last"])
        if whole != wanted:
            found.append(f"{whole} whole answers instead of {wanted}")
        for who, peak in (("callers", self.seen["peak"]), ("the worker", self.peak_inside)):
            if peak < plan.streams:
                found.append(f"{who} saw at most {peak} streams at once, not {plan.streams}")
        return found


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank; `values` need not be sorted. Raises `ValueError` where there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def held_rate(seen: Mapping[str, Any], plan: Plan) -> float:
    """Tokens a second while all streams were open: from the last first start to the first end.

    A mean over the whole run would count its ramp and its end, where few streams are left.
    """
    rates = [
        plan.tokens / (last - first)
        for first, last in zip(seen["first"], seen["last"], strict=True)
        if last > first
    ]
    return plan.streams * sum(rates) / len(rates) if rates else 0.0


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
        before = _cpu(pids)
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
            looking = asyncio.create_task(_peak(url))
            measuring = asyncio.create_task(_last_cpu(locust.pid))
            try:
                async with asyncio.timeout(plan.most_seconds + 30):
                    await locust.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    locust.kill()
                looking.cancel()
                measuring.cancel()
                peak, callers = await asyncio.gather(looking, measuring)
        after = _cpu(pids)
        cpu = {name: after[name] - before[name] for name in pids} | {"callers": callers}
        return _result(result, peak, cpu, log)


def _result(file: Path, peak: int, cpu: Mapping[str, float], log: Path) -> Result:
    if not file.exists():
        raise RuntimeError(f"Locust gave no result:\n{log.read_text('utf-8', 'replace')}")
    seen = json.loads(file.read_text("utf-8"))
    seconds = max(seen["last"], default=1.0) - min(seen["began"], default=0.0)
    return Result(seen, peak, cpu, seconds)


async def _peak(url: str) -> int:
    """The most turns that ran in the worker at one moment, as far as it was looked at."""
    peak = 0
    try:
        async with aiohttp.ClientSession(trust_env=False) as session:
            while True:
                async with session.get(f"{url}/api/inside") as response:
                    peak = max(peak, (await response.json())["running"])
                await asyncio.sleep(LOOK_SECONDS)
    except asyncio.CancelledError:
        return peak


async def _last_cpu(pid: int) -> float:
    """CPU of a process that ends by itself, as it was when it was last seen."""
    used = 0.0
    try:
        process = psutil.Process(pid)
        while True:
            times = process.cpu_times()
            used = times.user + times.system
            await asyncio.sleep(LOOK_SECONDS)
    except (asyncio.CancelledError, psutil.Error):
        return used


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    times = {name: psutil.Process(pid).cpu_times() for name, pid in pids.items()}
    return {name: float(used.user + used.system) for name, used in times.items()}


def report(plan: Plan, result: Result) -> list[str]:
    """The figures, line by line."""
    seen, tokens = result.seen, plan.streams * plan.turns * plan.tokens
    first = [first - began for began, first in zip(seen["began"], seen["first"], strict=True)]
    if not first:
        return ["no answer was whole"]
    lines = [
        f"| streams, each {plan.turns} answers of {plan.tokens} tokens "
        f"at {plan.rate:g} a second | {plan.streams} |",
        f"| all begun within | {plan.ramp:g} s |",
        f"| at once, as the callers saw it | {seen['peak']} |",
        f"| at once, as the worker saw it | {result.peak_inside} |",
        f"| whole answers, each to its end and checked | {len(first)} |",
        f"| errors | {sum(seen['errors'].values())} |",
        f"| first byte p50 | {percentile(first, 0.5) * 1000:.0f} ms |",
        f"| first byte p95 | {percentile(first, 0.95) * 1000:.0f} ms |",
        f"| first byte p99 | {percentile(first, 0.99) * 1000:.0f} ms |",
        f"| first byte, longest | {max(first) * 1000:.0f} ms |",
        f"| between two events p50 | {percentile(seen['gaps'], 0.5) * 1000:.0f} ms |",
        f"| between two events p99 | {percentile(seen['gaps'], 0.99) * 1000:.0f} ms |",
        f"| tokens in an event | {tokens / (seen['frames'] - 2 * len(first)):.2f} |",
        f"| tokens a second of one stream | {held_rate(seen, plan) / plan.streams:.1f} |",
        f"| tokens a second, all streams | {held_rate(seen, plan):.0f} |",
    ]
    lines += [
        f"| CPU of the {name} | {used / result.seconds:.2f} cores, "
        f"{used * 1e6 / tokens:.0f} µs a token |"
        for name, used in result.cpu.items()
    ]
    return ["| | |", "|---|---|", *lines]


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
