"""What a number of callers takes: instances, storage requests, partitions, and money by prices
that you give. `python -m benchmarks.capacity --help` names every figure; docs/capacity.md explains
them."""

import sys
from collections.abc import Sequence

from benchmarks.capacity.options import Given, parse
from benchmarks.capacity.workload import (
    ACCOUNT_ENTITIES,
    MONTH_DAYS,
    PARTITION_ENTITIES,
    Costs,
    Storage,
    Workload,
    costs,
    mean_instances,
    storage,
)


def told(given: Given) -> list[str]:
    """The whole answer, line by line."""
    store = storage(given.load)
    return [
        *_instances(given.load),
        "",
        *_storage(given.load, store),
        "",
        *_money(given, costs(given.load, given.prices)),
        "",
        *_advice(given.load, store),
    ]


def _instances(load: Workload) -> list[str]:
    return [
        "## Instances",
        "",
        f"{load.turns_a_day:,.0f} turns a day, {load.answer_seconds:.1f} s each",
        f"{load.peak_streams:,} streams at the peak, {load.mean_streams:,.1f} on average in "
        f"{load.active_hours:g} active hours; {load.peak_turns_a_second:,.1f} turns a second begin "
        "at the peak",
        f"Instances at the peak: {load.peak_instances:,}, of {load.concurrency} streams each "
        f"(perInstanceConcurrency: {load.concurrency}); on average {mean_instances(load):,.2f}",
    ]


def _storage(load: Workload, store: Storage) -> list[str]:
    return [
        "## Storage",
        "",
        f"{store.reads:.2f} reads and {store.writes:.2f} writes a turn, "
        f"{store.checkpoints} of them checkpoints; {store.entities:.1f} entities of 1 KiB",
        f"{store.requests_a_day:,.0f} transactions a day",
        f"{store.peak_entities:,.0f} of {ACCOUNT_ENTITIES:,} entities a second at the peak, "
        f"in one account ({store.peak_entities / ACCOUNT_ENTITIES:.1%})",
        f"{store.partitions:,} partitions; the busiest has at most "
        f"{store.peak_partition_entities:,.0f} of {PARTITION_ENTITIES:,} entities a second "
        f"({store.peak_partition_entities / PARTITION_ENTITIES:.1%})",
        f"{store.bytes_a_month / 1e9:,.2f} GB added a month, {store.bytes_kept / 1e9:,.2f} GB kept "
        f"after {load.kept_days} days",
    ]


def _money(given: Given, cost: Costs) -> list[str]:
    date = f"as of {given.date}" if given.date else "of no date"
    parts = {
        "model, input": cost.input,
        "model, output": cost.output,
        "instances on demand": cost.instances,
        "always-ready instances": cost.always_ready,
        "executions": cost.executions,
        "table transactions": cost.transactions,
        "table storage": cost.kept,
    }
    lines = ["## Money a month", ""]
    if given.examples:
        lines += [
            "EXAMPLE PRICES, from no price list: what follows is no estimate until you give yours.",
            f"Still examples: {', '.join(given.examples)}.",
        ]
    lines += [f"In {given.currency}, prices {date}, without free grants and discounts.", ""]
    lines += ["| part | a month | a 1,000 turns |", "|---|---|---|"]
    turns = given.load.turns_a_day * MONTH_DAYS / 1000
    lines += [f"| {part} | {much:,.2f} | {much / turns:,.4f} |" for part, much in parts.items()]
    return [*lines, f"| all | {cost.total:,.2f} | {cost.total / turns:,.4f} |"]


def _advice(load: Workload, store: Storage) -> list[str]:
    lines = [
        "## Where one storage account ends",
        "",
        f"At about {store.most_callers:,} callers who do the same, by {ACCOUNT_ENTITIES:,} "
        "entities a second.",
    ]
    if store.peak_entities > ACCOUNT_ENTITIES:
        accounts = -(-load.callers // store.most_callers)
        lines.append(
            f"This is more: run {accounts:,} apps, each with an account of its own, and send each "
            "owner always to the same one; or keep the history in SQL."
        )
    else:
        lines.append("One account is enough. Beyond: several apps with an account each, or SQL.")
    if store.peak_partition_entities > PARTITION_ENTITIES:
        lines.append(
            f"One partition is not: {load.callers_an_owner:,} callers share an identity. Let each "
            "sign in as themselves, or give them several identities."
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Prints it."""
    print("\n".join(told(parse(argv, __doc__))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
