"""Many callers at once: what they wait for, and what the worker's CPU spends on them."""

import asyncio
import statistics
import time
from dataclasses import dataclass

import aiohttp
import psutil


@dataclass(frozen=True, slots=True)
class Load:
    """`streams` callers at once, each for an answer of `tokens`, `ms` apart on average (0: a
    burst, as fast as the model gives them)."""

    streams: int
    tokens: int
    ms: float

    @property
    def prompt(self) -> str:
        # Random moments: in step, streams would share wake-ups, and the figures would lie.
        return (
            "[simulate: slow first=0] "
            f"[simulate: tokens n={self.tokens} ms={self.ms:g} jitter=exponential]"
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run gave: CPU of the worker process, and seconds to the first byte."""

    cpu_us_per_token: float
    first_byte_p50: float
    first_byte_p99: float
    seconds: float


async def run_load(url: str, pid: int, load: Load) -> Figures:
    """One run. Raises `RuntimeError` where an answer is not whole."""
    process = psutil.Process(pid)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        before, began = _cpu(process), time.monotonic()
        first = await asyncio.gather(*(_one(session, url, load) for _ in range(load.streams)))
        seconds, after = time.monotonic() - began, _cpu(process)
    first.sort()
    return Figures(
        cpu_us_per_token=(after - before) * 1e6 / (load.streams * load.tokens),
        first_byte_p50=statistics.median(first),
        first_byte_p99=first[min(len(first) - 1, round(0.99 * (len(first) - 1)))],
        seconds=seconds,
    )


async def _one(session: aiohttp.ClientSession, url: str, load: Load) -> float:
    began = time.monotonic()
    first, size = 0.0, 0
    async with session.post(
        f"{url}/api/chat",
        json={"userPrompt": load.prompt},
        headers={"accept": "text/event-stream"},
    ) as response:
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {await response.text()}")
        async for chunk in response.content.iter_any():
            first = first or time.monotonic() - began
            size += len(chunk)
    if size < load.tokens:
        raise RuntimeError(f"an answer of {load.tokens} tokens had {size} bytes")
    return first


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
