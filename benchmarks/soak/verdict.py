"""Whether a worker is flat, judged from samples of it. Pure.

The runtime's own growth is no fault of the app: beside the worker of the app runs one whose
function does nothing, with as many requests. What the app's worker has more than that one, sample
by sample, is the app's. Its slope is the median of the slopes between all pairs of samples (Theil
and Sen), over the second half of the run: neither warm-up nor one odd sample decides.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True, slots=True)
class Sample:
    """One worker, once it was idle, after so many turns (or as many requests as those took)."""

    turns: int
    requests: int
    memory: int
    """Bytes that are this process's alone (USS); where the system does not tell, resident ones."""
    blocks: int
    """Of Python's allocator: each object has at least one."""
    descriptors: int
    threads: int
    tasks: int
    running: int
    """Entries of the app's registry of running turns."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts as flat. Growth is that of the app beyond the runtime's, for each turn."""

    bytes_a_turn: float = 256.0
    blocks_a_turn: float = 1.0
    descriptors: int = 8
    """More at the end than after the warm-up; the same for tasks and threads."""
    tasks: int = 2
    threads: int = 6


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the verdict."""

    what: str
    value: float
    bound: float

    @property
    def flat(self) -> bool:
        return self.value <= self.bound


def judge(app: Sequence[Sample], idle: Sequence[Sample], bounds: Bounds) -> list[Finding]:
    """The findings on the app's samples beside those of the worker that did nothing.

    Raises `ValueError` where there are too few samples, or where they do not belong together.
    """
    if len(app) < 4 or len(app) != len(idle):
        raise ValueError(f"{len(app)} samples beside {len(idle)}: at least 4 of each are needed")
    if any(one.turns != other.turns for one, other in zip(app, idle, strict=True)):
        raise ValueError("the samples of the two workers are not of the same moments")
    turns = [sample.turns for sample in app]
    memory = [one.memory - other.memory for one, other in zip(app, idle, strict=True)]
    blocks = [one.blocks - other.blocks for one, other in zip(app, idle, strict=True)]
    half = len(app) // 2
    warm, last = app[0], app[-1]
    return [
        Finding("memory, bytes a turn", slope(turns[half:], memory[half:]), bounds.bytes_a_turn),
        Finding("Python blocks a turn", slope(turns[half:], blocks[half:]), bounds.blocks_a_turn),
        Finding("descriptors more", last.descriptors - warm.descriptors, bounds.descriptors),
        Finding("tasks more", last.tasks - warm.tasks, bounds.tasks),
        Finding("threads more", last.threads - warm.threads, bounds.threads),
        Finding("running turns left", last.running, 0),
    ]


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The median of the slopes between all pairs. Raises `ValueError` for fewer than two."""
    slopes = [
        (y2 - y1) / (x2 - x1)
        for (x1, y1), (x2, y2) in combinations(zip(x, y, strict=True), 2)
        if x2 != x1
    ]
    if not slopes:
        raise ValueError("a slope needs two samples")
    return statistics.median(slopes)
