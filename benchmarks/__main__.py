"""Runs everything and prints it: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import re
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.cold import measure_imports
from benchmarks.load import Figures, Load, run_load
from benchmarks.store_requests import ask_once, counted, seed
from local.host import Host, running_host
from local.storage import running_storage
from local.storage_meter import running_meter
from shared.history.base import Place

ROOT = Path(__file__).parent.parent
PEERS = {
    "this app": ROOT,
    "Microsoft's sample": ROOT / "benchmarks" / "peers" / "sample",
    "raw relay": ROOT / "benchmarks" / "peers" / "relay",
}
OURS, SAMPLE, RELAY = PEERS


@asynccontextmanager
async def simulator() -> AsyncIterator[str]:
    """The model simulator in a process of its own; gives its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "local.simulator", "--port", "0", "--first-token-ms", "0"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the simulator has no output")
        line = (await process.stdout.readline()).decode()
        found = re.search(r"http://\S+", line)
        if found is None:
            raise RuntimeError(f"the simulator did not start: {line}")
        yield found[0]
    finally:
        process.terminate()
        await process.wait()


async def compare(hosts: dict[str, Host], load: Load, rounds: int) -> dict[str, Figures]:
    """Each in turn, `rounds` times; the median of each figure."""
    taken: dict[str, list[Figures]] = {name: [] for name in hosts}
    for _ in range(rounds):
        for name, host in hosts.items():
            taken[name].append(await run_load(host.url, host.workers[0], load))
    return {
        name: Figures(
            *(
                statistics.median(getattr(f, field) for f in figures)
                for field in Figures.__dataclass_fields__
            )
        )
        for name, figures in taken.items()
    }


def print_load(title: str, figures: dict[str, Figures]) -> None:
    relay = figures[RELAY].cpu_us_per_token
    sample = figures[SAMPLE].cpu_us_per_token
    print(f"\n### {title}\n")
    print("| | CPU µs a token | × relay | × sample | first byte p50 | p99 |")
    print("|---|---|---|---|---|---|")
    for name, f in figures.items():
        cpu = f.cpu_us_per_token
        print(
            f"| {name} | {cpu:.1f} | {_ratio(cpu, relay)} | {_ratio(cpu, sample)} "
            f"| {f.first_byte_p50 * 1000:.0f} ms | {f.first_byte_p99 * 1000:.0f} ms |"
        )


def _ratio(figure: float, to: float) -> str:
    """A dash where the run was too short for the system's clock of CPU time."""
    return f"{figure / to:.2f}" if to else "–"


async def measure(load: Load, rounds: int, conversations: Sequence[int]) -> None:
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(simulator())
        storage = await stack.enter_async_context(running_storage())
        meter = await stack.enter_async_context(running_meter(storage))
        env = {
            "AZURE_OPENAI_ENDPOINT": model,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "benchmark",
            "CHAT_AUTH": "anonymous",
            "CHAT_STORAGE": storage.connection_string,
        }
        hosts = {
            name: await stack.enter_async_context(running_host(folder, env=env, inherit_env=False))
            for name, folder in PEERS.items()
        }
        for host in hosts.values():
            await run_load(host.url, host.workers[0], Load(load.streams, 20, 0))  # warm
        paced = await compare(hosts, load, rounds)
        size = f"{load.streams} streams of {load.tokens} tokens"
        print_load(f"{size}, {load.ms:g} ms apart", paced)
        burst = await compare(hosts, Load(load.streams, load.tokens, 0), rounds)
        print_load(f"A burst: {size} at once", burst)

        metered = await stack.enter_async_context(
            running_host(
                ROOT, env=env | {"CHAT_STORAGE": meter.connection_string}, inherit_env=False
            )
        )
        await ask_once(metered.url, "conversation-to-warm-up")
        print("\n### Store requests of one turn\n")
        print("| messages before | reads | writes |\n|---|---|---|")
        for messages in conversations:
            place = Place(None, f"conversation-of-{messages}-messages")
            await seed(storage.connection_string, place, messages)
            before = meter.newest
            await ask_once(metered.url, place.conversation)
            reads, writes = counted(meter, before)
            print(f"| {messages} | {reads} | {writes} |")


def print_cold(runs: int) -> None:
    cold = measure_imports(PEERS, runs)
    sample = cold[SAMPLE]
    print("\n### Cold start: importing function_app.py\n")
    print("| | wall | × sample | CPU | × sample |\n|---|---|---|---|---|")
    for name, c in cold.items():
        print(
            f"| {name} | {c.wall * 1000:.0f} ms | {c.wall / sample.wall:.2f} "
            f"| {c.cpu * 1000:.0f} ms | {c.cpu / sample.cpu:.2f} |"
        )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--ms", type=float, default=10.0, help="between two tokens, on average")
    parser.add_argument("--rounds", type=int, default=5, help="of each; the median counts")
    parser.add_argument(
        "--messages",
        type=int,
        nargs="+",
        default=[10, 20_000],
        help="lengths of the conversations whose store requests are counted",
    )
    given = parser.parse_args(argv)
    print_cold(given.rounds)
    load = Load(given.streams, given.tokens, given.ms)
    asyncio.run(measure(load, given.rounds, given.messages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
