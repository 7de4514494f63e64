"""What a load test of streams concludes from what Locust's callers saw."""

from typing import Any

import pytest

from benchmarks.streams import Plan, Result, held_rate, percentile, report

PLAN = Plan(streams=2, tokens=100, rate=20.0, turns=1, ramp=1.0)
CPU = {"worker": 1.0, "callers": 0.5}


def seen(**changed: Any) -> dict[str, Any]:
    return {
        "began": [0.0, 0.5],
        "first": [0.1, 0.7],
        "last": [5.1, 5.7],
        "gaps": [0.05] * 199 + [0.2],
        "frames": 204,
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
    result = Result(seen(), 2, CPU, 5.7)
    assert result.failures(PLAN) == []
    assert held_rate(result.seen, PLAN) == pytest.approx(40)
    lines = report(PLAN, result)
    assert "| first byte p99 | 200 ms |" in lines
    assert "| between two events p99 | 50 ms |" in lines
    assert "| tokens a second, all streams | 40 |" in lines
    assert "| CPU of the worker | 0.18 cores, 5000 µs a token |" in lines


@pytest.mark.parametrize(
    ("changed", "inside", "told"),
    [
        ({"errors": {"Wrong: a status": 1}}, 2, "1 × Wrong: a status"),
        ({"last": [5.1]}, 2, "1 whole answers instead of 2"),
        ({"peak": 1}, 2, "callers saw at most 1 streams at once, not 2"),
        ({}, 1, "the worker saw at most 1 streams at once, not 2"),
    ],
)
def test_a_run_fails_by_errors_by_missing_answers_and_by_too_few_at_once(changed, inside, told):
    assert Result(seen(**changed), inside, CPU, 5.7).failures(PLAN) == [told]


def test_a_run_without_any_answer_says_so():
    none = seen(began=[], first=[], last=[], gaps=[], frames=0, peak=0)
    assert report(PLAN, Result(none, 0, CPU, 1.0)) == ["no answer was whole"]
