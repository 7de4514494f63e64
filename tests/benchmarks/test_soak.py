"""A short soak of the app, which must be flat, and of one that leaks, which must not be."""

from pathlib import Path

from benchmarks.soak.run import Options, soak
from benchmarks.soak.verdict import Bounds, judge

LEAKING = Path(__file__).parent / "leaking"
# So few turns tell little of memory: the allocator's own steps are larger.
SHORT = Bounds(bytes_a_turn=20_000.0, blocks_a_turn=20.0)


def nothing_to_say(*pair: object) -> None:
    """The table is for people."""


async def test_a_few_hundred_turns_leave_no_task_descriptor_or_running_turn():
    options = Options(turns=300, warm_up=60, samples=4, callers=12, quiet=0.0, patience=20.0)
    soaked = await soak(options, nothing_to_say)
    grown = [found for found in judge(soaked.app, soaked.nothing, SHORT) if not found.flat]
    assert grown == [], soaked
    assert sum(soaked.kinds.values()) == 360
    # What a turn can be has been tried: callers who leave, attach, stop and ask again.
    assert {"whole", "attached", "joined", "retried", "stopped", "left", "cancelled"} <= set(
        soaked.kinds
    )


async def test_a_worker_that_keeps_something_of_every_turn_is_found():
    # It never becomes quiet, so there is nothing to wait for.
    limits = {"quiet": 0.0, "patience": 0.0}
    options = Options(turns=80, warm_up=20, samples=4, callers=8, app=LEAKING, **limits)
    soaked = await soak(options, nothing_to_say)
    grown = {found.what for found in judge(soaked.app, soaked.nothing, SHORT) if not found.flat}
    assert {"memory, bytes a turn", "tasks more"} <= grown, soaked
