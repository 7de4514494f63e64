"""The benchmarks run, and what they count is what the contract says. No test depends on a time."""

import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from pathlib import Path

ROOT = Path(__file__).parents[2]
SMALL = (
    "--streams",
    "2",
    "--tokens",
    "5",
    "--ms",
    "1",
    "--rounds",
    "1",
    "--messages",
    "4",
    "120",
    "--no-gateway",
)


async def test_a_small_run_prints_every_table_and_counts_the_store_requests():
    process = await create_subprocess_exec(
        sys.executable, "-m", "benchmarks", *SMALL, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    printed = out.decode()
    assert process.returncode == 0, err.decode()
    assert printed.count("\n### ") == 4
    for name in ("this app", "Microsoft's sample", "raw relay"):
        assert printed.count(f"| {name} |") == 3
    # Guarantee 7: one read and two writes, however long the conversation is.
    assert "| 4 | 1 | 2 |" in printed
    assert "| 120 | 1 | 2 |" in printed
