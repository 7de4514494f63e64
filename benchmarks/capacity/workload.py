"""What a number of callers means for instances, storage and money. Pure; docs/capacity.md explains.

Storage is counted as Table Storage's limits count it: by entities of 1 KiB (its scalability
targets). A larger entity counts for several, and a query for each row that it gives.
"""

import math
from dataclasses import dataclass

PARTITION_ENTITIES = 2_000
ACCOUNT_ENTITIES = 20_000
"""Table Storage's limits, in entities a second."""
CHECKPOINT_SECONDS = 2.0
DAY_SECONDS = 86_400
MONTH_DAYS = 30

BEGIN_ROWS = 6
"""Head, index out and in, turn, question, answer."""
TURN_ROWS = 3
"""What a turn leaves: turn, question, answer."""
CONVERSATION_ROWS = 2
"""What a conversation has besides: head, index."""
DELETION_REQUESTS = 4
"""Of retention, a conversation: intent, commit, its rows, intent."""
_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What callers do, and what an instance holds. The options of the command, by name."""

    callers: int = 1_000
    peak_share: float = 0.05
    """Of the callers, those to whom an answer streams at the busiest moment."""
    turns: float = 10.0
    """Of a caller in a day."""
    active_hours: float = 10.0
    """Of a day, over which the turns are spread."""
    prompt_tokens: int = 1_500
    """That the model is sent a turn: system prompt, history, documents, question."""
    question_tokens: int = 50
    """Of these the question, which is stored."""
    completion_tokens: int = 300
    bytes_a_token: float = 4.0
    model_rate: float = 20.0
    """Tokens a second of one answer."""
    first_token_seconds: float = 0.5
    conversation_turns: float = 5.0
    """Turns a conversation."""
    window_messages: int = 20
    """Rows that a turn reads of its conversation."""
    lists: float = 5.0
    """Of conversations or messages that a caller looks at in a day."""
    attach_share: float = 0.02
    """Of turns, those that somebody attaches to."""
    kept_days: int = 90
    row_bytes: int = 600
    """Of a row, besides its text."""
    callers_an_owner: int = 1
    """Above 1 where many share one identity, and so one partition."""
    instance_streams: int = 500
    """What one worker process holds, by the load test."""
    fill: float = 0.5
    """Of that, what is counted on: the rest is for bursts, and for those whom a lost instance
    sends elsewhere."""
    instance_mb: int = 2_048
    always_ready: int = 0
    """Instances."""

    @property
    def answer_seconds(self) -> float:
        return self.first_token_seconds + self.completion_tokens / self.model_rate

    @property
    def turns_a_day(self) -> float:
        return self.callers * self.turns

    @property
    def mean_streams(self) -> float:
        """In the active hours (Little's law)."""
        return self.turns_a_day * self.answer_seconds / (self.active_hours * 3600)

    @property
    def peak_streams(self) -> int:
        return math.ceil(self.callers * self.peak_share)

    @property
    def peak_turns_a_second(self) -> float:
        return self.peak_streams / self.answer_seconds

    @property
    def concurrency(self) -> int:
        """Streams counted on for one instance: `perInstanceConcurrency`."""
        return max(1, math.floor(self.instance_streams * self.fill))

    @property
    def peak_instances(self) -> int:
        return max(self.always_ready, math.ceil(self.peak_streams / self.concurrency))


@dataclass(frozen=True, slots=True)
class Storage:
    """Requests and entities of one turn, and what follows from them."""

    reads: float
    writes: float
    checkpoints: int
    entities: float
    """Of one turn, by the limits' measure; lists and retention are not in it."""
    requests_a_day: float
    peak_entities: float
    """A second, of the account."""
    peak_partition_entities: float
    """A second, of the busiest owner's partition: all of its callers at once."""
    partitions: int
    bytes_a_month: float
    """Added."""
    bytes_kept: float
    """Once retention takes away as much as comes."""
    most_callers: int
    """At which one account ends."""


def storage(load: Workload) -> Storage:
    """What the workload asks of Table Storage."""
    question = load.row_bytes + load.question_tokens * load.bytes_a_token
    answer_text = load.completion_tokens * load.bytes_a_token
    checkpoints = math.floor(load.answer_seconds / CHECKPOINT_SECONDS)
    row = _entities(load.row_bytes)

    # An attach reads the row; where the turn runs elsewhere, once a second for the half of it that
    # is left, and once it says there that somebody watches.
    elsewhere = 1 - 1 / max(1, load.peak_instances)
    attach_reads = load.attach_share * (1 + elsewhere * load.answer_seconds / 2)
    attach_writes = load.attach_share * elsewhere
    reads, writes = 1 + attach_reads, 2 + checkpoints + attach_writes

    answer = _entities(load.row_bytes + answer_text)
    half = _entities(load.row_bytes + answer_text / 2)
    message = (_entities(question) + answer) / 2
    entities = (
        row + load.window_messages * message  # the read: head and window
        + (BEGIN_ROWS - 1) * row + _entities(question)
        + checkpoints * half
        + answer
        + (attach_reads + attach_writes) * answer
    )  # fmt: skip

    conversations = load.turns_a_day / load.conversation_turns
    requests = (
        load.turns_a_day * (reads + writes)
        + load.callers * load.lists
        + conversations * DELETION_REQUESTS
    )
    text = (load.question_tokens + load.completion_tokens) * load.bytes_a_token
    a_turn = text + TURN_ROWS * load.row_bytes
    a_day = load.turns_a_day * a_turn + conversations * CONVERSATION_ROWS * load.row_bytes
    a_caller = load.peak_share / load.answer_seconds * entities
    return Storage(
        reads=reads,
        writes=writes,
        checkpoints=checkpoints,
        entities=entities,
        requests_a_day=requests,
        peak_entities=load.peak_turns_a_second * entities,
        peak_partition_entities=load.callers_an_owner / load.answer_seconds * entities,
        partitions=math.ceil(load.callers / load.callers_an_owner),
        bytes_a_month=a_day * MONTH_DAYS,
        bytes_kept=a_day * load.kept_days,
        most_callers=math.floor(ACCOUNT_ENTITIES / a_caller),
    )


def _entities(size: float) -> int:
    return max(1, math.ceil(size / _KIB))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Examples in round numbers, to be replaced: they are from no price list."""

    input_million: float = 1.0
    """Tokens that the model is sent, a million."""
    output_million: float = 4.0
    gb_second: float = 0.00003
    """Of an instance that executes, on demand."""
    ready_gb_second: float = 0.000005
    """Of an always-ready instance, whether it executes or not."""
    ready_execution_gb_second: float = 0.00002
    """Of an always-ready instance that executes, besides."""
    million_executions: float = 0.5
    ten_thousand_transactions: float = 0.0005
    gb_month: float = 0.05


@dataclass(frozen=True, slots=True)
class Costs:
    """Money a month, by part."""

    input: float
    output: float
    instances: float
    always_ready: float
    executions: float
    transactions: float
    kept: float

    @property
    def total(self) -> float:
        return (
            self.input + self.output + self.instances + self.always_ready
            + self.executions + self.transactions + self.kept
        )  # fmt: skip


def costs(load: Workload, prices: Prices) -> Costs:
    """What the workload costs a month, once retention takes away as much as comes."""
    store = storage(load)
    turns = load.turns_a_day * MONTH_DAYS
    gigabytes = load.instance_mb / 1024
    active = load.active_hours * 3600 * MONTH_DAYS * gigabytes
    mean = mean_instances(load)
    ready = min(mean, load.always_ready)
    # Besides turns: lists, and attaching. A request that is no turn is over at once.
    executions = turns * (1 + load.attach_share) + load.callers * load.lists * MONTH_DAYS
    return Costs(
        input=turns * load.prompt_tokens / 1e6 * prices.input_million,
        output=turns * load.completion_tokens / 1e6 * prices.output_million,
        instances=(mean - ready) * active * prices.gb_second,
        always_ready=(
            load.always_ready * DAY_SECONDS * MONTH_DAYS * gigabytes * prices.ready_gb_second
            + ready * active * prices.ready_execution_gb_second
        ),
        executions=executions / 1e6 * prices.million_executions,
        transactions=store.requests_a_day * MONTH_DAYS / 1e4 * prices.ten_thousand_transactions,
        kept=store.bytes_kept / 1e9 * prices.gb_month,
    )


def mean_instances(load: Workload) -> float:
    """That execute, in the active hours: one does while any stream runs on it."""
    return max(1 - math.exp(-load.mean_streams), load.mean_streams / load.concurrency)
