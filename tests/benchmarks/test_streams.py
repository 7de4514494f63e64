"""What a load test of streams concludes from what Locust's callers saw."""

from typing import Any

import pytest

from benchmarks.streams import Look, Plan, Result, percentile, report, stream_rate

PLAN = Plan(streams=2, tokens=100, rate=20.0, turns=1, ramp=1.0)


def looks(*running: int) -> list[Look]:
    """One a second; the worker takes half a core, the callers a tenth."""
    return [
        Look(float(at), count, {"worker": at / 2, "callers": at / 10})
        for at, count in enumerate(running)
    ]


def seen(**changed: Any) -> dict[str, Any]:
    return {
        "began": [0.0, 0.5],
        "first": [0.1, 0.7],
        "last": [5.1, 5.7],
        "gaps": [0.05] * 199 + [0.2],
        "frames": 204,
        "turn": [0, 1],
        "tokens": 200,
        "peak": 2,
        "errors": {},
    } | changed


def test_a_percentile_is_a_value_that_was_seen():
    values = list(range(100, 0, -1))
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7], 0.99) == 7
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_a_whole_run_has_no_failures_and_prints_its_figures():
    result = Result(seen(), looks(0, 2, 2, 2, 1))
    assert result.failures(PLAN) == []
    assert stream_rate(result.seen) == pytest.approx(20)
    lines = report(PLAN, result)
    assert "| first byte, p50, p95, p99 | 100, 200, 200 ms |" in lines
    assert "| first byte after the ramp, p50, p95, p99 | 200, 200, 200 ms |" in lines
    assert "| between two events, p50, p95, p99 | 50, 50, 50 ms |" in lines
    assert "| tokens a second of all | 40 |" in lines
    assert "| CPU of the worker while held | 0.50 cores, 12500 µs a token |" in lines
    assert "| CPU of all of them | 0.60 cores |" in lines


def test_ramp_and_end_are_not_in_the_cpu():
    seconds, cores = Result(seen(), looks(0, 1, 2, 2, 1)).held(PLAN)
    assert seconds == 1
    assert cores == {"worker": pytest.approx(0.5), "callers": pytest.approx(0.1)}
    assert Result(seen(), looks(0, 2, 1)).held(PLAN) == (0.0, {})


@pytest.mark.parametrize(
    ("changed", "running", "told"),
    [
        ({"errors": {"Wrong: a status": 1}}, 2, "1 × Wrong: a status"),
        ({"last": [5.1]}, 2, "1 whole answers instead of 2"),
        ({"peak": 1}, 2, "callers saw at most 1 streams at once, not 2"),
        ({}, 1, "the worker saw at most 1 streams at once, not 2"),
    ],
)
def test_a_run_fails_by_errors_by_missing_answers_and_by_too_few_at_once(changed, running, told):
    assert Result(seen(**changed), looks(running)).failures(PLAN) == [told]


def test_a_run_without_any_answer_says_so():
    none = seen(began=[], first=[], last=[], turn=[], gaps=[], frames=0, tokens=0, peak=0)
    assert report(PLAN, Result(none, [])) == ["no answer was whole"]
