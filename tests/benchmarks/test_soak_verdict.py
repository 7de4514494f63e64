"""What counts as flat, on samples that are made up."""

from dataclasses import replace

import pytest

from benchmarks.soak.verdict import Bounds, Sample, judge, slope

CALM = Sample(
    turns=0,
    requests=0,
    memory=80_000_000,
    blocks=480_000,
    descriptors=19,
    threads=3,
    tasks=7,
    running=0,
)


def series(count: int = 10, **a_turn: float) -> list[Sample]:
    """Samples of 100 turns each, growing by so much a turn beside what the runtime keeps."""
    return [
        replace(
            CALM,
            turns=100 * i,
            requests=200 * i,
            memory=CALM.memory + round(i * 200 * 2300 + i * 100 * a_turn.get("memory", 0)),
            blocks=CALM.blocks + round(i * 200 * 8 + i * 100 * a_turn.get("blocks", 0)),
            descriptors=CALM.descriptors + round(i * 100 * a_turn.get("descriptors", 0)),
            threads=CALM.threads + round(i * 100 * a_turn.get("threads", 0)),
            tasks=CALM.tasks + round(i * 100 * a_turn.get("tasks", 0)),
        )
        for i in range(count)
    ]


def grows(app: list[Sample]) -> list[str]:
    findings = judge(app, series(len(app)), Bounds())
    return [found.what for found in findings if not found.flat]


def test_a_worker_that_grows_as_the_runtime_does_is_flat():
    assert grows(series()) == []


@pytest.mark.parametrize(
    ("what", "a_turn"),
    [
        ("memory, bytes a turn", {"memory": 300}),
        ("Python blocks a turn", {"blocks": 2}),
        ("descriptors more", {"descriptors": 0.01}),
        ("tasks more", {"tasks": 0.01}),
        ("threads more", {"threads": 0.01}),
    ],
)
def test_each_thing_that_grows_is_named(what, a_turn):
    assert grows(series(**a_turn)) == [what]


def test_a_turn_that_is_still_registered_at_the_end_is_a_finding():
    app = series()
    assert grows([*app[:-1], replace(app[-1], running=1)]) == ["running turns left"]


def test_growth_is_measured_beyond_the_worker_that_does_nothing():
    findings = {found.what: found.value for found in judge(series(memory=100), series(), Bounds())}
    assert findings["memory, bytes a turn"] == pytest.approx(100)


def test_neither_warm_up_nor_one_odd_sample_decides():
    app = series()
    warming = [replace(app[0], memory=app[0].memory - 30_000_000), *app[1:]]
    assert grows(warming) == []
    app[7] = replace(app[7], memory=app[7].memory + 5_000_000)
    assert grows(app) == []


def test_a_slope_is_the_median_of_all_pairs():
    # Pairs: 1, 1, 10, 1, 14.5, 28: the two middle ones are 1 and 10.
    assert slope([0, 1, 2, 3], [0, 1, 2, 30]) == pytest.approx(5.5)


@pytest.mark.parametrize(
    ("app", "nothing"),
    [
        (series(3), series(3)),
        (series(5), series(4)),
        (series(5), [replace(sample, turns=sample.turns + 1) for sample in series(5)]),
    ],
)
def test_samples_that_decide_nothing_are_refused(app, nothing):
    with pytest.raises(ValueError, match="samples"):
        judge(app, nothing, Bounds())


def test_a_slope_of_one_moment_is_refused():
    with pytest.raises(ValueError, match="two samples"):
        slope([1, 1], [1, 2])
