"""Many callers at once: what they wait for, and what the worker's CPU spends on them."""

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
class Target:
    """What is measured: an address, the process that works there, and what it is asked by."""

    url: str
    pid: int
    path: str = "/api/chat"
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, prompt: str) -> dict[str, Any]:
        if not self.path.endswith("/chat/completions"):
            return {"userPrompt": prompt}
        messages = [{"role": "user", "content": prompt}]
        return {"model": "chat", "messages": messages, "stream": True}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one run gave: CPU of the worker process, and seconds to the first byte."""

    cpu_us_per_token: float
    first_byte_p50: float
    first_byte_p99: float
    seconds: float


async def run_load(target: Target, load: Load) -> Figures:
    """One run. Raises `RuntimeError` where an answer is not whole."""
    process = psutil.Process(target.pid)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        before, began = _cpu(process), time.monotonic()
        first = await asyncio.gather(*(_one(session, target, load) for _ in range(load.streams)))
        seconds, after = time.monotonic() - began, _cpu(process)
    first.sort()
    return Figures(
        cpu_us_per_token=(after - before) * 1e6 / (load.streams * load.tokens),
        first_byte_p50=statistics.median(first),
        first_byte_p99=first[min(len(first) - 1, round(0.99 * (len(first) - 1)))],
        seconds=seconds,
    )


async def _one(session: aiohttp.ClientSession, target: Target, load: Load) -> float:
    began = time.monotonic()
    first, size = 0.0, 0
    async with session.post(
        target.url + target.path,
        json=target.body(load.prompt),
        headers={"accept": "text/event-stream", **target.headers},
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
