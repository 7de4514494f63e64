"""A short campaign against the real app: it finds nothing, and ends all that it started."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chaos.__main__ import main
from chaos.campaign import Options, Round, run_round
from chaos.findings import Finding
from chaos.report import figures, told

ROOT = Path(__file__).parents[2]
SHORT = Options(turns=80, seconds=100.0, seed="short", callers=20, workers=2, brisk=True)
GUARD_SECONDS = 170


@pytest.fixture(scope="module")
async def done() -> Round:
    said: list[str] = []
    async with asyncio.timeout(GUARD_SECONDS):
        return await run_round(SHORT, said.append)


async def test_a_short_campaign_finds_nothing(done: Round) -> None:
    assert not done.findings, "\n".join(told(done))
    assert done.turns >= 40


async def test_it_did_what_it_is_for(done: Round) -> None:
    world = done.world
    assert world.disturbances
    assert {fault.where for fault in world.faults} == {"store", "model"}
    turns = [turn for made in done.conversations for turn in made.turns]
    assert sum(turn.seen for turn in turns) > len(turns) // 2
    assert sum(turn.replayed is not None for turn in turns) > len(turns) // 3
    probes = Counter(made.final.probe for made in done.conversations)
    assert probes.keys() <= {(200, "stop"), (404, "")}
    assert probes[200, "stop"] > 5


async def test_nothing_that_it_started_is_left(done: Round) -> None:
    commands = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    # Others of this session may run a simulator of their own, with other options.
    assert not [c for c in commands if "local.simulator" in c and "--first-token-ms" in c]


async def test_figures_and_findings_can_be_read(done: Round) -> None:
    table = "\n".join(figures([done, done]))
    assert f"| turns | {2 * sum(len(made.turns) for made in done.conversations):,} |" in table
    conversation = next(made for made in done.conversations if any(t.seen for t in made.turns))
    turn = next(turn for turn in conversation.turns if turn.seen).plan.name
    name = conversation.plan.name
    found = [Finding("lost_text", "says why", name, turn)] * 7
    found += [Finding("log", f"{at}\nERROR it") for at in (1, 2)]
    spoiled = replace(done, findings=found)
    text = "\n".join(told(spoiled))
    assert text.count(f"FINDING lost_text: {name} {turn}: says why") == 5
    assert text.count("ERROR it") == 2
    assert f"turn {turn}" in text
    assert "Ask(" in text
    assert "\n".join(told(spoiled, quiet=True)) == "  lost_text: 7\n  log: 2"


async def test_the_command_prints_its_seed_and_says_what_is_wrong_with_its_options() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chaos", "--turns", "0", cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 2
    assert b"--turns must be at least 1" in err


def test_the_command_has_a_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "docs/chaos.md" in capsys.readouterr().out
