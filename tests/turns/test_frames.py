"""How often a turn reads a fast model: as often as it can alone, less often among many."""

import asyncio
from collections.abc import Sequence

import pytest

from shared.events import BEGINNING, Delta
from shared.messages import ModelRequest
from shared.turns.buffer import Entry, TurnBuffer
from shared.turns.turn import BUSY_TURNS, FRAME_BYTES, FRAME_SECONDS, Turn
from tests.turns.bench import BOUNDS
from tests.turns.clock_loop import in_virtual_time
from tests.turns.scripted import ScriptedModel

SHORT, LONG = "word ", "x" * FRAME_BYTES


async def moments(load: int, *texts: str) -> list[float]:
    """When each of the texts, all there at once, was shown: in seconds from the first one."""
    model, buffer = ScriptedModel(), TurnBuffer()
    shown: list[float] = []
    for text in texts:
        model.say(text)
    model.finish()
    turn = Turn(
        turn_id="t",
        digest="",
        result_name="response",
        model=model,
        request=ModelRequest(model="gpt", messages=(), parameters={}),
        buffer=buffer,
        bounds=BOUNDS,
        writer=None,
        cancel_on_leave=True,
        respond_by=5.0,
        load=lambda: load,
    )

    async def write(entries: Sequence[Entry]) -> None:
        now = asyncio.get_running_loop().time()
        shown.extend(now for entry in entries if isinstance(entry.event, Delta))

    watching = asyncio.create_task(turn.watch(BEGINNING).pipe(write))
    await turn.run()
    await watching
    return [moment - shown[0] for moment in shown]


@in_virtual_time
async def test_a_busy_instance_reads_a_fast_model_in_frames() -> None:
    first, *rest = await moments(BUSY_TURNS, SHORT, SHORT, SHORT, SHORT)
    assert first == 0
    steps = [later - earlier for earlier, later in zip([first, *rest], rest, strict=False)]
    assert steps[1:] == pytest.approx([FRAME_SECONDS] * 2)


@in_virtual_time
async def test_more_turns_than_busy_wait_no_longer() -> None:
    assert (await moments(10 * BUSY_TURNS, SHORT, SHORT, SHORT))[-1] <= 2 * FRAME_SECONDS


@in_virtual_time
async def test_a_lone_turn_hardly_waits() -> None:
    assert (await moments(1, *[SHORT] * 10))[-1] <= 10 * FRAME_SECONDS / BUSY_TURNS


@in_virtual_time
async def test_a_model_that_gives_much_at_once_is_never_held_up() -> None:
    assert await moments(BUSY_TURNS, LONG, LONG, LONG, LONG) == [0.0] * 4
