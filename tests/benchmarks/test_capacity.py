"""The calculator, by cases that were worked out by hand."""

import math
from dataclasses import replace

import pytest

from benchmarks.capacity.__main__ import main
from benchmarks.capacity.options import parse
from benchmarks.capacity.workload import Prices, Workload, costs, mean_instances, storage

# 200 tokens at 20 a second: 10 s, so 5 checkpoints. Rows are 624 bytes, so that a question of 100
# tokens of 4 bytes fills 1 KiB, an answer of 200 takes 2, and half of it 1.
LOAD = Workload(
    callers=1_000,
    peak_share=0.1,
    turns=12,
    active_hours=10,
    prompt_tokens=1_000,
    question_tokens=100,
    completion_tokens=200,
    bytes_a_token=4,
    model_rate=20,
    first_token_seconds=0,
    conversation_turns=4,
    window_messages=10,
    lists=5,
    attach_share=0,
    kept_days=60,
    row_bytes=624,
    callers_an_owner=1,
    instance_streams=100,
    fill=0.5,
    instance_mb=2_048,
)
PRICES = Prices(
    input_million=2,
    output_million=8,
    gb_second=0.00001,
    ready_gb_second=0.000001,
    ready_execution_gb_second=0.000005,
    million_executions=1,
    ten_thousand_transactions=0.01,
    gb_month=0.1,
)


def test_streams_and_instances():
    assert LOAD.answer_seconds == 10
    assert LOAD.turns_a_day == 12_000
    assert LOAD.mean_streams == pytest.approx(12_000 * 10 / 36_000)
    assert LOAD.peak_streams == 100
    assert LOAD.peak_turns_a_second == 10
    assert LOAD.concurrency == 50
    assert LOAD.peak_instances == 2
    assert replace(LOAD, callers=1_001).peak_instances == 3
    assert replace(LOAD, always_ready=5).peak_instances == 5


def test_storage():
    store = storage(LOAD)
    assert (store.reads, store.checkpoints, store.writes) == (1, 5, 7)
    # The read 1 + 10 × 1.5, the beginning 5 + 1, checkpoints 5, the end 2.
    assert store.entities == 29
    # Turns 12,000 × 8, lists 5,000, retention 3,000 conversations × 4.
    assert store.requests_a_day == 113_000
    assert store.peak_entities == 290
    assert store.peak_partition_entities == pytest.approx(2.9)
    assert store.partitions == 1_000
    # A turn 300 × 4 + 3 × 624 = 3,072; a conversation 2 × 624.
    a_day = 12_000 * 3_072 + 3_000 * 1_248
    assert store.bytes_a_month == 30 * a_day
    assert store.bytes_kept == 60 * a_day
    # 20,000 / (0.1 / 10 × 29)
    assert store.most_callers == 68_965


def test_attaching_reads_more_where_the_turn_runs_elsewhere():
    store = storage(replace(LOAD, attach_share=0.5))
    # Half of the turns; of two instances one is elsewhere in half of them, for 5 s that are left.
    assert store.reads == 1 + 0.5 * (1 + 0.5 * 5)
    assert store.writes == 7 + 0.5 * 0.5
    alone = storage(replace(LOAD, attach_share=0.5, instance_streams=1_000))
    assert (alone.reads, alone.writes) == (1.5, 7)


def test_owners_who_are_shared_share_a_partition():
    store = storage(replace(LOAD, callers_an_owner=300))
    assert store.partitions == 4
    assert store.peak_partition_entities == pytest.approx(870)


def test_money():
    cost = costs(LOAD, PRICES)
    mean = 1 - math.exp(-10 / 3)
    assert mean_instances(LOAD) == pytest.approx(mean)
    # 360,000 turns a month
    assert cost.input == pytest.approx(720)
    assert cost.output == pytest.approx(576)
    assert cost.instances == pytest.approx(mean * 2_160_000 * 0.00001)
    assert cost.always_ready == 0
    assert cost.executions == pytest.approx(0.51)
    assert cost.transactions == pytest.approx(3.39)
    assert cost.kept == pytest.approx(2.43648 * 0.1)
    assert cost.total == pytest.approx(720 + 576 + cost.instances + 0.51 + 3.39 + 0.243648)


def test_an_always_ready_instance_takes_over_what_executes():
    cost = costs(replace(LOAD, always_ready=1), PRICES)
    mean = 1 - math.exp(-10 / 3)
    assert cost.instances == 0
    assert cost.always_ready == pytest.approx(5.184 + mean * 2_160_000 * 0.000005)


def test_full_instances_are_shared_and_the_mean_follows_the_streams():
    assert mean_instances(replace(LOAD, callers=30_000)) == pytest.approx(100 / 50)


def test_the_example_prices_say_that_they_are_examples(capsys):
    assert main(["--price-gb-month", "3"]) == 0
    printed = capsys.readouterr().out
    assert "EXAMPLE PRICES" in printed
    assert "prices of no date" in printed
    assert "--price-output-million" in printed
    assert "--price-gb-month" not in printed


def test_prices_that_were_all_given_are_told_with_their_date_and_currency(capsys):
    given = parse([], None).examples
    prices = [word for name in given for word in (name, "1")]
    assert main([*prices, "--currency", "EUR", "--prices-of", "2026-01-31"]) == 0
    printed = capsys.readouterr().out
    assert "EXAMPLE" not in printed
    assert "In EUR, prices as of 2026-01-31" in printed


def test_beyond_one_account_it_says_what_to_do(capsys):
    assert main(["--callers", "1000"]) == 0
    assert "One account is enough" in capsys.readouterr().out
    assert main(["--callers", "300000", "--callers-an-owner", "1000"]) == 0
    printed = capsys.readouterr().out
    assert "run 3 apps" in printed
    assert "1,000 callers share an identity" in printed


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--callers", "0"], "--callers: '0' must be a whole number from 1"),
        (["--callers", "1.5"], "--callers: '1.5' must be a whole number"),
        (["--turns", "many"], "--turns: 'many' must be a number"),
        (["--turns", "nan"], "--turns: 'nan' must be a number"),
        (["--turns", "inf"], "--turns: 'inf' must be a number"),
        (["--peak-share", "1.1"], "--peak-share: '1.1' must be a number from 1e-06 to 1"),
        (["--active-hours", "25"], "--active-hours: '25'"),
        (["--fill", "0"], "--fill: '0'"),
        (["--price-gb-second", "-1"], "--price-gb-second: '-1'"),
        (["--prices-of", "yesterday"], "--prices-of: 'yesterday' must be a date"),
        (["--question-tokens", "2000"], "--question-tokens: the question is part of"),
        (["--callers-an-owner", "2000"], "--callers-an-owner: not more than --callers"),
        (["--peak-share", "0.0001"], "--peak-share: the mean of the active hours is 4.3"),
    ],
)
def test_a_value_that_is_wrong_is_refused_by_the_name_of_its_option(words, told, capsys):
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert told in capsys.readouterr().err
