"""Runs everything and prints it: `python -m benchmarks`, or `make bench`."""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.cold import measure_imports
from benchmarks.gateway import gateway
from benchmarks.load import Figures, Load, Target, run_load
from benchmarks.model import running_model
from benchmarks.store_requests import ask_once, counted, seed
from local.host import running_host
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
COMPATIBLE = f"{OURS}, /api/v1"
GATEWAY = "LiteLLM's proxy"


async def compare(targets: dict[str, Target], load: Load, rounds: int) -> dict[str, Figures]:
    """Each in turn, `rounds` times; the median of each figure."""
    taken: dict[str, list[Figures]] = {name: [] for name in targets}
    for _ in range(rounds):
        for name, target in targets.items():
            taken[name].append(await run_load(target, load))
    return {
        name: Figures(
            *(
                statistics.median(getattr(f, field) for f in figures)
                for field in Figures.__dataclass_fields__
            )
        )
        for name, figures in taken.items()
    }


def print_load(title: str, figures: dict[str, Figures], beside: dict[str, str]) -> None:
    """`beside`: the columns of ratios, and what each compares with."""
    print(f"\n### {title}\n")
    columns = "".join(f" {column} |" for column in beside)
    print(f"| | CPU µs a token |{columns} first byte p50 | p99 |")
    print("|---|---|" + "---|" * len(beside) + "---|---|")
    for name, f in figures.items():
        cpu = f.cpu_us_per_token
        ratios = "".join(
            f" {_ratio(cpu, figures[other].cpu_us_per_token)} |" for other in beside.values()
        )
        print(
            f"| {name} | {cpu:.1f} |{ratios} {f.first_byte_p50 * 1000:.0f} ms "
            f"| {f.first_byte_p99 * 1000:.0f} ms |"
        )


def _ratio(figure: float, to: float) -> str:
    """A dash where the run was too short for the system's clock of CPU time."""
    return f"{figure / to:.2f}" if to else "–"


async def measure_gateway(model: str, ours: Target, load: Load, rounds: int) -> None:
    """The OpenAI-compatible endpoint beside a gateway that is made for nothing else."""
    async with gateway(model) as theirs:
        targets = {
            COMPATIBLE: Target(ours.url, ours.pid, "/api/v1/chat/completions"),
            GATEWAY: theirs,
        }
        await compare(targets, Load(load.streams, 20, 0), 1)  # warm
        figures = await compare(targets, load, rounds)
        title = f"OpenAI-compatible: {load.streams} streams of {load.tokens} tokens"
        print_load(f"{title}, {load.ms:g} ms apart", figures, {"× LiteLLM": GATEWAY})


async def measure(
    load: Load, rounds: int, conversations: Sequence[int], with_gateway: bool
) -> None:
    async with AsyncExitStack() as stack:
        model = (await stack.enter_async_context(running_model())).url
        storage = await stack.enter_async_context(running_storage())
        meter = await stack.enter_async_context(running_meter(storage))
        env = {
            "AZURE_OPENAI_ENDPOINT": model,
            "AZURE_OPENAI_CHAT_DEPLOYMENT": "chat",
            "AZURE_OPENAI_API_KEY": "benchmark",
            "CHAT_AUTH": "anonymous",
            "CHAT_STORAGE": storage.connection_string,
        }
        targets = {}
        for name, folder in PEERS.items():
            running = running_host(folder, env=env, inherit_env=False)
            host = await stack.enter_async_context(running)
            targets[name] = Target(host.url, host.workers[0])
        size = f"{load.streams} streams of {load.tokens} tokens"
        beside = {"× relay": RELAY, "× sample": SAMPLE}
        await compare(targets, Load(load.streams, 20, 0), 1)  # warm
        paced = await compare(targets, load, rounds)
        print_load(f"{size}, {load.ms:g} ms apart", paced, beside)
        burst = await compare(targets, Load(load.streams, load.tokens, 0), rounds)
        print_load(f"A burst: {size} at once", burst, beside)
        if with_gateway:
            await measure_gateway(model, targets[OURS], load, rounds)

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
    parser.add_argument(
        "--no-gateway", action="store_true", help="without LiteLLM's proxy, which is installed once"
    )
    given = parser.parse_args(argv)
    print_cold(given.rounds)
    load = Load(given.streams, given.tokens, given.ms)
    asyncio.run(measure(load, given.rounds, given.messages, not given.no_gateway))
    return 0


if __name__ == "__main__":
    sys.exit(main())
