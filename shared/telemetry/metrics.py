"""Turns, requests and store calls as measurements."""

from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.util.types import AttributeValue

from shared.telemetry import names
from shared.telemetry.facts import RequestFacts, StoreCall, TurnFacts
from shared.telemetry.spans import model_attributes

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The conventions' own bounds for durations, and below for tokens."""
_CALL_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_TOKENS = tuple(float(4**power) for power in range(14))


class Measurements:
    """Instruments of `meter`. `running` counts the turns of this instance; `store`: which kind."""

    def __init__(self, meter: Meter, store: str, running: Callable[[], int]) -> None:
        def seconds(name: str, what: str, bounds: tuple[float, ...] = _SECONDS):  # type: ignore[no-untyped-def]  # the SDK's own type is long
            return meter.create_histogram(
                name, "s", what, explicit_bucket_boundaries_advisory=bounds
            )

        self._store = store
        self._duration = seconds("gen_ai.client.operation.duration", "What a model took")
        self._first_chunk = seconds(
            "gen_ai.client.operation.time_to_first_chunk", "Until a model first said anything"
        )
        self._per_chunk = seconds(
            "gen_ai.client.operation.time_per_output_chunk", "Between two chunks, on average"
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens of a turn",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self._turns = seconds("chat.turn.duration", "From the request to the stored end")
        self._waited = seconds("chat.turn.time_to_first_event", "What a caller waited for words")
        self._fail_overs = meter.create_counter(
            "chat.turn.fail_overs", "{fail_over}", "Turns that another connection answered"
        )
        self._checkpoints = meter.create_counter(
            "chat.turn.checkpoints", "{checkpoint}", "Writes of a running turn"
        )
        self._watchers = meter.create_histogram(
            "chat.turn.watchers",
            "{watcher}",
            "Callers that watched a turn, the most at once",
            explicit_bucket_boundaries_advisory=(0.0, 1.0, 2.0, 5.0, 10.0, 50.0),
        )
        self._calls = seconds("chat.store.duration", "What a store call took", _CALL_SECONDS)
        self._requests = seconds(
            "chat.request.duration", "Until a response began, or was refused", _CALL_SECONDS
        )
        self._searches = seconds("chat.retrieval.duration", "What finding documents took")

        def count(options: CallbackOptions) -> Iterable[Observation]:
            yield Observation(running())

        meter.create_observable_gauge(
            "chat.turns.running", [count], "{turn}", "Turns that run on this instance"
        )

    def turn(self, facts: TurnFacts) -> None:
        own = _present({names.ACTION: facts.action, names.HOW: facts.how})
        own |= _present({names.FINISH_REASON: facts.reason, names.ERROR_TYPE: facts.code})
        self._turns.record((facts.ended - facts.began) / 1e9, own)
        if facts.how != "run":
            return
        action = _present({names.ACTION: facts.action})
        self._watchers.record(facts.watchers, action)
        if facts.checkpoints:
            self._checkpoints.add(facts.checkpoints, action)
        if facts.fail_overs:
            self._fail_overs.add(facts.fail_overs, action)
        if (search := facts.search) is not None:
            which = _present({names.DATA_SOURCE: search.retriever, names.ERROR_TYPE: search.error})
            self._searches.record((search.ended - search.began) / 1e9, which)
        if facts.asked:
            self._model(facts)

    def _model(self, facts: TurnFacts) -> None:
        which = model_attributes(facts)
        took = which | _present({names.ERROR_TYPE: facts.code})
        self._duration.record((facts.ended - facts.asked) / 1e9, took)
        if facts.first:
            self._first_chunk.record((facts.first - facts.asked) / 1e9, which)
            self._waited.record((facts.first - facts.began) / 1e9, {names.ACTION: facts.action})
            if facts.chunks > 1:
                between = (facts.ended - facts.first) / (facts.chunks - 1) / 1e9
                self._per_chunk.record(between, which)
        if (usage := facts.usage) is not None:
            self._tokens.record(usage.prompt_tokens, which | {names.TOKEN_TYPE: "input"})
            self._tokens.record(usage.completion_tokens, which | {names.TOKEN_TYPE: "output"})

    def store_call(self, call: StoreCall) -> None:
        which = {names.DB_SYSTEM: self._store, names.DB_OPERATION: call.operation}
        self._calls.record(
            (call.ended - call.began) / 1e9, which | _present({names.ERROR_TYPE: call.error})
        )

    def request(self, facts: RequestFacts) -> None:
        which = {names.ENDPOINT: facts.call.endpoint}
        self._requests.record(
            (facts.ended - facts.call.began) / 1e9,
            which | _present({names.ERROR_TYPE: facts.code}),
        )


def _present(attributes: dict[str, str | None]) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}
