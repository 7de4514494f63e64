"""The command line: every figure of the workload and every price is an option, and is checked."""

import argparse
import datetime
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from benchmarks.capacity.workload import Prices, Workload

HELP = {
    "callers": (1, 1e9, "who use the chat"),
    "peak_share": (1e-6, 1, "of the callers, to whom an answer streams at the busiest moment"),
    "turns": (1e-6, 1e5, "of a caller in a day"),
    "active_hours": (0.1, 24, "of a day, over which the turns are spread"),
    "prompt_tokens": (1, 1e7, "that the model is sent a turn, history and documents included"),
    "question_tokens": (0, 1e6, "of these the question, which is stored"),
    "completion_tokens": (1, 1e6, "of an answer"),
    "bytes_a_token": (1, 20, "of text"),
    "model_rate": (0.1, 1e5, "tokens a second of one answer"),
    "first_token_seconds": (0, 600, "until the first token"),
    "conversation_turns": (1, 1e6, "turns of a conversation"),
    "window_messages": (0, 1000, "that a turn reads of its conversation"),
    "lists": (0, 1e6, "of conversations or messages that a caller looks at in a day"),
    "attach_share": (0, 100, "of turns, how many are attached to"),
    "kept_days": (1, 36500, "of retention"),
    "row_bytes": (1, 1e6, "of a stored row besides its text"),
    "callers_an_owner": (1, 1e9, "who share one identity, and so one partition"),
    "instance_streams": (1, 1e5, "what one worker held in the load test"),
    "fill": (0.01, 1, "the part of that which is counted on"),
    "instance_mb": (512, 65536, "memory of an instance"),
    "always_ready": (0, 1000, "instances"),
}
PRICES = {
    "input_million": "a million tokens that the model is sent",
    "output_million": "a million tokens of answers",
    "gb_second": "a GB-s of an instance that executes, on demand",
    "ready_gb_second": "a GB-s of an always-ready instance, executing or not",
    "ready_execution_gb_second": "a GB-s of an always-ready instance that executes, besides",
    "million_executions": "a million executions",
    "ten_thousand_transactions": "10,000 transactions of the table",
    "gb_month": "a GB stored for a month",
}


@dataclass(frozen=True, slots=True)
class Given:
    """What the reader said."""

    load: Workload
    prices: Prices
    currency: str
    date: datetime.date | None
    """Of the prices."""
    examples: tuple[str, ...]
    """Options of the prices that the reader did not give."""


def parse(argv: Sequence[str] | None, about: str | None) -> Given:
    """Exits with a message that names the option where one is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity",
        usage="python -m benchmarks.capacity [options]",
        description=about,
    )
    load = parser.add_argument_group("the workload")
    for field in fields(Workload):
        low, high, text = HELP[field.name]
        load.add_argument(
            _option(field.name),
            type=_number(field.type is int, low, high),
            default=field.default,
            help=f"{text} ({field.default:g})",
            metavar="N",
        )
    money = parser.add_argument_group(
        "prices", "The defaults are examples, and no price list's: give those that you pay."
    )
    for field in fields(Prices):
        money.add_argument(
            _option("price_" + field.name),
            type=_number(False, 0, 1e9),
            help=f"{PRICES[field.name]} (example: {_plain(getattr(Prices(), field.name))})",
            metavar="N",
        )
    money.add_argument("--currency", default="units", help="of the prices, as a word (units)")
    money.add_argument("--prices-of", type=_date, metavar="YYYY-MM-DD", help="when they were so")
    given = vars(parser.parse_args(argv))
    workload = Workload(**{name: given[name] for name in HELP})
    _check_together(workload, parser.error)
    said = {name: given["price_" + name] for name in PRICES}
    prices = Prices(**{name: price for name, price in said.items() if price is not None})
    examples = tuple(_option("price_" + name) for name, price in said.items() if price is None)
    return Given(workload, prices, given["currency"], given["prices_of"], examples)


def _check_together(load: Workload, error: Callable[[str], object]) -> None:
    if load.question_tokens > load.prompt_tokens:
        error("argument --question-tokens: the question is part of --prompt-tokens, so not more")
    if load.callers_an_owner > load.callers:
        error("argument --callers-an-owner: not more than --callers")
    if load.peak_streams < load.mean_streams:
        least = load.mean_streams / load.callers
        error(
            f"argument --peak-share: the mean of the active hours is {load.mean_streams:.1f} "
            f"streams, so the busiest moment has at least a share of {least:.4f}; "
            "or the turns are spread over more --active-hours"
        )


def _plain(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _number(whole: bool, low: float, high: float) -> Callable[[str], float]:
    kind = "a whole number" if whole else "a number"

    def parse(text: str) -> float:
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(
                f"{text!r} must be {kind} from {_told(low)} to {_told(high)}"
            )
        return value

    return parse


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} must be a date such as 2026-01-31") from None
