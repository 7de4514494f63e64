"""A turn as spans: the turn, below it the model, the documents and the store.

They are made when the turn has ended, with the times and the ids that its facts hold, so that a log
line that was written meanwhile names the same span.
"""

import json
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import AttributeValue

from shared.telemetry import names
from shared.telemetry.facts import Content, Search, Span, StoreCall, TurnFacts


class GivenIds(IdGenerator):
    """Ids that were decided before: those of the span that is made next."""

    def __init__(self) -> None:
        self.next = Span(1, 0, 1)

    def generate_span_id(self) -> int:
        return self.next.id

    def generate_trace_id(self) -> int:
        return self.next.trace


class TurnSpans:
    """Makes spans by `tracer`, whose provider takes its ids from `ids`. `store`: which kind."""

    def __init__(self, tracer: Tracer, ids: GivenIds, store: str) -> None:
        self._tracer = tracer
        self._ids = ids
        self._store = store

    def take(self, facts: TurnFacts) -> None:
        self._add(
            f"turn {facts.action}",
            facts.span,
            SpanKind.INTERNAL,
            (facts.began, facts.ended),
            turn_attributes(facts),
            facts.fault,
        )
        if facts.asked:
            self._model(facts)
        if facts.search is not None:
            self._search(facts.span.child(), facts.search)
        for call in facts.calls:
            self._call(facts.span.child(), call)

    def _model(self, facts: TurnFacts) -> None:
        attributes = model_attributes(facts) | request_attributes(facts)
        if facts.content is not None:
            attributes |= content_attributes(facts.content)
        times = facts.asked, facts.ended
        name = f"chat {facts.model}"
        self._add(name, facts.span.child(), SpanKind.CLIENT, times, attributes, facts.fault)

    def _search(self, span: Span, search: Search) -> None:
        attributes: dict[str, AttributeValue] = {
            names.OPERATION: "retrieval",
            names.DATA_SOURCE: search.retriever,
            names.DOCUMENTS: search.found,
        }
        times = search.began, search.ended
        name = f"retrieval {search.retriever}"
        self._add(name, span, SpanKind.CLIENT, times, attributes, search.error)

    def _call(self, span: Span, call: StoreCall) -> None:
        attributes = {names.DB_SYSTEM: self._store, names.DB_OPERATION: call.operation}
        times = call.began, call.ended
        name = f"{call.operation} {self._store}"
        self._add(name, span, SpanKind.CLIENT, times, attributes, call.error)

    def _add(
        self,
        name: str,
        place: Span,
        kind: SpanKind,
        times: tuple[int, int],
        attributes: Mapping[str, AttributeValue],
        error: str | None,
    ) -> None:
        self._ids.next = place
        began, ended = times
        made = self._tracer.start_span(
            name, _below(place), kind=kind, attributes=attributes, start_time=began
        )
        if error is not None:
            made.set_attribute(names.ERROR_TYPE, error)
            made.set_status(Status(StatusCode.ERROR))
        made.end(ended)


def _below(place: Span) -> Context:
    """A context in which the parent is the one that the facts name."""
    if not place.parent:
        return Context()
    # Sampled or not: the host's own choice is about its own spans.
    parent = SpanContext(place.trace, place.parent, True, TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(trace.NonRecordingSpan(parent), Context())


def turn_attributes(facts: TurnFacts) -> dict[str, AttributeValue]:
    """What a turn's own span says."""
    attributes: dict[str, AttributeValue | None] = {
        names.ACTION: facts.action,
        names.HOW: facts.how,
        names.FINISH_REASON: facts.reason,
        names.CONVERSATION: facts.conversation,
        names.INVOCATION: facts.invocation or None,
        names.WATCHERS: facts.watchers,
        names.CHECKPOINTS: facts.checkpoints,
        names.STORE_CALLS: facts.store_calls,
        names.FAIL_OVERS: facts.fail_overs,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def model_attributes(facts: TurnFacts) -> dict[str, AttributeValue]:
    """What says which model it was: few values, so that measurements can be told apart by it."""
    attributes: dict[str, AttributeValue] = {
        names.OPERATION: "chat",
        names.REQUEST_MODEL: facts.model,
        names.ACTION: facts.action,
    }
    if (service := facts.service) is not None:
        attributes[names.PROVIDER] = service.provider
        attributes[names.SERVER_ADDRESS] = service.address
        attributes[names.SERVER_PORT] = service.port
    return attributes


def request_attributes(facts: TurnFacts) -> dict[str, AttributeValue]:
    """What was asked, how it ended and what it took."""
    attributes: dict[str, AttributeValue | None] = {
        names.STREAM: True,
        names.RESPONSE_MODEL: facts.answered_by,
        names.CONVERSATION: facts.conversation,
        names.FIRST_CHUNK: (facts.first - facts.asked) / 1e9 if facts.first else None,
        names.FINISH_REASONS: (facts.reason,) if facts.reason else None,
        names.REASONING_TOKENS: facts.reasoning_tokens or None,
    }
    for parameter, name in names.PARAMETERS.items():
        value = facts.parameters.get(parameter)
        if isinstance(value, int | float):
            attributes[name] = value
    if (usage := facts.usage) is not None:
        attributes[names.INPUT_TOKENS] = usage.prompt_tokens
        attributes[names.OUTPUT_TOKENS] = usage.completion_tokens
        attributes[names.ESTIMATED] = usage.estimated
    return {name: value for name, value in attributes.items() if value is not None}


def content_attributes(content: Content) -> dict[str, AttributeValue]:
    """Messages in the conventions' JSON: parts of text, by role."""

    def message(role: str, text: object) -> dict[str, object]:
        return {"role": role, "parts": [{"type": "text", "content": text}]}

    asked = [message(str(said.get("role")), said.get("content")) for said in content.messages]
    return {
        names.INPUT_MESSAGES: json.dumps(asked, ensure_ascii=False),
        names.OUTPUT_MESSAGES: json.dumps(
            [message("assistant", content.answer)], ensure_ascii=False
        ),
    }
